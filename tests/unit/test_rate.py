"""How many fires may be published at a moment, and which come first."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched import Job
from celery_jobsched.rate import Rate, Urgency

STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), max_size=40)


def job(priority: object = None) -> Job:
    options = {} if priority is None else {"priority": priority}
    return Job(name="j", task="t", every="1 hour", options=options)


def test_without_a_number_there_is_no_limit() -> None:
    rate = Rate()

    rate.spend(1_000_000)

    assert rate.room(0.0) == sys.maxsize


@given(st.sampled_from([0.5, 1, 7, 100.0]), STEPS)
def test_in_no_time_more_go_out_than_that_time_allows(
    per_second: float, steps: list[tuple[float, int]]
) -> None:
    rate, moment, sent = Rate(per_second), 0.0, []

    for passes, wanted in steps:
        moment += passes
        count = min(wanted, rate.room(moment))
        rate.spend(count)
        sent.append((moment, count))

    for k, (since, _) in enumerate(sent):
        for last, (until, _) in enumerate(sent[k:], k):
            allowed = max(per_second, 1) + per_second * (until - since)
            assert sum(count for _, count in sent[k : last + 1]) <= allowed + 1e-4


def test_whoever_wants_more_gets_all_that_the_rate_allows() -> None:
    rate, sent = Rate(20), 0

    for tick in range(1 + 10 * 5):
        count = rate.room(tick / 5)
        rate.spend(count)
        sent += count

    assert sent == pytest.approx(20 + 20 * 10, abs=1)


def test_less_than_one_a_second_goes_out_now_and_then() -> None:
    rate, at = Rate(0.25), []

    for moment in range(13):
        if rate.room(float(moment)):
            rate.spend(1)
            at.append(moment)

    assert at == [0, 4, 8, 12]


def test_more_than_there_was_room_for_is_a_debt() -> None:
    rate = Rate(10)

    rate.room(0.0)
    rate.spend(30)

    assert [rate.room(moment) for moment in (1.0, 2.0, 2.5)] == [0, 0, 5]


@pytest.mark.parametrize(
    ("urgency", "first"),
    [
        (Urgency(), ["high", "low", "none", "also none"]),
        (Urgency(usual=5), ["high", "none", "also none", "low"]),
        (Urgency(smallest_first=True), ["none", "also none", "low", "high"]),
    ],
)
def test_the_most_urgent_are_those_that_the_broker_would_hand_out_first(
    urgency: Urgency, first: list[str]
) -> None:
    jobs = {"none": job(), "low": job(1), "also none": job(), "high": job(9)}

    assert list(urgency.most_urgent(jobs, 4)) == first
    assert list(urgency.most_urgent(jobs, 1)) == first[:1]
