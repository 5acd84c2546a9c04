"""A worker whose locks are away, come back empty, or are not those of the beats."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from celery_jobsched.locks import CopyState
from tests.processes import Worker, run_celery, wait_until
from tests.sender import Sender, fresh_sender, worker
from tests.servers import RedisServer, free_port

LIMIT = [("one", 1)]
LEASE = timedelta(seconds=1)


def started(sender: Sender, it: Worker, *args: object, **more: object) -> str:
    """A fire whose task has begun, whatever is on record of it."""
    fire = sender.send(*args, **more)  # type: ignore[arg-type]
    wait_until(lambda: sender.runs(fire), 15, it.log)
    return fire


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_first_copies_run_while_the_locks_are_away_and_are_on_record_later(
    tmp_path: Path, pool: str
) -> None:
    gates = [tmp_path / name for name in ("before", "within")]
    with (
        RedisServer(tmp_path) as server,
        fresh_sender("sqlite", "rabbitmq", tmp_path, jobsched_lock_backend=server.url) as sender,
        worker(sender, pool=pool, concurrency=4) as it,
    ):
        ticket = sender.ticket(LIMIT, LEASE)
        before = sender.send("fates.succeed", 1, str(gates[0]), ticket=ticket)
        sender.wait_for(before, "started")

        server.stop()
        within = started(sender, it, "fates.succeed", 2, str(gates[1]))
        ended = started(sender, it, "fates.succeed", 3)
        later = sender.send("fates.succeed", 4, n=2)
        again = sender.send("fates.succeed", 5, fire=within)
        wait_until(lambda: it.log().count("received") == 5, 10, it.log)
        assert "locks are away" in it.log()

        server.start()
        assert sender.wait_for(ended, "succeeded").result == "3"
        assert sender.wait_for(later, "pending").error == "the locks are away"
        for fire in (before, within):
            record = wait_until(lambda fire=fire: sender.admission(fire), 10, it.log)
            assert (record.state, record.alive) == (CopyState.ACCEPTED, True)
        assert [holder.fire for holder in sender.locks.holders(["one"])["one"]] == [before]

        for gate in gates:
            gate.touch()
        assert sender.wait_for(before, "succeeded").result == "1"
        assert sender.wait_for(within, "succeeded").result == "2"
        assert "locks answer again" in it.log()
        assert [len(sender.runs(fire)) for fire in (before, within, again, ended)] == [1, 1, 1, 1]
        assert sender.runs(later) == []
        assert sender.locks.holders(["one"]) == {"one": []}


def test_a_worker_that_looks_for_its_locks_elsewhere_says_so_once(tmp_path: Path) -> None:
    nowhere = {"jobsched_lock_backend": f"redis://:s3cr3t@127.0.0.1:{free_port()}/0"}
    with fresh_sender("sqlite", "redis", tmp_path) as sender:
        with worker(sender, conf=nowhere) as it:
            for _ in range(2):
                started(sender, it, "fates.succeed")

        assert it.log().count("set jobsched_lock_backend alike") == 1
        assert sender.runtime.urls["locks"] in it.log()
        assert "s3cr3t" not in it.log()


def test_a_worker_with_another_database_than_the_beats_says_so_once(tmp_path: Path) -> None:
    other = {"jobsched_database_url": f"sqlite:///{tmp_path / 'other.db'}"}
    with fresh_sender("sqlite", "redis", tmp_path, jobsched_lock_backend="database") as sender:
        with fresh_sender("sqlite", "redis", tmp_path / "other", **other) as _:
            with worker(sender, conf=other) as it:
                for _ in range(2):
                    started(sender, it, "fates.succeed")

        assert it.log().count("set jobsched_database_url alike") == 1


@pytest.mark.parametrize(
    "conf",
    [{"jobsched_lock_backend": "memcached://127.0.0.1"}, {"jobsched_claim_limit": "many"}],
)
def test_options_that_cannot_be_used_end_no_task(tmp_path: Path, conf: dict[str, str]) -> None:
    with fresh_sender("sqlite", "redis", tmp_path) as sender, worker(sender, conf=conf) as it:
        fire = started(sender, it, "fates.succeed", 7)

        wait_until(lambda: sender.result(fire) == ("SUCCESS", 7), 5, it.log)
        assert it.log().count("locks are away") == 1
        assert "Traceback" not in it.log()


def test_without_fires_a_worker_asks_nobody(tmp_path: Path) -> None:
    nowhere = {"jobsched_lock_backend": f"redis://127.0.0.1:{free_port()}/0"}
    with fresh_sender("sqlite", "redis", tmp_path) as sender, worker(sender, conf=nowhere) as it:
        sender.app.send_task("fates.succeed", [1])
        wait_until(lambda: "succeeded" in it.log(), 10, it.log)
        it.stop()

    assert "locks" not in it.log()


def test_a_command_that_loads_the_plugin_is_not_touched_by_it(tmp_path: Path) -> None:
    with fresh_sender("sqlite", "redis", tmp_path) as sender:
        told = run_celery(sender.stack, "report")

    assert told.returncode == 0, told.stderr
