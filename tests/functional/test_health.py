"""Whether a beat ticks, hangs, refuses or is gone; and how late it sends what is due."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched import Jobs, events
from celery_jobsched.overdue import Overdue
from celery_jobsched.status import BeatSeen, BeatState
from celery_jobsched.store import tables
from celery_jobsched.testing import Beat, Clock
from tests.processes import wait_until
from tests.records import Records, settle, ticking
from tests.stacks import fresh_stack

START = datetime(2030, 1, 1, 9, tzinfo=timezone.utc)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def beat(database_url: str) -> Iterator[Beat]:
    conf = {"broker_url": "memory://", "jobsched_database_url": database_url}
    app = Celery("proj", set_as_current=False, config_source=conf)
    with Beat(app, Clock(START)) as beat:
        beat.settle()
        yield beat


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({}, BeatState.TICKS),
        ({"alive_ago": SECOND}, BeatState.TICKS),
        ({"refuses": "the tables are newer"}, BeatState.REFUSES),
        ({"seen_ago": MINUTE, "alive_ago": SECOND}, BeatState.HANGS),
        ({"seen_ago": MINUTE, "alive_ago": MINUTE}, BeatState.GONE),
        ({"seen_ago": MINUTE}, BeatState.GONE),
        ({"seen_ago": MINUTE, "refuses": "the tables are newer"}, BeatState.GONE),
    ],
)
def test_a_beat_does_as_its_row_says(told: dict[str, Any], state: BeatState) -> None:
    row: dict[str, Any] = {"id": "a", "name": "here:1", "up": MINUTE, "seen_ago": SECOND, **told}

    assert BeatSeen(**row).state is state


def test_a_beat_that_hangs_is_told_from_one_that_is_gone(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hang(**_: object) -> None:
        inside.set()
        go_on.wait(60)

    with fresh_stack("postgresql", "filesystem", tmp_path) as stack, ticking(stack) as scheduler:
        jobs = Jobs(stack.app())
        settle(scheduler)
        scheduler._overdue.end()
        scheduler._overdue = Overdue(scheduler._upkeep.say_alive, look_s=0.05)
        jobs.add("it", task="proj.note", keyword="go")
        settle(scheduler)
        events.fire_sent.connect(hang)
        try:
            jobs.fire("go")
            tick = threading.Thread(target=settle, args=(scheduler,))
            tick.start()
            assert inside.wait(30)
            with Records(stack.database_url) as records:
                wait_until(lambda: records.beats()[0]["alive_at"], 30)
                long_ago = tables.beats.c.seen_at - sa.text("interval '1 minute'")
                records.run(sa.update(tables.beats).values(seen_at=long_ago))
            hanging = jobs.status()
        finally:
            go_on.set()
            events.fire_sent.disconnect(hang)
        tick.join(30)

    (found,) = hanging.beats
    assert found.state is BeatState.HANGS
    assert hanging.problems() == ["no beat ticks"]
    assert hanging.notes == [f"beat {found.name} hangs: its log says where its tick is"]
    assert hanging.to_dict()["beats"][0]["state"] == "hanging"


def test_how_late_a_beat_sends_is_on_its_row_for_a_minute(beat: Beat) -> None:
    jobs = Jobs(beat.scheduler.app)
    jobs.add("it", task="proj.note", once=START + MINUTE)
    beat.settle()

    beat.clock.advance(MINUTE + 3 * SECOND)
    beat.settle()
    late = jobs.status().beats[0]
    beat.clock.advance(2 * MINUTE)
    beat.settle()
    later = jobs.status().beats[0]

    assert late.greatest_lag == 3 * SECOND
    assert late.usual_lag == 3 * SECOND
    assert (later.usual_lag, later.greatest_lag) == (None, None)
    jobs.runtime.close()


def test_a_new_job_is_not_late_before_it_was_made(beat: Beat, database_url: str) -> None:
    made_at = START + 10.9 * SECOND
    beat.clock.advance(11 * SECOND)
    with Records(database_url) as records:
        records.add("it", every="1 hour", created_at=made_at, updated_at=made_at)
        beat.settle()
        beat.clock.advance(5 * SECOND)
        beat.settle()

        (fire,) = records.fires("it")
        (seen,) = records.beats()

    assert fire["due_at"] == START + 10 * SECOND
    assert seen["greatest_lag"] == pytest.approx(0.1)
