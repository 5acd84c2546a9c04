"""Locks that lost their memory: what they are told then gives no job more runs than it may have.

Of a job that runs once at a time, the worker of one fire died, and its lease is over; another fire
has the slot by then. In that moment the locks are started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from celery_jobsched.locks import Answer
from celery_jobsched.store import tables
from tests.hands import Hands

LEASE_S, SILENT_S = 5, 10
KEY = "job job"


def is_started_again(hands: Hands) -> None:
    """The locks know what they knew, and do not know whether that is all."""
    until = hands.clock.now() + timedelta(seconds=SILENT_S)
    grants = sa.update(tables.meta).where(tables.meta.c.key == "locks.grants_at")
    hands.records.run(grants.values(value=until.isoformat()))


def its_worker_dies(hands: Hands, fire: str) -> None:
    """Nobody renews its lease; the broker gives its message to another worker."""
    copy, _ = hands.running.pop(fire)
    assert hands.locks.admit(copy) is Answer.IN_HAND


def a_beat_dies_with_it_in_hand(hands: Hands, fire: str) -> None:
    """So no other beat looks after it before its lease is over, but a moment later."""
    until = hands.clock.now() + timedelta(seconds=LEASE_S + 1)
    it = sa.update(tables.fires).where(tables.fires.c.id == fire)
    hands.records.run(it.values(check_at=until))


@pytest.fixture
def pair(hands: Hands) -> tuple[str, str]:
    """The fire that lost its worker and its slot, and the one that runs; the locks are silent."""
    hands.add("job", every="1 hour", max_concurrency=1, overlap="wait", lease=LEASE_S)
    hands.jobs.run("job")
    hands.beat.settle()
    hands.start_sent()
    (first,) = hands.running
    its_worker_dies(hands, first)
    a_beat_dies_with_it_in_hand(hands, first)
    while first in hands.holders(KEY):
        hands.pass_time(0.2)
    hands.start_sent()
    (second,) = hands.running
    assert first != second
    is_started_again(hands)
    return first, second


def second_by_second(hands: Hands, seconds: int) -> Iterator[list[str]]:
    """Who runs, after each second in which the worker renewed what it runs and took what came."""
    for _ in range(seconds):
        hands.locks.renew([copy for copy, _ in hands.running.values()])
        hands.pass_time(1)
        hands.start_sent()
        yield list(hands.running)


def test_a_fire_that_lost_its_worker_waits_for_the_run_that_has_its_slot(
    hands: Hands, pair: tuple[str, str]
) -> None:
    first, second = pair

    assert list(second_by_second(hands, 2 * SILENT_S)) == 2 * SILENT_S * [[second]]
    hands.end(second)
    assert [first] in list(second_by_second(hands, SILENT_S))


def test_of_two_fires_that_lost_their_workers_one_runs_at_a_time(
    hands: Hands, pair: tuple[str, str]
) -> None:
    its_worker_dies(hands, pair[1])

    ran, before = [], list[str]()
    for running in second_by_second(hands, 6 * SILENT_S):
        assert len(running) < 2
        if running and running == before:
            ran.append(running[0])
            hands.end(running[0])
        before = running

    assert sorted(ran) == sorted(pair)
