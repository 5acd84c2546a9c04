"""The clock that tests set, and the beat that they tick: on each database, as users have them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched import InvalidJob, Jobs
from celery_jobsched.store import tables
from celery_jobsched.store.engine import database_now
from celery_jobsched.store.pages import Claimant
from celery_jobsched.store.planning import plan_edited
from celery_jobsched.testing import Beat, Clock
from tests.records import Records

START = datetime(2030, 1, 1, 8, 59, 30, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
NINE = START + MINUTE / 2


def app_on(url: str, **conf: object) -> Celery:
    settings = {"broker_url": "memory://", "jobsched_database_url": url, **conf}
    return Celery("proj", set_as_current=False, config_source=settings)


@pytest.fixture
def beat(database_url: str) -> Iterator[Beat]:
    with Beat(app_on(database_url), Clock(START)) as beat:
        beat.settle()
        yield beat


def asked(beat: Beat, what: object) -> object:
    with beat.scheduler.runtime.engine.connect() as conn:
        return conn.execute(sa.select(what)).scalar_one()  # type: ignore[call-overload]


def test_the_database_says_what_was_set(beat: Beat) -> None:
    first = asked(beat, database_now())
    beat.clock.advance(seconds=1.5)
    second = asked(beat, database_now())
    beat.clock.set("2031-02-03T04:05:06.789Z")
    third = asked(beat, database_now())

    assert first == START
    assert second == START + timedelta(seconds=1.5)
    assert third == datetime(2031, 2, 3, 4, 5, 6, 789000, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "now", ["strftime('%Y-%m-%d %H:%M:%S')", "datetime('now')", "datetime()", "CURRENT_TIMESTAMP"]
)
def test_sqlite_s_own_functions_do_so_too(sqlite_url: str, now: str) -> None:
    with Beat(app_on(sqlite_url), Clock(START)) as beat:
        assert asked(beat, sa.text(now)) == "2030-01-01 08:59:30"
        assert asked(beat, sa.text("date('now', '+1 day')")) == "2030-01-02"
        assert asked(beat, sa.text("datetime('2001-01-01', '+1 hour')")) == "2001-01-01 01:00:00"


def test_a_row_that_sql_inserts_is_made_at_that_time(beat: Beat) -> None:
    with beat.scheduler.runtime.engine.begin() as conn:
        conn.execute(sa.insert(tables.jobs).values(name="j", task="proj.note", cron="* * * * *"))

    made_at = sa.select(tables.jobs.c.created_at).where(tables.jobs.c.name == "j")
    assert asked(beat, made_at.scalar_subquery()) == START
    beat.run(minutes=2)
    assert [fire.fire_at for fire in beat.fires("j")] == [NINE, NINE + MINUTE]


def test_others_on_the_database_have_its_own_time(beat: Beat, database_url: str) -> None:
    with Records(database_url) as records, records.engine.connect() as conn:
        there = conn.execute(sa.select(database_now())).scalar_one()

    assert abs(there - datetime.now(timezone.utc)) < timedelta(minutes=5)


def test_a_run_stops_at_each_instant_of_each_job(sqlite_url: str) -> None:
    declared = {
        "report": {"task": "proj.note", "every": "day", "at": "09:00"},
        "often": {"task": "proj.note", "cron": "*/7 * * * *"},
    }
    with Beat(app_on(sqlite_url, jobsched_jobs=declared), Clock(START)) as beat:
        beat.run(hours=4)

        assert [fire.fire_at for fire in beat.fires("report")] == [NINE]
        often = beat.fires("often")
        assert len(often) == 4 * 9
        assert {fire.state for fire in often} == {"sent"}
        assert beat.clock.now() == START + timedelta(hours=4)


def test_a_beat_that_did_not_tick_in_time_missed_what_was_due(sqlite_url: str) -> None:
    declared = {"j": {"task": "proj.note", "cron": "* * * * *", "misfire": "skip"}}
    with Beat(app_on(sqlite_url, jobsched_jobs=declared), Clock(START)) as beat:
        beat.settle()
        beat.clock.advance(hours=1)
        beat.settle()

        states = [(fire.state, fire.fire_at) for fire in beat.fires("j")]
        assert states == [("missed", NINE), ("sent", NINE + timedelta(minutes=59))]


def test_the_facade_goes_by_the_clock_of_its_application(sqlite_url: str) -> None:
    app = app_on(sqlite_url)
    jobs = Jobs(app)
    with Beat(app, Clock(START)) as beat:
        beat.settle()
        job = jobs.add("j", task="proj.note", cron="0 * * * *")

        assert jobs.upcoming("j", 1) == [NINE]
        assert jobs.get("j").created_at == START
        assert job.name == "j"
    jobs.runtime.close()


def test_two_beats_of_an_application_share_its_clock(sqlite_url: str) -> None:
    app = app_on(sqlite_url)
    with Beat(app, Clock(START)) as one, Beat(app) as other:
        one.settle()
        other.clock.advance(MINUTE)

        assert one.clock.now() == START + MINUTE


def test_to_set_the_clock_lets_no_time_pass() -> None:
    clock = Clock(START)
    moment = clock.monotonic()

    clock.set(START - MINUTE)
    assert (clock.now(), clock.monotonic()) == (START - MINUTE, moment)
    clock.advance(seconds=2)
    assert clock.monotonic() == moment + 2


def test_what_is_no_instant_is_refused() -> None:
    with pytest.raises(InvalidJob, match="at: expected"):
        Clock("soon")


def test_a_clock_begins_at_the_present(tmp_path: Path) -> None:
    assert abs(Clock().now() - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_what_runs_as_it_is_sent_holds_no_slot_and_is_not_sent_again(sqlite_url: str) -> None:
    ran: list[int] = []
    app, clock = app_on(sqlite_url, task_always_eager=True), Clock("2030-01-01T08:30:00Z")

    @app.task(name="proj.note", shared=False)  # type: ignore[untyped-decorator]
    def note() -> None:
        ran.append(1)

    clock.rule(app)
    jobs = Jobs(app)
    jobs.prepare()
    jobs.add("hourly", task="proj.note", cron="0 * * * *", max_concurrency=1)

    with Beat(app, clock) as beat:
        beat.run(hours=2)

        assert [fire.state for fire in beat.fires("hourly")] == ["sent", "sent"]
        locks = beat.scheduler._upkeep.locks
        assert locks.holders(["job hourly"]) == {"job hourly": []}
    assert len(ran) == 2


def test_a_beat_that_was_held_up_plans_no_edit_from_before_it(sqlite_url: str) -> None:
    declared = {"j": {"task": "proj.note", "cron": "30 9 * * *"}}
    with Beat(app_on(sqlite_url, jobsched_jobs=declared), Clock(NINE)) as beat:
        beat.settle()
        looked_at = beat.clock.now()
        beat.clock.advance(seconds=5)

        with beat.scheduler.runtime.engine.begin() as conn:
            conn.execute(sa.update(tables.jobs).values(cron="* * * * * *"))
            plan_edited(conn, looked_at, looked_at, 10, Claimant("-"))

        beat.settle()
        assert beat.fires("j") == []
        beat.run(seconds=1)
        assert [fire.fire_at for fire in beat.fires("j")] == [NINE + timedelta(seconds=6)]
