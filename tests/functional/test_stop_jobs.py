"""Stopping a job: what waits, what lies in a queue and what runs of it ends; the job stays."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import BrokerAway, JobNotFound, Jobs
from celery_jobsched.locks import CopyState
from celery_jobsched.reports import REPORTED_AT
from celery_jobsched.store import tables
from tests.persons import Person
from tests.processes import Beat, Worker, run_celery, runs, wait_until
from tests.records import Records, settle, ticking
from tests.stacks import Stack, fresh_stack

PAIRS = (("postgresql", "redis"), ("mysql", "rabbitmq"))


def was_heard(records: Records) -> None:
    """A worker reported of some fire, once."""
    noted = {"key": REPORTED_AT, "value": "2026-01-01T00:00:00+00:00"}
    records.run(sa.insert(tables.meta).values(noted))


def states(records: Records, job: str) -> list[str]:
    return [row["state"] for row in records.fires(job)]


def test_what_was_not_sent_is_cancelled_and_what_lies_in_the_queue_is_withdrawn(
    person: Person,
) -> None:
    jobs = person.jobs
    jobs.add("report", task="proj.note", keyword="go", max_concurrency=1, overlap="wait")
    jobs.add("other", task="proj.note", keyword="go")
    was_heard(person.records)
    with ticking(person.stack, person.app()) as beat:
        settle(beat)
        for _ in range(2):
            jobs.fire("go")
            settle(beat)
        later = jobs.run("report", delay=3600)
        sent, waiting = (row["id"] for row in person.records.fires("report")[:2])

        stopped = jobs.stop("report", by="anna", note="wrong data")
        settle(beat)
        record = beat._upkeep.locks.admissions([sent])[sent]
        holders = beat._upkeep.locks.holders(["job report"])

    assert stopped == ([waiting, later], [sent], [])
    rows = {row["id"]: row for row in person.records.fires("report")}
    assert [rows[id_]["state"] for id_ in (sent, waiting, later)] == [
        "revoked",
        "cancelled",
        "cancelled",
    ]
    assert {rows[id_]["reason"] for id_ in (waiting, later)} == {"stopped by anna: wrong data"}
    assert rows[sent]["reason"] == "asked to end: stopped by anna: wrong data"
    assert rows[sent]["error"] == "stopped by anna: wrong data"
    assert (record.state, holders) == (CopyState.ENDED, {"job report": []})
    assert set(states(person.records, "other")) == {"sent"}
    assert jobs["report"].enabled


def test_what_has_ended_is_left_as_it_is_and_what_may_run_unknown_is_asked(
    person: Person,
) -> None:
    jobs, records = person.jobs, person.records
    jobs.add("report", task="proj.note", keyword="go")
    was_heard(records)
    person.beat()
    for _ in range(3):
        jobs.fire("go")
    person.beat()
    done, unknown, old = (row["id"] for row in records.fires("report"))
    fires, over = tables.fires, {"check_at": None}
    records.run(sa.update(fires).values(over))
    records.run(sa.update(fires).where(fires.c.id == done).values(state="succeeded"))
    long_ago = {"id": f"00000000{old[8:]}"}
    records.run(sa.update(fires).where(fires.c.id == old).values(long_ago))

    stopped = jobs.stop("report")
    again = jobs.stop("report")

    assert stopped == ([], [unknown], [])
    # Its end is reported, and no beat has read that yet: asking again is no harm.
    assert again == ([], [], [unknown])
    assert sorted(states(records, "report")) == ["sent", "sent", "succeeded"]


def test_what_was_sent_keeps_its_slot_as_long_as_no_worker_ever_reported(
    person: Person,
) -> None:
    jobs, records = person.jobs, person.records
    jobs.add("report", task="proj.note", keyword="go", max_concurrency=1, overlap="wait")
    with ticking(person.stack, person.app()) as beat:
        settle(beat)
        for _ in range(2):
            jobs.fire("go")
            settle(beat)
        sent, waiting = (row["id"] for row in records.fires("report"))

        # The plugin is loaded in this process, as `Jobs` does: that says nothing of the workers.
        assert "celery_jobsched.worker" in sys.modules
        stopped = jobs.stop("report")
        settle(beat)
        holders = beat._upkeep.locks.holders(["job report"])["job report"]

    assert stopped == ([waiting], [], [sent])
    assert [holder.fire for holder in holders] == [sent]
    assert states(records, "report") == ["sent", "cancelled"]


def test_there_may_be_nothing_to_stop_or_no_such_job(person: Person) -> None:
    person.jobs.add("idle", task="proj.note", every="1 hour")

    assert person.jobs.stop("idle") == ([], [], [])
    with pytest.raises(JobNotFound, match="'nobody'"):
        person.jobs.stop("nobody")


def test_a_broker_that_is_away_is_told_and_what_was_not_sent_is_cancelled(tmp_path: Path) -> None:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack, Records(stack.database_url) as it:
        with ticking(stack) as beat:
            settle(beat)
        stack.conf |= {"broker_url": "amqp://127.0.0.1:1//", "broker_transport_options": {}}
        stack.conf |= {"broker_connection_timeout": 1, "jobsched_socket_timeout": 1.0}
        jobs = Jobs(stack.app())
        jobs.add("report", task="proj.note", keyword="go")
        jobs.fire("go")

        with pytest.raises(BrokerAway, match="1 fires"):
            jobs.stop("report")

        assert states(it, "report") == ["cancelled"]


@dataclass
class Running:
    """A beat and a worker of two processes, with a job that runs one at a time."""

    stack: Stack
    records: Records
    jobs: Jobs
    log: Any

    def start(self, task: str, *args: Any, **more: Any) -> str:
        """A run that has started, and one behind it in the worker's hands; the first one's id."""
        self.jobs.add("busy", task=task, args=list(args), keyword="go", **more)
        first = self.jobs.run("busy")
        self.wait(first, "started")
        return first

    def wait(self, fire: str, state: str) -> None:
        def is_so() -> bool:
            return state in [row["state"] for row in self.records.fires() if row["id"] == fire]

        wait_until(is_so, 20, lambda: f"{self.records.fires()}\n{self.log()}")

    def count(self, fire: str) -> int:
        return len([run for run in runs(self.stack.runs_file) if run["id"] == fire])


@contextmanager
def running(pair: tuple[str, str], folder: Path, **worker: Any) -> Iterator[Running]:
    conf = {"imports": ["celery_jobsched.worker"]}
    with fresh_stack(*pair, folder, **conf) as stack, Records(stack.database_url) as records:
        pool = Worker(stack, app="fates", **worker)
        with Beat(stack, app="fates") as beat, pool as it:
            wait_until(records.has_tables, 10, beat.log)
            yield Running(stack, records, Jobs(stack.app()), lambda: beat.log() + it.log())


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_what_runs_is_killed_and_what_is_queued_behind_it_never_starts(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    with running(pair, tmp_path, pool="prefork", concurrency=1) as it:
        first = it.start("fates.hang")
        second, third = it.jobs.run("busy"), it.jobs.run("busy")
        wait_until(lambda: it.log().count("received") == 3, 20, it.log)

        stopped = it.jobs.stop("busy", terminate=True)

        for fire in (first, second, third):
            it.wait(fire, "revoked")
        assert stopped.cancelled == []
        assert first in stopped.asked
        assert {*stopped.asked, *stopped.withdrawn} == {first, second, third}
        assert [it.count(fire) for fire in (first, second, third)] == [1, 0, 0]
        # The job goes on.
        gate = tmp_path / "gate"
        gate.touch()
        it.jobs.modify("busy", task="fates.succeed", args=[1, str(gate)])
        it.wait(it.jobs.run("busy"), "succeeded")


def test_without_terminate_it_runs_to_its_end_and_is_not_retried(tmp_path: Path) -> None:
    with running(PAIRS[0], tmp_path, pool="threads", concurrency=2) as it:
        gate = tmp_path / "gate"
        first = it.start("fates.succeed", 7, str(gate))
        it.jobs.add("retried", task="fates.retry", args=[2, 5], keyword="go too")
        second = it.jobs.run("retried")
        it.wait(second, "retrying")

        stopped = [it.jobs.stop("busy"), it.jobs.stop("retried")]
        gate.touch()

        it.wait(first, "succeeded")
        it.wait(second, "revoked")
        assert stopped == [([], [], [first]), ([], [], [second])]
        assert it.count(second) == 1


def test_the_command_says_what_became_of_what(tmp_path: Path) -> None:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        jobs = Jobs(stack.app())
        with ticking(stack) as beat:
            settle(beat)
            jobs.add("report", task="proj.note", keyword="go")
            jobs.fire("go")
            settle(beat)
        jobs.fire("go")
        with Records(stack.database_url) as records:
            was_heard(records)

        told = run_celery(stack, "jobs", "stop", "report", "--note", "why not")
        with Records(stack.database_url) as records:
            reasons = [row["reason"] for row in records.fires("report")]
        again = run_celery(stack, "jobs", "stop", "report", "nobody", "--json")

        words = "report: 1 cancelled before being sent, 1 taken out of the queue\n"
        assert (told.returncode, told.stdout) == (0, words)
        assert all(reason.endswith(": why not") for reason in reasons)
        assert again.returncode == 4
        assert again.stderr == "no job 'nobody'\n"
        (said,) = json.loads(again.stdout).values()
        assert (said["cancelled"], said["withdrawn"], len(said["asked"])) == ([], [], 1)
