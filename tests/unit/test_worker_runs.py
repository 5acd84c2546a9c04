"""What a worker has in hand, and what the locks hear of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from celery_jobsched.fire import FireState, new_id
from celery_jobsched.locks import Admission, Copy
from celery_jobsched.worker.copies import copy_of
from celery_jobsched.worker.places import Places
from celery_jobsched.worker.runs import End, Run, Runs
from celery_jobsched.worker.step import FireStep
from tests.processes import wait_until
from tests.sender import LEASE, Sender, fresh_sender

SUCCEEDED = End(FireState.SUCCEEDED, result="7")
SHORT = timedelta(seconds=0.6)


def now() -> datetime:
    return datetime.now(timezone.utc)


class Request:
    """What is asked of Celery's: one for a fire with a slot of `one` to hold."""

    def __init__(self, sender: Sender, lease: timedelta = LEASE) -> None:
        ticket = sender.ticket([("one", 10)], lease)
        self.id = new_id(now())
        self.request_dict: dict[str, Any] = {
            "retries": 0,
            "jobsched": {"job": "j", "token": "T", "n": 1, **ticket.to_header()},
        }
        self.delivery_info: dict[str, Any] = {}


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    with fresh_sender("sqlite", "redis", tmp_path) as sender:
        yield sender


@pytest.fixture
def runs(sender: Sender) -> Runs:
    return Runs(Places(sender.runtime), "w@here")


def admitted(runs: Runs, request: Request) -> Run:
    asked = copy_of(request, runs.new_name)
    assert asked is not None
    run = runs.admit(request, asked)
    assert run is not None
    return run


def record(sender: Sender, fire: str) -> Admission:
    found = sender.admission(fire)
    assert found is not None
    return found


def may_come_again(sender: Sender, copy: Copy) -> bool:
    """Whether another worker may have the same copy, long before a lease is over."""
    return not record(sender, copy.fire).alive


def test_the_first_end_counts(sender: Sender, runs: Runs) -> None:
    request = Request(sender)
    run = admitted(runs, request)
    runs.started(run, now())

    runs.ended(run, SUCCEEDED)
    runs.ended(run, End(FireState.FAILED))

    report = sender.wait_for(request.id, "succeeded")
    assert (report.result, report.worker) == ("7", "w@here")
    assert runs.of(request.id) is None
    assert sender.locks.holders(["one"]) == {"one": []}


def test_a_run_that_was_terminated_ends_so_whatever_the_pool_says(
    sender: Sender, runs: Runs
) -> None:
    request = Request(sender)
    run = admitted(runs, request)
    run.fate = End(FireState.REVOKED, error="terminated")

    runs.ended(run, SUCCEEDED)

    assert sender.wait_for(request.id, "revoked").result is None


def test_a_retry_holds_its_slot_for_its_countdown_and_a_lease(sender: Sender, runs: Runs) -> None:
    request = Request(sender)
    run = admitted(runs, request)
    runs.started(run, now())

    runs.retried(run, "RuntimeError: not yet", wait_s=3600)

    assert sender.wait_for(request.id, "retrying").error == "RuntimeError: not yet"
    ((holder,),) = sender.locks.holders(["one"]).values()
    an_hour = now() + timedelta(hours=1)
    assert an_hour < holder.until <= an_hour + LEASE
    assert record(sender, request.id).until == holder.until


def test_a_retry_that_is_late_keeps_its_slot(sender: Sender, runs: Runs) -> None:
    request = Request(sender, SHORT)
    run = admitted(runs, request)
    runs.started(run, now())

    runs.retried(run, "RuntimeError: not yet", wait_s=0)
    sender.wait_for(request.id, "retrying")

    later = now() + 3 * SHORT
    wait_until(lambda: record(sender, request.id).until > later, 10)


def test_a_message_that_goes_back_to_the_broker_may_come_again(sender: Sender, runs: Runs) -> None:
    request = Request(sender)
    run = admitted(runs, request)
    runs.started(run, now())

    runs.hand_over(run)

    assert may_come_again(sender, run.copy)
    assert [holder.fire for holder in sender.locks.holders(["one"])["one"]] == [request.id]


def test_at_its_end_a_worker_gives_back_what_did_not_start(sender: Sender, runs: Runs) -> None:
    requests = [Request(sender) for _ in range(2)]
    reserved, running = [admitted(runs, request) for request in requests]
    runs.started(running, now())

    runs.close()

    assert may_come_again(sender, reserved.copy)
    assert not may_come_again(sender, running.copy)
    assert runs.of(running.copy.fire) is running


def test_what_prefork_forgets_with_a_lost_connection_is_given_back(
    sender: Sender, runs: Runs
) -> None:
    request = Request(sender)
    run = admitted(runs, request)
    consumer = consumer_of(runs, flush=len)
    step = FireStep(consumer)

    step.start(consumer)
    assert runs.of(request.id) is run

    consumer.restart_count = 1
    step.start(consumer)
    wait_until(lambda: may_come_again(sender, run.copy), 5)
    assert runs.of(request.id) is None


def test_other_pools_run_what_they_have(sender: Sender, runs: Runs) -> None:
    request = Request(sender)
    run = admitted(runs, request)
    consumer = consumer_of(runs, flush=None, restart_count=1)

    FireStep(consumer).start(consumer)

    assert runs.of(request.id) is run


def test_a_reservation_whose_request_is_gone_is_given_back(sender: Sender, runs: Runs) -> None:
    request = Request(sender, 3 * SHORT)
    run = admitted(runs, request)
    reserved_at = now()

    del request

    wait_until(lambda: may_come_again(sender, run.copy), 5)
    assert now() < reserved_at + 3 * SHORT
    assert runs.of(run.copy.fire) is None


def consumer_of(runs: Runs, flush: Any, restart_count: int = 0) -> Any:
    """What a step sees of a worker that has *runs* and a pool with this *flush*."""
    return SimpleNamespace(
        restart_count=restart_count,
        pool=SimpleNamespace(flush=flush),
        controller=SimpleNamespace(jobsched_runs=runs),
    )
