"""The contract of slots and of the memory, for every backend.

JOBSCHED_TEST_LOCK_PAIRS=10000 acquires and releases more than CI does.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from celery_jobsched.limits import Limit
from celery_jobsched.locks import Answer, Holder, Locks, Step
from celery_jobsched.store.tables import slot_keys
from tests.locks import AT_ONCE, HOUR, Place, copy, fresh_place, hold, running
from tests.processes import wait_until
from tests.services import DATABASES

PAIRS = int(os.environ.get("JOBSCHED_TEST_LOCK_PAIRS", "1000"))
SHORT = timedelta(milliseconds=500)
MINUTE = timedelta(minutes=1)
AWKWARD = 'it\'s "a key", {of} 50 % \\ :colons: ünï→🦊'


def names(locks: Locks, key: str) -> list[str]:
    """The fires that hold *key*."""
    return [holder.fire for holder in locks.holders([key])[key]]


def test_as_many_hold_a_key_as_its_limit_says_in_the_order_of_the_batch(locks: Locks) -> None:
    granted = locks.acquire([hold(fire, ("a", 2)) for fire in ("1", "2", "3")])

    assert granted == [True, True, False]
    assert sorted(names(locks, "a")) == ["1", "2"]


def test_one_key_that_is_full_does_not_hold_up_the_rest_of_a_batch(locks: Locks) -> None:
    granted = locks.acquire([hold("1", ("a", 1)), hold("2", ("a", 1)), hold("3", ("b", 1))])

    assert granted == [True, False, True]


def test_who_holds_already_prolongs_and_takes_no_second_slot(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 2), lease=MINUTE)])

    granted = locks.acquire([hold("1", ("a", 2)), hold("2", ("a", 2))])

    assert granted == [True, True]
    (first, second) = locks.holders(["a"])["a"]
    assert {first.fire, second.fire} == {"1", "2"}
    assert abs(first.until - second.until) < MINUTE


def test_a_shorter_lease_does_not_shorten_what_is_held(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1), lease=HOUR)])
    (before,) = locks.holders(["a"])["a"]

    locks.acquire([hold("1", ("a", 1), lease=AT_ONCE)])
    locks.renew([hold("1", ("a", 1), lease=AT_ONCE)])

    assert locks.holders(["a"])["a"] == [before]


def test_a_hold_of_several_keys_takes_all_or_none(locks: Locks) -> None:
    locks.acquire([hold("1", ("shared", 1))])

    granted = locks.acquire([hold("2", ("own", 1), ("shared", 1)), hold("3", ("own", 1))])

    assert granted == [False, True]
    assert names(locks, "own") == ["3"]


def test_a_key_that_is_named_twice_is_one_slot_of_the_smaller_limit(locks: Locks) -> None:
    wanted = [hold(fire, ("a", 2), ("a", 1)) for fire in ("1", "2")]

    assert locks.acquire(wanted) == [True, False]
    assert locks.free([Limit("a", 2)]) == {"a": 1}


def test_a_hold_without_keys_is_always_granted(locks: Locks) -> None:
    assert locks.acquire([hold("1"), hold("2")]) == [True, True]


def test_nothing_asked_is_nothing_answered(locks: Locks) -> None:
    assert locks.acquire([]) == locks.renew([]) == locks.end([]) == []
    assert locks.holders([]) == locks.free([]) == locks.admissions([]) == {}
    locks.release([])
    locks.report([])
    locks.acknowledge([])


def test_a_limit_that_was_lowered_lets_runs_be_and_nobody_in(locks: Locks) -> None:
    locks.acquire([hold(fire, ("a", 3)) for fire in ("1", "2", "3")])
    it = running(locks, copy("1", ("a", 3)))

    granted = locks.acquire([hold("4", ("a", 1)), hold("2", ("a", 1))])

    assert granted == [False, False]
    assert locks.renew([it]) == [True]
    assert locks.free([Limit("a", 1)]) == {"a": 0}


def test_a_holder_whose_lease_is_over_does_not_count(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1), lease=AT_ONCE)])

    assert names(locks, "a") == []
    assert locks.free([Limit("a", 1)]) == {"a": 1}
    assert locks.acquire([hold("2", ("a", 1))]) == [True]


def test_who_let_its_lease_run_out_is_a_newcomer(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 2))])
    locks.acquire([hold("2", ("a", 2), lease=AT_ONCE)])

    assert locks.acquire([hold("2", ("a", 1))]) == [False]


def test_what_is_over_does_not_pile_up(locks: Locks, place: Place) -> None:
    for n in range(10):
        locks.acquire([hold(f"held {n}", ("a", 1), lease=AT_ONCE)])
        locks.release([hold(f"released {n}", ("a", 1), lease=AT_ONCE)])

    locks.acquire([hold("1", ("a", 1))])

    assert place.count_slots("a") == 1


def test_a_slot_is_free_again_when_its_lease_ends_and_not_before(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1), lease=SHORT)])
    ((_, until),) = locks.holders(["a"])["a"]

    wait_until(lambda: locks.acquire([hold("2", ("a", 1), lease=MINUTE)]) == [True], 5)

    ((fire, again),) = locks.holders(["a"])["a"]
    assert fire == "2"
    assert again - MINUTE >= until


def test_holders_are_told_of_many_keys_by_the_end_of_their_leases(locks: Locks) -> None:
    began = datetime.now(timezone.utc)
    locks.acquire([hold("1", ("a", 9)), hold("2", ("a", 9), lease=MINUTE), hold("3", ("b", 9))])

    found = locks.holders(["b", "a", "nobody's"])

    assert {key: [holder.fire for holder in held] for key, held in found.items()} == {
        "b": ["3"],
        "a": ["2", "1"],
        "nobody's": [],
    }
    assert all(isinstance(holder, Holder) for held in found.values() for holder in held)
    assert found["a"][0].until - began < 2 * MINUTE < found["a"][1].until - began


def test_keys_may_be_any_text_and_are_told_apart(locks: Locks) -> None:
    keys = [AWKWARD, AWKWARD.upper(), "a" * 300, "a" * 299, "a:b", "a"]

    granted = locks.acquire([hold("1", (key, 1)) for key in keys])

    assert granted == [True] * len(keys)
    assert all(names(locks, key) == ["1"] for key in keys)
    assert locks.acquire([hold("2", (key, 1)) for key in keys]) == [False] * len(keys)


def test_keys_that_end_in_spaces_are_answered_as_they_were_asked(locks: Locks) -> None:
    locks.acquire([hold("1", ("a ", 1))])

    assert names(locks, "a ") == ["1"]
    assert locks.free([Limit("a ", 1)]) == {"a ": 0}


def test_a_released_slot_is_free_at_once(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1), ("b", 1))])

    locks.release([hold("1", ("a", 1), ("b", 1))])

    assert locks.holders(["a", "b"]) == {"a": [], "b": []}
    assert locks.acquire([hold("2", ("a", 1), ("b", 1))]) == [True]


@pytest.mark.parametrize("late", [hold("1", ("a", 1)), copy("1", ("a", 1))], ids=["beat", "worker"])
def test_a_renewal_that_comes_after_the_release_does_nothing(locks: Locks, late: object) -> None:
    locks.acquire([hold("1", ("a", 1))])
    locks.release([hold("1", ("a", 1))])

    kept = locks.renew([late])

    assert kept == [False]
    assert names(locks, "a") == []


def test_a_release_leaves_its_slots_to_a_copy_that_a_worker_has_in_hand(locks: Locks) -> None:
    it = copy("1", ("a", 1))
    for get_on in (locks.admit, lambda it: locks.accept([Step(it)])):
        get_on(it)

        locks.release([hold("1", ("a", 1))])

        assert names(locks, "a") == ["1"]
        assert locks.renew([it]) == [True]
    locks.end([Step(it)])
    assert names(locks, "a") == []


def test_a_tombstone_lasts_for_one_lease(locks: Locks) -> None:
    locks.release([hold("1", ("a", 1), lease=AT_ONCE)])

    assert locks.renew([copy("1", ("a", 1))]) == [True]


def test_who_was_released_may_take_a_slot_again(locks: Locks) -> None:
    locks.release([hold("1", ("a", 1))])

    assert locks.acquire([hold("1", ("a", 1))]) == [True]
    assert locks.renew([hold("1", ("a", 1))]) == [True]


def test_tombstones_take_no_slots(locks: Locks) -> None:
    locks.release([hold(fire, ("a", 1)) for fire in ("1", "2", "3")])

    assert locks.free([Limit("a", 2)]) == {"a": 2}
    assert locks.acquire([hold("4", ("a", 1))]) == [True]


def test_a_run_is_a_fact_its_renewal_counts_over_any_limit(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1))])

    kept = locks.renew([copy("2", ("a", 1), accepted=True)])

    assert kept == [True]
    assert sorted(names(locks, "a")) == ["1", "2"]
    assert locks.free([Limit("a", 1)]) == {"a": 0}


def test_a_fire_in_a_queue_that_lost_its_slot_gets_one_only_where_there_is_one(
    locks: Locks,
) -> None:
    locks.acquire([hold("1", ("a", 1))])

    kept = locks.renew([hold("2", ("a", 1)), hold("2", ("b", 1))])

    assert kept == [False, True]
    assert names(locks, "a") == ["1"]


def test_while_a_copy_runs_its_own_renewals_alone_count(locks: Locks) -> None:
    it = running(locks, copy("1", ("a", 1), lease=MINUTE))
    before = locks.holders(["a"])

    assert locks.renew([hold("1", ("a", 1))]) == [True]
    assert locks.holders(["a"]) == before
    assert locks.renew([copy("1", ("a", 1))]) == [True]
    assert locks.holders(["a"])["a"][0].until > before["a"][0].until
    locks.end([Step(it)])
    assert locks.renew([hold("1", ("b", 1)), copy("1", ("b", 1))]) == [False, False]


def test_a_beat_keeps_the_slots_of_a_retry_in_the_queue(locks: Locks) -> None:
    running(locks, copy("1", ("a", 1), lease=AT_ONCE))

    assert locks.renew([hold("1", ("a", 1))]) == [True]
    assert names(locks, "a") == ["1"]


# The memory


def test_a_memory_that_is_lost_grants_nothing_for_one_renewal_period(place: Place) -> None:
    place.lose()
    locks = place.open(renewal_period=timedelta(milliseconds=300))

    refused = locks.acquire([hold("1", ("a", 1))])
    silent_for = locks.open().silent_for
    free = locks.free([Limit("a", 1)])
    wait_until(lambda: locks.acquire([hold("1", ("a", 1))]) == [True], 5)

    assert (refused, free) == ([False], {"a": 0})
    assert AT_ONCE < silent_for <= timedelta(milliseconds=300)
    assert locks.open().silent_for == AT_ONCE


def test_what_is_renewed_fills_a_lost_memory_before_anything_is_granted(place: Place) -> None:
    place.lose()
    locks = place.open(renewal_period=timedelta(milliseconds=200))

    kept = locks.renew([copy("1", ("a", 1)), copy("2", ("a", 1)), copy("3", ("b", 3))])
    granted = locks.acquire([hold("3", ("b", 3)), hold("4", ("b", 3)), hold("5")])
    wait_until(lambda: not locks.open().silent_for, 5)

    assert kept == [True, True, True]
    assert granted == [True, False, True]
    assert locks.acquire([hold("4", ("a", 2)), hold("4", ("b", 2))]) == [False, True]


def test_a_lost_memory_is_told_of_runs_before_it_is_told_of_queues(place: Place) -> None:
    place.lose()
    locks = place.open(renewal_period=timedelta(seconds=4))
    queued = [hold("1", ("a", 1)), hold("2", ("a", 1)), hold("3", ("b", 1))]

    early = locks.renew([*queued, copy("4", ("b", 1))])
    wait_until(lambda: locks.open().silent_for < timedelta(seconds=1), 10)
    late, silent_for = locks.renew(queued), locks.open().silent_for

    assert early == [False, False, False, True]
    assert late == [True, False, False]
    assert (names(locks, "a"), names(locks, "b")) == (["1"], ["4"])
    assert silent_for > AT_ONCE


def test_who_does_not_run_gives_way_to_a_run_that_the_locks_hear_of_late(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1))])
    locks.renew([copy("2", ("a", 1), accepted=True)])

    assert locks.acquire([hold("1", ("a", 1))]) == [False]
    assert locks.renew([hold("1", ("a", 1))]) == [False]
    assert locks.admit(copy("1", ("a", 1))) is Answer.FULL
    assert names(locks, "a") == ["2"]


def test_a_first_memory_needs_not_wait_even_if_another_began_it(place: Place) -> None:
    place.lose()
    early, beat = place.open(), place.open()
    began = early.open()

    memory = beat.open(first=True)

    assert began.silent_for > AT_ONCE
    assert memory.silent_for == AT_ONCE
    assert memory.born_at == began.born_at
    assert early.acquire([hold("1", ("a", 1))]) == [True]


def test_a_memory_is_as_old_as_its_beginning(place: Place, locks: Locks) -> None:
    born_at = locks.open().born_at

    assert place.open().open().born_at == born_at
    place.lose()
    assert place.open().open().born_at > born_at


def test_what_is_over_can_be_pruned(locks: Locks, place: Place) -> None:
    forgetful = place.open(max_queue_time=AT_ONCE)
    forgetful.end([Step(copy("1", ("a", 1), lease=AT_ONCE))])
    locks.end([Step(copy("2", ("a", 1)))])

    pruned = locks.prune(100)

    # Redis has forgotten it by itself.
    assert pruned == (0 if place.kind == "redis" else 1)
    assert list(locks.admissions(["1", "2"])) == ["2"]
    assert locks.prune(100) == 0


@pytest.mark.parametrize("kind", DATABASES)
def test_of_a_key_that_nobody_needs_any_more_no_row_is_left(kind: str, tmp_path: Path) -> None:
    with fresh_place(kind, tmp_path) as place:
        locks = place.open()
        locks.open(first=True)
        locks.acquire([hold("1", ("a", 1)), hold("1", ("b", 1)), hold("2", ("c", 1))])
        locks.release([hold("1", ("a", 1), lease=AT_ONCE), hold("1", ("b", 1))])

        locks.prune(100)

        with place.opened[0].connect() as conn:
            assert sorted(conn.execute(sa.select(slot_keys.c.key)).scalars()) == ["b", "c"]
        assert locks.acquire([hold("3", ("a", 1)), hold("4", ("a", 1))]) == [True, False]


def test_a_thousand_pairs_leave_no_slot_behind(locks: Locks) -> None:
    for n in range(PAIRS // 100):
        wanted = [hold(f"{n} {i}", (f"key {i % 7}", 15), ("all", 100)) for i in range(100)]
        assert all(locks.acquire(wanted))
        locks.release(wanted)

    keys = ["all", *(f"key {i}" for i in range(7))]
    assert all(held == [] for held in locks.holders(keys).values())
    assert locks.free([Limit("all", 100)]) == {"all": 100}
