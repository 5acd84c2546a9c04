"""What follows from ends: counters, pauses and follow-ups, the same on every database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched.fire import Fire, FireState, Origin, new_id
from celery_jobsched.locks import Report
from celery_jobsched.store import changes, ends, fires, pages, planning
from celery_jobsched.store.ends import Applied
from celery_jobsched.store.pages import Claimant
from tests.records import Records

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
S = FireState


def plan(records: Records) -> None:
    with records.engine.begin() as conn:
        now = pages.poll(conn).now
        planning.plan_edited(conn, now, now, 100, Claimant("a beat"))


def send(records: Records, job: str, count: int = 1) -> list[str]:
    """So many fires of *job* that were sent; their ids."""
    job_id = records.job(job)["id"]
    new = [
        Fire(new_id(NOW), job_id, job, new_id(NOW), NOW, NOW, Origin.SCHEDULE) for _ in range(count)
    ]
    with records.engine.begin() as conn:
        fires.insert_pending(conn, new, "a beat", NOW)
        fires.mark_sent(conn, [fire.id for fire in new], NOW)
    return [fire.id for fire in new]


def apply(records: Records, *reports: Report) -> Applied:
    with records.engine.begin() as conn:
        return ends.apply(conn, reports, NOW, "UTC")


def end(records: Records, job: str, *states: FireState, at_once: bool = True) -> Applied:
    """A fire of *job* for each of *states*, ended so."""
    words = {"result": "7", "error": "boom"}
    reports = [
        Report(fire, state, NOW, NOW, **words)  # type: ignore[arg-type]
        for fire, state in zip(send(records, job, len(states)), states, strict=True)
    ]
    if at_once:
        return apply(records, *reports)
    applied = Applied()
    for each in reports:
        applied += apply(records, each)
    return applied


def followers(records: Records) -> list[Mapping[str, Any]]:
    return [row for row in records.fires() if row["origin"] != "schedule"]


@pytest.mark.parametrize(
    ("states", "count"),
    [
        ([S.FAILED], 1),
        ([S.FAILED, S.LOST, S.FAILED], 3),
        ([S.FAILED, S.SUCCEEDED], 0),
        ([S.FAILED, S.SUCCEEDED, S.FAILED], 1),
        ([S.FAILED, S.REVOKED, S.EXPIRED, S.STARTED, S.RETRYING, S.PENDING], 1),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
def test_failures_in_a_row_are_counted(
    records: Records, states: list[FireState], count: int, at_once: bool
) -> None:
    records.add("a", every="1 hour")

    end(records, "a", *states, at_once=at_once)

    assert records.job("a")["failure_count"] == count


def test_a_report_that_is_read_twice_counts_and_is_followed_once(records: Records) -> None:
    records.add("a", every="1 hour", on_failure="proj.alarm")
    (fire,) = send(records, "a")
    failed = Report(fire, S.FAILED, NOW, error="boom")

    first, again = apply(records, failed, failed), apply(records, failed)

    assert (first.fired, again.fired) == (1, 0)
    assert records.job("a")["failure_count"] == 1
    assert len(followers(records)) == 1


def test_a_success_of_a_job_without_failures_does_not_touch_its_row(records: Records) -> None:
    records.add("a", every="1 hour", max_failures=3)
    sent, written = send(records, "a", 3), list[str]()

    @sa.event.listens_for(records.engine, "before_cursor_execute")
    def _note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        written.append(statement)

    apply(records, *(Report(fire, S.SUCCEEDED, NOW) for fire in sent))
    sa.event.remove(records.engine, "before_cursor_execute", _note)

    assert not [each for each in written if "jobsched_jobs" in each and "UPDATE" in each]


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
def test_too_many_failures_in_a_row_pause_the_job_with_a_note(
    records: Records, at_once: bool
) -> None:
    records.add("a", every="1 hour", max_failures=2, paused_until=NOW)
    records.add("b", every="1 hour", max_failures=2)
    plan(records)

    applied = end(records, "a", S.FAILED, S.LOST, S.SUCCEEDED, at_once=at_once)
    end(records, "b", S.FAILED, S.SUCCEEDED, S.FAILED)

    row, other = records.job("a"), records.job("b")
    ((job, note),) = applied.paused
    lost = next(each["id"] for each in records.fires("a", "lost"))
    assert note == f"2 failures in a row, the last of fire {lost} (lost): boom"
    assert (job, row["paused_note"]) == ("a", note)
    assert (row["enabled"], row["paused_by"]) == (False, "max_failures")
    assert row["paused_at"] is not None
    assert (row["paused_until"], row["version"], row["failure_count"]) == (None, 1, 0)
    assert (other["enabled"], other["paused_at"], other["failure_count"]) == (True, None, 1)
    plan(records)
    assert records.job("a")["next_fire_at"] is None
    with records.engine.connect() as conn:
        (change,) = changes.of_job(conn, row["id"], 10)
    assert (change.door, change.by, change.note) == ("beat", "max_failures", note)
    assert change.paused is True


def test_a_pause_by_a_person_keeps_its_note(records: Records) -> None:
    records.add("a", every="1 hour", max_failures=1, enabled=False, paused_note="mine")

    applied = end(records, "a", S.FAILED)

    row = records.job("a")
    assert (applied.paused, row["paused_note"], row["failure_count"]) == ([], "mine", 1)


def test_a_job_that_is_enabled_again_may_fail_as_often_as_before(records: Records) -> None:
    records.add("a", every="1 hour", max_failures=2)
    plan(records)
    end(records, "a", S.FAILED, S.FAILED, S.FAILED)
    plan(records)
    assert records.job("a")["failure_count"] == 3

    records.edit("a", enabled=True)
    plan(records)
    assert records.job("a")["failure_count"] == 0

    assert end(records, "a", S.FAILED).paused == []
    records.edit("a", every="2 hours")
    plan(records)
    assert records.job("a")["failure_count"] == 1
    assert len(end(records, "a", S.FAILED).paused) == 1


@pytest.mark.parametrize(
    ("state", "task"),
    [(S.SUCCEEDED, "proj.next"), (S.FAILED, "proj.alarm"), (S.LOST, "proj.alarm")],
)
def test_a_task_follows_with_what_it_needs_to_know(
    records: Records, state: FireState, task: str
) -> None:
    records.add("a", every="1 hour", on_success="proj.next", on_failure="proj.alarm")

    applied = end(records, "a", state)

    (row,), (fire,) = followers(records), records.fires("a", state.value)
    assert applied.is_anything_ready
    assert (row["task"], row["job_name"], row["origin"]) == (task, "a", "follow-up")
    assert (row["state"], row["ready_at"], row["fire_at"]) == ("pending", NOW, fire["fire_at"])
    assert json.loads(row["kwargs"]) == {
        "job": "a",
        "fire_id": fire["id"],
        "fire_at": NOW.isoformat(),
        "state": state.value,
        "result": "7",
        "error": "boom",
    }
    assert json.loads(row["args"]) == []
    assert records.job("a")["fire_count"] == 0


@pytest.mark.parametrize(("state", "task"), [(S.SUCCEEDED, "proj.next"), (S.FAILED, "proj.alarm")])
def test_a_run_by_hand_is_followed_as_any_other(
    records: Records, state: FireState, task: str
) -> None:
    records.add("a", every="1 hour", on_success="proj.next", on_failure="proj.alarm")
    id_ = new_id(NOW)
    by_hand = Fire(id_, records.job("a")["id"], "a", id_, NOW, NOW, Origin.MANUAL, publishes=0)
    with records.engine.begin() as conn:
        fires.insert_ready(conn, [by_hand], NOW)

    apply(records, Report(id_, state, NOW))

    assert [row["task"] for row in followers(records) if row["id"] != id_] == [task]


@pytest.mark.parametrize("state", [S.REVOKED, S.EXPIRED, S.STARTED, S.RETRYING, S.PENDING])
def test_nothing_follows_what_neither_went_well_nor_failed(
    records: Records, state: FireState
) -> None:
    records.add("a", every="1 hour", on_success="proj.next", on_failure="proj.alarm")

    end(records, "a", state)

    assert followers(records) == []


def test_nothing_follows_a_follow_up_and_it_is_no_failure_of_the_job(records: Records) -> None:
    records.add("a", every="1 hour", on_failure="proj.alarm", max_failures=2)
    end(records, "a", S.FAILED)
    (row,) = followers(records)

    apply(records, Report(row["id"], S.FAILED, NOW, error="no alarm"))

    (row,) = followers(records)
    assert (row["state"], row["error"]) == ("failed", "no alarm")
    assert (records.job("a")["failure_count"], records.job("a")["enabled"]) == (1, True)


def test_what_was_lost_and_turned_out_well_is_followed_by_both(records: Records) -> None:
    records.add("a", every="1 hour", on_success="proj.next", on_failure="proj.alarm")
    (fire,) = send(records, "a")

    apply(records, Report(fire, S.LOST, NOW, error="gone"))
    apply(records, Report(fire, S.SUCCEEDED, NOW, result="7"))

    assert sorted(row["task"] for row in followers(records)) == ["proj.alarm", "proj.next"]
    assert records.job("a")["failure_count"] == 0
    assert [row["state"] for row in records.fires("a") if row["id"] == fire] == ["succeeded"]


def test_a_keyword_fires_the_jobs_that_have_it_once_for_each_end(records: Records) -> None:
    records.add("a", every="1 hour", on_success="done", on_failure="proj.alarm")
    records.add("b", keyword="done", kwargs='{"own": 1}')
    records.add("c", keyword="done", max_fires=2)
    records.add("paused", keyword="done", enabled=False)
    plan(records)

    applied = end(records, "a", S.SUCCEEDED, S.SUCCEEDED, S.SUCCEEDED)

    done = [row["id"] for row in records.fires("a", "succeeded")]
    assert applied.fired == 5
    assert sorted(row["key"] for row in records.fires("b")) == sorted(done)
    assert {row["key"] for row in records.fires("c")} < set(done)
    assert [len(records.fires(job)) for job in ("b", "c", "paused")] == [3, 2, 0]
    assert {(row["origin"], row["task"], row["kwargs"]) for row in followers(records)} == {
        ("keyword", None, None)
    }
    assert [records.job(job)["fire_count"] for job in ("b", "c", "paused")] == [3, 2, 0]


def test_a_keyword_that_only_paused_jobs_have_is_still_no_task(records: Records) -> None:
    records.add("a", every="1 hour", on_success="done")
    records.add("paused", keyword="done", enabled=False)

    end(records, "a", S.SUCCEEDED)

    assert followers(records) == []


def test_a_job_never_fires_itself(records: Records) -> None:
    records.add("a", keyword="again", on_success="again")
    records.add("b", keyword="again")
    plan(records)

    end(records, "a", S.SUCCEEDED)

    assert [row["job_name"] for row in followers(records)] == ["b"]


def test_a_page_of_ends_with_follow_ups_takes_a_few_statements(records: Records) -> None:
    for n in range(10):
        records.add(f"job {n}", every="1 hour", on_success="done", on_failure="proj.alarm")
    records.add("after", keyword="done")
    plan(records)
    reports = [
        Report(fire, (S.SUCCEEDED, S.FAILED)[n % 2], NOW, error="boom")
        for job in range(10)
        for n, fire in enumerate(send(records, f"job {job}", 50))
    ]
    written: list[str] = []

    @sa.event.listens_for(records.engine, "before_cursor_execute")
    def _note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        written.append(statement)

    applied = apply(records, *reports)
    sa.event.remove(records.engine, "before_cursor_execute", _note)

    assert applied.fired == 500
    assert len(written) <= 20, written
    assert {records.job(f"job {n}")["failure_count"] for n in range(10)} == {1}


def test_what_a_job_of_a_spoilt_row_says_is_no_matter_to_its_fires(records: Records) -> None:
    records.add("a", every="nonsense", on_success="proj.next")

    end(records, "a", S.SUCCEEDED)

    assert sorted(row["state"] for row in records.fires("a")) == ["pending", "succeeded"]
