"""What is said of an admitted copy: its start, its renewals, its end; for every backend."""

from __future__ import annotations

import pytest

from celery_jobsched.fire import FireState
from celery_jobsched.limits import Limit
from celery_jobsched.locks import Answer, Copy, Locks, Step
from tests.locks import AT_ONCE, HOUR, LONG_AGO, NOW, copy, hold, report, running
from tests.unit.test_admissions import record, said


def test_an_accepted_copy_is_on_record_with_its_slots_and_its_report(locks: Locks) -> None:
    locks.admit(copy("1", ("a", 1)))

    done = locks.accept([Step(copy("1", ("a", 1)), report("1", FireState.STARTED))])

    assert done == [True]
    assert record(locks).state.value == "accepted"
    assert [holder.fire for holder in locks.holders(["a"])["a"]] == ["1"]
    assert said(locks) == ["started"]


def test_what_ran_while_the_backend_was_away_is_accepted_all_the_same(locks: Locks) -> None:
    assert locks.accept([Step(copy("1", ("a", 1)))]) == [True]
    assert locks.free([Limit("a", 1)]) == {"a": 0}
    assert locks.accept([Step(copy("1", ("a", 1), retries=1))]) == [True]
    assert (record(locks).state.value, record(locks).retries) == ("accepted", 1)


def test_who_starts_what_another_one_has_meanwhile_is_told_so(locks: Locks) -> None:
    locks.admit(copy("1", lease=AT_ONCE))
    locks.admit(copy("1", worker="w2"))

    done = locks.accept([Step(copy("1"), report("1", FireState.STARTED)), Step(copy("2"))])

    assert done == [False, True]
    assert record(locks).worker == "w2"
    assert said(locks) == ["started"]


def test_a_note_of_redelivery_stays_when_the_copy_starts(locks: Locks) -> None:
    locks.admit(copy("1"))
    locks.admit(copy("1", worker="w2"))

    locks.accept([Step(copy("1"))])
    locks.renew([copy("1")])

    assert record(locks).redelivered is True


def test_renewing_prolongs_record_and_slots(locks: Locks) -> None:
    running(locks, copy("1", ("a", 1), lease=AT_ONCE))

    kept = locks.renew([copy("1", ("a", 1))])

    assert kept == [True]
    assert (record(locks).state.value, record(locks).alive) == ("accepted", True)
    assert locks.free([Limit("a", 1)]) == {"a": 0}


def test_a_lease_that_covers_a_countdown_is_not_shortened(locks: Locks) -> None:
    it = running(locks, copy("1", ("a", 1), lease=HOUR))
    locks.renew([copy("1", ("a", 1), lease=2 * HOUR)])

    locks.renew([it])

    ((_, until),) = locks.holders(["a"])["a"]
    assert until - NOW > 1.5 * HOUR
    assert record(locks).until == until


@pytest.mark.parametrize(
    "other",
    [copy("1", worker="w2"), copy("1", retries=1), copy("1", token="U", number=2)],
    ids=["another worker", "a retry", "another token"],
)
def test_a_copy_whose_place_another_one_took_is_not_renewed(locks: Locks, other: Copy) -> None:
    locks.admit(copy("1", lease=AT_ONCE))
    locks.admit(other)

    assert locks.renew([copy("1", ("a", 1))]) == [False]
    assert locks.renew([other]) == [True]
    assert locks.free([Limit("a", 1)]) == {"a": 1}


@pytest.mark.parametrize(("accepted", "state"), [(True, "accepted"), (False, "reserved")])
def test_a_record_that_was_lost_is_written_anew_by_a_renewal(
    locks: Locks, accepted: bool, state: str
) -> None:
    kept = locks.renew([copy("1", ("a", 1), accepted=accepted)])

    assert kept == [True]
    assert (record(locks).state.value, record(locks).token) == (state, "T")
    assert locks.admit(copy("1", token="U", number=2)) is Answer.OTHER


def test_the_end_releases_the_slots_and_keeps_the_report(locks: Locks) -> None:
    it = running(locks, copy("1", ("a", 1), ("b", 1)))

    done = locks.end([Step(it, report("1"))])

    assert done == [True]
    assert record(locks).state.value == "ended"
    assert locks.free([Limit("a", 1), Limit("b", 1)]) == {"a": 1, "b": 1}
    assert locks.renew([it]) == [False]
    assert said(locks) == ["succeeded"]


def test_an_end_that_is_told_twice_is_one(locks: Locks) -> None:
    it = running(locks, copy("1"))

    assert locks.end([Step(it)]) == locks.end([Step(it)]) == [True]


def test_an_end_of_which_nothing_was_known_is_one(locks: Locks) -> None:
    assert locks.end([Step(copy("1"))]) == [True]
    assert locks.admit(copy("1")) is Answer.ENDED


def test_who_ends_what_another_one_has_meanwhile_frees_nothing(locks: Locks) -> None:
    running(locks, copy("1", ("a", 1), lease=AT_ONCE))
    locks.admit(copy("1", ("a", 1), worker="w2"))

    done = locks.end([Step(copy("1", ("a", 1)), report("1"))])

    assert done == [False]
    assert record(locks).worker == "w2"
    assert locks.free([Limit("a", 1)]) == {"a": 0}
    assert said(locks) == ["succeeded"]


def test_the_end_of_a_stalled_run_counts_when_its_successor_is_gone_too(locks: Locks) -> None:
    running(locks, copy("1", lease=AT_ONCE))
    locks.admit(copy("1", worker="w2", lease=AT_ONCE))

    assert locks.end([Step(copy("1"))]) == [True]
    assert locks.admit(copy("1", worker="w3")) is Answer.ENDED


def test_what_has_ended_does_not_start(locks: Locks) -> None:
    locks.end([Step(copy("1"))])

    assert locks.accept([Step(copy("1", ("a", 1)))]) == [False]
    assert record(locks).state.value == "ended"
    assert locks.free([Limit("a", 1)]) == {"a": 1}


def test_what_is_given_back_keeps_its_slots(locks: Locks) -> None:
    locks.admit(copy("1", ("a", 1)))

    locks.give_back([copy("1", ("a", 1))])

    assert locks.free([Limit("a", 1)]) == {"a": 0}
    assert record(locks).alive is False


def test_only_what_is_ones_own_can_be_given_back(locks: Locks) -> None:
    locks.admit(copy("1"))
    locks.end([Step(copy("2"))])

    locks.give_back([copy("1", worker="w2"), copy("2"), copy("3")])

    assert record(locks).alive is True
    assert record(locks, "2").state.value == "ended"
    assert locks.admissions(["3"]) == {}


def test_a_message_that_expired_ends_its_fire(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1))])

    done = locks.withdraw([Step(copy("1", ("a", 1)), report("1", FireState.EXPIRED))])

    assert done == [True]
    assert record(locks).state.value == "ended"
    assert locks.free([Limit("a", 1)]) == {"a": 1}
    assert said(locks) == ["expired"]


@pytest.mark.parametrize(
    "late",
    [copy("1", worker="w2"), copy("1", token="U", number=2)],
    ids=["redelivered", "another copy"],
)
def test_a_message_that_expired_beside_a_run_ends_nothing(locks: Locks, late: Copy) -> None:
    running(locks, copy("1", ("a", 1)))

    done = locks.withdraw([Step(late, report("1", FireState.EXPIRED))])

    assert done == [False]
    assert record(locks).state.value == "accepted"
    assert said(locks) == []


def test_a_retry_that_expired_ends_its_fire(locks: Locks) -> None:
    running(locks, copy("1"))

    assert locks.withdraw([Step(copy("1", retries=1))]) == [True]
    assert record(locks).state.value == "ended"


def test_a_later_copy_of_which_too_little_is_known_ends_nothing(locks: Locks) -> None:
    assert locks.withdraw([Step(copy("1", number=2, made_at=LONG_AGO))]) == [False]
