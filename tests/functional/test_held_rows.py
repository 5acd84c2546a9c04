"""A row that somebody holds in a transaction that was left open, and what does not wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

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
