"""Several triggers in one job: their union, each instant once, under every rule of the job."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.job import Job
from celery_jobsched.plan import decide, due_at, grace, heeds_keyword, plan_new
from celery_jobsched.triggers import AnyOf, custom
from celery_jobsched.triggers.once import Once
from tests.laws import check_laws
from tests.pace import paced

MADE_AT = datetime(2030, 1, 1, tzinfo=timezone.utc)
TICK = datetime.resolution
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = timedelta(days=1)
#: One of each kind; they meet at noon of each day, of the first day at least.
KINDS = {
    "every": {"every": "90 minutes"},
    "cron": {"cron": "0 */4 * * *"},
    "once": {"once": "2030-01-01 12:00, 2030-01-02 12:01, 2030-01-01 00:00:30"},
    "celery": {"celery": "crontab 0 12 * * *"},
    "custom": {"custom": "noon"},
    "keyword": {"keyword": "now"},
}
UNIONS = [pair for n in (2, 3, len(KINDS)) for pair in combinations(KINDS, n)]


class Noon:
    """Each day at noon, UTC."""

    def __init__(self, argument: str, zone: tzinfo, anchor: datetime) -> None:
        pass

    def next_after(self, instant: datetime) -> datetime:
        noon = instant.replace(hour=12, minute=0, second=0, microsecond=0)
        return noon if noon > instant else noon + DAY

    def previous_before(self, instant: datetime) -> datetime:
        return self.next_after(instant - DAY - TICK)


@pytest.fixture(autouse=True, scope="module")
def _noon() -> Any:
    before, custom._factories = custom._factories, {"noon": Noon}
    yield
    custom._factories = before


def job(kinds: Any, **rules: Any) -> Job:
    definition = {key: value for kind in kinds for key, value in KINDS[kind].items()}
    made = Job.from_dict("several", {"task": "t", **definition, **rules})
    return replace(made, id=1, created_at=MADE_AT)


def instants(kind: str, until: datetime) -> set[datetime]:
    """What the triggers of this file name, from the day they were made on, as their texts say."""
    day = int((until - MADE_AT) / DAY) + 2
    named = {
        "every": {MADE_AT + k * 90 * MINUTE for k in range(16 * day)},
        "cron": {MADE_AT + k * 4 * HOUR for k in range(6 * day)},
        "once": {MADE_AT + 12 * HOUR, MADE_AT + 36 * HOUR + MINUTE, MADE_AT + 30 * SECOND},
        "celery": {MADE_AT + 12 * HOUR + k * DAY for k in range(day)},
        "custom": {MADE_AT + 12 * HOUR + k * DAY for k in range(day)},
        "keyword": set(),
    }
    return {at for at in named[kind] if at <= until}


def union(kinds: Any, until: datetime) -> list[datetime]:
    return sorted(set().union(*(instants(kind, until) for kind in kinds)))


@pytest.mark.parametrize("kinds", UNIONS, ids=" ".join)
def test_a_job_fires_when_any_of_its_triggers_does_and_once_an_instant(kinds: Any) -> None:
    several, until = job(kinds), MADE_AT + 3 * DAY
    expected = union(kinds, until)

    walked = [at for at in several.upcoming(MADE_AT - TICK, len(expected) + 1) if at <= until]
    back = several.previous(until + TICK, len(expected))

    assert walked == expected
    assert back[::-1] == expected


@given(st.sampled_from(UNIONS), st.integers(-10 * 86400, 10 * 86400))
def test_a_union_obeys_the_laws_of_every_trigger(kinds: Any, seconds: int) -> None:
    check_laws(job(kinds).trigger, MADE_AT + seconds * SECOND)


@given(
    st.lists(st.lists(st.integers(0, 50), max_size=20), max_size=4),
    st.integers(-1, 51),
)
def test_the_union_is_the_union_of_the_sets(found: list[list[int]], n: int) -> None:
    sets = [{MADE_AT + k * SECOND for k in each} for each in found]
    several = AnyOf(tuple(Once(tuple(sorted(each))) for each in sets))
    whole, at = set().union(*sets), MADE_AT + n * SECOND

    assert several.next_after(at) == min((each for each in whole if each > at), default=None)
    assert several.previous_before(at) == max((each for each in whole if each < at), default=None)


@pytest.mark.parametrize("kinds", [k for k in UNIONS if "every" in k and "once" in k], ids=" ".join)
@pytest.mark.parametrize(
    ("misfire", "fires"), [("skip", 0), ("once", 1), ("all", 5)], ids=lambda each: str(each)
)
def test_what_a_union_missed_is_settled_as_of_one_trigger(
    kinds: Any, misfire: str, fires: int
) -> None:
    asleep = replace(job(kinds, misfire=misfire), next_fire_at=MADE_AT)
    now = MADE_AT + 2 * DAY + 10 * MINUTE
    owed = union(kinds, now)

    plan = decide(asleep, now, catchup_limit=5)

    assert [each.fire_at for each in plan.fires] == owed[len(owed) - fires :]
    assert plan.missed is not None
    assert (plan.missed.fire_at, plan.missed.until_at) == (owed[0], owed[-fires - 1])
    assert plan.missed.count == len(owed) - fires
    assert plan.next_fire_at == min(at for at in union(kinds, now + DAY) if at > now)


@pytest.mark.parametrize("kinds", UNIONS, ids=" ".join)
def test_the_limits_of_a_job_are_those_of_its_union(kinds: Any) -> None:
    starts_at, ends_at = MADE_AT + HOUR, MADE_AT + 13 * HOUR
    # Counted from the start, `every` has other instants: it is bounded by the rest of this test.
    kinds = [kind for kind in kinds if kind != "every"]
    limited = job(kinds or ["cron"], starts_at=starts_at, ends_at=ends_at)
    expected = [at for at in union(kinds or ["cron"], ends_at) if at >= starts_at]

    assert limited.upcoming(MADE_AT, 99) == expected
    assert limited.previous(MADE_AT + 9 * DAY, 99)[::-1] == expected


def test_max_fires_counts_the_fires_of_all_triggers() -> None:
    several = replace(job(["every", "once"], misfire="all", max_fires=3), next_fire_at=MADE_AT)

    plan = decide(several, MADE_AT + DAY)

    assert len(plan.fires) == 3
    assert plan.next_fire_at is None


def test_jitter_keeps_the_order_of_a_union() -> None:
    several = job(["every", "cron", "once"], jitter=7200)
    walked = several.upcoming(MADE_AT - TICK, 40)

    dues = [due_at(several, at) for at in walked]

    assert dues == sorted(dues)
    assert all(at <= due < after for due, (at, after) in zip(dues, pairwise(walked), strict=False))


def test_the_grace_of_a_union_is_up_to_its_next_instant() -> None:
    several = job(["every", "once"])

    assert grace(several, MADE_AT) == 30 * SECOND
    assert grace(several, MADE_AT + 30 * SECOND) == MINUTE


def test_a_union_that_slept_a_year_is_settled_in_bounded_work() -> None:
    sleeper = replace(job(["once", "cron"], every="1 second", misfire="once"), next_fire_at=MADE_AT)

    began = time.perf_counter()
    plan = decide(sleeper, MADE_AT + 365 * DAY)
    took = time.perf_counter() - began

    assert took < paced(0.2)
    assert plan.missed is not None
    assert plan.missed.count is None


def test_a_keyword_is_no_instant_of_the_union() -> None:
    waiting = job(["keyword"])
    both = job(["keyword", "cron"])

    assert waiting.next_after(MADE_AT) is waiting.previous_before(MADE_AT) is None
    assert plan_new(waiting).due_at is None
    assert both.next_after(MADE_AT) == MADE_AT + 4 * HOUR
    assert heeds_keyword(waiting, MADE_AT)
    assert heeds_keyword(both, MADE_AT)
    assert not heeds_keyword(job(["cron"]), MADE_AT)


def test_a_union_of_what_is_over_and_what_goes_on_goes_on() -> None:
    several = job(["once", "celery"])

    assert several.next_after(MADE_AT + 9 * DAY) == MADE_AT + 9 * DAY + 12 * HOUR
    assert several.previous_before(MADE_AT) is not None
