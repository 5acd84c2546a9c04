"""What follows for a fire that was sent and has not ended, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from celery_jobsched.aftercare import Decision, Do, Sight, decide
from celery_jobsched.fire import FireState
from celery_jobsched.limits import NO_LIMIT, Limit, Rights
from celery_jobsched.locks import Admission, CopyState
from celery_jobsched.store.watching import Watched

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
ONE_SLOT = Rights((Limit("job a", 1),), 30 * SECOND)
SIGHT = Sight(
    now=NOW,
    is_whole=True,
    has_read=True,
    is_heard=True,
    resend_after=MINUTE,
    max_queue_time=DAY,
)
UNHEARD = replace(SIGHT, is_heard=False)
#: What has a worker, or had one, that a row knows of.
ADMITTED = (FireState.SENT, FireState.STARTED, FireState.RETRYING)


def fire(state: FireState = FireState.SENT, age: timedelta = SECOND, **more: Any) -> Watched:
    known: dict[str, Any] = {"publishes": 1, "rights": NO_LIMIT, "task": None}
    return Watched("id", 1, "a", True, state, sent_at=NOW - age, held_until=NOW, **(known | more))


def record(state: CopyState, rest: timedelta, redelivered: bool = False) -> Admission:
    alive = rest > timedelta(0)
    return Admission(state, "T", 1, 0, "w1", NOW + rest, alive, redelivered)


def test_what_waits_in_a_queue_is_looked_at_again_when_it_may_be_sent_again() -> None:
    decision = decide(fire(age=20 * SECOND), None, SIGHT, False)

    assert decision == Decision(Do.WAIT, 40 * SECOND)


def test_the_slot_of_what_waits_in_a_queue_is_renewed_every_five_seconds() -> None:
    decision = decide(fire(rights=ONE_SLOT), None, SIGHT, False)

    assert decision == Decision(Do.WAIT, 5 * SECOND, renews=True)


def test_a_short_lease_is_renewed_three_times() -> None:
    short = Rights(ONE_SLOT.limits, 3 * SECOND)

    assert decide(fire(rights=short), None, SIGHT, False).again_in == SECOND


@pytest.mark.parametrize(("publishes", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8)])
def test_what_no_worker_took_is_sent_again_after_twice_the_time_each(
    publishes: int, minutes: int
) -> None:
    patience = minutes * MINUTE

    before = decide(fire(age=patience - SECOND, publishes=publishes), None, SIGHT, False)
    after = decide(fire(age=patience, publishes=publishes), None, SIGHT, False)

    assert before == Decision(Do.WAIT, SECOND)
    assert (after.do, after.reason) == (Do.SEND_AGAIN, "no worker took it")


def test_an_outage_of_the_broker_that_took_many_attempts_makes_no_number_too_large() -> None:
    decision = decide(fire(age=DAY - SECOND, publishes=100_000), None, SIGHT, False)

    assert decision == Decision(Do.WAIT, SECOND)


def test_what_no_worker_took_for_the_longest_queue_time_is_lost() -> None:
    decision = decide(fire(age=DAY, publishes=30), None, SIGHT, False)

    assert (decision.do, decision.reason) == (
        Do.LOSE,
        "no worker took it within 86400 seconds",
    )


@pytest.mark.parametrize("state", ADMITTED)
@pytest.mark.parametrize("copy", [CopyState.RESERVED, CopyState.ACCEPTED])
def test_who_is_in_a_workers_hand_is_looked_at_when_the_lease_could_be_over(
    state: FireState, copy: CopyState
) -> None:
    decision = decide(fire(state, DAY, rights=ONE_SLOT), record(copy, 20 * SECOND), SIGHT, False)

    assert decision == Decision(Do.WAIT, 21 * SECOND)


def test_a_clock_that_goes_ahead_does_not_put_the_next_look_off_for_long() -> None:
    ahead = record(CopyState.ACCEPTED, timedelta(days=3))

    assert decide(fire(FireState.STARTED), ahead, SIGHT, False).again_in == MINUTE


@pytest.mark.parametrize("state", ADMITTED)
def test_a_run_whose_lease_is_over_is_lost(state: FireState) -> None:
    decision = decide(fire(state), record(CopyState.ACCEPTED, -SECOND), SIGHT, False)

    assert decision.do is Do.LOSE
    assert decision.asks
    assert decision.reason == "its worker is gone: nobody renewed its lease"


@pytest.mark.parametrize("state", [FireState.STARTED, FireState.RETRYING])
def test_a_run_that_the_whole_memory_does_not_know_is_lost(state: FireState) -> None:
    assert decide(fire(state), None, SIGHT, False).do is Do.LOSE


@pytest.mark.parametrize("state", ADMITTED)
@pytest.mark.parametrize("copy", [CopyState.RESERVED, CopyState.ACCEPTED])
def test_whose_copy_came_again_while_its_lease_was_alive_is_sent_again_after_it(
    state: FireState, copy: CopyState
) -> None:
    over = record(copy, -SECOND, redelivered=True)

    assert decide(fire(state), over, SIGHT, False).do is Do.SEND_AGAIN


@pytest.mark.parametrize("state", ADMITTED)
def test_what_was_only_reserved_may_come_again_by_itself(state: FireState) -> None:
    given_back = record(CopyState.RESERVED, -20 * SECOND)
    long_ago = record(CopyState.RESERVED, -MINUTE)

    assert decide(fire(state, DAY), given_back, SIGHT, False) == Decision(Do.WAIT, 40 * SECOND)
    assert decide(fire(state, DAY), long_ago, SIGHT, False).do is Do.SEND_AGAIN


@pytest.mark.parametrize("state", ADMITTED)
@pytest.mark.parametrize(
    "known", [None, record(CopyState.ACCEPTED, -SECOND), record(CopyState.RESERVED, -DAY)]
)
def test_while_the_locks_are_silent_nothing_is_decided(
    state: FireState, known: Admission | None
) -> None:
    silent = replace(SIGHT, is_whole=False)

    decision = decide(fire(state, 2 * DAY, rights=ONE_SLOT), known, silent, False)

    assert replace(decision, renews=False) == Decision(Do.WAIT, 2.5 * SECOND)


@pytest.mark.parametrize(
    ("state", "known", "may_queue"),
    [
        (FireState.SENT, None, True),
        (FireState.RETRYING, None, True),
        (FireState.STARTED, None, False),
        (FireState.SENT, record(CopyState.RESERVED, -DAY), True),
        (FireState.STARTED, record(CopyState.RESERVED, -DAY), True),
        (FireState.SENT, record(CopyState.ACCEPTED, SECOND), False),
        (FireState.RETRYING, record(CopyState.ACCEPTED, -SECOND), False),
    ],
)
def test_silent_locks_are_told_of_what_may_be_in_a_queue_alone(
    state: FireState, known: Admission | None, may_queue: bool
) -> None:
    decision = decide(fire(state, rights=ONE_SLOT), known, replace(SIGHT, is_whole=False), False)

    assert decision.renews is may_queue


def test_a_report_of_an_end_may_be_on_its_way_for_half_a_minute() -> None:
    lately, long_ago = (record(CopyState.ENDED, -n * SECOND) for n in (30, 31))

    assert decide(fire(), lately, SIGHT, False) == Decision(Do.WAIT, 5 * SECOND)
    assert decide(fire(), long_ago, replace(SIGHT, has_read=False), False).do is Do.WAIT
    lost = decide(fire(), long_ago, SIGHT, False)
    assert (lost.do, lost.reason) == (
        Do.LOSE,
        "it ended, and the report that says how was lost",
    )


def test_what_a_worker_gave_back_is_sent_again_unless_another_copy_runs() -> None:
    back = fire(FireState.PENDING)

    assert decide(back, None, SIGHT, False).do is Do.SEND_AGAIN
    assert decide(back, record(CopyState.RESERVED, -SECOND), SIGHT, False).do is Do.SEND_AGAIN
    assert decide(back, record(CopyState.ACCEPTED, SECOND), SIGHT, False).do is Do.WAIT
    assert decide(back, None, replace(SIGHT, is_whole=False), False).do is Do.WAIT


@pytest.mark.parametrize("state", [s for s in FireState if s.is_final])
def test_what_has_ended_is_let_go(state: FireState) -> None:
    assert decide(fire(state), None, SIGHT, False) == Decision(Do.LET_GO)


def test_where_nobody_reports_and_no_result_is_kept_the_end_stays_unknown() -> None:
    lately = decide(fire(age=20 * SECOND, rights=ONE_SLOT), None, UNHEARD, False)
    long_ago = decide(fire(age=MINUTE, rights=ONE_SLOT), None, UNHEARD, False)

    # The slot lasts one lease: it may be of a run, or of one that ended long ago.
    assert lately == Decision(Do.WAIT, 40 * SECOND)
    assert long_ago == Decision(Do.LET_GO)


def test_where_nobody_reports_the_result_is_asked_for_ever_more_rarely() -> None:
    first = decide(fire(age=MINUTE), None, UNHEARD, True)
    later = decide(fire(age=8 * MINUTE), None, UNHEARD, True)

    assert first == Decision(Do.WAIT, MINUTE, asks=True)
    assert later == Decision(Do.WAIT, 8 * MINUTE, asks=True)


def test_where_nobody_reports_a_slot_is_kept_until_the_result_is_there() -> None:
    decision = decide(fire(age=MINUTE, rights=ONE_SLOT), None, UNHEARD, True)

    assert decision == Decision(Do.WAIT, 5 * SECOND, renews=True, asks=True)


def test_a_result_that_did_not_come_in_the_longest_queue_time_is_not_waited_for() -> None:
    assert decide(fire(age=DAY), None, UNHEARD, True) == Decision(Do.LET_GO, asks=True)
