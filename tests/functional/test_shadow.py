"""A beat that only tells what it would fire: by hand, on a clock that is set."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import events, shadow
from celery_jobsched.status import BeatState
from celery_jobsched.testing import Beat
from tests.hands import START, Hands, by_hand
from tests.services import DATABASES

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
#: The last question before a shadow tells something.
GLANCE = "SELECT jobsched_jobs.wake_at, jobsched_jobs.id, jobsched_jobs.version FROM"
#: The columns that planning writes, and no shadow after it.
STATE = ("next_fire_at", "due_at", "last_fire_at", "fire_count", "version", "planned")


class Foretold:
    """What a shadow told, by job: at which seconds of the test."""

    def __init__(self) -> None:
        self.all: list[tuple[str, float]] = []

    def note(self, job: str, fire_at: datetime, **_: Any) -> None:
        self.all.append((job, (fire_at - START).total_seconds()))

    def of(self, job: str) -> list[float]:
        return [at for name, at in self.all if name == job]


@pytest.fixture
def foretold() -> Iterator[Foretold]:
    found = Foretold()
    events.job_would_fire.connect(found.note)
    yield found
    events.job_would_fire.disconnect(found.note)


@pytest.fixture(params=DATABASES)
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hands]:
    with by_hand(request.param, tmp_path, jobsched_shadow=True) as hands:
        yield hands


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Hands]:
    with by_hand("sqlite", tmp_path, jobsched_shadow=True) as hands:
        yield hands


def pass_time(hands: Hands, seconds: int) -> None:
    """Step by step: where a shadow's jobs stand no table tells."""
    for _ in range(seconds):
        hands.clock.advance(SECOND)
        hands.beat.settle()


def state(hands: Hands, name: str) -> dict[str, Any]:
    return {column: hands.records.job(name)[column] for column in STATE}


def test_what_was_due_when_the_database_went_away_is_told_when_it_is_back(
    lite: Hands, foretold: Foretold
) -> None:
    lite.add("two", every="2 seconds")
    pass_time(lite, 1)
    engine = lite.beat.scheduler.runtime.engine

    def fail(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        said = " ".join(statement.split())
        if said.startswith(GLANCE) and "WHERE jobsched_jobs.id IN" in said:
            raise ConnectionError("the database is away")

    sa.event.listen(engine, "before_cursor_execute", fail)
    pass_time(lite, 2)
    told_meanwhile = foretold.of("two")
    sa.event.remove(engine, "before_cursor_execute", fail)
    pass_time(lite, 2)

    assert told_meanwhile == [0]
    assert foretold.of("two") == [0, 2, 4]


def test_more_jobs_are_due_at_once_than_a_statement_may_name(
    lite: Hands, foretold: Foretold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "_AT_ONCE", 2)
    for n in range(5):
        lite.add(f"job {n}", every="2 seconds")

    pass_time(lite, 4)

    assert [foretold.of(f"job {n}") for n in range(5)] == 5 * [[0, 2, 4]]


def test_it_tells_each_instant_once_and_leaves_all_as_it_is(
    hands: Hands, foretold: Foretold
) -> None:
    hands.add("two", every="2 seconds")
    hands.add("three", every="3 seconds", max_fires=2)
    before = state(hands, "two")

    pass_time(hands, 7)

    assert foretold.of("two") == [0, 2, 4, 6]
    assert foretold.of("three") == [0, 3]
    assert hands.records.fires() == []
    assert state(hands, "two") == before
    (beat,) = hands.jobs.beats()
    assert (beat.state, beat.ticks) == (BeatState.SHADOW, False)
    assert beat.refuses == "it is a shadow: it tells what it would fire"
    assert hands.jobs.status().problems() == ["no beat ticks"]


def test_an_edit_counts_and_what_was_told_is_not_told_again(
    lite: Hands, foretold: Foretold
) -> None:
    lite.add("it", every="2 seconds")
    lite.add("gone", every="2 seconds")
    pass_time(lite, 3)

    lite.edit("it", misfire="all")
    pass_time(lite, 1)
    lite.edit("it", every="5 seconds")
    lite.edit("gone", enabled=False)
    pass_time(lite, 8)

    assert foretold.of("it") == [0, 2, 4, 5, 10]
    assert foretold.of("gone") == [0, 2, 4]


def test_a_new_shadow_tells_nothing_of_before_its_start(lite: Hands, foretold: Foretold) -> None:
    lite.add("it", every="2 seconds")
    pass_time(lite, 5)
    lite.beat.close()
    lite.clock.advance(MINUTE)

    with Beat(lite.stack.app(), lite.clock) as again:
        lite.beat = again
        again.settle()
        pass_time(lite, 4)

    assert foretold.of("it") == [0, 2, 4, 66, 68]


def test_what_is_late_is_missed_by_the_jobs_rule(lite: Hands, foretold: Foretold) -> None:
    missed: list[Any] = []

    def note(job: str, count: int | None, **_: Any) -> None:
        missed.append((job, count))

    lite.add("it", every="1 second", misfire="skip", misfire_grace_time=1)
    events.fire_missed.connect(note)
    try:
        lite.clock.advance(10 * SECOND)
        lite.beat.settle()
    finally:
        events.fire_missed.disconnect(note)

    assert foretold.of("it") == [0, 9, 10]
    assert missed == [("it", 8)]


def test_a_filter_and_a_freeze_hold_in_it_too(tmp_path: Path, foretold: Foretold) -> None:
    def is_mine(job: dict[str, Any]) -> bool:
        return job["name"] == "mine"

    conf = {"jobsched_shadow": True, "jobsched_filter": is_mine}
    with by_hand("sqlite", tmp_path, **conf) as hands:
        hands.add("mine", every="2 seconds")
        hands.add("theirs", every="2 seconds")
        pass_time(hands, 3)
        hands.jobs.freeze()
        pass_time(hands, 2)

    assert foretold.of("mine") == [0, 2]
    assert foretold.of("theirs") == []


def test_its_log_says_so_and_runs_by_hand_wait_for_a_beat(
    lite: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "celery_jobsched.shadow"):
        lite.add("it", task="proj.note", every="1 hour")
        lite.jobs.run("it")
        pass_time(lite, 3)

    assert [record.message for record in caplog.records] == [
        f"job 'it' would fire proj.note at {START.isoformat()}"
    ]
    assert lite.states("it") == ["pending"]


def test_after_a_change_over_nothing_fires_for_before_it(lite: Hands, foretold: Foretold) -> None:
    lite.add("it", every="2 seconds")
    lite.add("slow", every="1 minute")
    pass_time(lite, 5)
    lite.beat.close()
    lite.records.run(sa.text("UPDATE jobsched_jobs SET planned = '', next_fire_at = NULL"))

    app = lite.stack.app()
    app.conf.jobsched_shadow = False
    with Beat(app, lite.clock) as beat:
        lite.beat = beat
        beat.run(seconds=3)

    assert foretold.of("it") == [0, 2, 4]
    assert lite.told("it") == ["6 sent", "8 sent"]
    assert lite.told("slow") == []
