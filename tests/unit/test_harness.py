"""The tests' own parts, without the scheduler: databases, brokers, processes, clients."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import create_engine, inspect, make_url, text

from tests.clients import ClientError, sql_client
from tests.collector import Collector
from tests.pace import paced
from tests.processes import ROOT, Beat, Worker, run_celery, runs, wait_until
from tests.servers import RedisServer
from tests.services import databases, fresh_database
from tests.stacks import Stack, fresh_stack
from tests.turns import Turns

EVERY_HALF_SECOND = {"beat_schedule": {"often": {"task": "proj.note", "schedule": 0.5}}}
CELERYS_OWN = "celery.beat:PersistentScheduler"


@pytest.fixture
def sqlite_stack(tmp_path: Path) -> Iterator[Stack]:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        yield stack


def test_a_fresh_database_is_empty_and_usable(database_url: str) -> None:
    engine = create_engine(database_url)

    tables = inspect(engine).get_table_names()
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE notes (id int)"))

    assert tables == []
    assert inspect(engine).get_table_names() == ["notes"]
    engine.dispose()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_fresh_database_is_dropped_though_somebody_is_still_in_it(
    kind: str, tmp_path: Path
) -> None:
    with fresh_database(kind, tmp_path) as url:
        name = make_url(url).database
        assert name in databases(kind)
        left_open = create_engine(url).connect()
        left_open.execute(text("CREATE TABLE notes (id int)"))
        left_open.execute(text("INSERT INTO notes VALUES (1)"))

    assert name not in databases(kind)
    left_open.invalidate()


def test_the_client_of_each_database_writes_and_reads(database_url: str) -> None:
    sql = sql_client(database_url)

    sql("CREATE TABLE notes (id int); INSERT INTO notes VALUES (1), (2);")

    assert sql("SELECT id FROM notes ORDER BY id") == "1\n2"


def test_the_client_of_each_database_says_what_failed(database_url: str) -> None:
    with pytest.raises(ClientError, match="nowhere"):
        sql_client(database_url)("SELECT * FROM nowhere")


def test_each_broker_carries_a_message_to_a_worker(stack: Stack) -> None:
    header = {"jobsched": {"job": "a job", "fire_at": "2030-01-01T00:00:00Z", "n": 1}}
    note = stack.app().signature("proj.note", args=[1], kwargs={"two": 2}, headers=header)

    with Worker(stack) as worker:
        sent = note.delay()
        (run,) = wait_until(lambda: runs(stack.runs_file), 15, worker.log)

    assert (run["id"], run["args"], run["kwargs"]) == (sent.id, [1], {"two": 2})
    assert (run["job"], run["fire_at"]) == ("a job", "2030-01-01T00:00:00Z")
    assert run["pid"] == worker.pid


def test_a_worker_of_many_processes_runs_each_message_once(stack: Stack) -> None:
    note = stack.app().signature("proj.note")

    with Worker(stack, pool="prefork", concurrency=2) as worker:
        sent = {note.delay().id for _ in range(20)}
        wait_until(lambda: len(runs(stack.runs_file)) >= 20, 15, worker.log)
        stopped = worker.stop()

    assert sorted(run["id"] for run in runs(stack.runs_file)) == sorted(sent)
    assert stopped.exit_code == 0


def test_a_beat_is_ready_then_sends_and_stops_when_told(stack: Stack) -> None:
    with (
        Worker(stack),
        Beat(stack, scheduler=CELERYS_OWN, conf=EVERY_HALF_SECOND) as beat,
    ):
        wait_until(lambda: len(runs(stack.runs_file)) >= 2, 15, beat.log)
        stopped = beat.stop()

    assert "Sending due task often" in beat.log()
    assert stopped.exit_code == 0
    assert stopped.seconds < paced(5)


def test_a_process_that_cannot_start_is_told_with_its_log(sqlite_stack: Stack) -> None:
    with (
        pytest.raises(AssertionError, match="no_such_module"),
        Beat(sqlite_stack, app="no_such_module"),
    ):
        pass


def test_a_process_left_running_ends_with_its_stack(tmp_path: Path) -> None:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        worker = Worker(stack).start().wait_ready()
        assert worker.alive()

    assert not worker.alive()


def test_a_command_of_celery_runs_to_its_end(sqlite_stack: Stack) -> None:
    done = run_celery(sqlite_stack, "report")

    assert done.returncode == 0
    assert sqlite_stack.queue in done.stdout


def test_the_collector_takes_messages_of_every_priority(tmp_path: Path) -> None:
    with fresh_stack("sqlite", "redis", tmp_path) as stack, Collector(stack) as collector:
        note = stack.app().signature("proj.note", args=["x"], headers={"jobsched": {"job": "j"}})

        sent = {note.apply_async(priority=priority).id for priority in (0, 4, 9)}
        messages = collector.wait_for(3, 10)

    assert {message.id for message in messages} == sent
    assert {(message.task, message.job) for message in messages} == {("proj.note", "j")}
    assert messages[0].args == ["x"]


def test_a_redis_database_is_given_to_one_stack_and_emptied(tmp_path: Path) -> None:
    with fresh_stack("sqlite", "redis", tmp_path) as one:
        with fresh_stack("sqlite", "redis", tmp_path) as another:
            assert one.broker_url != another.broker_url
            another.app().send_task("proj.note")

        with redis.Redis.from_url(another.broker_url) as client:
            assert client.dbsize() == 0


def test_a_private_redis_forgets_or_keeps_its_data_when_restarted(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")

        server.restart(empty=False)
        kept = client.get("key")
        server.restart(empty=True)
        forgotten = client.get("key")

    assert (kept, forgotten) == (b"value", None)


def test_tests_that_run_alone_one_after_another_have_one_turn(tmp_path: Path) -> None:
    turns = Turns(tmp_path)

    with turns.next(alone=False, alone_next=True):
        others_may = [has_room(tmp_path)]
    others_may.append(has_room(tmp_path))
    with turns.next(alone=True, alone_next=True):
        others_may.append(has_room(tmp_path))
    others_may.append(has_room(tmp_path))
    with turns.next(alone=True, alone_next=False):
        others_may.append(has_room(tmp_path))
    others_may.append(has_room(tmp_path))

    assert others_may == [True, True, False, False, False, True]


def has_room(folder: Path) -> bool:
    """Whether a test that shares the floor could begin."""
    with (folder / "floor").open("a") as floor:
        try:
            fcntl.flock(floor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.parametrize(
    ("environ", "exit_code", "said"),
    [
        ({}, 0, "1 tests skipped for missing services: postgresql 1"),
        ({"CI": "true"}, 1, "missing service: postgresql"),
        ({"JOBSCHED_REQUIRE_SERVICES": "1"}, 1, "missing service: postgresql"),
    ],
)
def test_a_missing_service_skips_at_home_and_fails_in_ci(
    environ: dict[str, str], exit_code: int, said: str
) -> None:
    here = {
        key: value
        for key, value in os.environ.items()
        if key not in {"CI", "JOBSCHED_REQUIRE_SERVICES"}
    }
    nowhere = {"JOBSCHED_TEST_POSTGRESQL_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
    name = f"{Path(__file__)}::{test_a_fresh_database_is_empty_and_usable.__name__}[postgresql]"

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name],
        cwd=ROOT,
        env={**here, **nowhere, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert said in done.stdout
    assert done.returncode == exit_code
