"""Every and at beside a model that writes each occurrence down: no formula, no search, no cache."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

import pytz
from hypothesis import assume, given
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.clock import TICK
from celery_jobsched.errors import NextFireTimeError
from celery_jobsched.triggers.every import Every, parse_at, parse_every
from tests.effort import examples
from tests.wall_clock import UTC, meanings, offset, shown

ZONES = [
    clock.zone(name)
    for name in (
        "UTC", "Europe/Berlin", "Europe/Dublin", "Europe/London", "Europe/Amsterdam",
        "Africa/Cairo", "Africa/Casablanca", "Africa/Monrovia", "America/Havana",
        "America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut",
        "Asia/Kolkata", "Asia/Pyongyang", "Australia/Lord_Howe", "Pacific/Apia",
        "Pacific/Auckland", "Pacific/Kwajalein",
    )
]  # fmt: skip
#: The years from the double summer time to the end of what pytz knows.
FIRST, LAST = datetime(1936, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
CHANGES = {
    zone: [
        change.replace(tzinfo=UTC)
        for change in getattr(zone, "_utc_transition_times", [])
        if FIRST < change.replace(tzinfo=UTC) < LAST
    ]
    for zone in ZONES
}
ELAPSED = {"second": 1, "minute": 60, "hour": 3600}
FIELDS = {
    "second": (),
    "minute": ("second",),
    "hour": ("minute", "second"),
    "day": ("hour", "minute", "second"),
    "week": ("weekday", "hour", "minute", "second"),
    "month": ("day", "hour", "minute", "second"),
    "year": ("month", "day", "hour", "minute", "second"),
}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Hours and minutes near the changes come more often than others.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "second": st.integers(0, 59),
    "minute": st.sampled_from([0, 15, 30, 59]) | st.integers(0, 59),
    "hour": st.integers(0, 3) | st.integers(0, 23),
    "weekday": st.sampled_from(WEEKDAYS),
    "day": st.sampled_from([-1, 29, 30, 31]) | st.integers(1, 31),
    "month": st.integers(1, 12),
}


class Interval(NamedTuple):
    """What a person asks for; *n* as it is written."""

    n: str
    unit: str
    at: dict[str, Any]
    zone: tzinfo
    anchor: datetime
    month_end: str = "clamp"
    gap: str = "run"
    fold: str = "first"

    def trigger(self) -> Every:
        n, unit = parse_every(f"{self.n} {self.unit}")
        at = parse_at(self.at, unit) if self.at else None
        return Every(n, unit, at, self.zone, self.anchor, self.month_end, self.gap, self.fold)


def written_down(wanted: Interval, count: int) -> list[datetime]:
    """The instants of the first *count* steps from the anchor, ascending, each once."""
    found = set() if wanted.at else {wanted.anchor}
    for k in range(count):
        found.update(_elapsed(wanted, k) if wanted.unit in ELAPSED else _on_a_date(wanted, k))
    return sorted(each for each in found if each >= wanted.anchor)


def _elapsed(wanted: Interval, k: int) -> list[datetime]:
    microseconds = k * Decimal(wanted.n) * ELAPSED[wanted.unit] * 1_000_000
    instant = wanted.anchor + timedelta(microseconds=int(microseconds))
    clocks, ahead = shown(instant, wanted.zone), offset(instant, wanted.zone)
    return [_on_clock(clocks, wanted.at).replace(tzinfo=UTC) - ahead]


def _on_a_date(wanted: Interval, k: int) -> list[datetime]:
    first = shown(wanted.anchor, wanted.zone)
    day = _date(wanted, first.date(), k * int(wanted.n))
    if day is None:
        return []
    local = _on_clock(datetime.combine(day, first.time()), wanted.at)
    return meanings(local, wanted.zone, wanted.gap, wanted.fold)


def _date(wanted: Interval, first: date, steps: int) -> date | None:
    if wanted.unit in ("day", "week"):
        day = first + timedelta(days=steps * (7 if wanted.unit == "week" else 1))
        weekday = wanted.at.get("weekday")
        monday = date.fromisocalendar(*day.isocalendar()[:2], 1)
        return day if weekday is None else monday + timedelta(days=WEEKDAYS.index(weekday))
    year, month = first.year, wanted.at.get("month", first.month)
    if wanted.unit == "year":
        year += steps
    for _ in range(steps if wanted.unit == "month" else 0):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    last, day = monthrange(year, month)[1], wanted.at.get("day", first.day)
    if day > last and wanted.month_end == "skip":
        return None
    return date(year, month, last if day == -1 else min(day, last))


def _on_clock(local: datetime, at: dict[str, Any]) -> datetime:
    local = local.replace(microsecond=0) if "second" in at else local
    return local.replace(**{k: v for k, v in at.items() if k in ("hour", "minute", "second")})


@st.composite
def anchors(draw: st.DrawFn, zone: tzinfo) -> datetime:
    """An instant of these years; mostly a few days before a change of the clocks, if there are."""
    start, room = FIRST, LAST - FIRST
    if CHANGES[zone] and draw(st.booleans() | st.just(True)):
        start, room = draw(st.sampled_from(CHANGES[zone])) - timedelta(days=3), timedelta(days=4)
    step = draw(st.sampled_from([timedelta(microseconds=1), timedelta(minutes=15)]))
    return start + draw(st.integers(0, room // step)) * step


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    """Any interval that can be asked for, of units that come a few times around a change."""
    unit, zone = draw(st.sampled_from(sorted(FIELDS))), draw(st.sampled_from(ZONES))
    number = st.integers(1, 5) | st.integers(1, 100)
    if unit == "second":
        number = st.integers(1000, 10**9).map(lambda n: f"{n / 1000:.3f}")
    names = draw(st.sets(st.sampled_from(FIELDS[unit]))) if FIELDS[unit] else set()
    return Interval(
        str(draw(number)),
        unit,
        {name: draw(VALUES[name]) for name in FIELDS[unit] if name in names},
        zone,
        draw(anchors(zone)),
        draw(st.sampled_from(["clamp", "skip"])),
        draw(st.sampled_from(["run", "skip"])),
        draw(st.sampled_from(["first", "both"])),
    )


@given(intervals(), st.data())
@examples(250)
def test_occurrences_are_those_that_a_model_writes_down(
    wanted: Interval, data: st.DataObject
) -> None:
    expected = written_down(wanted, 30)
    try:
        trigger = wanted.trigger()
    except NextFireTimeError:
        assert (expected, wanted.month_end) == ([], "skip")
        return
    assume(len(expected) > 1)

    found = [trigger.next_after(expected[0] - timedelta(days=9))]
    while len(found) < len(expected):
        found.append(trigger.next_after(found[-1]))
    back = [trigger.previous_before(expected[-1] + TICK)]
    while back[-1] is not None:
        back.append(trigger.previous_before(back[-1]))

    assert found == expected
    assert back == [*reversed(expected), None]
    for k in range(0, len(expected) - 1, 7):
        moment = data.draw(between(*expected[k : k + 2]))
        assert (trigger.previous_before(moment), trigger.next_after(moment)) == (
            expected[k],
            expected[k + 1],
        )


def between(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    """The instants in (first, last)."""
    ticks = (last - first) // TICK
    return st.integers(1, ticks - 1).map(lambda n: first + n * TICK)


@given(
    st.integers(1000, 10**11),
    st.integers(0, 10**15),
    st.integers(0, 200 * 365 * 86_400 * 10**6),
)
@examples(100)
def test_fractions_of_seconds_do_not_drift_in_two_hundred_years(
    microseconds: int, begin: int, later: int
) -> None:
    wanted = Interval(f"{microseconds / 10**6:.6f}", "second", {}, pytz.utc, FIRST + begin * TICK)
    trigger = wanted.trigger()

    passed = later // microseconds * microseconds
    assert trigger.next_after(wanted.anchor + later * TICK) == (
        wanted.anchor + (passed + microseconds) * TICK
    )
    assert trigger.previous_before(wanted.anchor + (later + 1) * TICK) == (
        wanted.anchor + passed * TICK
    )
