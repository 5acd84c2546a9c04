"""Fires that a person makes: runs by hand and backfills, on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import InvalidJob, JobNotFound
from celery_jobsched.fire import clock_key
from celery_jobsched.store import fires, tables
from tests.pace import paced
from tests.persons import Person
from tests.processes import Beat, wait_until
from tests.services import fresh_database
from tests.stacks import Stack

UTC = timezone.utc
HOUR = timedelta(hours=1)


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("paused", [False, True])
def test_a_run_by_hand_goes_out_though_its_job_is_paused(person: Person, paused: bool) -> None:
    person.jobs.add("report", task="proj.note", cron="0 0 1 1 *", args=[1])
    person.beat()
    if paused:
        person.jobs.pause("report")

    plain = person.jobs.run("report", by="anna", note="a test")
    own = person.jobs.run("report", args=[2], kwargs={"x": "y"})
    person.beat()

    rows = {row["id"]: row for row in person.records.fires("report")}
    assert set(rows) == {plain, own}
    assert {(row["state"], row["origin"]) for row in rows.values()} == {("sent", "manual")}
    assert (rows[plain]["args"], rows[plain]["kwargs"]) == (None, None)
    assert (rows[own]["args"], rows[own]["kwargs"]) == ("[2]", '{"x": "y"}')
    assert rows[plain]["reason"] == "run by anna: a test"
    assert person.records.job("report")["fire_count"] == 0


def test_a_run_may_be_for_later(person: Person) -> None:
    person.jobs.add("report", task="proj.note", cron="0 0 1 1 *", timezone="Asia/Tokyo")
    person.beat()
    in_tokyo = "2035-01-01 09:00"

    late = person.jobs.run("report", delay=3600)
    later = person.jobs.run("report", at=in_tokyo)
    past = person.jobs.run("report", at="2001-01-01")
    person.beat()

    rows = {row["id"]: row for row in person.records.fires("report")}
    hence = rows[late]["ready_at"] - datetime.now(UTC)
    assert timedelta(minutes=59) < hence <= HOUR
    assert rows[late]["fire_at"] == rows[late]["ready_at"]
    assert rows[later]["ready_at"] == datetime(2035, 1, 1, tzinfo=UTC)
    assert [rows[each]["state"] for each in (late, later, past)] == ["pending", "pending", "sent"]


def test_a_run_ends_with_its_job(small_person: Person) -> None:
    small_person.jobs.add("report", task="proj.note", cron="0 0 1 1 *")
    small_person.beat()
    small_person.jobs.run("report")
    small_person.jobs.remove("report")

    small_person.beat()

    assert [row["state"] for row in small_person.records.fires("report")] == ["cancelled"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"args": {"a": 1}}, "args"),
        ({"kwargs": [1]}, "kwargs"),
        ({"delay": -1}, "delay"),
        ({"delay": 1e9}, "delay"),
        ({"delay": 5, "at": "2035-01-01"}, "delay"),
        ({"at": "soon"}, "at"),
    ],
)
def test_a_run_that_cannot_be_is_refused(
    small_person: Person, given: dict[str, Any], field: str
) -> None:
    small_person.jobs.add("report", task="proj.note", every="1 hour")

    with pytest.raises(InvalidJob) as refused:
        small_person.jobs.run("report", **given)
    with pytest.raises(JobNotFound):
        small_person.jobs.run("nobody")

    assert refused.value.field == field
    assert small_person.records.fires() == []


def test_a_row_that_cannot_be_read_is_not_run(small_person: Person) -> None:
    small_person.records.add("bad", cron="0 25 * * *")

    with pytest.raises(InvalidJob, match=r"^job 'bad': cron"):
        small_person.jobs.run("bad")


def test_a_backfill_fires_what_did_not_fire_each_instant_once(person: Person) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
    person.beat()
    now = this_hour()
    wanted = [now - 3 * HOUR, now - 2 * HOUR, now - HOUR]

    first = person.jobs.backfill("hourly", wanted[1], wanted[1], by="anna")
    looked = person.jobs.backfill("hourly", wanted[0], wanted[2], dry_run=True)
    second = person.jobs.backfill("hourly", wanted[0], wanted[2])
    again = person.jobs.backfill("hourly", wanted[0], wanted[2])
    person.beat()

    rows = person.records.fires("hourly")
    assert [row["fire_at"] for row in rows] == wanted
    assert {(row["origin"], row["state"]) for row in rows} == {("backfill", "sent")}
    assert [row["key"] for row in rows] == [clock_key(at) for at in wanted]
    assert first.instants == (wanted[1],)
    assert (looked.instants, looked.ids) == (tuple(wanted), ())
    assert second.instants == (wanted[0], wanted[2])
    assert {rows[0]["id"], rows[2]["id"]} == set(second.ids)
    assert [each.code for each in second.left_out] == ["fired"]
    assert (again.ids, [each.text[:1] for each in again.left_out]) == ((), ["3"])


def test_of_a_backfill_that_waits_for_a_slot_the_oldest_goes_first(person: Person) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *", max_concurrency=1)
    person.beat()
    since = this_hour() - 12 * HOUR

    filled = person.jobs.backfill("hourly", since, limit=12)

    rows = sorted(person.records.fires("hourly"), key=lambda row: str(row["id"]))
    assert [row["fire_at"] for row in rows] == [since + n * HOUR for n in range(12)]
    assert [row["id"] for row in rows] == list(filled.ids)


def test_no_number_of_fires_is_too_great_for_a_statement(tmp_path: Path) -> None:
    many = """
        INSERT INTO jobsched_fires
            (id, job_id, job_name, key, fire_at, due_at, origin, state, publishes, ready_at)
        SELECT to_char(n, 'FM000000000000'), j.id, j.name, n, t.now, t.now,
            'backfill', 'pending', 0, t.now
        FROM generate_series(1, 66000) n, jobsched_jobs j, (SELECT timestamp '2030-01-01' now) t
    """
    with fresh_database("postgresql", tmp_path) as url:
        person = Person(url, tmp_path)
        person.jobs.add("often", task="proj.note", every="1 second")
        person.records.run(sa.text(many))

        stopped = person.jobs.stop("often")
        with person.records.engine.begin() as conn:
            fires.free_keys(conn, person.jobs.get("often").id or 0, [str(n) for n in range(66_001)])
            its_own = sa.select(sa.func.count()).where(tables.fires.c.key == tables.fires.c.id)
            freed = conn.execute(its_own).scalar_one()

    assert (len(stopped.cancelled), freed) == (66_000, 66_000)


@pytest.mark.parametrize("state", ["missed", "skipped", "cancelled"])
def test_a_backfill_fires_what_is_on_record_as_not_fired(person: Person, state: str) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
    person.beat()
    at = this_hour() - HOUR
    (old,) = person.jobs.backfill("hourly", at, at).ids
    key = f"missed {clock_key(at)}" if state == "missed" else clock_key(at)
    over = {"state": state, "key": key, "ready_at": None, "until_at": at, "count": 1}
    mine = sa.update(tables.fires).where(tables.fires.c.id == old)
    person.records.run(mine.values(origin="schedule", **over))

    looked = person.jobs.backfill("hourly", at, at, dry_run=True)
    filled = person.jobs.backfill("hourly", at, at, by="anna")
    again = person.jobs.backfill("hourly", at, at)
    person.beat()

    (new,) = filled.ids
    rows = {row["id"]: row for row in person.records.fires("hourly")}
    assert rows.keys() == {old, new}
    assert (rows[old]["state"], rows[new]["state"], rows[new]["origin"]) == (
        state,
        "sent",
        "backfill",
    )
    assert (looked.instants, looked.left_out, filled.left_out) == ((at,), (), ())
    assert (again.ids, [each.code for each in again.left_out]) == ((), ["fired"])
    explained = person.jobs.explain("hourly", at).fire
    assert explained is not None
    assert explained.id == new


def test_what_was_cancelled_again_may_be_filled_again(person: Person) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
    at = this_hour() - HOUR

    filled = []
    for _ in range(3):
        filled += person.jobs.backfill("hourly", at, at).ids
        person.jobs.stop("hourly")

    rows = person.records.fires("hourly")
    assert sorted(row["id"] for row in rows) == sorted(filled)
    assert [row["state"] for row in rows] == ["cancelled"] * 3


def test_what_was_cancelled_with_a_copy_on_its_way_is_not_filled_again(person: Person) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
    at = this_hour() - HOUR
    (fire,) = person.jobs.backfill("hourly", at, at).ids
    with person.records.engine.begin() as conn:
        # A beat takes it, publishes it perhaps, and is held up; then somebody stops the job.
        fires.take_ready(conn, this_hour() + HOUR, 10, "UTC")
    person.jobs.stop("hourly")

    again = person.jobs.backfill("hourly", at, at)

    assert [(row["id"], row["state"]) for row in person.records.fires("hourly")] == [
        (fire, "cancelled")
    ]
    assert [each.code for each in again.left_out] == ["fired"]


def test_what_a_beat_cancelled_may_be_filled(person: Person) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
    at = this_hour() - HOUR
    (fire,) = person.jobs.backfill("hourly", at, at).ids
    person.records.edit("hourly", enabled=False)
    with person.records.engine.begin() as conn:
        fires.take_ready(conn, this_hour() + HOUR, 10, "UTC")
        fires.mark_cancelled(conn, [fire], "its job was paused")

    again = person.jobs.backfill("hourly", at, at)

    assert len(again.ids) == 1


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_backfill_that_a_deadlock_ended_is_tried_again(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url:
        person = Person(url, tmp_path)
        person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
        at = this_hour() - HOUR
        person.jobs.backfill("hourly", at - 99 * HOUR, at)
        person.jobs.stop("hourly")
        with person.records.engine.connect() as conn, ThreadPoolExecutor() as threads:
            # A beat's way: the fires first, then their job. It has written more: it goes on.
            conn.execute(sa.update(tables.fires).values(reason="held"))
            filling = threads.submit(person.jobs.backfill, "hourly", at, at)
            wait_until(lambda: is_waiting(person), 20)
            conn.execute(sa.update(tables.jobs).values(description="held"))
            conn.commit()
            filled = filling.result(30)
        person.close()

    assert len(filled.ids) == 1


def is_waiting(person: Person) -> bool:
    """Whether anybody waits for a lock of this database."""
    asked = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()",
        # What MariaDB tells here is made anew when nobody has asked for a tenth of a second.
        "mysql": "SELECT count(*) + 0 * sleep(0.2) FROM information_schema.innodb_trx "
        "WHERE trx_state = 'LOCK WAIT'",
    }
    with person.records.engine.connect() as conn:
        return bool(conn.execute(sa.text(asked[conn.dialect.name])).scalar())


def test_a_backfill_and_the_schedule_never_meet(person: Person) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *", misfire_grace_time=1e6)
    person.beat()
    due = this_hour()
    person.records.edit("hourly", next_fire_at=due, due_at=due, last_fire_at=None)

    filled = person.jobs.backfill("hourly", due, due)
    person.beat()

    assert [row["id"] for row in person.records.fires("hourly")] == list(filled.ids)
    assert person.records.job("hourly")["next_fire_at"] == due + HOUR


def test_a_backfill_says_what_it_leaves_out(small_person: Person) -> None:
    jobs, now = small_person.jobs, this_hour()
    jobs.add("hourly", task="proj.note", cron="0 * * * *")
    years_ago = now - 400 * 24 * HOUR

    of_before_it_was_made = jobs.backfill("hourly", years_ago, years_ago + HOUR)
    small_person.records.edit("hourly", created_at=years_ago)
    too_old = jobs.backfill("hourly", years_ago, years_ago + 3 * HOUR)
    to_come = jobs.backfill("hourly", now, now + 24 * HOUR)
    limited = jobs.backfill("hourly", now - 5 * HOUR, limit=2)

    assert of_before_it_was_made.instants == (years_ago, years_ago + HOUR)
    assert (too_old.instants, [each.code for each in too_old.left_out]) == ((), ["unknown"])
    assert (to_come.instants, [each.code for each in to_come.left_out]) == ((now,), ["to_come"])
    assert limited.instants == (now - 5 * HOUR, now - 4 * HOUR)
    assert [each.code for each in limited.left_out] == ["limit"]
    assert f"{now - 3 * HOUR:%Y-%m-%d %H:%M}" in limited.left_out[0].text


def test_what_of_a_job_was_deleted_by_count_is_not_known_to_have_fired(
    small_person: Person,
) -> None:
    from celery_jobsched.store.history import kept_since

    jobs, now = small_person.jobs, this_hour()
    jobs.add("hourly", task="proj.note", cron="0 * * * *")
    jobs.backfill("hourly", now - 50 * HOUR, now - 48 * HOUR)
    job_id = jobs["hourly"].id or 0

    with small_person.records.engine.connect() as conn:
        whole = kept_since(conn, job_id, now, 86400 * 30, 4, 3600)
        cut = kept_since(conn, job_id, now, 86400 * 30, 3, 3600)
        young = kept_since(conn, job_id, now, 86400 * 30, 3, 86400 * 10)

    assert (whole, cut) == (now - 30 * 24 * HOUR, now - 50 * HOUR)
    assert young == now - 10 * 24 * HOUR


def test_a_running_beat_heeds_each_verb_within_half_a_second(stack: Stack) -> None:
    with Beat(stack) as beat:
        person = Person(stack.database_url, stack.folder, **stack.conf)
        jobs, records = person.jobs, person.records
        wait_until(lambda: records.has_tables() and records.beats(), 20, beat.log)

        jobs.add("often", task="proj.note", every="1 second")
        wait_until(lambda: len(records.fires("often", "sent")) > 1, 10, beat.log)
        jobs.pause("often")
        paused_at = datetime.now(UTC)
        by_hand = jobs.run("often")
        filled = jobs.backfill("often", paused_at, paused_at)
        wait_until(lambda: datetime.now(UTC) > paused_at + timedelta(seconds=3), 5)
        jobs.resume("often")
        resumed_at = datetime.now(UTC)
        wait_until(lambda: records.job("often")["last_fire_at"] > resumed_at, 10, beat.log)
        fired = records.fires("often")
        person.close()

    of_the_clock = [row["fire_at"] for row in fired if row["origin"] == "schedule"]
    seen_by = paused_at + timedelta(seconds=paced(0.5))
    assert [at for at in of_the_clock if seen_by < at < resumed_at - timedelta(seconds=0.5)] == []
    assert filled.ids == ()
    (manual,) = [row for row in fired if row["origin"] == "manual"]
    assert (manual["id"], manual["state"]) == (by_hand, "sent")
    assert manual["sent_at"] - manual["fire_at"] < timedelta(seconds=paced(1))
