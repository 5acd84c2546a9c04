"""A worker that loses its broker with fires in hand: the broker delivers them all again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import current_app

from tests.hand import Hand
from tests.processes import Worker, wait_until
from tests.proxy import Proxy
from tests.sender import Sender, fresh_sender, worker


@contextmanager
def behind_a_proxy(sender: Sender, **more: Any) -> Iterator[tuple[Worker, Proxy]]:
    """A worker whose line to the broker can be dropped."""
    parts = urlsplit(sender.stack.broker_url)
    with Proxy(parts.hostname or "", parts.port or 5672) as proxy:
        place = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
        conf = {"broker_url": parts._replace(netloc=place).geturl(), **more.pop("conf", {})}
        with worker(sender, conf=conf, **more) as it:
            yield it, proxy


@contextmanager
def current(app: Any) -> Iterator[None]:
    """Let it be the application whose tasks this process runs."""
    before = current_app._get_current_object()
    app.set_current()
    yield
    before.set_current()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_whatever_is_delivered_again_every_fire_runs_once(tmp_path: Path, pool: str) -> None:
    gate = tmp_path / "gate"
    with fresh_sender("postgresql", "rabbitmq", tmp_path) as sender:
        with behind_a_proxy(sender, pool=pool) as (it, proxy):
            running = sender.send("fates.late", str(gate))
            sender.wait_for(running, "started")
            others = [sender.send("fates.succeed", n) for n in range(3)]
            wait_until(lambda: it.log().count("received") == 4, 10, it.log)

            proxy.drop()
            wait_until(lambda: it.log().count("received") == 8, 20, it.log)
            gate.touch()

            for fire in (running, *others):
                sender.wait_for(fire, "succeeded")
        assert [len(sender.runs(fire)) for fire in (running, *others)] == [1, 1, 1, 1]


def test_a_run_that_is_cancelled_with_the_connection_may_run_again(tmp_path: Path) -> None:
    gate, conf = tmp_path / "gate", {"worker_cancel_long_running_tasks_on_connection_loss": True}
    with fresh_sender("postgresql", "rabbitmq", tmp_path) as sender:
        with behind_a_proxy(sender, pool="prefork", conf=conf) as (it, proxy):
            fire = sender.send("fates.late", str(gate))
            sender.wait_for(fire, "started")

            proxy.drop()
            wait_until(lambda: "retrying" in sender.states(fire), 15, it.log)
            gate.touch()
            # It came back before its process had ended, or it did not: the beats know by the note.
            sender.send("fates.late", str(gate), fire=fire, n=2)

            sender.wait_for(fire, "succeeded")
        assert len(sender.runs(fire)) == 2


def test_a_run_whose_acknowledgement_meets_a_broken_connection_runs_once(tmp_path: Path) -> None:
    ran: list[str] = []

    def note() -> None:
        ran.append("it")

    with fresh_sender("sqlite", "rabbitmq", tmp_path) as sender, current(sender.app):
        sender.app.task(note, name="conn.note")
        hand, fire = Hand(sender.app), sender.send("conn.note")

        with sender.app.connection_for_read() as connection:
            message = hand.next_on(connection)
            connection.connection.transport.sock.shutdown(socket.SHUT_RDWR)
            hand.run(message)
            hand.runs.close()
        sender.wait_for(fire, "succeeded")

        wait_until(lambda: hand.work() == 1, 10)
        assert ran == ["it"]
