"""Pauses, and the record of changes by every door, on each database; a beat ticked by hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import InvalidJob, JobChanged, JobExistError, JobNotFound, JobOwned
from celery_jobsched.store import changes
from celery_jobsched.store.tables import fires
from tests.persons import Person
from tests.processes import wait_until
from tests.records import ticking

UTC = timezone.utc
HOUR = timedelta(hours=1)


def test_a_paused_job_fires_nothing_and_says_by_whom_and_why(person: Person) -> None:
    person.jobs.add("rates", task="proj.note", every="1 second")

    person.jobs.pause("rates", note="bad upstream", by="anna")
    person.beat()

    row = person.records.job("rates")
    assert not row["enabled"]
    assert (row["paused_by"], row["paused_note"], row["next_fire_at"]) == (
        "anna",
        "bad upstream",
        None,
    )
    assert abs(row["paused_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert person.records.fires("rates") == []


def test_a_resumed_job_may_fail_as_often_as_before(person: Person) -> None:
    person.jobs.add("rates", task="proj.note", every="1 hour", max_failures=3)
    person.records.edit("rates", failure_count=3)
    person.jobs.pause("rates")

    person.jobs.resume("rates")

    assert person.records.job("rates")["failure_count"] == 0


@pytest.mark.parametrize("seen", [True, False], ids=["a beat saw the pause", "no beat was there"])
@pytest.mark.parametrize(("catch_up", "fired"), [(False, []), (True, ["sent"])])
def test_a_resumed_job_fires_for_the_past_only_when_it_is_to_catch_up(
    person: Person, seen: bool, catch_up: bool, fired: list[str]
) -> None:
    now = datetime.now(UTC)
    person.jobs.add("hourly", task="proj.note", cron=f"{(now.minute + 30) % 60} * * * *")
    person.beat()
    before = now - 5 * HOUR
    person.records.edit("hourly", due_at=before, next_fire_at=before)
    person.jobs.pause("hourly")
    person.records.edit("hourly", paused_at=before)
    if seen:
        person.beat()

    person.jobs.resume("hourly", catch_up=catch_up)
    person.beat()

    row = person.records.job("hourly")
    states = [each["state"] for each in person.records.fires("hourly", "sent", "pending")]
    assert states == fired
    assert row["enabled"]
    assert row["paused_at"] is row["paused_by"] is row["paused_note"] is None
    assert row["next_fire_at"] > datetime.now(UTC)


def test_catching_up_needs_to_know_since_when(small_person: Person) -> None:
    small_person.records.add("rates", every="1 hour", enabled=False)

    with pytest.raises(InvalidJob, match=r"^job 'rates': catch_up: expected .*paused_at"):
        small_person.jobs.resume("rates", catch_up=True)

    assert not small_person.records.job("rates")["enabled"]


def test_a_pause_ends_by_itself_when_it_was_to(person: Person) -> None:
    person.jobs.add("rates", task="proj.note", every="1 hour", timezone="Asia/Tokyo")
    tomorrow = (datetime.now(UTC) + 24 * HOUR).replace(microsecond=0)

    in_tokyo = (tomorrow + 9 * HOUR).replace(tzinfo=None)
    person.jobs.pause("rates", until=in_tokyo.isoformat(" "))
    said = person.records.job("rates")["paused_until"]
    person.beat()
    person.records.edit("rates", paused_until=datetime.now(UTC) + timedelta(milliseconds=50))
    person.beat()
    with ticking(person.stack, person.app()) as scheduler:
        for _ in range(100):
            scheduler.tick()
            if person.records.job("rates")["next_fire_at"]:
                break

    assert said == tomorrow
    row = person.records.job("rates")
    assert (row["enabled"], row["paused_by"], row["paused_until"]) == (True, None, None)


@pytest.mark.parametrize("until", ["2001-01-01", "soon", 5])
def test_a_pause_until_no_moment_to_come_is_refused(small_person: Person, until: Any) -> None:
    small_person.jobs.add("rates", task="proj.note", every="1 hour")

    with pytest.raises(InvalidJob, match=r"^job 'rates': until|^until: expected") as refused:
        small_person.jobs.pause("rates", until=until)

    assert refused.value.field == "until"
    assert small_person.records.job("rates")["enabled"]


def test_every_change_by_the_facade_is_on_record_once(person: Person) -> None:
    person.jobs.add("rates", task="proj.note", every="1 hour", by="anna")
    person.beat()
    person.jobs.modify("rates", every="2 hours", args=[1], by="bob", note="too many")
    person.beat()
    person.jobs.modify("rates", every="2 hours", args=[1], by="bob")
    person.jobs.pause("rates", note="lunch", by="carl")
    person.jobs.resume("rates", by="dora")
    person.beat()
    person.records.edit("rates", every="3 hours")
    person.beat()

    told = person.told("rates")
    assert [(door, by) for door, by, _ in told] == [
        ("table", None),
        ("api", "dora"),
        ("api", "carl"),
        ("api", "bob"),
        ("api", "anna"),
    ]
    table, _, carl, bob, anna = (set(each) for *_, each in told)
    assert table == {("every", "2 hours", "3 hours")}
    assert ("paused_note", None, "lunch") in carl
    assert bob == {("every", "1 hour", "2 hours"), ("args", None, "[1]")}
    assert {("every", None, "1 hour"), ("task", None, "proj.note")} <= anna
    assert [each.paused for each in person.changes("rates")] == [None, False, True, None, False]
    assert person.changes("rates")[3].note == "too many"


def test_that_sql_changed_but_the_case_of_a_letter_is_on_record(person: Person) -> None:
    person.jobs.add("rates", task="proj.note", every="1 hour", keyword="Ärger")
    person.beat()

    person.records.edit("rates", keyword="ärger")
    person.beat()

    newest, _ = person.changes("rates")
    assert newest.differences == [("keyword", "Ärger", "ärger")]


def test_what_sql_mends_of_a_row_in_error_is_on_record_and_nothing_else(person: Person) -> None:
    person.jobs.add("rates", task="proj.note", cron="0 6 * * *", args=[1])
    person.beat()
    for edit in ({"cron": "0 25 * * *"}, {"cron": "0 7 * * *", "task": "proj.other"}):
        person.records.edit("rates", **edit)
        person.beat()

    mended, broken, _ = person.changes("rates")
    assert set(mended.differences) == {
        ("cron", "0 25 * * *", "0 7 * * *"),
        ("task", "proj.note", "proj.other"),
    }
    assert broken.differences == [("cron", "0 6 * * *", "0 25 * * *")]
    assert (mended.paused, broken.paused) == (None, None)


def test_details_that_one_text_lacks_are_no_change() -> None:
    of_an_error = "cron=0 25 * * *\nenabled=1\nname=a\ntask=b\ncreated_at=2027\nfire_count=0\n"
    healthy = "cron=0 7 * * *\nenabled=1\n"

    change = changes.Change(datetime.now(UTC), "table", None, None, of_an_error, healthy)

    assert change.differences == [("cron", "0 25 * * *", "0 7 * * *")]
    assert change.paused is None


def test_a_removed_job_leaves_its_record(person: Person) -> None:
    person.jobs.add("rates", task="proj.note", every="1 hour")
    job_id = person.records.job("rates")["id"]

    person.jobs.remove("rates", by="anna", note="no longer needed")

    with person.records.engine.connect() as conn:
        newest, _ = changes.of_job(conn, job_id, 10)
    assert (newest.by, newest.note, newest.became) == ("anna", "no longer needed", None)
    assert ("every", "1 hour", None) in newest.differences


def test_what_fails_is_not_on_record(small_person: Person) -> None:
    small_person.jobs.add("rates", task="proj.note", every="1 hour")

    for call in (
        lambda: small_person.jobs.add("rates", task="proj.note", every="1 day"),
        lambda: small_person.jobs.modify("rates", every="soon"),
        lambda: small_person.jobs.pause("nobody"),
        lambda: small_person.jobs.resume("nobody"),
    ):
        with pytest.raises((JobExistError, JobNotFound, InvalidJob)):
            call()

    assert len(small_person.changes("rates")) == 1


def test_a_change_of_what_somebody_else_changed_is_refused(small_person: Person) -> None:
    small_person.jobs.add("rates", task="proj.note", every="1 hour")
    read = small_person.jobs["rates"]
    small_person.jobs.modify("rates", every="2 hours")

    with pytest.raises(JobChanged, match="'rates'"):
        small_person.jobs.modify("rates", version=read.version, every="3 hours")
    small_person.jobs.modify("rates", version=small_person.jobs["rates"].version, every="4 hours")

    assert small_person.jobs["rates"].every == "4 hours"


DECLARED = {"report": {"task": "proj.note", "every": "1 hour"}}


def test_what_the_configuration_declares_is_changed_there(small_person: Person) -> None:
    small_person.beat(jobsched_jobs=DECLARED)
    jobs = small_person.jobs

    for call in (
        lambda: jobs.modify("report", every="2 hours"),
        lambda: jobs.add("report", replace=True, task="proj.note", every="2 hours"),
        lambda: jobs.remove("report"),
    ):
        with pytest.raises(JobOwned, match=r"'report' is declared in the configuration of 'proj'"):
            call()
    unchanged = jobs["report"].every
    jobs.modify("report", every="2 hours", force=True)
    forced = jobs["report"].every
    small_person.beat(jobsched_jobs=DECLARED)

    assert (unchanged, forced, jobs["report"].every) == ("1 hour", "2 hours", "1 hour")
    assert small_person.told("report")[0] == (
        "config",
        "config:proj",
        [("every", "2 hours", "1 hour")],
    )


def test_a_pause_outlasts_that_its_job_was_not_declared_for_a_while(small_person: Person) -> None:
    person = small_person
    person.beat(jobsched_jobs=DECLARED)
    next_week = datetime.now(UTC).replace(microsecond=0) + 7 * 24 * HOUR
    person.jobs.pause("report", note="legal review", by="anna", until=next_week)
    paused = person.records.job("report")

    person.beat(jobsched_jobs={})
    retired = person.records.job("report")
    person.beat(jobsched_jobs=DECLARED)

    back = person.records.job("report")
    names = ("enabled", "paused_at", "paused_by", "paused_note", "paused_until")
    assert [retired[name] for name in names] == [paused[name] for name in names]
    assert [back[name] for name in names] == [paused[name] for name in names]
    assert (retired["source"], back["source"]) == ("gone:proj", "config:proj")
    assert (back["enabled"], back["paused_by"]) == (False, "anna")


def test_what_is_declared_no_longer_stays_so_when_its_pause_ends(small_person: Person) -> None:
    person = small_person
    person.beat(jobsched_jobs=DECLARED)
    soon = datetime.now(UTC) + timedelta(milliseconds=100)
    person.records.edit("report", enabled=False, paused_by="anna", paused_until=soon)
    person.beat(jobsched_jobs={})

    with ticking(person.stack, person.app(jobsched_jobs={})) as scheduler:
        wait_until(
            lambda: scheduler.tick() and person.records.job("report")["paused_until"] is None, 10
        )

    row = person.records.job("report")
    assert (row["enabled"], row["paused_by"], row["paused_until"]) == (False, "sync", None)


def test_what_is_declared_as_turned_off_is_turned_on_there(small_person: Person) -> None:
    off = {"report": {**DECLARED["report"], "enabled": False}}
    small_person.beat(jobsched_jobs=off)

    with pytest.raises(JobOwned):
        small_person.jobs.resume("report")
    small_person.jobs.resume("report", force=True)

    assert small_person.records.job("report")["enabled"]


def test_a_change_takes_part_in_the_callers_transaction(person: Person, database_url: str) -> None:
    theirs = sa.create_engine(database_url)
    jobs = person.jobs
    with theirs.connect() as conn:
        jobs.add("a", task="proj.note", every="1 hour", connection=conn)
        jobs.modify("a", every="2 hours", connection=conn)
        jobs.pause("a", connection=conn)
        jobs.resume("a", connection=conn)
        seen = jobs.get("a", connection=conn).every
        conn.rollback()
    undone = list(jobs)
    with theirs.begin() as conn:
        jobs.add("b", task="proj.note", every="1 hour", connection=conn)
        conn.execute(sa.delete(fires))
    theirs.dispose()

    assert (seen, undone, list(jobs)) == ("2 hours", [], ["b"])
