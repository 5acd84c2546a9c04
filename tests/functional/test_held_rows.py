"""A row that somebody holds in a transaction that was left open, and what does not wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from celery_jobsched.fire import FireState
from celery_jobsched.locks import Report, Step
from celery_jobsched.store import tables
from tests.hands import Hands, by_hand


@pytest.fixture(params=["postgresql", "mysql"])
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hands]:
    """SQLite locks no rows."""
    with by_hand(request.param, tmp_path, jobsched_socket_timeout=1.0) as hands:
        yield hands


def test_a_job_whose_row_is_held_keeps_no_other_from_firing(hands: Hands) -> None:
    hands.add("held", every="1 second")
    hands.add("other", every="1 second")
    mine = sa.update(tables.jobs).where(tables.jobs.c.name == "held")

    with hands.records.engine.connect() as person:
        person.execute(mine.values(description="not yet committed"))
        hands.clock.advance(seconds=1)
        hands.beat.tick()
        other = hands.told("other")
    hands.beat.settle()

    assert other[-1] == "1 sent"
    assert hands.told("held")[-1] == "1 sent"


def test_a_report_that_waits_for_a_row_keeps_no_edit_of_another_waiting(hands: Hands) -> None:
    hands.add("held", keyword="go")
    hands.call("go")
    hands.start_sent()
    ((fire, (copy, started_at)),) = hands.running.items()
    said = Report(fire, FireState.FAILED, hands.clock.now(), started_at, copy.token, error="no")
    mine = sa.update(tables.jobs).where(tables.jobs.c.name == "held")

    with hands.records.engine.connect() as person:
        person.execute(mine.values(description="not yet committed"))
        hands.locks.end([Step(copy, said)])
        hands.write("edited", every="1 hour")
        hands.beat.tick()
        planned = hands.records.job("edited")["planned"]
    hands.clock.advance(seconds=3)
    hands.beat.settle()

    assert planned
    assert hands.states("held") == ["failed"]
    assert hands.records.job("held")["failure_count"] == 1
