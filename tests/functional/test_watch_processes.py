"""Real beats and workers, and what is done to them while fires are on their way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import pytest
import redis

from celery_jobsched.locks import Locks
from celery_jobsched.runtime import Runtime
from tests.functional.test_worker_shutdown import restore_unacknowledged
from tests.processes import Beat, Worker, runs, wait_until
from tests.records import Records
from tests.stacks import Stack, fresh_stack

T = TypeVar("T")

PAIRS = (("sqlite", "redis"), ("postgresql", "rabbitmq"))
LEASE_S = 2.0
HURRY = {
    "imports": ["celery_jobsched.worker"],
    "jobsched_lease": LEASE_S,
    "jobsched_resend_after": 2.0,
}


class Scene:
    """A stack with its tables and its locks."""

    def __init__(self, stack: Stack, records: Records) -> None:
        self.stack, self.records = stack, records
        self.runtime = Runtime(stack.app())

    @property
    def locks(self) -> Locks:
        return self.runtime.locks(self.records.meta()["installation"])

    def beat(self, **more: Any) -> Beat:
        return Beat(self.stack, app="fates", **more)

    def worker(self, **more: Any) -> Worker:
        return Worker(self.stack, app="fates", **more)

    def add(self, name: str, task: str, *args: Any, **columns: Any) -> None:
        when = columns.pop("once", None)
        if "every" not in columns:
            when = when or datetime.now(timezone.utc).isoformat()
        self.records.add(name, task=task, args=json.dumps(args), once=when, **columns)

    def holders(self, job: str) -> set[str]:
        key = f"job {job}"
        return {holder.fire for holder in self.locks.holders([key])[key]}

    def states(self) -> Counter[str]:
        return Counter(row["state"] for row in self.records.fires())

    def runs_of(self) -> Counter[str]:
        """How often each fire ran."""
        return Counter(run["id"] for run in runs(self.stack.runs_file))

    def wait_for(self, seconds: float, **states: int) -> None:
        wait_until(lambda: self.states() == states, seconds, lambda: f"{self.states()} of {states}")


@contextmanager
def fresh_scene(pair: tuple[str, str], folder: Path, **conf: Any) -> Iterator[Scene]:
    with (
        fresh_stack(*pair, folder, **{**HURRY, **conf}) as stack,
        Records(stack.database_url) as records,
    ):
        scene = Scene(stack, records)
        yield scene
        scene.runtime.close()


@contextmanager
def beating(scene: Scene) -> Iterator[Beat]:
    with scene.beat() as beat:
        wait_until(scene.records.has_tables, 10, beat.log)
        wait_until(lambda: "installation" in scene.records.meta(), 10, beat.log)
        yield beat


def test_what_was_in_a_broker_that_was_emptied_runs_once(tmp_path: Path) -> None:
    with fresh_scene(("sqlite", "redis"), tmp_path) as scene, beating(scene):
        for n in range(10):
            scene.add(f"job {n}", "fates.succeed", n, max_concurrency=1 if n % 2 else None)
        scene.wait_for(10, sent=10)
        empty(scene.stack)

        with scene.worker() as worker:
            scene.wait_for(30, succeeded=10)

            assert set(scene.runs_of().values()) == {1}
            assert len(scene.runs_of()) == 10
            assert "Traceback" not in worker.log()
        assert scene.holders("job 1") == set()


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_what_a_killed_worker_had_prefetched_runs_once(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    gate = tmp_path / "gate"
    with fresh_scene(pair, tmp_path) as scene, beating(scene):
        with scene.worker(pool="prefork") as first:
            scene.add("runs", "fates.succeed", 0, str(gate), max_concurrency=1)
            scene.wait_for(10, started=1)
            for n in range(3):
                scene.add(f"waits {n}", "fates.succeed", n, max_concurrency=1)
            wait_until(lambda: first.log().count("received") == 4, 30, first.log)
            first.kill()
        killed_at = monotonic()
        gate.touch()
        wait_until(lambda: scene.holders("runs") == set(), 10)
        assert monotonic() - killed_at < LEASE_S + 0.5
        with scene.worker(pool="prefork"):
            scene.wait_for(30, succeeded=3, lost=1)
            restore_unacknowledged(scene.stack)

            (lost,) = scene.records.fires(None, "lost")
            assert lost["job_name"] == "runs"
            assert lost["error"] == "its worker is gone: nobody renewed its lease"
            # A copy that comes again finds that its fire has ended.
            scene.add("last", "fates.succeed")
            scene.wait_for(10, succeeded=4, lost=1)
        assert set(scene.runs_of().values()) == {1}
        assert len(scene.runs_of()) == 5


def test_what_a_worker_had_reserved_when_it_was_asked_to_end_runs_once(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with fresh_scene(("sqlite", "redis"), tmp_path) as scene, beating(scene):
        with scene.worker(pool="threads") as first:
            scene.add("runs", "fates.succeed", 0, str(gate), max_concurrency=1)
            scene.wait_for(10, started=1)
            for n in range(3):
                scene.add(f"waits {n}", "fates.succeed", n, max_concurrency=1)
            wait_until(lambda: first.log().count("received") == 4, 10, first.log)
            first.send_stop()
            wait_until(lambda: "Warm shutdown" in first.log(), 10, first.log)
            gate.touch()
            wait_until(lambda: not first.alive(), 20, first.log)
        with scene.worker(pool="threads"):
            scene.wait_for(20, succeeded=4)
        assert set(scene.runs_of().values()) == {1}
        assert len(scene.runs_of()) == 4


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_queue_that_holds_messages_for_three_leases_loses_no_slot(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    with fresh_scene(pair, tmp_path, jobsched_resend_after=60.0) as scene, beating(scene):
        scene.add("it", "fates.succeed", every="1 second", overlap="wait", max_concurrency=2)
        wait_until(lambda: scene.states()["sent"] == 2, 10, scene.states)
        held = {row["id"] for row in scene.records.fires("it", "sent")}
        seen = watched(lambda: (scene.holders("it"), scene.states()["sent"]), 3 * LEASE_S + 0.5)
        assert seen == [(held, 2)]

        with scene.worker():
            wait_until(lambda: scene.states()["succeeded"] >= 8, 20, scene.states)
            scene.records.edit("it", enabled=False)
            wait_until(lambda: not set(scene.states()) & {"sent", "started"}, 10, scene.states)
        assert set(scene.runs_of().values()) == {1}
        assert held <= set(scene.runs_of())


def test_without_the_plugin_the_result_backend_frees_the_slot(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    conf = {"imports": [], "result_backend": f"file://{tmp_path / 'results'}"}
    with fresh_scene(("sqlite", "redis"), tmp_path, **conf) as scene, beating(scene) as beat:
        gate = tmp_path / "gate"
        scene.add("well", "fates.succeed", 7, str(gate), max_concurrency=1)
        scene.add("badly", "fates.fail", "boom", str(gate), max_concurrency=1)
        with scene.worker(pool="threads", concurrency=2):
            wait_until(lambda: len(scene.runs_of()) == 2, 10)
            # For longer than its lease: a run that goes on keeps its slot.
            seen = watched(lambda: len(scene.holders("well")), 1.5 * LEASE_S)
            assert seen == [1]
            gate.touch()
            scene.wait_for(10, succeeded=1, failed=1)
        fires = {row["job_name"]: row for row in scene.records.fires()}
        assert fires["well"]["result"] == "7"
        assert fires["badly"]["error"] == "RuntimeError: boom"
        wait_until(lambda: scene.holders("well") == set(), 2)
        assert beat.log().count("no worker says what becomes of fires") == 1


def empty(stack: Stack) -> None:
    """Take all from the broker's Redis but the mark that it is ours."""
    with redis.Redis.from_url(stack.broker_url) as client:
        for key in client.scan_iter():
            if key != b"jobsched-tests":
                client.delete(key)


def watched(look: Callable[[], T], seconds: float) -> list[T]:
    """All that *look* returned within that time, without repetitions."""
    found: list[T] = []
    end = monotonic() + seconds

    def is_over() -> bool:
        if (value := look()) not in found:
            found.append(value)
        return monotonic() >= end

    wait_until(is_over, seconds + 5)
    return found
