"""Outages that last for hours: a beat tries again every two seconds, however often it failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from celery_jobsched.setbacks import Setbacks
from celery_jobsched.testing import Beat
from tests.records import Records

#: Of tries, two seconds apart.
HOURS = 3600


@contextmanager
def beat_of(folder: Path) -> Iterator[tuple[Beat, Records]]:
    """A beat that has begun, and its records."""
    url = f"sqlite:///{folder}/jobs.db"
    settings = {"broker_url": "memory://", "jobsched_database_url": url}
    app = Celery("proj", set_as_current=False, config_source=settings)
    with Beat(app) as beat, Records(url) as records:
        beat.settle()
        yield beat, records


def test_a_tick_that_fails_for_hours_is_tried_again() -> None:
    setbacks = Setbacks(lambda: None)

    pauses = [setbacks.pause_after(OSError("away")) for _ in range(HOURS)]

    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert set(pauses[3:]) == {2.0}


def test_a_broker_that_is_away_for_hours_holds_up_no_plan(tmp_path: Path) -> None:
    with beat_of(tmp_path) as (beat, records):
        dispatcher = beat.scheduler._dispatcher
        dispatcher.connect = _refused
        records.add("due", every="1 second", created_at=beat.clock.now())
        beat.settle()
        tries = [_try_again(beat) for _ in range(HOURS)]
        records.add("new", every="1 hour", created_at=beat.clock.now())
        beat.clock.advance(seconds=2)

        beat.tick()

        assert tries == [False] * HOURS
        assert dispatcher.failures > HOURS
        assert records.job("new")["planned"]


def test_what_no_broker_was_there_for_was_never_published(tmp_path: Path) -> None:
    # By how often it was published it is judged how long its message may be in a queue.
    with beat_of(tmp_path) as (beat, records):
        dispatcher = beat.scheduler._dispatcher
        connect, dispatcher.connect = dispatcher.connect, _refused
        now = beat.clock.now()
        records.add("due", once=now.isoformat(), created_at=now)
        beat.run(minutes=2)
        away = [(row["state"], row["publishes"]) for row in records.fires()]

        dispatcher.connect = connect
        beat.run(seconds=2)

        assert away == [("pending", 0)]
        assert [(row["state"], row["publishes"]) for row in records.fires()] == [("sent", 1)]


def _try_again(beat: Beat) -> bool:
    beat.clock.advance(seconds=2)
    return beat.scheduler._dispatcher.may_claim()


def _refused() -> None:
    raise ConnectionRefusedError("no broker")
