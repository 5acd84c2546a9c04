"""How it all stands: what `Jobs.status` finds, what the command says, and its exit code."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import Jobs
from celery_jobsched.fire import new_id
from celery_jobsched.status import BeatSeen, Service, Status
from celery_jobsched.store import tables
from celery_jobsched.store.schema import HEAD
from celery_jobsched.views import JobState
from tests.persons import Person
from tests.processes import Beat, Worker, run_celery, wait_until
from tests.records import Records, settle, ticking
from tests.servers import RedisServer
from tests.stacks import fresh_stack

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
FIRES = tables.fires


def test_it_tells_of_beats_queues_jobs_and_what_is_on_its_way(person: Person) -> None:
    jobs, records = person.jobs, person.records
    jobs.add("one", task="proj.note", keyword="go", max_concurrency=1, overlap="wait")
    jobs.add("broken", task="proj.note", cron="0 0 1 1 *")
    jobs.add("idle", task="proj.note", cron="0 0 1 1 *")
    records.edit("broken", cron="61 * * * *")
    with ticking(person.stack, person.app()) as beat:
        for _ in range(3):
            jobs.fire("go")
            settle(beat)
        jobs.run("idle", delay=3600)

        found = jobs.status()

        (seen,) = found.beats
        assert (seen.id, seen.ticks) == (beat.id, True)
        assert (found.version, found.problems()) == (HEAD, [])
        assert (found.fires.pending, found.fires.sent) == (1, 1)
        (queue,) = found.fires.queues
        assert (queue.key, queue.waiting, queue.held) == ("job one", 2, 1)
        assert timedelta(0) <= queue.oldest < timedelta(minutes=1)
        assert found.jobs[JobState.ERROR] == 1
        assert sum(found.jobs.values()) == len(jobs)
        assert found.locks is not None
        assert (found.locks.place, found.locks.trouble) == ("database", None)
    assert jobs.status().problems() == ["no beat ticks"]
    assert jobs.status(counts=False).jobs == {}


def test_what_is_ok_names_the_jobs_that_want_a_look() -> None:
    def said(**counts: int) -> str:
        jobs = {JobState[name]: count for name, count in counts.items()}
        return Status(NOW, Service("db"), HEAD, HEAD, jobs=jobs).verdict

    assert said(OK=3, ERROR=0) == "ok"
    assert said(ERROR=1) == "ok, 1 job in error: see `jobs check`"
    assert said(FAILING=2) == "ok, 2 jobs failing: see `jobs list state:failing`"
    assert said(FAILING=2, LATE=1, ERROR=4) == (
        "ok, 4 jobs in error: see `jobs check`; "
        "1 job late, 2 jobs failing: see `jobs list state:late,failing`"
    )


def test_workers_are_those_that_told_of_the_latest_fires(small_person: Person) -> None:
    jobs, records = small_person.jobs, small_person.records
    jobs.add("it", task="proj.note", keyword="go")
    with ticking(small_person.stack, small_person.app()) as beat:
        for _ in range(6):
            jobs.fire("go")
            settle(beat)
        ids = [row["id"] for row in records.fires("it")]
        at = records.fires("it")[-1]["sent_at"]
        endings: list[dict[str, Any]] = [
            {"worker": "w1", "state": "succeeded", "started_at": at},
            {"worker": "w1", "state": "started", "started_at": at + SECOND},
            {"worker": "w2", "state": "failed", "started_at": at},
            # As the result backend has it, without an end, and in a queue.
            {"state": "succeeded", "check_at": None},
            {"state": "sent", "check_at": None},
            {"state": "sent"},
        ]
        for id_, ending in zip(ids, endings, strict=True):
            records.run(sa.update(FIRES).where(FIRES.c.id == id_).values(ending))

        found = jobs.status().fires

    assert [(each.name, each.fires) for each in found.workers] == [("w1", 2), ("w2", 1)]
    assert (found.recent, found.unheard, found.sent) == (5, 2, 1)
    (note,) = jobs.status().notes
    assert note.startswith("of 2 of the latest 5 fires no worker told")


def test_what_waited_for_a_slot_was_not_sent_late(small_person: Person) -> None:
    jobs, records = small_person.jobs, small_person.records
    rights = '{"limits": [["job one", 1]], "lease": 30.0}'
    fire = {"job_id": 1, "job_name": "one", "origin": "schedule", "state": "succeeded"}
    for number, (lag, needs) in enumerate(((1, None), (200, rights))):
        at = {"fire_at": NOW, "due_at": NOW, "sent_at": NOW + lag * SECOND, "publishes": 1}
        named = {"id": new_id(NOW), "key": str(number), "rights": needs}
        records.run(sa.insert(FIRES).values(**fire, **at, **named))

    found = jobs.status().fires

    assert (found.usual_lag, found.greatest_lag) == (SECOND, SECOND)


def test_without_tables_there_is_nothing_to_see(tmp_path: Path) -> None:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        found = Jobs(stack.app()).status()

        done = run_celery(stack, "jobs", "status")

    assert (found.version, found.beats) == (None, ())
    assert found.problems()[0].endswith("there are no tables")
    assert done.returncode == 3
    assert "there are no tables" in done.stdout


def test_what_is_away_is_named_and_the_rest_is_told(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        stack.conf["jobsched_lock_backend"] = server.url
        with ticking(stack) as beat:
            settle(beat)
            silent = Jobs(stack.app()).status()
            server.restart()
            emptied = Jobs(stack.app()).status()
            server.stop()
            stack.conf |= {"broker_url": "amqp://me:s3cr3t@127.0.0.1:1//"}
            stack.conf |= {"broker_transport_options": {}}
            away = Jobs(stack.app()).status()

    assert (silent.problems(), silent.notes) == ([], [])
    (note,) = emptied.notes
    assert note.startswith("the locks lost their memory: they grant nothing for another ")
    assert [problem.partition(":")[0] for problem in away.problems()] == ["locks", "broker"]
    assert "s3cr3t" not in str(away)
    assert away.beats[0].ticks


def test_a_beat_must_tick_and_fires_must_be_sent_in_time() -> None:
    beats = [BeatSeen("a", "here:1", SECOND, SECOND), BeatSeen("b", "there:2", SECOND, 60 * SECOND)]
    found = Status(NOW, Service("db"), HEAD, HEAD, beats)

    assert found.problems() == []
    assert found.problems("here:1") == found.problems("a") == []
    assert found.problems("there:2") == ["no beat 'there:2' ticks"]
    assert Status(NOW, Service("db"), "0001", HEAD, beats).problems() == [
        f"database: expected tables of version {HEAD}, they are 0001"
    ]


@pytest.mark.parametrize("pair", [("postgresql", "redis"), ("mysql", "rabbitmq")], ids="-".join)
def test_the_command_tells_of_a_real_beat_and_worker(tmp_path: Path, pair: tuple[str, str]) -> None:
    conf = {"imports": ["celery_jobsched.worker"]}
    job = {"task": "proj.note", "every": "1 second"}
    with fresh_stack(*pair, tmp_path, **conf) as stack, Records(stack.database_url) as records:
        with Beat(stack, conf={"jobsched_jobs": {"tick": job}}) as beat, Worker(stack) as worker:
            wait_until(records.has_tables, 10, beat.log)
            wait_until(lambda: records.fires("tick", "succeeded"), 20, worker.log)
            beat_name = records.beats()[0]["name"]

            told = run_celery(stack, "jobs", "status", "--beat", beat_name)
            asked = run_celery(stack, "jobs", "status", "--json", "--max-lag", "0")
            quiet = run_celery(stack, "jobs", "status", "--quiet", "--beat", "nobody")

    lines = told.stdout.splitlines()
    assert told.returncode == 0, told.stdout + told.stderr
    assert lines[-1] == "ok"
    titles = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert titles == ["beats", "database", "locks", "broker", "workers", "jobs", "ok"]
    assert f"1 ticking  {beat_name} up " in lines[0]
    assert "1 report" in told.stdout
    said = json.loads(asked.stdout)
    assert asked.returncode == 3
    assert said["problems"][0].startswith("a fire was sent ")
    assert (said["jobs"]["ok"], said["beats"][0]["ticks"]) == (2, True)
    assert (quiet.returncode, quiet.stdout) == (3, "")
