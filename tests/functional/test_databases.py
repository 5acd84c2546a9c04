"""One beat over SQLite, PostgreSQL and MariaDB: it serves each as though there were no other."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from celery_jobsched.locks import Locks
from celery_jobsched.runtime import Runtime
from tests.collector import Collector, Message
from tests.functional.test_outages import DATABASE_BACK, DATABASE_TROUBLE, outlasts
from tests.halls import CUT, KINDS, Halls, fresh_halls
from tests.pace import paced
from tests.processes import Beat, Worker, run_celery, runs, wait_until
from tests.proxy import Proxy
from tests.records import Records

EVERY_SECOND = {"every": "1 second"}
TROUBLES = {"stalled": Proxy.stall, "cut": Proxy.cut}


@pytest.fixture
def halls(tmp_path: Path) -> Iterator[Halls]:
    with fresh_halls(tmp_path) as halls:
        yield halls


def sent(records: Records) -> list[datetime]:
    """When the fires of `tick` were sent."""
    return sorted(row["sent_at"] for row in records.fires("tick") if row["sent_at"])


def wait_for_more(halls: Halls, beat: Beat) -> None:
    """Until a fire of each database was sent that is younger than this call."""
    since = datetime.now(timezone.utc)
    for records in halls.records.values():
        wait_until(lambda r=records: sent(r)[-1:] > [since], 15, beat.log)  # type: ignore[misc]


def test_the_jobs_of_each_database_reach_the_worker_and_sigterm_ends_it_all(halls: Halls) -> None:
    halls.add("tick", **EVERY_SECOND)
    halls.records["second"].add("own", **EVERY_SECOND)

    with Beat(halls.stack) as beat, Worker(halls.stack, pool="threads") as worker:
        wait_for_more(halls, beat)
        wait_until(lambda: len(runs(halls.stack.runs_file)) >= 8, 15, worker.log)
        stopped = beat.stop()

    assert (stopped.exit_code, stopped.seconds < paced(3)) == (0, True), beat.log()
    ran = runs(halls.stack.runs_file)
    assert {(run["current"]["database"], run["job"]) for run in ran} == {
        *((alias, "tick") for alias in KINDS),
        ("second", "own"),
    }
    for alias, records in halls.records.items():
        ids = {row["id"] for row in records.fires()}
        assert {run["id"] for run in ran if run["current"]["database"] == alias} <= ids
        assert records.fires(None, "pending") == []
        assert records.beats() == []


def test_each_line_of_the_log_and_each_decision_says_of_which_database_it_is(
    halls: Halls,
) -> None:
    halls.add("tick", **EVERY_SECOND)
    file = halls.stack.folder / "decisions.jsonl"

    with Beat(halls.stack, conf={"jobsched_decision_log": str(file)}) as beat:
        wait_for_more(halls, beat)
        beat.stop()

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for alias, records in halls.records.items():
        told = [
            each["fire_id"]
            for each in lines
            if (each["database"], each["decision"]) == (alias, "sent")
        ]
        assert sorted(told) == sorted(row["id"] for row in records.fires(None, "sent"))
        assert len({each["beat"] for each in lines if each["database"] == alias}) == 1
        assert f"{alias}: Scheduler: Sending due task tick" in beat.log()
        assert f". {alias} -> " in beat.log()


@pytest.mark.alone
@pytest.mark.parametrize("trouble", TROUBLES)
def test_one_that_is_away_leaves_no_gap_in_the_others_and_comes_back_by_itself(
    halls: Halls, trouble: str
) -> None:
    halls.add("tick", **EVERY_SECOND)

    with Beat(halls.stack) as beat:
        wait_for_more(halls, beat)
        begun = datetime.now(timezone.utc)
        TROUBLES[trouble](halls.line)
        wait_until(lambda: f"{CUT}: {DATABASE_TROUBLE}" in beat.log(), 10, beat.log)
        wait_until(outlasts(4), 10)
        healed = datetime.now(timezone.utc)
        halls.line.heal()
        wait_until(lambda: f"{CUT}: {DATABASE_BACK}" in beat.log(), 15, beat.log)
        wait_for_more(halls, beat)
        beat.stop()

    for records in halls.others:
        moments = [at for at in sent(records) if begun <= at <= healed]
        gaps = [b - a for a, b in pairwise(moments)]
        assert len(moments) >= 3
        assert max(gaps) < timedelta(seconds=paced(2))
    assert not any(f"{alias}: {DATABASE_TROUBLE}" in beat.log() for alias in KINDS if alias != CUT)


def test_sigterm_ends_a_beat_in_its_time_though_a_database_hangs(halls: Halls) -> None:
    halls.add("tick", **EVERY_SECOND)

    with Beat(halls.stack, conf={"jobsched_socket_timeout": 3.0}) as beat:
        wait_for_more(halls, beat)
        halls.line.stall()
        wait_until(outlasts(0.5), 5)
        stopped = beat.stop()

    assert stopped.exit_code == 0, beat.log()
    assert stopped.seconds < paced(1.5 + 3 + 1)
    assert f"not waiting any longer for {CUT}" in beat.log()
    for records in halls.others:
        assert (records.fires(None, "pending"), records.beats()) == ([], [])


def test_one_that_is_away_at_the_start_keeps_none_waiting(halls: Halls) -> None:
    halls.add("tick", **EVERY_SECOND)
    halls.line.cut()

    with Beat(halls.stack) as beat:
        for records in halls.others:
            wait_until(lambda r=records: sent(r), 15, beat.log)  # type: ignore[misc]
        halls.line.heal()
        wait_for_more(halls, beat)
        beat.stop()


def test_two_beats_over_the_same_databases_fire_each_instant_once(halls: Halls) -> None:
    halls.add("tick", **EVERY_SECOND)

    with Collector(halls.stack) as collector:
        with Beat(halls.stack) as one, Beat(halls.stack) as other:
            for records in halls.records.values():
                wait_until(lambda r=records: len(r.beats()) == 2, 20, other.log)  # type: ignore[misc]
            wait_for_more(halls, one)
            wait_for_more(halls, other)
            one.stop()
            other.stop()
        wait_until(lambda: not collector.client.exists(*collector.lists), 5)
        messages: list[Message] = collector.messages()

    instants = Counter((m.fire["database"], m.job, m.fire_at) for m in messages)
    assert set(instants.values()) == {1}
    for alias, records in halls.records.items():
        ids = {row["id"] for row in records.fires(None, "sent")}
        assert ids == {m.id for m in messages if m.fire["database"] == alias}


def locks_of(halls: Halls, alias: str) -> Locks:
    installation = halls.records[alias].meta()["installation"]
    return Runtime(halls.stack.app(), database=alias).locks(installation)


def test_limits_hold_and_ends_are_on_record_in_the_database_of_the_fire(tmp_path: Path) -> None:
    conf: dict[str, Any] = {
        "jobsched_lock_backend": "database",
        "imports": ["celery_jobsched.worker"],
    }
    with fresh_halls(tmp_path, "rabbitmq", **conf) as halls:
        # A job that is made after its instant does not fire for it.
        soon = (datetime.now(timezone.utc) + timedelta(seconds=2)).isoformat()
        gates = {alias: tmp_path / f"gate-{alias}" for alias in KINDS}
        for alias, records in halls.records.items():
            args = json.dumps([alias, str(gates[alias])])
            limits: dict[str, Any] = {"max_concurrency": 1, "overlap": "wait", "args": args}
            for name in ("one", "two"):
                key = {"concurrency_key": "shared", **limits}
                records.add(name, task="fates.succeed", once=soon, **key)
        with (
            Beat(halls.stack, app="fates") as beat,
            Worker(halls.stack, app="fates", pool="threads", concurrency=8) as worker,
        ):
            for records in halls.records.values():
                wait_until(
                    lambda r=records: len(r.fires(None, "started")) == 1,  # type: ignore[misc]
                    20,
                    lambda: beat.log() + worker.log(),
                )
            for alias, records in halls.records.items():
                (started,) = records.fires(None, "started")
                (waiting,) = records.fires(None, "waiting")
                held = locks_of(halls, alias).holders(["key shared"])["key shared"]
                assert {holder.fire for holder in held} == {started["id"]}
                assert waiting["id"] != started["id"]
            gates[CUT].touch()
            ended = halls.records[CUT]
            wait_until(lambda: len(ended.fires(None, "succeeded")) == 2, 20, beat.log)
            assert all(len(each.fires(None, "started")) == 1 for each in halls.others)
            for gate in gates.values():
                gate.touch()
            for alias, records in halls.records.items():
                wait_until(
                    lambda r=records: len(r.fires(None, "succeeded")) == 2,  # type: ignore[misc]
                    20,
                    beat.log,
                )
                assert {row["result"] for row in records.fires()} == {repr(alias)}
            assert "locks are away" not in worker.log()


def test_a_worker_asks_the_locks_of_one_database_while_those_of_another_hang(
    tmp_path: Path,
) -> None:
    conf: dict[str, Any] = {
        "jobsched_lock_backend": "database",
        "imports": ["celery_jobsched.worker"],
    }
    with fresh_halls(tmp_path, "rabbitmq", **conf) as halls:
        halls.add("tick", **EVERY_SECOND)
        with Beat(halls.stack) as beat, Worker(halls.stack, pool="threads") as worker:
            for records in halls.records.values():
                wait_until(
                    lambda r=records: r.fires("tick", "succeeded"),  # type: ignore[misc]
                    20,
                    lambda: beat.log() + worker.log(),
                )
            halls.line.stall()
            wait_until(lambda: DATABASE_TROUBLE in beat.log(), 10, beat.log)
            since = datetime.now(timezone.utc)
            for records in halls.others:
                wait_until(
                    lambda r=records: any(  # type: ignore[misc]
                        row["fire_at"] > since for row in r.fires("tick", "succeeded")
                    ),
                    20,
                    worker.log,
                )
            halls.line.heal()
            back = datetime.now(timezone.utc)
            wait_until(
                lambda: any(
                    row["fire_at"] > back for row in halls.records[CUT].fires(None, "succeeded")
                ),
                20,
                beat.log,
            )


def test_a_database_under_two_names_is_served_by_one_of_them(tmp_path: Path) -> None:
    with fresh_halls(tmp_path) as halls:
        urls = halls.stack.conf["jobsched_database_url"]
        twice = {CUT: urls[CUT], "again": urls[CUT].replace("127.0.0.1", "127.0.0.2")}
        twice["again"] = halls.records[CUT].engine.url.render_as_string(hide_password=False)
        halls.records[CUT].add("tick", **EVERY_SECOND)

        with Beat(halls.stack, conf={"jobsched_database_url": twice}) as beat:
            wait_until(lambda: "expected a database of its own" in beat.log(), 15, beat.log)
            wait_until(lambda: len(sent(halls.records[CUT])) >= 2, 15, beat.log)
            beat.stop()


def test_a_thread_that_ends_is_told_and_replaced(halls: Halls) -> None:
    # A task that runs within the beat may want to exit: here it is a receiver of a signal.
    halls.add("tick", **EVERY_SECOND)
    bomb = halls.stack.folder / "bomb"

    with Beat(halls.stack, environ={"JOBSCHED_TEST_BOMB": str(bomb)}) as beat:
        wait_for_more(halls, beat)
        bomb.write_text("second")
        wait_until(lambda: "second: whoever served this database has ended" in beat.log(), 10)
        wait_until(lambda: "another one begins to serve database second" in beat.log(), 10)
        wait_for_more(halls, beat)
        stopped = beat.stop()

    assert stopped.exit_code == 0
    assert beat.log().count("whoever served this database has ended") == 1
    assert [records.beats() for records in halls.records.values()] == [[], [], []]


def test_the_command_asks_about_all_databases_or_one(halls: Halls) -> None:
    halls.records["second"].add("own", **EVERY_SECOND)

    with Beat(halls.stack) as beat:
        for records in halls.records.values():
            wait_until(records.beats, 15, beat.log)
        both = run_celery(halls.stack, "jobs", "beats", "--json")
        listed = run_celery(halls.stack, "jobs", "list", "--database", "second", "--names")
        halls.line.cut()
        status = run_celery(halls.stack, "jobs", "status")
        only = run_celery(halls.stack, "jobs", "status", "--quiet", "--database", "second")
        beat.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]

    assert {each["database"] for each in json.loads(both.stdout)} == set(KINDS)
    assert listed.stdout.split() == ["own"]
    assert (status.returncode, only.returncode) == (69, 0), status.stdout + status.stderr
    assert status.stdout.count("1 ticking") == 2
