"""Clocks that are set, and machines that sleep: nothing fires twice, and nothing falls silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import Engine

from celery_jobsched import Jobs
from celery_jobsched.store import settable, tables
from celery_jobsched.testing import Beat, Clock
from tests.records import Records, unaccounted

START = datetime(2030, 1, 1, 8, 59, 30, tzinfo=timezone.utc)
NINE = START + timedelta(seconds=30)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Apart(Clock):
    """A machine's clock that is an hour ahead of its database's."""

    ahead = HOUR

    def now(self) -> datetime:
        return super().now() + self.ahead

    def lead(self, engine: Engine) -> None:
        settable.lead(engine, super().now)


def app_on(url: str) -> Celery:
    declared = {
        "often": {"task": "t", "cron": "* * * * *", "misfire_grace_time": 30},
        "daily": {"task": "t", "cron": "20 9 * * *", "misfire_grace_time": 30},
        "elapsed": {"task": "t", "every": "10 minutes", "misfire_grace_time": 30},
    }
    conf = {"jobsched_database_url": url, "jobsched_jobs": declared, "broker_url": "memory://"}
    return Celery("proj", set_as_current=False, config_source={**conf, **QUIET})


QUIET = {"jobsched_resend_after": 7200}


@pytest.fixture
def beat(database_url: str) -> Iterator[Beat]:
    with Beat(app_on(database_url), Clock(START)) as beat:
        beat.settle()
        yield beat


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    with Records(database_url) as records:
        yield records


def sent(beat: Beat, job: str) -> list[datetime]:
    return [fire.fire_at for fire in beat.fires(job) if fire.state == "sent"]


@pytest.mark.parametrize("sleeps", [True, False])
def test_an_hour_that_is_left_out_is_settled_by_the_misfire_rule(
    beat: Beat, records: Records, sleeps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock that is set forward is to a beat what the sleep of a machine is.

    09:58 is the newest of those that were missed, 09:59 was in its grace still.
    """
    if sleeps:
        beat.clock.advance(HOUR)
    else:
        beat.clock.set(START + HOUR)
    beat.settle()
    beat.clock.advance(seconds=5)
    beat.settle()
    beat.run(minutes=5)

    assert sent(beat, "daily") == [NINE + 20 * MINUTE]
    assert sent(beat, "often") == [NINE + n * MINUTE for n in range(58, 65)]
    assert unaccounted(records.fires("often"), MINUTE) == []
    told = [each.levelname for each in caplog.records if "clock jumped" in each.getMessage()]
    assert told == ([] if sleeps else ["ERROR"])


def test_an_hour_that_comes_twice_fires_nothing_twice(
    beat: Beat, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    beat.run(minutes=40)
    before = sent(beat, "often"), sent(beat, "daily")

    beat.clock.set(beat.clock.now() - HOUR)
    beat.clock.advance(seconds=5)
    beat.settle()
    beat.run(minutes=70)

    assert before[1] == [NINE + 20 * MINUTE]
    assert sent(beat, "daily") == before[1]
    assert sent(beat, "often") == [NINE + n * MINUTE for n in range(50)]
    assert unaccounted(records.fires("often"), MINUTE) == []
    assert [each.levelname for each in caplog.records if "clock jumped" in each.getMessage()] == [
        "ERROR"
    ]


def test_what_was_planned_by_a_clock_that_was_wrong_is_planned_anew(beat: Beat) -> None:
    jobs = Jobs(beat.scheduler.app)
    beat.clock.set(START + 2 * HOUR)
    beat.clock.advance(seconds=5)
    beat.settle()
    jobs.add("new", task="t", cron="0 10 * * *")
    beat.settle()

    beat.clock.set(START)
    beat.clock.advance(seconds=5)
    beat.settle()
    beat.run(hours=2)

    assert sent(beat, "new") == [NINE + HOUR]
    jobs.runtime.close()


def test_what_was_put_off_by_a_clock_that_was_wrong_is_not_put_off_for_an_hour(
    beat: Beat, records: Records
) -> None:
    jobs = Jobs(beat.scheduler.app)
    jobs.add("it", task="t", keyword="go")
    beat.settle()
    jobs.run("it", delay=7200)
    beat.run(minutes=1)
    # Another beat took one of the two, and died; the other was sent.
    taken = {"state": "pending", "sent_at": None, "ready_at": beat.clock.now() + MINUTE / 60}
    first = records.fires("often", "sent")[0]["id"]
    records.run(sa.update(tables.fires).where(tables.fires.c.id == first).values(taken))

    beat.clock.set(beat.clock.now() - HOUR)
    beat.clock.advance(seconds=5)
    beat.settle()
    beat.clock.advance(seconds=6)
    beat.settle()

    assert [row["id"] for row in records.fires("often", "sent")] == [first]
    (delayed,) = records.fires("it", "pending")
    assert delayed["ready_at"] == delayed["due_at"]
    looked_at = [row["check_at"] for row in records.fires("often")]
    assert all(at <= beat.clock.now() + 3 * HOUR for at in looked_at)
    jobs.runtime.close()


def test_a_beat_says_once_that_its_own_clock_is_off(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Apart(START)
    with Beat(app_on(sqlite_url), clock) as beat:
        for _ in range(5):
            beat.settle()
            clock.advance(seconds=5)
        clock.ahead = timedelta(0)
        for _ in range(2):
            beat.settle()
            clock.advance(seconds=5)
        told: list[Any] = [
            (each.levelname, each.getMessage())
            for each in caplog.records
            if "this machine's clock" in each.getMessage()
        ]

        # The database's decides what is due.
        beat.clock.advance(MINUTE)
        beat.settle()
        assert sent(beat, "often")[0] == NINE

    assert told == [
        (
            "WARNING",
            "this machine's clock is 3600 s ahead of the database's, by which jobs are due",
        ),
        ("WARNING", "this machine's clock agrees with the database's again"),
    ]
