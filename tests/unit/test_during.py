"""Triggers within calendars, against a naive filter of their occurrences, and by the DST rule."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.triggers import Trigger
from celery_jobsched.triggers.calendar import parse_calendar
from celery_jobsched.triggers.cron import Cron, parse_cron
from celery_jobsched.triggers.during import Allowed, During, Within
from celery_jobsched.triggers.every import Every
from celery_jobsched.triggers.once import Once
from tests.calendars import calendars
from tests.effort import within

UTC, TICK = clock.UTC, clock.TICK
DAY, HOUR, MINUTE, SECOND = (timedelta(**{n: 1}) for n in ("days", "hours", "minutes", "seconds"))
QUARTER = 15 * MINUTE


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def allowed(text: str, zone: str = "UTC") -> Allowed:
    return Allowed(parse_calendar("only_during", text, {}), clock.zone(zone))


def cron(text: str, zone: str = "UTC") -> Cron:
    return Cron(parse_cron(text), clock.zone(zone))


def after(trigger: Trigger, instant: datetime, until: datetime) -> list[datetime]:
    """Every occurrence in (instant, until]."""
    found = []
    while (at := trigger.next_after(instant)) is not None and at <= until:
        found.append(at)
        instant = at
    return found


def before(trigger: Trigger, instant: datetime, since: datetime) -> list[datetime]:
    """Every occurrence in [since, instant), ascending."""
    found = []
    while (at := trigger.previous_before(instant)) is not None and at >= since:
        found.append(at)
        instant = at
    return found[::-1]


OFFICE = "mon-fri 09:00-17:00"


@pytest.mark.parametrize(
    ("on_excluded", "wanted"),
    [
        ("skip", ["2026-01-09 12:00", "2026-01-09 16:00", "2026-01-12 12:00"]),
        ("next", ["2026-01-09 09:00", "2026-01-09 12:00", "2026-01-09 16:00", "2026-01-12 09:00",
                  "2026-01-12 12:00"]),
        ("previous", ["2026-01-08 16:59:59", "2026-01-09 12:00", "2026-01-09 16:00",
                      "2026-01-09 16:59:59", "2026-01-12 12:00"]),
    ],
)  # fmt: skip
def test_what_is_excluded_is_skipped_or_moved_and_what_meets_is_one(
    on_excluded: str, wanted: list[str]
) -> None:
    # Friday the 9th, each four hours; the night and the weekend are excluded.
    trigger = During(cron("0 */4 * * *"), allowed(OFFICE), on_excluded)
    expected = [utc(each) for each in wanted]

    found = after(trigger, expected[0] - TICK, expected[-1])

    assert found == expected
    assert before(trigger, expected[-1] + TICK, expected[0]) == expected


def test_moved_occurrences_stay_within_the_bounds_of_what_they_were() -> None:
    weekend = Within(cron("0 12 * * sat,sun"), utc("2026-01-11 00:00"), utc("2026-01-17 12:00"))
    later, earlier = (During(weekend, allowed(OFFICE), each) for each in ("next", "previous"))

    # Of Saturday the 10th nothing is left: it was before the beginning.
    first = utc("2026-01-01 00:00")
    assert after(later, first, utc("2026-02-01 00:00")) == [
        utc("2026-01-12 09:00"),
        utc("2026-01-19 09:00"),
    ]
    assert after(earlier, first, utc("2026-02-01 00:00")) == [
        utc("2026-01-09 16:59:59"), utc("2026-01-16 16:59:59"),
    ]  # fmt: skip


def test_where_nothing_is_allowed_before_or_after_nothing_is_moved_there() -> None:
    daily = cron("0 12 * * *")
    only = allowed("2026-01-05..2026-01-06")

    first, last = utc("2025-12-01 00:00"), utc("2026-02-01 00:00")
    days = [utc("2026-01-05 12:00"), utc("2026-01-06 12:00")]
    assert after(During(daily, only, "next"), first, last) == [utc("2026-01-05 00:00"), *days]
    assert before(During(daily, only, "next"), last, first) == [utc("2026-01-05 00:00"), *days]
    assert after(During(daily, only, "previous"), first, last) == [
        *days,
        utc("2026-01-06 23:59:59"),
    ]
    assert before(During(daily, only, "previous"), last, first) == [
        *days,
        utc("2026-01-06 23:59:59"),
    ]


def test_fractions_of_a_second_are_moved_to_a_second_that_is_before_some_of_them() -> None:
    often = Every(0.4, "second", None, pytz.utc, utc("2026-01-09 16:59:58"))
    trigger = During(often, allowed(OFFICE), "previous")

    found = after(trigger, utc("2026-01-09 16:59:58"), utc("2026-01-10 00:00"))

    # 58.4 58.8 | 59.0, where the weekend's come | 59.2 59.6
    wanted = [
        utc(f"2026-01-09 16:59:{second}00000")
        for second in ("58.4", "58.8", "59.0", "59.2", "59.6")
    ]
    assert found == wanted
    assert before(trigger, utc("2026-01-12 09:00"), utc("2026-01-09 16:59:58.1")) == wanted


@settings(max_examples=60, deadline=None)
@given(
    calendars(),
    st.sampled_from(["skip", "next", "previous"]),
    st.integers(0, 365),
    st.lists(st.integers(0, 8 * 86400 * 2), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(-86400, 10 * 86400), min_size=1, max_size=10),
)
def test_any_occurrences_in_any_calendar_are_those_of_a_naive_filter(
    drawn: tuple[str, Callable[[datetime], bool]],
    on_excluded: str,
    day: int,
    half_seconds: list[int],
    asked: list[int],
) -> None:
    text, wanted = drawn
    try:
        here = allowed(text)
    except ValueError:
        return
    begin = datetime(2028, 1, 1, tzinfo=UTC) + day * DAY
    occurrences = sorted(begin + half * SECOND / 2 for half in half_seconds)
    first, last = begin - 9 * DAY, begin + 17 * DAY - TICK
    known = naive(occurrences, wanted, on_excluded, begin - 10 * DAY)
    expected = [at for at in known if first < at < last]

    trigger = During(Once(tuple(occurrences)), here, on_excluded)

    assert after(trigger, first, last) == expected
    assert before(trigger, last, first + TICK) == expected
    for second in asked:
        # Also from where occurrences and edges are.
        instant = begin + second * SECOND
        for at in (instant, occurrences[second % len(occurrences)], _quarter(instant)):
            following = trigger.next_after(at)
            previous = trigger.previous_before(at)
            assert _near(following, first, last) == _at(expected, bisect_right(expected, at))
            assert _near(previous, first, last) == _at(expected, bisect_left(expected, at) - 1)


def naive(
    occurrences: list[datetime],
    wanted: Callable[[datetime], bool],
    on_excluded: str,
    since: datetime,
) -> list[datetime]:
    """What the occurrences become, from *since* on for 28 days; known is what quarters show."""
    known = [wanted((since + k * QUARTER).replace(tzinfo=None)) for k in range(28 * 96)]
    found = set()
    for at in occurrences:
        index = (at - since) // QUARTER
        if known[index]:
            found.add(at)
        elif on_excluded == "next" and True in known[index:]:
            found.add(since + known.index(True, index) * QUARTER)
        elif on_excluded == "previous" and True in known[:index]:
            last = index - 1 - known[index - 1 :: -1].index(True)
            found.add(since + (last + 1) * QUARTER - SECOND)
    return sorted(found)


def _quarter(instant: datetime) -> datetime:
    return instant - (instant - datetime(2028, 1, 1, tzinfo=UTC)) % QUARTER


def _near(at: datetime | None, first: datetime, last: datetime) -> datetime | None:
    return at if at is not None and first < at < last else None


def _at(values: list[datetime], index: int) -> datetime | None:
    return values[index] if 0 <= index < len(values) else None


# One row: a zone, the local night, a window, and where it is open then, in UTC.
NIGHTS = [
    # Berlin, 28 March 2027: 02:00 -> 03:00 at 01:00Z; 31 October: 03:00 -> 02:00 at 01:00Z.
    ("Europe/Berlin", "2027-03-28", "02:30-04:00", "01:00", "02:00"),
    ("Europe/Berlin", "2027-03-28", "01:00-02:30", "00:00", "01:00"),
    ("Europe/Berlin", "2027-03-28", "02:00-03:00", None, None),
    ("Europe/Berlin", "2027-03-28", "02:10-02:50", None, None),
    ("Europe/Berlin", "2027-03-28", "03:00-04:00", "01:00", "02:00"),
    ("Europe/Berlin", "2027-10-31", "02:30-04:00", "00:30", "03:00"),
    ("Europe/Berlin", "2027-10-31", "01:00-02:30", "23:00-", "00:30"),
    ("Europe/Berlin", "2027-10-31", "02:00-03:00", "00:00", "02:00"),
    ("Europe/Berlin", "2027-10-31", "02:10-02:50", "00:10", "00:50"),
    ("Europe/Berlin", "2027-10-31", "03:00-04:00", "02:00", "03:00"),
    # Auckland, 26 September 2027: 02:00 -> 03:00 at 14:00Z of the day before; 4 April: 03:00 ->
    # 02:00 at 14:00Z of the day before.
    ("Pacific/Auckland", "2027-09-26", "02:30-04:00", "14:00-", "15:00-"),
    ("Pacific/Auckland", "2027-09-26", "01:00-02:30", "13:00-", "14:00-"),
    ("Pacific/Auckland", "2027-09-26", "02:10-02:50", None, None),
    ("Pacific/Auckland", "2027-04-04", "02:30-04:00", "13:30-", "16:00-"),
    ("Pacific/Auckland", "2027-04-04", "01:00-02:30", "12:00-", "13:30-"),
    ("Pacific/Auckland", "2027-04-04", "02:00-03:00", "13:00-", "15:00-"),
    # Lord Howe, half an hour: 3 October 2027: 02:00 -> 02:30 at 15:30Z of the day before; 4 April:
    # 02:00 -> 01:30 at 15:00Z of the day before.
    ("Australia/Lord_Howe", "2027-10-03", "02:15-03:00", "15:30-", "16:00-"),
    ("Australia/Lord_Howe", "2027-10-03", "02:05-02:25", None, None),
    ("Australia/Lord_Howe", "2027-04-04", "01:45-02:15", "14:45-", "15:45-"),
    # Santiago, 5 September 2027: midnight -> 01:00 at 04:00Z; 4 April: midnight -> 23:00 of the
    # day before at 03:00Z, so that the day begins at 04:00Z.
    ("America/Santiago", "2027-09-05", "00:00-02:00", "04:00", "05:00"),
    ("America/Santiago", "2027-04-04", "00:00-02:00", "04:00", "06:00"),
    ("America/Santiago", "2027-04-03", "23:30-00:00", "02:30+", "04:00+"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "night", "window", "opens", "closes"), NIGHTS)
def test_a_window_opens_and_closes_once_at_a_change_of_the_clocks(
    zone: str, night: str, window: str, opens: str | None, closes: str | None
) -> None:
    here = allowed(f"{night} {window}", zone)
    long_ago = utc("2026-01-01 00:00")

    if opens is None or closes is None:
        assert here.change_after(long_ago) is None
        assert here.change_until(utc("2028-01-01 00:00")) is None
        return
    opened, closed = (_instant(night, each) for each in (opens, closes))
    assert (here.change_after(long_ago), here.change_after(opened)) == (opened, closed)
    assert (here.change_until(closed), here.change_until(closed - TICK)) == (closed, opened)
    minutes = (opened - 3 * HOUR + k * MINUTE for k in range(9 * 60))
    assert all(here.has(at) == (opened <= at < closed) for at in minutes)


def _instant(night: str, clock_time: str) -> datetime:
    days = {"-": -1, "+": 1}.get(clock_time[-1], 0)
    return utc(f"{night} {clock_time[:5]}") + days * DAY


def test_jobs_of_real_time_run_throughout_a_window_that_is_longer_or_shorter_for_once() -> None:
    each_quarter = During(
        cron("*/15 * * * *", "Europe/Berlin"), allowed("02:00-03:30", "Europe/Berlin")
    )

    march = after(each_quarter, utc("2027-03-28 00:00"), utc("2027-03-28 12:00"))
    october = after(each_quarter, utc("2027-10-31 00:00") - TICK, utc("2027-10-31 12:00"))

    assert march == [utc("2027-03-28 01:00") + k * QUARTER for k in range(2)]
    assert october == [utc("2027-10-31 00:00") + k * QUARTER for k in range(10)]
    assert before(each_quarter, utc("2027-03-28 12:00"), utc("2027-03-28 00:00")) == march
    assert before(each_quarter, utc("2027-10-31 12:00"), utc("2027-10-31 00:00")) == october


def test_what_is_moved_goes_to_the_moment_of_the_jump_that_a_window_opens_at() -> None:
    here = allowed("02:30-06:00", "Europe/Berlin")
    midnight = cron("0 0 * * *", "Europe/Berlin")

    moved = During(midnight, here, "next").next_after(utc("2027-03-27 12:00"))

    assert moved == utc("2027-03-28 01:00")


def test_a_day_that_a_zone_skipped_is_in_no_calendar() -> None:
    # Samoa went from 29 to 31 December 2011.
    assert allowed("2011-12-30", "Pacific/Apia").change_after(utc("2011-01-01 00:00")) is None
    days = allowed("2011-12-29, 2011-12-31", "Pacific/Apia")
    opened = utc("2011-12-29 10:00")
    assert days.change_after(utc("2011-01-01 00:00")) == opened
    assert days.change_after(opened) == opened + 2 * DAY


@pytest.mark.parametrize("on_excluded", ["skip", "next", "previous"])
def test_excluded_years_are_jumped_over(on_excluded: str) -> None:
    trigger = During(
        Every(1, "second", None, clock.zone("Europe/Berlin"), utc("2020-01-01 00:00")),
        allowed("2040-01-01; 2090-01-01", "Europe/Berlin"),
        on_excluded,
    )
    now, then = utc("2026-01-01 00:00"), utc("2089-12-31 23:00")
    trigger.next_after(now)

    first, last = within(0.02, lambda: (trigger.next_after(now), trigger.previous_before(then)))

    assert first == utc("2039-12-31 23:00")
    assert last == utc("2040-01-01 22:59:59")


@pytest.mark.parametrize(
    ("when", "text"),
    [("0 9 * * mon", "sat"), ("0 3 * * *", "09:00-17:00"), ("0 0 * * *", "00:01-24:00")],
)
def test_a_trigger_and_a_calendar_that_never_meet_are_given_up_soon(when: str, text: str) -> None:
    now = utc("2026-01-01 00:00")

    def found() -> tuple[object, object]:
        trigger = During(cron(when), allowed(text))
        return trigger.next_after(now), trigger.previous_before(now)

    assert within(0.25, found) == (None, None)


def test_moved_occurrences_are_found_where_none_is_allowed_itself() -> None:
    mondays = cron("0 9 * * mon")

    later = During(mondays, allowed("sat"), "next").next_after(utc("2026-01-05 00:00"))
    earlier = During(mondays, allowed("sat"), "previous").next_after(utc("2026-01-05 00:00"))

    assert later == utc("2026-01-10 00:00")
    assert earlier == utc("2026-01-10 23:59:59")
