"""Outages that last for hours: a beat tries again every two seconds, however often it failed."""

from __future__ import annotations

from pathlib import Path

from celery import Celery

from celery_jobsched.setbacks import Setbacks
from celery_jobsched.testing import Beat
from tests.records import Records

#: Of tries, two seconds apart.
HOURS = 3600


def test_a_tick_that_fails_for_hours_is_tried_again() -> None:
    setbacks = Setbacks(lambda: None)

    pauses = [setbacks.pause_after(OSError("away")) for _ in range(HOURS)]

    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert set(pauses[3:]) == {2.0}


def test_a_broker_that_is_away_for_hours_holds_up_no_plan(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    settings = {"broker_url": "memory://", "jobsched_database_url": url}
    app = Celery("proj", set_as_current=False, config_source=settings)
    with Beat(app) as beat, Records(url) as records:
        beat.settle()
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


def _try_again(beat: Beat) -> bool:
    beat.clock.advance(seconds=2)
    return beat.scheduler._dispatcher.may_claim()


def _refused() -> None:
    raise ConnectionRefusedError("no broker")
