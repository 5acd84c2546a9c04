"""The laws of every trigger, for every, at, once, Celery's own schedules, and unions of them.

Cron, recurrence rules, calendars and custom triggers have a file each, with the same laws.
"""
# ruff: noqa: DTZ001 - a local time has no zone

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import pytz
from hypothesis import assume, given
from hypothesis import strategies as st

from celery_jobsched.clock import UTC
from celery_jobsched.errors import NextFireTimeError
from celery_jobsched.job import Job
from tests.effort import examples
from tests.laws import check_laws, lines_run

ZONES = sorted(pytz.all_timezones)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
ANYWHEN = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
#: What refines each unit, as text.
AT = {
    "second": st.nothing(),
    "minute": st.builds(":{:02}".format, st.integers(0, 59)),
    "hour": st.builds(":{:02}:{:02}".format, st.integers(0, 59), st.integers(0, 59)),
    "day": TIMES,
    "week": st.builds("{} {}".format, st.sampled_from(["mon", "wed", "sunday"]), TIMES),
    "month": st.builds("{} {}".format, st.sampled_from([-1, 1, 29, 30, 31]), TIMES),
    "year": st.builds("{:02}-{:02} {}".format, st.integers(1, 12), st.integers(1, 31), TIMES),
}
#: The most lines of the package that one question may run, whatever the trigger and the instant.
MOST_LINES = 1000


@st.composite
def every(draw: st.DrawFn) -> dict[str, Any]:
    unit = draw(st.sampled_from(UNITS))
    number = draw(st.integers(1, 12) | st.integers(1, 1000))
    if unit == "second":
        number = draw(st.floats(0.001, 1e9))
    at = draw(st.none() | AT[unit]) if unit != "second" else None
    return {
        "every": [number, unit],
        "at": at,
        "month_end": draw(st.sampled_from(["clamp", "skip"])),
    }


def field(least: int, most: int, *more: str) -> st.SearchStrategy[str]:
    """A field of Celery's crontab."""
    number = st.integers(least, most).map(str)
    steps = st.integers(1, most).map("*/{}".format)
    return st.just("*") | steps | st.sets(number, min_size=1, max_size=3).map(",".join)


CRONTABS = st.builds(
    "crontab {} {} {} {} {}".format,
    field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6),
)  # fmt: skip
SCHEDULES = st.builds(
    "schedule {}{}".format, st.floats(0.001, 1e8), st.sampled_from(["", " relative"])
)
SOLARS = st.builds(
    "solar {} {} {}".format,
    st.sampled_from(["sunrise", "sunset", "solar_noon", "dawn_nautical", "dusk_astronomical"]),
    st.integers(-90, 90),
    st.integers(-180, 180),
)
ONCE = st.lists(INSTANTS, min_size=1, max_size=5).map(lambda found: {"once": found})
CELERY = (CRONTABS | SCHEDULES).map(lambda text: {"celery": text})
UNIONS = st.builds(
    lambda *given: dict(kv for each in given for kv in each.items()), every(), ONCE, CELERY
)
KINDS = {
    "every": every(),
    "once": ONCE,
    "celery": CELERY,
    "solar": SOLARS.map(lambda text: {"celery": text}),
    "union": UNIONS,
}
OPTIONS = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(ZONES),
        "dst_gap": st.sampled_from(["run", "skip"]),
        "dst_fold": st.sampled_from(["first", "both"]),
        "starts_at": INSTANTS,
    }
)


def job(definition: dict[str, Any]) -> Job:
    try:
        return Job.from_dict("j", {"task": "t", **definition})
    except NextFireTimeError:
        assume(False)
        raise


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), options=OPTIONS, instant=INSTANTS)
@examples(60)
def test_the_laws_hold(
    kind: str, data: st.DataObject, options: dict[str, Any], instant: datetime
) -> None:
    trigger = job({**options, **data.draw(KINDS[kind])}).trigger

    check_laws(trigger, instant)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), options=OPTIONS)
@examples(40)
def test_the_text_of_a_trigger_reads_as_the_same_trigger(
    kind: str, data: st.DataObject, options: dict[str, Any]
) -> None:
    first = job({**options, **data.draw(KINDS[kind])})

    again = job(first.to_dict())

    assert again.to_dict() == first.to_dict()
    assert again.trigger == first.trigger


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "solar"])
@given(data=st.data(), options=OPTIONS, instant=ANYWHEN)
@examples(40)
def test_no_question_takes_more_than_a_stated_number_of_steps(
    kind: str, data: st.DataObject, options: dict[str, Any], instant: datetime
) -> None:
    trigger = job({**options, **data.draw(KINDS[kind])}).trigger
    trigger.next_after(instant)  # a zone is cut into stretches once

    assert lines_run(trigger.next_after, instant) <= MOST_LINES
    assert lines_run(trigger.previous_before, instant) <= MOST_LINES
