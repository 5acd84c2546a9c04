"""What a cron expression means: the local times that match its fields, and the walk over them.

Zones, gaps and folds are the business of ``clock``. Sets are bit masks, as in ``days``.
"""
# ruff: noqa: DTZ001 - a local time has no zone: that is what makes it local

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, datetime
from functools import cached_property
from itertools import product

from celery_jobsched import clock
from celery_jobsched.triggers.cron.days import MonthDays, numbers_of

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
        if self.days_in(year, month) >> day & 1:
            time = self._time_after(local.hour, local.minute, local.second)
            if time:
                return datetime(year, month, day, *time)
        date = self._day_after(year, month, day)
        return date and datetime(*date, *self._first_time)

    def earlier(self, local: datetime) -> datetime | None:
        """The last matching local time strictly before *local*."""
        local -= clock.TICK
        year, month, day = local.year, local.month, local.day
        if self.days_in(year, month) >> day & 1:
            time = self._time_until(local.hour, local.minute, local.second)
            if time:
                return datetime(year, month, day, *time)
        date = self._day_before(year, month, day)
        return date and datetime(*date, *self._last_time)

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
    def _first_time(self) -> tuple[int, int, int]:
        return _low(self.hours), _low(self.minutes), _low(self.seconds)

    @cached_property
    def _last_time(self) -> tuple[int, int, int]:
        return _high(self.hours), _high(self.minutes), _high(self.seconds)

    def _time_after(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1 and (seconds := _from(self.seconds, second + 1)):
                return hour, minute, _low(seconds)
            if minutes := _from(self.minutes, minute + 1):
                return hour, _low(minutes), _low(self.seconds)
        if hours := _from(self.hours, hour + 1):
            return _low(hours), _low(self.minutes), _low(self.seconds)
        return None

    def _time_until(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1 and (seconds := _below(self.seconds, second + 1)):
                return hour, minute, _high(seconds)
            if minutes := _below(self.minutes, minute):
                return hour, _high(minutes), _high(self.seconds)
        if hours := _below(self.hours, hour):
            return _high(hours), _high(self.minutes), _high(self.seconds)
        return None

    def _day_after(self, year: int, month: int, day: int) -> tuple[int, int, int] | None:
        days = _from(self.days_in(year, month), day + 1)
        while not days:
            months = _from(self.months, month + 1)
            if not months or not self._has_year(year):
                year, months = self._year_after(year), self.months
            if year > MAXYEAR:
                return None
            month = _low(months)
            days = self.days.of(year, month)
        return year, month, _low(days)

    def _day_before(self, year: int, month: int, day: int) -> tuple[int, int, int] | None:
        days = _below(self.days_in(year, month), day)
        while not days:
            months = _below(self.months, month)
            if not months or not self._has_year(year):
                year, months = self._year_before(year), self.months
            if year < MINYEAR:
                return None
            month = _high(months)
            days = self.days.of(year, month)
        return year, month, _high(days)

    def _has_year(self, year: int) -> bool:
        return self.years is None or bool(self.years >> year & 1)

    def _year_after(self, year: int) -> int:
        if self.years is None:
            return year + 1
        years = _from(self.years, year + 1)
        return _low(years) if years else MAXYEAR + 1

    def _year_before(self, year: int) -> int:
        return year - 1 if self.years is None else _high(_below(self.years, year))


def _low(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _high(mask: int) -> int:
    return mask.bit_length() - 1


def _from(mask: int, number: int) -> int:
    return mask >> number << number


def _below(mask: int, number: int) -> int:
    return mask & (1 << number) - 1
