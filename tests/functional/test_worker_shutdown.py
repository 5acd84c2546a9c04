"""What becomes of the fires that a worker has in hand when it ends, in each way it can."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import pytest
from kombu import Connection

from tests.processes import wait_until
from tests.sender import Sender, fresh_sender, worker
from tests.stacks import Stack

PAIRS = (("sqlite", "redis"), ("postgresql", "rabbitmq"))
SHORT = timedelta(seconds=1.5)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_after_a_warm_shutdown_every_fire_has_run_once(
    tmp_path: Path, pair: tuple[str, str], pool: str
) -> None:
    gate = tmp_path / "gate"
    with fresh_sender(*pair, tmp_path) as sender:
        with worker(sender, pool=pool) as first:
            running = sender.send("fates.succeed", 0, str(gate))
            sender.wait_for(running, "started")
            others = [sender.send("fates.succeed", n) for n in range(1, 4)]
            wait_until(lambda: first.log().count("received") == 4, 10, first.log)
            first.send_stop()
            wait_until(lambda: "Warm shutdown" in first.log(), 10, first.log)
            gate.touch()
            wait_until(lambda: not first.alive(), 20, first.log)
        with worker(sender, pool=pool):
            for fire in (running, *others):
                sender.wait_for(fire, "succeeded")

        assert [len(sender.runs(fire)) for fire in (running, *others)] == [1, 1, 1, 1]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_cold_shutdown_loses_what_was_acknowledged_and_returns_the_rest(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    gate = tmp_path / "gate"
    with fresh_sender(*pair, tmp_path) as sender:
        with worker(sender, pool="prefork", concurrency=2) as first:
            early, late = sender.send("fates.hang"), sender.send("fates.late", str(gate))
            for fire in (early, late):
                sender.wait_for(fire, "started")
            first.process.send_signal(signal.SIGQUIT)
            wait_until(lambda: not first.alive(), 20, first.log)

        assert "cold" in str(sender.wait_for(early, "lost").error)
        assert "cold" in str(sender.wait_for(late, "retrying").error)
        gate.touch()
        with worker(sender, pool="prefork"):
            assert sender.wait_for(late, "succeeded").result == "'late'"
        assert (len(sender.runs(early)), len(sender.runs(late))) == (1, 2)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_what_a_killed_worker_had_in_hand_runs_once_its_lease_is_over(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    gate = tmp_path / "gate"
    with fresh_sender(*pair, tmp_path) as sender:
        ticket = sender.ticket([("one", 2)], SHORT)
        with worker(sender, pool="prefork") as first:
            running = sender.send("fates.late", str(gate), ticket=ticket)
            sender.wait_for(running, "started")
            waiting = sender.send("fates.succeed", 7, ticket=ticket)
            wait_until(lambda: first.log().count("received") == 2, 10, first.log)
            with worker(sender, pool="prefork") as second:
                first.kill()
                restore_unacknowledged(sender.stack)
                # Nobody had begun with the one that only waited.
                assert sender.wait_for(waiting, "succeeded").result == "7"
                # The other came back while its lease was alive: the beats send another copy then.
                wait_until(lambda: is_redelivered(sender, running), 10, second.log)
                wait_until(lambda: not is_alive(sender, running), 10)
                gate.touch()
                sender.send("fates.late", str(gate), fire=running, n=2, ticket=ticket)
                sender.wait_for(running, "succeeded")

        assert (len(sender.runs(waiting)), len(sender.runs(running))) == (1, 2)
        assert sender.locks.holders(["one"]) == {"one": []}


def test_what_redis_delivers_again_while_it_runs_does_not_run_twice(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with fresh_sender("sqlite", "redis", tmp_path) as sender:
        with worker(sender, pool="prefork", concurrency=2) as it:
            fire = sender.send("fates.late", str(gate))
            sender.wait_for(fire, "started")
            restore_unacknowledged(sender.stack)
            wait_until(lambda: is_redelivered(sender, fire), 10, it.log)
            gate.touch()
            sender.wait_for(fire, "succeeded")

        assert len(sender.runs(fire)) == 1
        assert sender.result(fire) == ("SUCCESS", "late")


def restore_unacknowledged(stack: Stack) -> None:
    """As when the visibility timeout is over: Redis gives what was not acknowledged to others."""
    if stack.broker == "redis":
        options = {"visibility_timeout": 0}
        with Connection(stack.broker_url, transport_options=options) as connection:
            connection.default_channel.qos.restore_visible(interval=1)


def is_redelivered(sender: Sender, fire: str) -> bool:
    record = sender.admission(fire)
    return record is not None and record.redelivered


def is_alive(sender: Sender, fire: str) -> bool:
    record = sender.admission(fire)
    return record is not None and record.alive
