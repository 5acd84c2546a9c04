"""What a worker does in every pool: admission, the record, leases that are renewed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from celery_jobsched.locks import CopyState
from tests.processes import wait_until
from tests.sender import Sender, fresh_sender, worker

POOLS = ("prefork", "threads", "solo", "gevent")
LEASE = timedelta(seconds=0.6)
LIMIT = [("one", 1)]


@pytest.fixture(scope="module", params=POOLS)
def sender(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Sender]:
    folder = tmp_path_factory.mktemp(request.param)
    with fresh_sender("sqlite", "redis", folder) as sender:
        with worker(sender, pool=request.param, concurrency=2):
            yield sender


def held(sender: Sender) -> set[str]:
    return {holder.fire for holder in sender.locks.holders(["one"])["one"]}


def test_success_and_failure_are_on_record(sender: Sender) -> None:
    good, bad = sender.send("fates.succeed", 7), sender.send("fates.fail")

    assert sender.wait_for(good, "succeeded").result == "7"
    assert sender.wait_for(bad, "failed").error == "RuntimeError: as it was asked to"
    assert all(sender.reports(fire)[-1].started_at for fire in (good, bad))


@pytest.mark.parametrize("task", ["succeed", "fail"])
def test_a_second_copy_does_not_run(sender: Sender, task: str) -> None:
    fire = sender.send(f"fates.{task}", "first")
    sender.send(f"fates.{task}", "second", fire=fire, n=2)
    last = sender.send("fates.succeed")

    sender.wait_for(last, "succeeded")
    wait_until(lambda: sender.states(fire)[-1:] in (["succeeded"], ["failed"]), 5)

    assert [run["args"] for run in sender.runs(fire)] == [["first"]]
    assert sender.result(fire)[0] == ("SUCCESS" if task == "succeed" else "FAILURE")


def test_a_run_keeps_its_slot_over_many_leases_and_frees_it_at_its_end(
    sender: Sender, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    fire = sender.send("fates.succeed", 1, str(gate), ticket=sender.ticket(LIMIT, LEASE))
    sender.wait_for(fire, "started")
    record = sender.admission(fire)
    assert record is not None

    later = record.until + 3 * LEASE
    wait_until(lambda: (now := sender.admission(fire)) and now.until > later, 10)

    assert held(sender) == {fire}
    gate.touch()
    wait_until(lambda: not held(sender), 1)
    assert sender.wait_for(fire, "succeeded").result == "1"


def test_a_slot_is_kept_between_two_attempts(sender: Sender) -> None:
    fire = sender.send("fates.retry", 1.0, ticket=sender.ticket(LIMIT, LEASE))
    first = sender.wait_for(fire, "retrying")

    # Until the next attempt is admitted, over more than one lease.
    while (record := sender.admission(fire)) and record.retries == 0:
        assert (record.state, record.alive) == (CopyState.ACCEPTED, True)
        assert held(sender) == {fire}

    last = sender.wait_for(fire, "succeeded")
    assert (first.retries, last.retries) == (0, 1)
    assert last.at - first.at > LEASE


@pytest.mark.parametrize("sender", ["prefork", "gevent"], indirect=True)
def test_a_hard_time_limit_is_on_record_where_the_pool_has_one(sender: Sender) -> None:
    fire = sender.send("fates.hang", time_limit=0.5)

    assert str(sender.wait_for(fire, "failed").error).startswith("TimeLimitExceeded")
