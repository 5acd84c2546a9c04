"""Every n-th period of a recurrence rule, as masks of the days of a year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from math import lcm
from typing import Protocol

from celery_jobsched.triggers.rrule.days import CALENDAR, first_of, in_months
from celery_jobsched.triggers.rrule.parts import Parts
from celery_jobsched.triggers.rrule.times import Strides, mask_of, repeated

__all__ = ["Cycle", "cycle_of"]

_YEAR = 366
_DAYS_IN_CALENDAR = 146_097
_ALL_DAYS = (1 << _YEAR) - 1


class Cycle(Protocol):
    """The periods that count.

    ``years``: after how many years it and the calendar are the same again.
    """

    @property
    def years(self) -> int: ...

    def in_year(self, year: int) -> int:
        """The days of the year that lie in one of them; what is beyond its end means nothing."""


@dataclass(frozen=True)
class _Years:
    n: int
    first: int

    @property
    def years(self) -> int:
        return lcm(self.n, CALENDAR)

    def in_year(self, year: int) -> int:
        return 0 if (year - self.first) % self.n else _ALL_DAYS


@dataclass(frozen=True)
class _Months:
    n: int
    first: int

    @property
    def years(self) -> int:
        return lcm(self.n, 12 * CALENDAR) // 12

    def in_year(self, year: int) -> int:
        return in_months(range((self.first - 12 * year) % self.n + 1, 13, self.n), year)


@dataclass(frozen=True)
class _Days:
    """Of *length* days, over and over from the ordinal *first* on, those of *mask*."""

    length: int
    first: int
    mask: int

    @property
    def years(self) -> int:
        return lcm(self.length, _DAYS_IN_CALENDAR) // _DAYS_IN_CALENDAR * CALENDAR

    def in_year(self, year: int) -> int:
        day = (first_of(year) - self.first) % self.length
        found = self._a_year_of_them >> day
        if self.length - day < _YEAR:
            found |= self._a_year_of_them << self.length - day
        return found & _ALL_DAYS

    @cached_property
    def _a_year_of_them(self) -> int:
        return repeated(self.mask, -(-_YEAR // self.length), self.length)


def cycle_of(parts: Parts, start: datetime, strides: Strides | None) -> Cycle | None:
    """The periods of *parts* that count from *start* on; None where each of them does."""
    n, day = parts.interval, start.toordinal()
    if strides is not None:
        mask = mask_of(each for each, size in enumerate(strides.sizes) if size)
        return _Days(strides.length, strides.day, mask)
    if n == 1 or parts.freq in ("HOURLY", "MINUTELY", "SECONDLY"):
        return None
    if parts.freq == "YEARLY":
        return _Years(n, start.year)
    if parts.freq == "MONTHLY":
        return _Months(n, start.year * 12 + start.month - 1)
    if parts.freq == "WEEKLY":
        return _Days(7 * n, day - (start.weekday() - parts.week_start) % 7, 0x7F)
    return _Days(n, day, 1)
