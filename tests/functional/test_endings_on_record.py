"""Each way in which a run can end, from a real beat through a real worker to the fire's row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celery_jobsched import Jobs
from celery_jobsched.locks import LONGEST_TEXT
from tests.functional import test_worker_endings as of_workers
from tests.functional.test_worker_endings import KILLED, LIMIT, Ending
from tests.processes import Beat, Worker, runs, wait_until
from tests.records import Records
from tests.stacks import Stack, fresh_stack

#: A job is refused that has a serializer which workers should not take.
ENDINGS = {name: each for name, each in of_workers.ENDINGS.items() if name != "unknown form"}
#: What something follows: a task the one, the jobs of a keyword the other.
FOLLOWED = {"success", "failure"}
PAUSED = "failure"


@dataclass(frozen=True)
class Recorded:
    """The rows of what has ended, by the names of the endings, and what ran."""

    rows: Mapping[str, Mapping[str, Any]]
    followers: list[Mapping[str, Any]]
    paused: Mapping[str, Any]
    runs: Mapping[str, list[dict[str, Any]]]
    holders: Mapping[str, Any]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: Any) -> Iterator[Recorded]:
    folder: Path = tmp_path_factory.mktemp("recorded")
    (folder / "results").mkdir()
    conf = {
        "imports": ["celery_jobsched.worker"],
        "result_backend": f"file://{folder / 'results'}",
        "jobsched_limits": dict(LIMIT),
    }
    with (
        fresh_stack("postgresql", "redis", folder, **conf) as stack,
        Records(stack.database_url) as records,
    ):
        pool = Worker(stack, app="fates", pool="prefork", concurrency=6)
        with Beat(stack, app="fates") as beat, pool as worker:
            yield _play(stack, records, stack.app(), lambda: beat.log() + worker.log())


def _play(stack: Stack, records: Records, app: Celery, log: Any) -> Recorded:
    wait_until(records.has_tables, 10, log)
    jobs = Jobs(app)
    for name, ending in ENDINGS.items():
        more: dict[str, Any] = {}
        if name in FOLLOWED:
            more = {"on_success": "fates.follow", "on_failure": "after failure"}
        if name == PAUSED:
            more["max_failures"] = 1
        _add(jobs, name, ending, **more)
    jobs.add("alarm", task="fates.succeed", keyword="after failure")
    jobs.fire("provoke")
    for name, signal in KILLED.items():
        fire = wait_until(lambda name=name: _started(records, name), 20, log)
        app.control.revoke(fire, terminate=True, signal=signal)
    wait_until(lambda: _have_ended(records), 40, lambda: (_states(records), log()))
    rows = {row["job_name"]: row for row in records.fires() if row["task"] is None}
    followers = [row for row in records.fires() if row["task"] or row["job_name"] == "alarm"]
    ran: dict[str, list[dict[str, Any]]] = {}
    for run in runs(stack.runs_file):
        ran.setdefault(run["id"], []).append(run)
    locks = jobs.runtime.locks(records.meta()["installation"])
    holders = locks.holders([f"key {key}" for key, _ in LIMIT])
    locks.close()
    return Recorded(rows, followers, records.job(PAUSED), ran, holders)


def _add(jobs: Jobs, name: str, ending: Ending, **more: Any) -> None:
    options = {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in (ending.options or {}).items()
    }
    jobs.add(
        name,
        task=f"fates.{ending.task}",
        args=list(ending.args),
        options=options,
        keyword="provoke",
        concurrency_key=LIMIT[0][0],
        **more,
    )


def _started(records: Records, name: str) -> str | None:
    return next((row["id"] for row in records.fires(name, "started")), None)


def _have_ended(records: Records) -> bool:
    ends = {"succeeded", "failed", "revoked", "expired", "lost"}
    found = records.fires()
    return len(found) == len(ENDINGS) + len(FOLLOWED) and {row["state"] for row in found} <= ends


def _states(records: Records) -> list[tuple[str, str]]:
    return [(row["job_name"], row["state"]) for row in records.fires()]


def test_each_ending_is_on_the_fires_row_with_its_state(recorded: Recorded) -> None:
    for name, ending in ENDINGS.items():
        row = recorded.rows[name]

        assert row["state"] == ending.states[-1], name
        for column, wanted in (("result", ending.result), ("error", ending.error)):
            assert (row[column] is None) == (wanted is None), (name, dict(row))
            assert (row[column] or "").startswith(wanted or ""), (name, dict(row))
            assert len(row[column] or "") <= LONGEST_TEXT


def test_the_row_says_when_and_where_it_ran_and_nobody_looks_after_it_any_more(
    recorded: Recorded,
) -> None:
    for name, ending in ENDINGS.items():
        row, ran = recorded.rows[name], recorded.runs.get(recorded.rows[name]["id"], [])

        assert bool(ran) == bool(ending.runs), name
        assert (row["ready_at"], row["waiting_for"], row["check_at"]) == (None, None, None), name
        assert (row["worker"] or "").startswith("w"), name
        assert row["token"], name
        assert (row["started_at"] is not None) == bool(ran), name
        if ran:
            began = row["started_at"].timestamp()
            assert abs(began - ran[-1]["at"]) < 1, name
            assert row["started_at"] <= row["finished_at"], name
        assert row["sent_at"] - timedelta(seconds=1) < row["finished_at"], name


def test_no_slot_is_left_over(recorded: Recorded) -> None:
    assert {key: list(found) for key, found in recorded.holders.items()} == {"key busy": []}


def test_what_follows_ran_once_and_knows_what_it_follows(recorded: Recorded) -> None:
    after, alarm = sorted(recorded.followers, key=lambda row: row["task"] is None)

    assert (after["task"], after["job_name"]) == ("fates.follow", "success")
    assert (after["origin"], after["state"]) == ("follow-up", "succeeded")
    assert (alarm["job_name"], alarm["origin"], alarm["state"]) == ("alarm", "keyword", "succeeded")
    (run,) = recorded.runs[after["id"]]
    told, parent = run["kwargs"], recorded.rows["success"]
    assert told == json.loads(after["kwargs"])
    assert (told["fire_id"], told["job"], told["state"]) == (parent["id"], "success", "succeeded")
    assert (told["result"], told["error"]) == ("7", None)
    assert alarm["key"] == f"{recorded.rows['failure']['id']} failed"
    assert len(recorded.runs[alarm["id"]]) == 1


def test_the_job_that_failed_is_paused_with_a_note(recorded: Recorded) -> None:
    row = recorded.paused

    assert (row["enabled"], row["paused_by"]) == (False, "max_failures")
    assert row["paused_note"].endswith("RuntimeError: as it was asked to")
