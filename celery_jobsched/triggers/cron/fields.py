"""What a cron expression means: the local times that match its fields, and the walk over them.

Zones, gaps and folds are the business of ``clock``. Sets are bit masks, as in ``days``.
"""
# ruff: noqa: DTZ001 - a local time has no zone: that is what makes it local

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, date, datetime
from itertools import product

from celery_jobsched.triggers.cron.days import EVERY_MONTH, MonthDays, numbers_of

__all__ = ["CronFields"]

#: A year of each kind: what does not come in these never comes. The weekday of 1 January and the
#: leap day say all about its dates but whether the first of them are in week 52 or 53.
_KINDS_OF_YEARS = tuple(
    {(date(year, 1, 1).weekday(), isleap(year), isleap(year - 1)): year for year in range(1, 401)}
    .values()
)  # fmt: skip


@dataclass(frozen=True)
class CronFields:
    """The local times that match: each of the fields must.

    ``years`` is None where every year does. ``wildcard``: the minute or the hour field begins with
    ``*``, the job follows real time. ``text`` is the canonical text that these were read from.
    """

    minutes: int
    hours: int
    days: MonthDays
    months: int
    years: int | None = None
    seconds: int = 1
    wildcard: bool = False
    text: str = field(default="", compare=False)
    #: Every day matches: what is asked most need not look at the calendar.
    _daily: bool = field(init=False, repr=False, compare=False)
    #: The first time of a day, and the last.
    _first: tuple[int, int, int] = field(init=False, repr=False, compare=False)
    _last: tuple[int, int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        times = (self.hours, self.minutes, self.seconds)
        hour, minute, second = ((mask & -mask).bit_length() - 1 for mask in times)
        daily = self.months == EVERY_MONTH and self.years is None and self.days.are_all
        object.__setattr__(self, "_daily", daily)
        object.__setattr__(self, "_first", (hour, minute, second))
        object.__setattr__(self, "_last", tuple(mask.bit_length() - 1 for mask in times))

    def later(self, local: datetime) -> datetime | None:
        """The first matching local time strictly after *local*; None past the year 9999."""
        year, month, day = local.year, local.month, local.day
        if self._daily or self.days_in(year, month) >> day & 1:
            hour, minute = local.hour, local.minute
            if self.hours >> hour & 1:
                same_minute = self.seconds > 1 and self.minutes >> minute & 1
                if same_minute and (second := _above(self.seconds, local.second)):
                    return datetime(year, month, day, hour, minute, second)
                if minute := _above(self.minutes, minute):
                    return datetime(year, month, day, hour, minute, self._first[2])
            if hour := _above(self.hours, hour):
                return datetime(year, month, day, hour, *self._first[1:])
        found = self._day_after(year, month, day)
        return found and datetime(*found, *self._first)

    def earlier(self, local: datetime) -> datetime | None:
        """The last matching local time strictly before *local*."""
        year, month, day = local.year, local.month, local.day
        if self._daily or self.days_in(year, month) >> day & 1:
            hour, minute = local.hour, local.minute
            if self.hours >> hour & 1:
                gone = local.second + 1 if local.microsecond else local.second
                same_minute = gone and self.minutes >> minute & 1
                if same_minute and (second := _below(self.seconds, gone)) >= 0:
                    return datetime(year, month, day, hour, minute, second)
                if (minute := _below(self.minutes, minute)) >= 0:
                    return datetime(year, month, day, hour, minute, self._last[2])
            if (hour := _below(self.hours, hour)) >= 0:
                return datetime(year, month, day, hour, *self._last[1:])
        found = self._day_before(year, month, day)
        return found and datetime(*found, *self._last)

    @property
    def comes(self) -> bool:
        """Whether any date matches, in the past or to come."""
        years = numbers_of(self.years) if self.years else _KINDS_OF_YEARS
        months = product(years, numbers_of(self.months))
        return self._daily or any(self.days.of(*month) for month in months)

    def days_in(self, year: int, month: int) -> int:
        """The mask of the days that match in this month."""
        matches = self.months >> month & 1 and (self.years is None or self.years >> year & 1)
        return self.days.of(year, month) if matches else 0

    def _day_after(self, year: int, month: int, day: int) -> tuple[int, int, int] | None:
        day = _above(self.days_in(year, month), day)
        while not day:
            following = _above(self.months, month)
            if not following or not self._has_year(year):
                year, following = self._year_after(year), _lowest(self.months)
            if year > MAXYEAR:
                return None
            month = following
            day = _above(self.days.of(year, month), 0)
        return year, month, day

    def _day_before(self, year: int, month: int, day: int) -> tuple[int, int, int] | None:
        day = _below(self.days_in(year, month), day)
        while day < 0:
            month = _below(self.months, month)
            if month < 0 or not self._has_year(year):
                year, month = self._year_before(year), _highest(self.months)
            if year < MINYEAR:
                return None
            day = _highest(self.days.of(year, month))
        return year, month, day

    def _has_year(self, year: int) -> bool:
        return self.years is None or bool(self.years >> year & 1)

    def _year_after(self, year: int) -> int:
        return year + 1 if self.years is None else _above(self.years, year) or MAXYEAR + 1

    def _year_before(self, year: int) -> int:
        return year - 1 if self.years is None else _below(self.years, year)


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _highest(mask: int) -> int:
    return mask.bit_length() - 1


def _above(mask: int, number: int) -> int:
    """The least number of the set above *number*; 0 when there is none."""
    rest = mask >> number + 1
    return rest and number + (rest & -rest).bit_length()


def _below(mask: int, number: int) -> int:
    """The highest number of the set below *number*; -1 when there is none."""
    return (mask & (1 << number) - 1).bit_length() - 1
