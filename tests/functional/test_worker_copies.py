"""Which copy of a fire runs: each row of the admission table by real messages, on both brokers.

What another worker did before is played by hand, on the locks: `dead` has a lease that is over,
`living` one that is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from celery_jobsched.fire import new_id
from celery_jobsched.limits import Limit
from celery_jobsched.locks import Copy, CopyState, Hold, Step
from tests.processes import Worker, wait_until
from tests.sender import LEASE, Sender, fresh_sender, worker

AT_ONCE = timedelta(0)
PAIRS = (("sqlite", "redis"), ("postgresql", "rabbitmq"))
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Scene:
    """A worker that is ready, and a hand that sends."""

    sender: Sender
    worker: Worker
    folder: Path

    def gate(self) -> Path:
        return self.folder / os.urandom(4).hex()

    def copy(self, fire: str, token: str, lease: timedelta = AT_ONCE, **more: Any) -> Copy:
        """A copy that another worker has in hand."""
        now = datetime.now(timezone.utc)
        known = {"number": 1, "retries": 0, "made_at": now, "published_at": now, "worker": "other"}
        return Copy(fire, (), lease, token, **(known | more))

    def reserved(self, *args: Any, **more: Any) -> Copy:
        copy = self.copy(*args, **more)
        self.sender.locks.admit(copy)
        return copy

    def accepted(self, *args: Any, **more: Any) -> Copy:
        copy = self.reserved(*args, **more)
        self.sender.locks.accept([Step(copy)])
        return copy

    def after_others(self) -> None:
        """Wait until the worker is done with what was sent before."""
        last = self.sender.send("fates.succeed")
        self.sender.wait_for(last, "succeeded")


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def scene(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("copies")
    with fresh_sender(*request.param, folder) as sender:
        with worker(sender, pool="prefork", concurrency=3) as it:
            yield Scene(sender, it, folder)


def new_fire() -> str:
    return new_id(datetime.now(timezone.utc))


#: Who was there before the copy comes whose token is T: `dead` ones' leases are over.
BEFORE: dict[str, Callable[[Scene, str], object]] = {
    "nobody": lambda scene, fire: None,
    "the same, reserved by a dead worker": lambda scene, fire: scene.reserved(fire, "T"),
    "the same, given back": lambda scene, fire: scene.sender.locks.give_back(
        [scene.reserved(fire, "T", LEASE)]
    ),
    "the same, accepted by a dead worker": lambda scene, fire: scene.accepted(fire, "T"),
    "the same, running": lambda scene, fire: scene.accepted(fire, "T", LEASE),
    "the same, reserved by a living worker": lambda scene, fire: scene.reserved(fire, "T", LEASE),
    "another, running": lambda scene, fire: scene.accepted(fire, "U", LEASE),
    "another, reserved by a living worker": lambda scene, fire: scene.reserved(fire, "U", LEASE),
    "another, reserved by a dead worker": lambda scene, fire: scene.reserved(fire, "U"),
    "another, accepted by a dead worker": lambda scene, fire: scene.accepted(fire, "U"),
    "another, ended": lambda scene, fire: scene.sender.locks.end(
        [Step(scene.accepted(fire, "U", LEASE))]
    ),
    "the same, ended": lambda scene, fire: scene.sender.locks.end(
        [Step(scene.accepted(fire, "T", LEASE))]
    ),
    "an earlier attempt": lambda scene, fire: scene.accepted(fire, "T", LEASE),
    "a later attempt": lambda scene, fire: scene.accepted(fire, "T", LEASE, retries=2),
}
RUN = {
    "nobody",
    "the same, reserved by a dead worker",
    "the same, given back",
    "the same, accepted by a dead worker",
    "another, reserved by a dead worker",
    "an earlier attempt",
}


@pytest.mark.parametrize("before", BEFORE)
def test_the_admission_table(scene: Scene, before: str) -> None:
    fire = new_fire()
    BEFORE[before](scene, fire)

    retries = {"an earlier attempt": 1, "a later attempt": 1}.get(before, 0)
    scene.sender.send("fates.succeed", 7, fire=fire, token="T", retries=retries)

    if before in RUN:
        assert scene.sender.wait_for(fire, "succeeded").result == "7"
        assert len(scene.sender.runs(fire)) == 1
    else:
        scene.after_others()
        assert scene.sender.runs(fire) == []
        assert scene.sender.reports(fire) == []
        assert scene.sender.result(fire) == ("PENDING", None)


@pytest.mark.parametrize("state", ["running", "reserved by a living worker"])
def test_that_a_copy_came_again_is_noted_and_lets_another_one_replace_it(
    scene: Scene, state: str
) -> None:
    fire, locks = new_fire(), scene.sender.locks
    BEFORE[f"the same, {state}"](scene, fire)
    scene.sender.send("fates.succeed", fire=fire, token="T")
    wait_until(lambda: locks.admissions([fire])[fire].redelivered, 10, scene.worker.log)

    locks.accept([Step(scene.copy(fire, "T", AT_ONCE))])
    scene.sender.send("fates.succeed", 8, fire=fire, token="U", n=2)

    assert scene.sender.wait_for(fire, "succeeded").result == "8"


def test_a_later_copy_goes_back_to_the_beats_where_the_memory_is_younger(scene: Scene) -> None:
    fire = new_fire()

    scene.sender.send("fates.succeed", fire=fire, n=2, ticket=scene.sender.ticket(made_at=LONG_AGO))

    assert scene.sender.wait_for(fire, "pending").started_at is None
    assert scene.sender.runs(fire) == []
    assert scene.sender.admission(fire) is None


def test_a_copy_that_is_older_than_any_record_does_not_run(scene: Scene) -> None:
    ticket = scene.sender.ticket(made_at=LONG_AGO, published_at=LONG_AGO)

    fire = scene.sender.send("fates.succeed", ticket=ticket)

    scene.after_others()
    assert scene.sender.runs(fire) == []


def test_a_fire_whose_slot_was_lost_waits_where_its_key_is_full(scene: Scene) -> None:
    locks, limit = scene.sender.locks, Limit("full", 1)
    locks.acquire([Hold("somebody", (limit,), LEASE)])

    fire = scene.sender.send("fates.succeed", ticket=scene.sender.ticket([limit]))

    scene.sender.wait_for(fire, "waiting")
    assert scene.sender.runs(fire) == []
    assert [holder.fire for holder in locks.holders(["full"])["full"]] == ["somebody"]

    locks.release([Hold("somebody", (limit,), LEASE)])
    scene.sender.send("fates.succeed", 9, fire=fire, n=2, ticket=scene.sender.ticket([limit]))

    scene.sender.wait_for(fire, "succeeded")


@pytest.mark.parametrize("task", ["succeed", "fail"])
def test_a_second_copy_is_refused_while_the_first_runs_and_after_it(
    scene: Scene, task: str
) -> None:
    gate, sender = scene.gate(), scene.sender
    fire = sender.send(f"fates.{task}", "once", str(gate))
    sender.wait_for(fire, "started")

    sender.send(f"fates.{task}", "twice", fire=fire, n=2)
    scene.after_others()
    gate.touch()
    sender.wait_for(fire, "succeeded" if task == "succeed" else "failed")
    wait_until(sender.app.AsyncResult(fire).ready, 5)
    outcome = sender.result(fire)
    sender.send(f"fates.{task}", "thrice", fire=fire, n=3)
    scene.after_others()

    assert [run["args"] for run in sender.runs(fire)] == [["once"]]
    assert repr(sender.result(fire)) == repr(outcome)
    assert len(sender.reports(fire)) == 2


def test_celery_still_finds_the_run_after_a_second_copy_was_refused(scene: Scene) -> None:
    gate, sender = scene.gate(), scene.sender
    fire = sender.send("fates.succeed", 1, str(gate))
    sender.wait_for(fire, "started")
    sender.send("fates.succeed", fire=fire, n=2)
    scene.after_others()

    inspect = sender.app.control.inspect(timeout=10, limit=1)
    ((found,),) = [answer.values() for answer in inspect.query_task([fire]).values()]

    assert (found[0], found[1]["id"]) == ("active", fire)
    gate.touch()
    sender.wait_for(fire, "succeeded")


def test_a_second_copy_is_refused_between_two_attempts(scene: Scene) -> None:
    fire = scene.sender.send("fates.retry", 1.0)
    scene.sender.wait_for(fire, "retrying")

    scene.sender.send("fates.retry", 1.0, fire=fire, n=2)
    scene.after_others()

    assert scene.sender.result(fire)[0] == "RETRY"
    assert scene.sender.wait_for(fire, "succeeded").result == "'after 1'"
    assert [run["args"] for run in scene.sender.runs(fire)] == [[0], [1]]


def test_an_expired_copy_ends_nothing_that_was_admitted(scene: Scene) -> None:
    gate = scene.gate()
    fire = scene.sender.send("fates.succeed", 1, str(gate))
    scene.sender.wait_for(fire, "started")

    scene.sender.send("fates.succeed", fire=fire, n=2, expires=LONG_AGO)
    scene.after_others()

    record = scene.sender.admission(fire)
    assert record is not None
    assert record.state is CopyState.ACCEPTED
    gate.touch()
    scene.sender.wait_for(fire, "succeeded")
    assert "expired" not in scene.sender.states(fire)


def test_messages_that_are_no_fires_run_as_ever(scene: Scene) -> None:
    fire = new_fire()
    for _ in range(2):
        scene.sender.app.send_task("fates.succeed", [1], task_id=fire)

    wait_until(lambda: len(scene.sender.runs(fire)) == 2, 10, scene.worker.log)
    assert scene.sender.admission(fire) is None


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"job": "job", "token": "T", "n": 1},
        {"job": "job", "token": "T", "n": 1, "installation": None},
        {"job": "job", "token": "T", "n": "one", "installation": "i"},
        "text",
    ],
)
def test_headers_that_no_beat_wrote_do_no_harm(scene: Scene, header: Any) -> None:
    fire = new_fire()

    scene.sender.app.send_task("fates.succeed", [1], task_id=fire, headers={"jobsched": header})

    wait_until(lambda: scene.sender.runs(fire), 10, scene.worker.log)
