"""Rules that hold up the promise from below, broken: what is noticed then."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from celery_jobsched.limits import Rights
from celery_jobsched.locks import Hold
from celery_jobsched.locks.database.slots import Slots
from tests.breakage import drop_the_unique_key, renew_without_holder
from tests.hands import Hands, by_hand

INTERVAL = timedelta(seconds=10)


def fires_of_an_instant_that_is_due_again(hands: Hands, is_broken: bool) -> int:
    """A job's row is set back, as by a restore of a copy, to where an instant of it has fired."""
    hands.add("job", cron="*/10 * * * * *")
    due = hands.clock.now() + INTERVAL
    hands.pass_time(INTERVAL.total_seconds() + 1)
    if is_broken:
        drop_the_unique_key(hands.records.engine)
    hands.records.edit("job", next_fire_at=due, due_at=due, last_fire_at=None)
    hands.beat.settle()
    return sum(row["fire_at"] == due for row in hands.records.fires("job"))


@pytest.mark.parametrize(("is_broken", "count"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_the_unique_key_alone_keeps_an_instant_from_being_taken_twice(
    kind: str, tmp_path: Path, is_broken: bool, count: int
) -> None:
    with by_hand(kind, tmp_path) as hands:
        assert fires_of_an_instant_that_is_due_again(hands, is_broken) == count


def holders_after_a_late_renewal(hands: Hands) -> int:
    """A beat looked at a fire, was held up, and renews its slot, which another one has by then."""
    hands.add("job", every="1 second", max_concurrency=1, overlap="wait")
    hands.pass_time(2.5)
    first, second, *_ = hands.records.fires("job")
    rights = Rights.from_text(first["rights"])
    hold = Hold(first["id"], rights.limits, rights.lease)
    hands.locks.release([hold])
    hands.beat.settle()
    assert hands.holders("job job") == [second["id"]]
    hands.locks.renew([hold])
    return len(hands.holders("job job"))


@pytest.mark.parametrize(("is_broken", "count"), [(False, 1), (True, 2)])
def test_a_renewal_gives_no_slot_to_one_that_holds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool, count: int
) -> None:
    for name in ("queue", "is_released"):
        monkeypatch.setattr(Slots, name, getattr(Slots, name))  # put back afterwards
    if is_broken:
        renew_without_holder()

    with by_hand("sqlite", tmp_path) as hands:
        assert holders_after_a_late_renewal(hands) == count
