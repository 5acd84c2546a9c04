"""What a job owes at a moment: ``decide`` and its rules, without any database."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.fire import Origin
from celery_jobsched.job import Job
from celery_jobsched.plan import FIRES_AT_ONCE, decide, due_at, grace, plan_from, plan_new
from tests.pace import paced

MADE_AT = datetime(2030, 1, 1, tzinfo=timezone.utc)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = timedelta(days=1)


def job(first: datetime | None = MADE_AT, **definition: Any) -> Job:
    """A job of every ten minutes, unless *definition* says otherwise, that owes *first* next."""
    if not {"every", "cron", "once", "celery"} & definition.keys():
        definition["every"] = "10 minutes"
    state = {
        name: definition.pop(name) for name in ("last_fire_at", "fire_count") if name in definition
    }
    made = Job.from_dict("a job", {"task": "t", **definition})
    return replace(made, id=1, created_at=MADE_AT, next_fire_at=first, **state)


def at(*minutes: float) -> list[datetime]:
    return [MADE_AT + each * MINUTE for each in minutes]


def fired(plan: Any) -> list[datetime]:
    return [owed.fire_at for owed in plan.fires]


def test_before_its_time_a_job_owes_nothing() -> None:
    plan = decide(job(MADE_AT + HOUR), MADE_AT + HOUR - timedelta(microseconds=1))

    assert (plan.fires, plan.missed) == ((), None)
    assert plan.next_fire_at == plan.due_at == MADE_AT + HOUR


@pytest.mark.parametrize("late", [timedelta(0), SECOND, MINUTE])
def test_an_instant_within_the_grace_fires(late: timedelta) -> None:
    plan = decide(job(), MADE_AT + late)

    (owed,) = plan.fires
    assert (owed.fire_at, owed.due_at, owed.origin) == (MADE_AT, MADE_AT, Origin.SCHEDULE)
    assert (plan.missed, plan.next_fire_at) == (None, MADE_AT + 10 * MINUTE)


@pytest.mark.parametrize(
    ("rule", "expected_fires", "expected_missed"),
    [
        ("skip", [], (0, 20, 3)),
        ("once", [20], (0, 10, 2)),
        (None, [20], (0, 10, 2)),
        ("all", [0, 10, 20], None),
    ],
)
def test_the_misfire_rule_says_which_of_the_late_ones_fire(
    rule: str | None, expected_fires: list[float], expected_missed: tuple[float, float, int] | None
) -> None:
    plan = decide(job(misfire=rule), MADE_AT + 25 * MINUTE)

    assert fired(plan) == at(*expected_fires)
    assert {owed.origin for owed in plan.fires} <= {Origin.CATCHUP}
    if expected_missed is None:
        assert plan.missed is None
    else:
        assert plan.missed is not None
        first, last, count = expected_missed
        assert [plan.missed.fire_at, plan.missed.until_at] == at(first, last)
        assert plan.missed.count == count
    assert plan.next_fire_at == MADE_AT + 30 * MINUTE


def test_a_timely_instant_fires_beside_the_late_ones() -> None:
    plan = decide(job(misfire="once"), MADE_AT + 30 * MINUTE + SECOND)

    assert [(owed.fire_at, owed.origin) for owed in plan.fires] == [
        (at(20)[0], Origin.CATCHUP),
        (at(30)[0], Origin.SCHEDULE),
    ]


def test_catching_up_takes_the_newest_up_to_the_limit() -> None:
    plan = decide(job(misfire="all"), MADE_AT + 95 * MINUTE, catchup_limit=4)

    assert fired(plan) == at(60, 70, 80, 90)
    assert plan.missed is not None
    assert [plan.missed.fire_at, plan.missed.until_at] == at(0, 50)
    assert plan.missed.count == 6


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("1 second", 5),
        ("5 seconds", 5),
        ("30 seconds", 30),
        ("1 minute", 60),
        ("1 hour", 60),
        ("1 month", 60),
    ],
)
def test_the_grace_is_the_interval_but_five_to_sixty_seconds(every: str, expected: int) -> None:
    assert grace(job(every=every), MADE_AT) == expected * SECOND


def test_the_grace_of_a_last_instant_and_of_one_that_a_job_names() -> None:
    assert grace(job(once=MADE_AT), MADE_AT) == MINUTE
    assert grace(job(misfire_grace_time=0.5), MADE_AT) == 0.5 * SECOND
    assert grace(job(misfire_grace_time=7200), MADE_AT) == 2 * HOUR


@pytest.mark.parametrize("late", [59, 61])
def test_the_grace_is_the_border_between_timely_and_missed(late: int) -> None:
    plan = decide(job(misfire="skip"), MADE_AT + late * SECOND)

    assert len(plan.fires) == (1 if late <= 60 else 0)


def test_fires_at_once_are_bounded_and_the_rest_stays_due() -> None:
    many = job(every="1 second", misfire_grace_time=3600)
    now = MADE_AT + 250 * SECOND

    first = decide(many, now)
    then = replace(many, next_fire_at=first.next_fire_at, last_fire_at=first.fires[-1].fire_at)
    second = decide(then, now)

    assert fired(first) == [MADE_AT + k * SECOND for k in range(FIRES_AT_ONCE)]
    assert first.next_fire_at == second.fires[0].fire_at == MADE_AT + FIRES_AT_ONCE * SECOND
    assert first.due_at is not None
    assert first.due_at <= now


def test_max_fires_counts_those_before_and_ends_the_job() -> None:
    nearly_done = job(misfire="all", max_fires=5, fire_count=3)

    plan = decide(nearly_done, MADE_AT + 45 * MINUTE)

    assert fired(plan) == at(0, 10)
    assert (plan.next_fire_at, plan.due_at) == (None, None)


@pytest.mark.parametrize("change", [{"fire_count": 5, "max_fires": 5}, {"enabled": False}])
def test_a_job_that_is_spent_or_disabled_owes_nothing(change: dict[str, Any]) -> None:
    plan = decide(job(**change), MADE_AT + HOUR)

    assert plan == decide(job(first=None), MADE_AT)
    assert (plan.fires, plan.missed, plan.next_fire_at) == ((), None, None)


def test_the_end_that_a_job_names_is_its_last_instant() -> None:
    plan = decide(job(misfire="all", ends_at=MADE_AT + 20 * MINUTE), MADE_AT + HOUR)

    assert fired(plan) == at(0, 10, 20)
    assert plan.next_fire_at is None


def test_an_instant_that_was_fired_is_not_owed_again() -> None:
    turned_back = job(first=MADE_AT, last_fire_at=MADE_AT + 10 * MINUTE)

    plan = decide(turned_back, MADE_AT + 20 * MINUTE)

    assert fired(plan) == at(20)


@given(st.integers(0, 500), st.floats(0.001, 2000))
def test_jitter_is_stable_and_keeps_the_order(k: int, jitter: float) -> None:
    jittered = job(jitter=jitter)
    instants = [MADE_AT + (k + i) * 10 * MINUTE for i in range(3)]

    dues = [due_at(jittered, each) for each in instants]

    assert dues == [due_at(jittered, each) for each in instants]
    room = min(timedelta(seconds=jitter), 10 * MINUTE)
    for instant, due in zip(instants, dues, strict=True):
        assert timedelta(0) <= due - instant <= room
    assert all(one < two for one, two in pairwise(dues))


def test_jitter_differs_between_jobs_and_between_instants() -> None:
    one, two = job(jitter=300), replace(job(jitter=300), id=2)

    offsets = {due_at(each, instant) - instant for each in (one, two) for instant in at(0, 10, 20)}

    assert len(offsets) == 6


def test_with_jitter_the_nominal_instant_fires_when_its_due_comes() -> None:
    jittered = job(jitter=300)
    due = due_at(jittered, MADE_AT)

    early, on_time = decide(jittered, due - timedelta(microseconds=1)), decide(jittered, due)

    assert (early.fires, early.next_fire_at, early.due_at) == ((), MADE_AT, due)
    assert [(owed.fire_at, owed.due_at) for owed in on_time.fires] == [(MADE_AT, due)]


@pytest.mark.parametrize(
    ("definition", "count"),
    [({"every": "1 second"}, 31535994), ({"cron": "* * * * *"}, None), ({"every": "1 day"}, 364)],
)
def test_a_job_that_slept_a_year_is_settled_in_bounded_work(
    definition: dict[str, str], count: int | None
) -> None:
    sleeper = job(**definition)
    now = MADE_AT + 365 * DAY

    began = time.perf_counter()
    plan = decide(sleeper, now)
    took = time.perf_counter() - began

    assert took < paced(0.2)
    assert plan.missed is not None
    assert plan.missed.fire_at == MADE_AT
    assert plan.missed.count == count
    assert plan.missed.until_at < plan.fires[0].fire_at
    assert plan.next_fire_at is not None
    assert plan.next_fire_at > now


@given(
    st.integers(0, 40_000),
    st.sampled_from(["skip", "once", "all"]),
    st.sampled_from([None, 1, 30, 5000]),
)
def test_each_instant_is_settled_exactly_once(late: int, rule: str, graced: int | None) -> None:
    now = MADE_AT + late * SECOND
    plan = decide(job(misfire=rule, misfire_grace_time=graced), now, catchup_limit=5)

    owed = [MADE_AT + k * 10 * MINUTE for k in range(late // 600 + 1)]
    folded = [
        each for each in owed if plan.missed and plan.missed.fire_at <= each <= plan.missed.until_at
    ]
    assert sorted(fired(plan) + folded) == owed
    assert fired(plan) == sorted(fired(plan))
    assert plan.missed is None or plan.missed.count == len(folded)
    assert plan.next_fire_at == owed[-1] + 10 * MINUTE


@given(st.integers(0, 20_000), st.sampled_from(["skip", "once", "all"]), st.floats(1, 3600))
def test_with_jitter_each_instant_is_settled_once_it_is_due(
    late: int, rule: str, jitter: float
) -> None:
    jittered, now = job(misfire=rule, jitter=jitter), MADE_AT + late * SECOND

    plan = decide(jittered, now)

    instants = [MADE_AT + k * 10 * MINUTE for k in range(late // 600 + 2)]
    owed = [each for each in instants if due_at(jittered, each) <= now]
    folded = [
        each for each in owed if plan.missed and plan.missed.fire_at <= each <= plan.missed.until_at
    ]
    timely = [each for each in owed if due_at(jittered, each) >= now - MINUTE]
    assert sorted(fired(plan) + folded) == owed
    assert set(timely) <= set(fired(plan))
    assert plan.missed is None or plan.missed.count == len(folded)
    assert plan.next_fire_at == instants[len(owed)]


def test_the_jitter_of_a_last_instant_is_the_whole_of_it() -> None:
    offsets = {due_at(replace(job(once=MADE_AT, jitter=300), id=n), MADE_AT) for n in range(50)}

    assert min(offsets) < MADE_AT + MINUTE
    assert MADE_AT + 4 * MINUTE < max(offsets) < MADE_AT + 5 * MINUTE


def test_a_new_job_owes_the_second_it_was_made_in() -> None:
    made = replace(job(once=MADE_AT), created_at=MADE_AT + 0.7 * SECOND)

    assert plan_new(made).next_fire_at == MADE_AT
    with pytest.raises(ValueError, match="created_at"):
        plan_new(Job.from_dict("unsaved", {"task": "t", "every": "1 hour"}))


def test_after_an_edit_nothing_fires_for_before_it() -> None:
    edited = job(first=None)

    assert plan_from(edited, MADE_AT + 25 * MINUTE).next_fire_at == at(30)[0]
    assert plan_from(edited, MADE_AT + 30 * MINUTE).next_fire_at == at(40)[0]
    ahead = replace(edited, last_fire_at=MADE_AT + 50 * MINUTE)
    assert plan_from(ahead, MADE_AT + 25 * MINUTE).next_fire_at == at(60)[0]
    assert plan_from(job(enabled=False), MADE_AT).next_fire_at is None
