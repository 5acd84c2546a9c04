"""The zones of the world: that no day is lost in any of them, and the strange ones by name."""

# ruff: noqa: DTZ001 - a local time has no zone

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
import pytz

from celery_jobsched import clock
from celery_jobsched.clock import TICK, UTC
from celery_jobsched.triggers.cron import Cron, parse_cron

DAY = timedelta(days=1)
YEARS = range(1990, 2038)


def at(time: str, zone: str, **options: str) -> Cron:
    """The trigger of a fixed time of each day."""
    hour, minute = (int(part) for part in time.split(":"))
    return Cron(parse_cron(f"{minute} {hour} * * *"), clock.zone(zone), **options)


class Jump(NamedTuple):
    """A change of the clocks: when (naive UTC), and what they were ahead of UTC and then are."""

    at: datetime
    was: timedelta
    becomes: timedelta


def jumps(name: str) -> list[Jump]:
    zone = clock.zone(name)
    starts = getattr(zone, "_utc_transition_times", [])
    ahead = [info[0] for info in getattr(zone, "_transition_info", [])]
    found = map(Jump, starts[1:], ahead, ahead[1:])
    return [jump for jump in found if jump.was != jump.becomes]


def years_with_jumps() -> dict[tuple[int, tuple[Jump, ...]], str]:
    """One zone for each year and jumps in it; one without them is like all others without."""
    found: dict[tuple[int, tuple[Jump, ...]], str] = {}
    for name in pytz.all_timezones:
        of_zone = jumps(name)
        for year in YEARS:
            start, end = datetime(year, 1, 1) - 2 * DAY, datetime(year + 1, 1, 1) + 2 * DAY
            if near := tuple(jump for jump in of_zone if start < jump.at < end):
                found.setdefault((year, near), name)
    return found


def hurt(near: tuple[Jump, ...]) -> Iterator[str]:
    """The times of day that these jumps hurt most: within them, and midnight at new dates."""
    jump = near[-1]
    shown = sorted((jump.at + jump.was, jump.at + jump.becomes))
    yield f"{shown[0] + (shown[1] - shown[0]) / 2:%H:%M}"
    if shown[1] - shown[0] >= DAY:
        yield "00:00"


def dates_of(year: int) -> int:
    return 366 if isleap(year) else 365


def count_of(trigger: Cron, year: int) -> int:
    """How many occurrences the local year has."""
    start, end = (clock.instants_of(datetime(y, 1, 1), trigger.zone)[0] for y in (year, year + 1))
    count, found = -1, start - TICK
    while found < end:
        count, found = count + 1, trigger.next_after(found) or end
    return count


#: The dates that these zones left out as they changed the side of the date line. Midnight of such a
#: date and of the next are one fire; any other time of it falls on the beginning of the next.
ODD = {
    (1993, "Kwajalein", "00:00"): -1,  # 21 August
    (1994, "Pacific/Kiritimati", "00:00"): -1,  # New Year's Eve
    (1994, "Pacific/Kiritimati", "12:00"): -1,
    (1995, "Pacific/Kiritimati", "12:00"): +1,
    (1994, "Pacific/Enderbury", "00:00"): -1,  # New Year's Eve
    (1994, "Pacific/Enderbury", "12:00"): -1,
    (1995, "Pacific/Enderbury", "12:00"): +1,
    (2011, "Pacific/Apia", "00:00"): -1,  # 30 December
    (2011, "Pacific/Fakaofo", "00:00"): -1,  # 30 December
}


def test_a_fixed_time_fires_once_for_each_date_of_each_year_of_each_zone() -> None:
    odd = {}

    for (year, near), name in years_with_jumps().items():
        for time in hurt(near):
            if lacking := count_of(at(time, name), year) - dates_of(year):
                odd[year, name, time] = lacking

    assert odd == ODD


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_a_fixed_time_fires_once_for_each_date_where_the_clocks_never_change(zone: str) -> None:
    trigger = at("02:30", zone)

    assert [count_of(trigger, year) for year in YEARS] == [dates_of(year) for year in YEARS]


#: Where, what the clocks show, and which instants that means, with dst_fold = both; the first
#: is the one that fires otherwise.
STRANGE = [
    # half an hour
    ("Australia/Lord_Howe", "2026-10-04 02:15", ["2026-10-03 15:30"]),
    ("Australia/Lord_Howe", "2026-04-05 01:45", ["2026-04-04 14:45", "2026-04-04 15:15"]),
    ("Asia/Pyongyang", "2018-05-04 23:45", ["2018-05-04 15:00"]),
    ("Asia/Pyongyang", "2015-08-14 23:45", ["2015-08-14 14:45", "2015-08-14 15:15"]),
    # two hours
    ("Antarctica/Troll", "2026-03-29 02:00", ["2026-03-29 01:00"]),
    ("Antarctica/Troll", "2026-10-25 02:30", ["2026-10-25 00:30", "2026-10-25 02:30"]),
    # midnight, which may lie in a gap, and the hour before it in a fold
    ("America/Sao_Paulo", "2018-11-04 00:00", ["2018-11-04 03:00"]),
    ("America/Sao_Paulo", "2018-02-17 23:30", ["2018-02-18 01:30", "2018-02-18 02:30"]),
    ("America/Sao_Paulo", "2018-02-18 00:00", ["2018-02-18 03:00"]),
    ("Africa/Cairo", "2024-04-26 00:30", ["2024-04-25 22:00"]),
    ("Africa/Cairo", "2024-10-31 23:30", ["2024-10-31 20:30", "2024-10-31 21:30"]),
    ("Asia/Beirut", "2026-03-29 00:15", ["2026-03-28 22:00"]),
    ("Asia/Beirut", "2026-10-24 23:15", ["2026-10-24 20:15", "2026-10-24 21:15"]),
    ("America/Havana", "2025-03-09 00:30", ["2025-03-09 05:00"]),
    ("America/Havana", "2025-11-02 00:30", ["2025-11-02 04:30", "2025-11-02 05:30"]),
    # one minute past midnight
    ("America/St_Johns", "2011-03-13 00:30", ["2011-03-13 03:31"]),
    ("America/St_Johns", "2010-11-06 23:30", ["2010-11-07 02:00", "2010-11-07 03:00"]),
    # winter time as the exception: its "daylight saving" is an hour back
    ("Europe/Dublin", "2026-03-29 01:30", ["2026-03-29 01:00"]),
    ("Europe/Dublin", "2026-10-25 01:30", ["2026-10-25 00:30", "2026-10-25 01:30"]),
    # double summer time
    ("Europe/London", "1941-05-04 02:30", ["1941-05-04 01:00"]),
    ("Europe/London", "1941-08-10 02:30", ["1941-08-10 00:30", "1941-08-10 01:30"]),
    ("Europe/London", "1944-07-01 12:00", ["1944-07-01 10:00"]),
    ("Europe/London", "1947-03-16 02:30", ["1947-03-16 02:00"]),
    ("Europe/London", "1947-04-13 02:30", ["1947-04-13 01:00"]),
    ("Europe/London", "1947-08-10 02:30", ["1947-08-10 00:30", "1947-08-10 01:30"]),
    ("Europe/London", "1947-11-02 02:30", ["1947-11-02 01:30", "1947-11-02 02:30"]),
    # mean time of the capital, 44 minutes and a half behind, until it jumped to that of Greenwich
    ("Africa/Monrovia", "1972-01-07 00:15", ["1972-01-07 00:44:30"]),
    # a date that came twice, and dates that never came
    ("Pacific/Kwajalein", "1969-09-30 09:00", ["1969-09-29 22:00", "1969-09-30 21:00"]),
    ("Pacific/Kwajalein", "1993-08-21 09:00", ["1993-08-21 12:00"]),
    ("Pacific/Apia", "2011-12-30 09:00", ["2011-12-30 10:00"]),
    # pytz knows no change after 2037: the time of that winter goes on
    ("Europe/Berlin", "2037-07-01 09:00", ["2037-07-01 07:00"]),
    ("Europe/Berlin", "2038-07-01 09:00", ["2038-07-01 08:00"]),
    ("America/New_York", "2050-07-01 09:00", ["2050-07-01 14:00"]),
]


@pytest.mark.parametrize(("zone", "local", "instants"), STRANGE)
def test_a_strange_local_time_means(zone: str, local: str, instants: list[str]) -> None:
    date = datetime.fromisoformat(local)
    fields = parse_cron(f"{date.minute} {date.hour} {date.day} {date.month} *")

    first = Cron(fields, clock.zone(zone))
    both = Cron(fields, clock.zone(zone), dst_fold="both")

    assert near(first, date) == instants[:1]
    assert near(both, date) == instants


def near(trigger: Cron, date: datetime) -> list[str]:
    """What comes within a month of that date, walked to and fro, in UTC."""
    start, end = (date.replace(tzinfo=UTC) + days * DAY for days in (-30, 30))
    found, back = [start], [end]
    while (after := trigger.next_after(found[-1])) is not None and after < end:
        found.append(after)
    while (before := trigger.previous_before(back[-1])) is not None and before > start:
        back.append(before)
    assert back[:0:-1] == found[1:]
    return [f"{each:%Y-%m-%d %H:%M:%S}".removesuffix(":00") for each in found[1:]]
