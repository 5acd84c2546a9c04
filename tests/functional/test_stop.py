"""How a beat starts and stops: nothing half done, nothing left open, nothing told too much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery.signals import after_task_publish

from celery_jobsched import Scheduler
from celery_jobsched.store import schema, tables
from tests.collector import Collector
from tests.hands import START, Hands, by_hand
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.records import Records, settle, ticking
from tests.stacks import Stack, fresh_stack

DECLARED = {f"job {n}": {"task": "proj.note", "every": "1 hour"} for n in range(20)}
BURST = 2000


def test_sigterm_stops_a_beat_at_once_and_takes_it_off_the_list(stack: Stack) -> None:
    every_second = {"jobsched_jobs": {"tick": {"task": "proj.note", "every": "1 second"}}}
    with Records(stack.database_url) as records, Beat(stack, conf=every_second) as beat:
        wait_until(records.has_tables, 15, beat.log)
        wait_until(lambda: records.fires("tick", "sent"), 15, beat.log)
        assert len(records.beats()) == 1

        stopped = beat.stop()

        assert stopped.exit_code == 0, beat.log()
        assert stopped.seconds < paced(3)
        assert records.beats() == []
        assert records.fires(None, "pending") == []


@pytest.mark.parametrize("sent_before", [1, BURST // 2])
def test_sigterm_in_the_midst_of_a_burst_leaves_nothing_published_unmarked(
    tmp_path: Path, sent_before: int
) -> None:
    # What is claimed and was not published stays pending, for the next beat.
    with (
        fresh_stack("postgresql", "redis", tmp_path, jobsched_claim_limit=200) as stack,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
    ):
        with Beat(stack) as beat:
            wait_until(records.has_tables, 15, beat.log)
            at = (datetime.now(timezone.utc) + timedelta(seconds=2)).isoformat()
            rows = [{"name": f"b{n}", "task": "proj.note", "once": at} for n in range(BURST)]
            records.run(sa.insert(tables.jobs), rows)
            wait_until(lambda: collector.count >= sent_before, 20, beat.log)
            stopped = beat.stop()

        marked = {row["id"] for row in records.fires(None, "sent")}
        pending = {row["id"] for row in records.fires(None, "pending")}
        wait_until(lambda: not collector.client.exists(*collector.lists), 5)
        published = [message.id for message in collector.messages()]
        assert (stopped.exit_code, stopped.seconds < paced(3)) == (0, True)
        assert sorted(published) == sorted(marked)
        assert sent_before <= len(marked) < BURST
        assert pending == set()


def test_what_a_stopped_beat_left_is_sent_by_the_next_one(tmp_path: Path) -> None:
    with (
        fresh_stack("sqlite", "redis", tmp_path, jobsched_claim_limit=50) as stack,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
    ):
        with Beat(stack) as beat:
            wait_until(records.has_tables, 15, beat.log)
            at = (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat()
            rows = [{"name": f"b{n}", "task": "proj.note", "once": at} for n in range(BURST)]
            records.run(sa.insert(tables.jobs), rows)
            wait_until(lambda: collector.count >= 100, 20, beat.log)
            beat.stop()
        with Beat(stack) as beat:
            wait_until(lambda: collector.count >= BURST, 20, beat.log)
            beat.stop()

        published = [message.job for message in collector.messages()]
        assert sorted(published) == sorted(row["name"] for row in rows)


@contextmanager
def locked_as_it_publishes(hands: Hands) -> Iterator[None]:
    """Somebody holds the database from the beat's first publish on."""
    with hands.records.engine.connect() as person:

        def hold(**_: Any) -> None:
            person.execute(sa.text("SELECT 1"))

        after_task_publish.connect(hold)
        try:
            yield
        finally:
            after_task_publish.disconnect(hold)


def publish(hands: Hands) -> None:
    """The beat sends one fire in one tick."""
    hands.add("job", once=(START + timedelta(seconds=1)).isoformat())
    hands.clock.advance(seconds=1)
    with locked_as_it_publishes(hands):
        hands.beat.tick()


def test_what_was_published_and_not_marked_is_marked_as_the_beat_ends(tmp_path: Path) -> None:
    with by_hand("sqlite", tmp_path, jobsched_socket_timeout=0.1) as hands:
        publish(hands)
        unmarked = hands.states("job")

        hands.beat.close()

        assert (unmarked, hands.states("job")) == (["pending"], ["sent"])


def test_what_cannot_be_marked_as_the_beat_ends_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with by_hand("sqlite", tmp_path, jobsched_socket_timeout=0.1) as hands:
        publish(hands)

        with hands.records.engine.begin():
            hands.beat.close()

        assert "will be published again: database is locked" in caplog.text


def test_closing_twice_is_fine(stack: Stack) -> None:
    with Records(stack.database_url) as records:
        scheduler = Scheduler(stack.app())
        settle(scheduler)
        assert len(records.beats()) == 1

        scheduler.close()
        scheduler.close()

        assert records.beats() == []


def test_a_lazy_scheduler_touches_nothing(tmp_path: Path) -> None:
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    with fresh_stack("sqlite", "redis", tmp_path) as stack:
        before = sorted(tmp_path.rglob("*"))

        lazy = Scheduler(stack.app(), lazy=True)
        shown = lazy.info
        lazy.close()
        stack.conf["jobsched_database_url"] = nowhere
        elsewhere = Scheduler(stack.app(), lazy=True)

        assert sorted(tmp_path.rglob("*")) == before
        assert "sqlite:///" in shown
        assert nowhere in elsewhere.info


def test_the_banner_shows_where_jobs_and_locks_are_without_passwords(tmp_path: Path) -> None:
    secret = "s3cr3t"
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        conf = {
            "jobsched_database_url": f"postgresql+psycopg://me:{secret}@127.0.0.1:1/jobs",
            "jobsched_lock_backend": f"redis://:{secret}@127.0.0.1:1/3",
        }
        with Beat(stack, conf=conf) as beat:
            wait_until(lambda: "trying again" in beat.log(), 15, beat.log)
            beat.stop()

        assert "jobs -> postgresql+psycopg://me:***@127.0.0.1:1/jobs" in beat.log()
        assert "locks -> redis://127.0.0.1:1/3" in beat.log()
        assert secret not in beat.log()


def test_a_beat_is_on_the_list_as_long_as_it_lives(tmp_path: Path) -> None:
    with (
        fresh_stack("sqlite", "filesystem", tmp_path) as stack,
        Records(stack.database_url) as records,
        Beat(stack) as beat,
    ):
        wait_until(records.has_tables, 15, beat.log)
        (first,) = wait_until(records.beats, 5, beat.log)
        wait_until(lambda: records.beats()[0]["seen_at"] > first["seen_at"], 5, beat.log)
        (second,) = records.beats()

        assert timedelta(seconds=1.5) < second["seen_at"] - first["seen_at"]
        assert (second["id"], second["started_at"]) == (first["id"], first["started_at"])
        beat.kill()
        assert [row["id"] for row in records.beats()] == [first["id"]]


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mysql"])
def test_beats_that_start_at_once_make_the_tables_and_sync_the_jobs_once(
    database: str, tmp_path: Path
) -> None:
    declared = {"jobsched_jobs": DECLARED}
    with (
        fresh_stack(database, "redis", tmp_path, **declared) as stack,
        Records(stack.database_url) as records,
    ):
        beats = [Beat(stack).start() for _ in range(3)]
        wait_until(lambda: records.has_tables() and len(records.beats()) == 3, 20, beats[0].log)
        wait_until(lambda: all(row["planned"] for row in records.jobs().values()), 5)
        stopped = [beat.stop() for beat in beats]

        logs = [beat.log() for beat in beats]
        assert [each.exit_code for each in stopped] == [0, 0, 0]
        assert set(records.jobs()) >= set(DECLARED)
        assert {row["version"] for row in records.jobs().values()} == {0}
        assert [line for log in logs for line in log.splitlines() if "ERROR" in line] == []
        assert sum(log.count("added from the configuration") for log in logs) == len(records.jobs())


def test_without_leave_to_make_tables_a_beat_says_so_and_waits_for_them(
    stack: Stack,
) -> None:
    with (
        Records(stack.database_url) as records,
        Beat(stack, conf={"jobsched_auto_migrate": False, "jobsched_jobs": DECLARED}) as beat,
    ):
        wait_until(lambda: "jobsched_auto_migrate" in beat.log(), 10, beat.log)
        assert sa.inspect(records.engine).get_table_names() == []

        schema.prepare(records.engine, True)
        wait_until(lambda: set(records.jobs()) >= set(DECLARED), 10, beat.log)

        lines = [line for line in beat.log().splitlines() if "jobsched_auto_migrate" in line]
        assert ["ERROR" in line for line in lines] == [True]


def test_a_beat_of_another_environment_claims_nothing(tmp_path: Path) -> None:
    with (
        fresh_stack("sqlite", "redis", tmp_path) as stack,
        Records(stack.database_url) as records,
    ):
        stack.conf["jobsched_environment"] = "production"
        with ticking(stack) as scheduler:
            settle(scheduler)
        records.add("due", once=datetime.now(timezone.utc).isoformat())

        stack.conf["jobsched_environment"] = "staging"
        with ticking(stack) as scheduler:
            pauses = [scheduler.tick() for _ in range(3)]

        assert records.fires() == []
        assert records.meta()["environment"] == "production"
        assert min(pauses) > 0
