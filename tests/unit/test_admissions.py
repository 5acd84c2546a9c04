"""The admission table: which copy runs, and with which slots; for every backend."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from celery_jobsched.limits import Limit
from celery_jobsched.locks import Admission, Answer, Copy, Locks, Step, Verdict
from tests.locks import AT_ONCE, HOUR, LONG_AGO, NOW, Place, copy, hold, running
from tests.processes import ROOT, wait_until

RUN, REFUSE, HAND_BACK, WAIT = Verdict.RUN, Verdict.REFUSE, Verdict.HAND_BACK, Verdict.WAIT
DAY = timedelta(days=1)


def record(locks: Locks, fire: str = "1") -> Admission:
    return locks.admissions([fire])[fire]


def said(locks: Locks) -> list[str]:
    """The reports so far, in short."""
    return [each.report.state.value for each in locks.reports(100) if each.report]


# The table, line by line


@pytest.mark.parametrize("number", [1, 2])
def test_a_copy_of_which_nothing_is_known_is_reserved(locks: Locks, number: int) -> None:
    made_after_the_memory = datetime.now(timezone.utc) + timedelta(minutes=1)

    answer = locks.admit(copy("1", number=number, made_at=made_after_the_memory))

    assert (answer, answer.verdict) == (Answer.FIRST, RUN)
    it = record(locks)
    assert (it.state.value, it.token, it.number, it.retries) == ("reserved", "T", number, 0)
    assert (it.worker, it.alive, it.redelivered) == ("w1", True, False)


def test_a_first_copy_runs_however_young_the_memory_is(locks: Locks) -> None:
    assert locks.admit(copy("1", made_at=LONG_AGO)) is Answer.FIRST


def test_a_later_copy_is_handed_back_when_the_memory_is_younger_than_its_fire(
    locks: Locks,
) -> None:
    answer = locks.admit(copy("1", number=2, made_at=LONG_AGO))

    assert (answer, answer.verdict) == (Answer.FORGOTTEN, HAND_BACK)
    assert locks.admissions(["1"]) == {}


def test_the_worker_that_reserved_a_copy_reserves_it_again(locks: Locks) -> None:
    locks.admit(copy("1"))

    assert locks.admit(copy("1")) is Answer.AGAIN
    assert record(locks).redelivered is False


def test_what_was_given_back_is_reserved_again_by_any_worker(locks: Locks) -> None:
    locks.admit(copy("1"))
    locks.give_back([copy("1")])

    answer = locks.admit(copy("1", worker="w2"))

    assert answer is Answer.AGAIN
    assert record(locks).worker == "w2"


def test_what_a_dead_worker_reserved_is_reserved_again_once_its_lease_is_over(
    locks: Locks,
) -> None:
    locks.admit(copy("1", lease=AT_ONCE))

    assert locks.admit(copy("1", worker="w2")) is Answer.AGAIN


def test_what_a_living_worker_has_reserved_another_one_does_not_get(locks: Locks) -> None:
    locks.admit(copy("1"))

    answer = locks.admit(copy("1", worker="w2"))

    assert (answer, answer.verdict) == (Answer.IN_HAND, REFUSE)
    assert (record(locks).worker, record(locks).redelivered) == ("w1", True)


@pytest.mark.parametrize("lease", [HOUR, AT_ONCE], ids=["alive", "over"])
def test_a_celery_retry_runs(locks: Locks, lease: timedelta) -> None:
    running(locks, copy("1", lease=lease))

    answer = locks.admit(copy("1", retries=1, worker="w2"))

    assert (answer, answer.verdict) == (Answer.RETRY, RUN)
    it = record(locks)
    assert (it.state.value, it.retries, it.worker) == ("reserved", 1, "w2")


def test_an_older_message_of_a_retried_run_is_refused(locks: Locks) -> None:
    running(locks, copy("1", retries=1, lease=AT_ONCE))

    answer = locks.admit(copy("1", retries=0))

    assert (answer, answer.verdict) == (Answer.OUTDATED, REFUSE)


@pytest.mark.parametrize("worker", ["w1", "w2"])
def test_a_running_copy_that_comes_again_is_refused_and_noted(locks: Locks, worker: str) -> None:
    running(locks, copy("1"))

    answer = locks.admit(copy("1", worker=worker))

    assert (answer, answer.verdict) == (Answer.IN_HAND, REFUSE)
    it = record(locks)
    assert (it.state.value, it.worker, it.alive, it.redelivered) == ("accepted", "w1", True, True)


def test_a_copy_that_comes_again_after_its_worker_died_runs(locks: Locks) -> None:
    running(locks, copy("1", lease=AT_ONCE))

    answer = locks.admit(copy("1", worker="w2"))

    assert (answer, answer.verdict) == (Answer.RETURNED, RUN)


@pytest.mark.parametrize("is_accepted", [False, True], ids=["reserved", "accepted"])
def test_another_copy_is_refused_while_the_lease_is_alive(locks: Locks, is_accepted: bool) -> None:
    locks.admit(copy("1"))
    if is_accepted:
        locks.accept([Step(copy("1"))])

    answer = locks.admit(copy("1", token="U", number=2))

    assert (answer, answer.verdict) == (Answer.OTHER, REFUSE)
    assert record(locks).token == "T"


def test_another_copy_replaces_one_that_was_reserved_by_a_dead_worker(locks: Locks) -> None:
    locks.admit(copy("1", lease=AT_ONCE))

    answer = locks.admit(copy("1", token="U", number=2))

    assert (answer, answer.verdict) == (Answer.REPLACES, RUN)
    assert record(locks).token == "U"


def test_another_copy_replaces_a_dead_run_that_was_noted_as_redelivered(locks: Locks) -> None:
    running(locks, copy("1"))
    locks.admit(copy("1", worker="w2"))
    locks.accept([Step(copy("1", lease=AT_ONCE))])

    answer = locks.admit(copy("1", token="U", number=2))

    assert (answer, answer.verdict) == (Answer.REPLACES, RUN)
    assert record(locks).redelivered is False


def test_another_copy_of_a_run_that_vanished_is_refused(locks: Locks) -> None:
    running(locks, copy("1", lease=AT_ONCE))

    answer = locks.admit(copy("1", token="U", number=2))

    assert (answer, answer.verdict) == (Answer.LOST, REFUSE)


@pytest.mark.parametrize(
    "late", [copy("1"), copy("1", retries=1), copy("1", token="U")], ids=["same", "retry", "other"]
)
def test_no_copy_of_a_fire_that_has_ended_runs(locks: Locks, late: Copy) -> None:
    locks.end([Step(running(locks, copy("1")))])

    answer = locks.admit(late)

    assert (answer, answer.verdict) == (Answer.ENDED, REFUSE)


def test_a_copy_that_is_older_than_records_are_kept_is_refused(locks: Locks) -> None:
    old, young = NOW - DAY - HOUR, NOW - DAY + HOUR

    assert locks.admit(copy("1", published_at=old)) is Answer.TOO_OLD
    assert locks.admit(copy("1", published_at=young)) is Answer.FIRST


def test_a_retry_of_a_run_that_began_long_ago_runs(locks: Locks) -> None:
    it = running(locks, copy("1", ("a", 1)))

    answer = locks.admit(replace(it, published_at=NOW - 2 * DAY, retries=1))

    assert (answer, answer.verdict) == (Answer.RETRY, RUN)


def test_a_record_lives_for_as_long_as_a_copy_may(locks: Locks, place: Place) -> None:
    forgetful = place.open(max_queue_time=AT_ONCE)
    forgetful.end([Step(copy("1"))])
    forgetful.accept([Step(copy("2", lease=HOUR))])

    assert list(forgetful.admissions(["1", "2"])) == ["2"]
    assert locks.admit(copy("1")) is Answer.FIRST


@pytest.mark.parametrize("answer", Answer, ids=lambda answer: answer.name)
def test_the_documentation_has_each_line_of_the_table(answer: Answer) -> None:
    page = " ".join((ROOT / "docs" / "why" / "slots.md").read_text().split())

    line = f"| {answer.verdict.value} | {answer.reason} |"

    assert line in page if answer is not Answer.FULL else f"wait ({answer.reason})" in page


# Slots


def test_admission_takes_the_slot_again_as_the_same_holder(locks: Locks) -> None:
    locks.acquire([hold("1", ("a", 1), lease=timedelta(minutes=1))])

    answer = locks.admit(copy("1", ("a", 1)))

    assert answer is Answer.FIRST
    ((fire, until),) = locks.holders(["a"])["a"]
    assert fire == "1"
    assert until - NOW > timedelta(minutes=30)


def test_a_slot_that_was_lost_is_taken_anew_where_there_is_one(locks: Locks) -> None:
    assert locks.admit(copy("1", ("a", 1), ("b", 1))) is Answer.FIRST
    assert locks.free([Limit("a", 1), Limit("b", 1)]) == {"a": 0, "b": 0}


def test_a_copy_whose_slot_was_lost_waits_when_the_key_is_full(locks: Locks) -> None:
    locks.acquire([hold("1", ("own", 1))])
    locks.acquire([hold("2", ("shared", 1))])

    answer = locks.admit(copy("1", ("own", 1), ("shared", 1)))

    assert (answer, answer.verdict) == (Answer.FULL, WAIT)
    assert locks.holders(["own"])["own"] == []
    assert (record(locks).state.value, record(locks).alive) == ("reserved", False)


def test_what_had_to_wait_is_sent_and_admitted_again_as_another_copy(locks: Locks) -> None:
    locks.acquire([hold("2", ("a", 1))])
    locks.admit(copy("1", ("a", 1)))
    still_renewed = locks.renew([hold("1", ("a", 2))])
    locks.release([hold("2", ("a", 1))])

    acquired = locks.acquire([hold("1", ("a", 1))])
    answer = locks.admit(copy("1", ("a", 1), token="U", number=2))

    assert still_renewed == [False]
    assert acquired == [True]
    assert answer is Answer.REPLACES


def test_a_retry_whose_slot_was_lost_waits_and_may_be_replaced(locks: Locks) -> None:
    running(locks, copy("1", ("a", 1), lease=AT_ONCE))
    locks.acquire([hold("2", ("a", 1))])

    answer = locks.admit(copy("1", ("a", 1), retries=1))

    assert answer is Answer.FULL
    assert locks.admit(copy("1", token="U", number=2)) is Answer.REPLACES


def test_a_retry_keeps_its_slot_where_a_limit_was_raised_meanwhile(locks: Locks) -> None:
    running(locks, copy("1", ("a", 1)))
    running(locks, copy("2", ("a", 2)))

    answer = locks.admit(copy("1", ("a", 1), retries=1))

    assert answer is Answer.RETRY
    assert sorted(each.fire for each in locks.holders(["a"])["a"]) == ["1", "2"]


def test_a_refused_copy_touches_no_slot(locks: Locks) -> None:
    running(locks, copy("1", ("a", 1)))
    before = locks.holders(["a", "b"])

    locks.admit(copy("1", ("a", 1), ("b", 1), token="U"))

    assert locks.holders(["a", "b"]) == before


def test_a_silent_memory_lets_in_who_holds_a_slot_and_nobody_else(place: Place) -> None:
    place.lose()
    locks = place.open(renewal_period=timedelta(seconds=4))
    wait_until(lambda: locks.open().silent_for < timedelta(seconds=1), 10)
    locks.renew([hold("1", ("a", 1))])

    assert locks.admit(copy("1", ("a", 1))) is Answer.FIRST
    assert locks.admit(copy("2", ("b", 1))) is Answer.FULL
    assert locks.admit(copy("3")) is Answer.FIRST
    assert locks.open().silent_for > AT_ONCE
