"""Several releases and environments on one database: who may claim, and what is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched import Jobs
from celery_jobsched.status import BeatState
from celery_jobsched.store import schema
from celery_jobsched.testing import Beat, Clock
from tests.records import Records

START = datetime(2030, 1, 1, 8, 59, 30, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
NINE = START + MINUTE / 2
DECLARED = {"j": {"task": "proj.note", "cron": "* * * * *"}}


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    with Records(database_url) as records:
        yield records


def app_on(url: str, name: str = "proj", **conf: Any) -> Celery:
    conf = {"broker_url": "memory://", "jobsched_resend_after": 7200, **conf}
    conf = {"jobsched_database_url": url, **conf}
    return Celery(name, set_as_current=False, config_source=conf)


def fired(records: Records) -> list[datetime]:
    return [row["fire_at"] for row in records.fires("j", "sent")]


def claimed_by(beat: Beat, records: Records) -> int:
    """How many fires there are more when *beat* had two minutes."""
    before = len(records.fires())
    for _ in range(4):
        beat.clock.advance(seconds=30)
        beat.tick()
        beat.tick()
    return len(records.fires()) - before


@pytest.mark.parametrize("environment", ["staging", None])
def test_a_copy_of_productions_database_fires_nothing_elsewhere(
    database_url: str, records: Records, environment: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(START)
    named = {"jobsched_environment": "production", "jobsched_jobs": DECLARED}
    with Beat(app_on(database_url, **named), clock) as beat:
        beat.run(minutes=2)
        assert len(fired(records)) == 2
        # Two that were claimed and are not sent: they go out in production alone.
        Jobs(beat.scheduler.app).run("j", delay=60)

    with Beat(app_on(database_url, jobsched_environment=environment), clock) as elsewhere:
        found = claimed_by(elsewhere, records)

    assert found == 0
    assert len(records.fires("j", "pending")) == 1
    assert records.meta()["environment"] == "production"
    assert records.job("j")["enabled"] is True
    told = [each for each in caplog.records if "belongs to environment" in each.getMessage()]
    assert [each.levelname for each in told if each.levelname != "DEBUG"] == ["ERROR"]


def test_a_database_that_is_given_to_another_environment_is_claimed_from_no_more(
    database_url: str, records: Records
) -> None:
    conf = {"jobsched_environment": "production", "jobsched_jobs": DECLARED}
    with Beat(app_on(database_url, **conf), Clock(START)) as beat:
        beat.run(minutes=1)
        records.run(
            sa.text("UPDATE jobsched_meta SET value = 'staging' WHERE value = 'production'")
        )
        beat.clock.advance(seconds=5)
        beat.tick()

        assert claimed_by(beat, records) == 0


def test_a_beat_claims_no_more_once_the_tables_are_newer_and_says_so(
    database_url: str, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_on(database_url, jobsched_jobs=DECLARED)
    with Beat(app, Clock(START)) as beat:
        beat.run(minutes=1)
        set_version(records, "9999")
        beat.clock.advance(seconds=5)
        beat.tick()
        assert claimed_by(beat, records) == 0
        told = [each.levelname for each in caplog.records if "9999, newer" in each.getMessage()]
        assert told == ["ERROR"]

        set_version(records, schema.HEAD)
        (row,) = Jobs(app).status().beats
        assert row.state is BeatState.REFUSES
        assert "9999, newer than this release" in str(row.refuses)

        # The release was taken back: what was due meanwhile is a matter of the misfire rule.
        beat.clock.advance(seconds=5)
        beat.tick()
        assert claimed_by(beat, records) > 0
        assert Jobs(app).status().beats[0].state is BeatState.TICKS


def test_a_beat_of_the_old_release_that_starts_on_newer_tables_claims_nothing(
    database_url: str, records: Records
) -> None:
    app = app_on(database_url, jobsched_jobs=DECLARED)
    clock = Clock(START)
    with Beat(app, clock) as beat:
        beat.run(minutes=1)
    set_version(records, "9999")

    with Beat(app, clock) as old:
        assert claimed_by(old, records) == 0
        assert old.tick() > 0


def test_a_rolling_deploy_fires_each_instant_once_and_keeps_each_job(
    database_url: str, records: Records
) -> None:
    """Two releases of an application take turns, as their beats are replaced one by one."""
    clock = Clock(START)
    new = {**DECLARED, "added": {"task": "proj.note", "cron": "* * * * *"}}
    old_app, new_app = (app_on(database_url, jobsched_jobs=each) for each in (DECLARED, new))

    with Beat(old_app, clock) as one, Beat(old_app, clock) as other:
        one.run(minutes=2)
        one.close()
        with Beat(new_app, clock) as newer:
            for _ in range(3):
                clock.advance(MINUTE)
                other.settle()
                newer.settle()
            # A beat of the old release is restarted in the midst of it, and syncs its own.
            with Beat(old_app, clock) as late:
                late.settle()
                with Beat(new_app, clock) as last:
                    last.settle()
                    for _ in range(2):
                        clock.advance(MINUTE)
                        late.settle()
                        last.settle()

    assert fired(records) == [NINE + n * MINUTE for n in range(7)]
    assert {name: row["enabled"] for name, row in records.jobs().items() if name in new} == {
        "j": True,
        "added": True,
    }
    instants = [row["fire_at"] for row in records.fires("added")]
    assert instants == [NINE + n * MINUTE for n in range(3, 7)]


def set_version(records: Records, version: str) -> None:
    records.run(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{version}'"))
