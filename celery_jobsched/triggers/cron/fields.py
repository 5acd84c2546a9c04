"""What a cron expression means: the local times that match its fields, and the walk over them.

Zones, gaps and folds are the business of ``clock``. Sets are bit masks, as in ``days``.
"""
# ruff: noqa: DTZ001 - a local time has no zone: that is what makes it local

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, datetime
from functools import cached_property
from itertools import product

from celery_jobsched.triggers.cron.days import EVERY_MONTH, MonthDays, numbers_of

__all__ = ["CronFields"]

_EPOCH, _CYCLE = 1970, 400


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
                    return datetime(year, month, day, hour, minute, self._first_second)
            if hour := _above(self.hours, hour):
                return datetime(year, month, day, hour, self._first_minute, self._first_second)
        date = self._day_after(year, month, day)
        return date and datetime(*date, self._first_hour, self._first_minute, self._first_second)

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
                    return datetime(year, month, day, hour, minute, self._last_second)
            if (hour := _below(self.hours, hour)) >= 0:
                return datetime(year, month, day, hour, self._last_minute, self._last_second)
        date = self._day_before(year, month, day)
        return date and datetime(*date, self._last_hour, self._last_minute, self._last_second)

    @property
    def comes(self) -> bool:
        """Whether any date matches, in the past or to come: the calendar repeats in 400 years."""
        years = numbers_of(self.years) if self.years else range(_EPOCH, _EPOCH + _CYCLE)
        return any(self.days.of(*month) for month in product(years, numbers_of(self.months)))

    def days_in(self, year: int, month: int) -> int:
        """The mask of the days that match in this month."""
        matches = self.months >> month & 1 and (self.years is None or self.years >> year & 1)
        return self.days.of(year, month) if matches else 0

    @cached_property
    def _daily(self) -> bool:
        """Whether every day matches: what is asked most need not look at the calendar."""
        return self.months == EVERY_MONTH and self.years is None and self.days.are_all

    _first_hour = cached_property(lambda self: _lowest(self.hours))
    _first_minute = cached_property(lambda self: _lowest(self.minutes))
    _first_second = cached_property(lambda self: _lowest(self.seconds))
    _last_hour = cached_property(lambda self: _highest(self.hours))
    _last_minute = cached_property(lambda self: _highest(self.minutes))
    _last_second = cached_property(lambda self: _highest(self.seconds))

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
