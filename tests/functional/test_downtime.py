"""What a beat does with the instants that passed while none was up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from celery_jobsched import Scheduler
from celery_jobsched.store import tables
from tests.collector import Collector
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.records import SECOND, Records, settle, ticking
from tests.stacks import Stack, fresh_stack

MINUTE = timedelta(minutes=1)


@pytest.fixture
def redis_stack(tmp_path: Path) -> Iterator[Stack]:
    with fresh_stack("sqlite", "redis", tmp_path) as stack:
        yield stack


@pytest.fixture
def records(redis_stack: Stack) -> Iterator[Records]:
    with Records(redis_stack.database_url) as records:
        yield records


@pytest.fixture
def scheduler(redis_stack: Stack, records: Records) -> Iterator[Scheduler]:
    """One whose tables are made."""
    with ticking(redis_stack) as scheduler:
        settle(scheduler)
        yield scheduler


def ago(minutes: float) -> datetime:
    """A whole second that long ago."""
    return datetime.now(timezone.utc).replace(microsecond=0) - minutes * MINUTE


def test_the_misfire_rule_settles_what_passed_while_no_beat_was_up(stack: Stack) -> None:
    made_at = ago(25)
    owed = [made_at, made_at + 10 * MINUTE, made_at + 20 * MINUTE]
    with Records(stack.database_url) as records, ticking(stack) as scheduler:
        settle(scheduler)
        for rule in ("skip", "once", "all"):
            records.add(rule, every="10 minutes", misfire=rule, created_at=made_at)

        settle(scheduler)

        found = {
            rule: [(row["fire_at"], row["until_at"], row["count"]) for row in records.fires(rule)]
            for rule in ("skip", "once", "all")
        }
        assert found == {
            "skip": [(owed[0], owed[2], 3)],
            "once": [(owed[0], owed[1], 2), (owed[2], None, None)],
            "all": [(at, None, None) for at in owed],
        }
        sent = records.fires(None, "sent")
        assert {(row["job_name"], row["origin"]) for row in sent} == {
            ("once", "catchup"),
            ("all", "catchup"),
        }
        assert {records.job(rule)["next_fire_at"] for rule in found} == {owed[2] + 10 * MINUTE}


def test_a_real_beat_that_was_down_settles_its_past_by_the_rule(tmp_path: Path) -> None:
    with (
        fresh_stack("postgresql", "redis", tmp_path) as stack,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
    ):
        with Beat(stack) as beat:
            wait_until(records.has_tables, 10, beat.log)
            for rule in ("skip", "once", "all"):
                records.add(rule, every="1 second", misfire=rule, misfire_grace_time=0.5)
            wait_until(lambda: len(records.fires("all", "sent")) >= 2, 10, beat.log)
            beat.stop()
        came_down = datetime.now(timezone.utc)
        wait_until(lambda: datetime.now(timezone.utc) > came_down + 3 * SECOND, 5)
        came_up = datetime.now(timezone.utc)
        with Beat(stack) as beat:
            wait_until(lambda: records.fires("all")[-1]["fire_at"] > came_up + SECOND, 10, beat.log)
            beat.stop()

        between = (came_down + 0.5 * SECOND, came_up - 0.5 * SECOND)
        sent = {
            rule: [
                row["fire_at"]
                for row in records.fires(rule, "sent")
                if between[0] < row["fire_at"] < between[1]
            ]
            for rule in ("skip", "once", "all")
        }
        assert sent["skip"] == []
        assert len(sent["once"]) <= 1
        assert len(sent["all"]) >= 2
        assert [row["state"] for row in records.fires("all")] == ["sent"] * len(
            records.fires("all")
        )
        assert len(records.fires("skip", "missed")) >= 1
        ids = [message.id for message in collector.messages()]
        assert sorted(ids) == sorted(row["id"] for row in records.fires(None, "sent"))


def test_an_every_second_job_that_slept_a_year_is_settled_at_once(
    records: Records, scheduler: Scheduler
) -> None:
    asleep_since = ago(365 * 24 * 60)
    records.add("sleeper", every="1 second", created_at=asleep_since)
    scheduler.tick()  # plans the row: its first instant is a year old

    began = time.thread_time()
    scheduler.tick()
    took = time.thread_time() - began

    (missed,) = records.fires("sleeper", "missed")
    fired = records.fires("sleeper", "sent")
    assert took < paced(0.25)
    assert missed["fire_at"] == asleep_since
    assert missed["count"] == (missed["until_at"] - asleep_since) // SECOND + 1
    assert missed["until_at"] + SECOND == fired[0]["fire_at"]
    assert [row["origin"] for row in fired] == ["catchup"] + ["schedule"] * (len(fired) - 1)
    assert 5 <= len(fired) <= 8


def test_max_fires_holds_inside_a_backlog(records: Records, scheduler: Scheduler) -> None:
    made_at = ago(45)
    records.add("two", every="10 minutes", misfire="all", max_fires=2, created_at=made_at)

    settle(scheduler)

    assert [row["fire_at"] for row in records.fires("two", "sent")] == [
        made_at,
        made_at + 10 * MINUTE,
    ]
    assert (records.job("two")["fire_count"], records.job("two")["next_fire_at"]) == (2, None)


def test_nothing_fires_after_the_end_that_a_job_names(
    records: Records, scheduler: Scheduler
) -> None:
    made_at = ago(45)
    ends_at = made_at + 20 * MINUTE
    records.add("ended", every="10 minutes", misfire="all", created_at=made_at, ends_at=ends_at)

    settle(scheduler)

    instants = [row["fire_at"] for row in records.fires("ended")]
    assert instants == [made_at, made_at + 10 * MINUTE, ends_at]
    assert records.job("ended")["next_fire_at"] is None


def test_a_backlog_beyond_the_catchup_limit_is_recorded_as_missed(
    redis_stack: Stack, records: Records
) -> None:
    made_at = ago(95)
    redis_stack.conf["jobsched_catchup_limit"] = 3
    with ticking(redis_stack) as scheduler:
        settle(scheduler)
        records.add("many", every="10 minutes", misfire="all", created_at=made_at)

        settle(scheduler)

    (missed,) = records.fires("many", "missed")
    sent = [row["fire_at"] for row in records.fires("many", "sent")]
    assert sent == [made_at + k * 10 * MINUTE for k in (7, 8, 9)]
    assert (missed["fire_at"], missed["until_at"]) == (made_at, made_at + 60 * MINUTE)
    assert missed["count"] == 7


def test_a_job_that_deletes_itself_goes_once_its_last_fire_is_over(
    records: Records, scheduler: Scheduler
) -> None:
    records.add("last", once=ago(0).isoformat(), on_end="delete")
    settle(scheduler)
    (fire,) = records.fires("last", "sent")
    this = tables.fires.c.id == fire["id"]
    in_an_hour = datetime.now(timezone.utc) + 60 * MINUTE

    records.run(sa.update(tables.fires).where(this).values(state="pending", ready_at=in_an_hour))
    records.edit("last", due_at=ago(1))
    settle(scheduler)
    assert "last" in records.jobs()

    records.run(
        sa.update(tables.fires).where(this).values(state="sent", ready_at=None, check_at=None)
    )
    records.edit("last", due_at=ago(1))
    settle(scheduler)
    assert "last" not in records.jobs()
    assert [row["id"] for row in records.fires("last")] == [fire["id"]]


def test_what_a_job_missed_at_its_end_is_recorded_before_it_deletes_itself(
    records: Records, scheduler: Scheduler
) -> None:
    made_at = ago(10)
    records.add(
        "late",
        once=made_at.isoformat(),
        misfire="skip",
        on_end="delete",
        created_at=made_at - MINUTE,
    )
    settle(scheduler)

    assert [(row["state"], row["fire_at"]) for row in records.fires("late")] == [
        ("missed", made_at)
    ]

    records.edit("late", due_at=ago(1))
    settle(scheduler)
    assert "late" not in records.jobs()
