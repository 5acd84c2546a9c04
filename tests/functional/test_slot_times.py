"""How soon after its run a slot is free: with the plugin, in a real worker, on both kinds of locks.

The promise is 100 ms after an end and 6 s after a child was killed; a machine that does ten things
at once gets some more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pace import paced
from tests.processes import wait_until
from tests.sender import Sender, fresh_sender, worker

pytestmark = pytest.mark.alone

SLOT = [("one", 1)]
AT_ONCE_S = 0.1
AFTER_A_KILL_S = 6.0


@pytest.fixture(
    scope="module", params=[("sqlite", "redis"), ("postgresql", "rabbitmq")], ids="-".join
)
def sender(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Sender]:
    database, broker = request.param
    locks = {} if broker == "redis" else {"jobsched_lock_backend": "database"}
    folder = tmp_path_factory.mktemp(broker)
    with fresh_sender(database, broker, folder, **locks) as sender:
        with worker(sender, pool="prefork", concurrency=2):
            yield sender


def is_held(sender: Sender) -> bool:
    return bool(sender.locks.holders(["one"])["one"])


def seconds_to_free(sender: Sender, since: float) -> float:
    wait_until(lambda: not is_held(sender), 15)
    return time.time() - since


@pytest.mark.parametrize("task", ["succeed", "fail"])
def test_a_slot_is_free_at_once_after_the_end(sender: Sender, task: str, tmp_path: Path) -> None:
    took = []
    for n in range(5):
        gate = tmp_path / f"gate {n}"
        fire = sender.send(f"fates.{task}", str(n), str(gate), ticket=sender.ticket(SLOT))
        sender.wait_for(fire, "started")
        assert is_held(sender)
        gate.touch()
        took.append(seconds_to_free(sender, gate.stat().st_mtime))

    assert sorted(took)[2] < paced(AT_ONCE_S)


@pytest.mark.parametrize("task", ["die", "leave", "hang"])
def test_a_slot_is_free_soon_after_a_child_is_gone(sender: Sender, task: str) -> None:
    limit = {"time_limit": 1.0} if task == "hang" else {}
    fire = sender.send(f"fates.{task}", ticket=sender.ticket(SLOT), **limit)
    wait_until(lambda: sender.runs(fire), 15)

    took = seconds_to_free(sender, time.time())

    assert took < paced(AFTER_A_KILL_S) + limit.get("time_limit", 0)
    sender.wait_for(fire, "failed")
