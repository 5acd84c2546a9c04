"""Counting the local times of a recurrence rule: how many by when, and when the n-th is.

Each year is counted once, from the start on, and no further than was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, datetime
from functools import cached_property
from itertools import islice

from celery_jobsched import clock
from celery_jobsched.triggers.rrule.days import first_of
from celery_jobsched.triggers.rrule.times import bits
from celery_jobsched.triggers.rrule.years import Years

__all__ = ["Numbers"]


@dataclass(frozen=True)
class Numbers:
    """The occurrences of *years* from *start* on, by number; the first is 1."""

    years: Years
    start: datetime

    def until(self, local: datetime) -> int:
        """How many come up to *local*."""
        if local < self.start:
            return 0
        return self._total_before(local.year) + self._in_year_until(local) - self._before_start

    def of(self, number: int) -> datetime | None:
        """When the one of that number comes; None past the year 9999."""
        number += self._before_start
        for year in range(self.start.year, MAXYEAR + 1):
            if number <= self._total_before(year + 1):
                return self._in_order(year, number - self._total_before(year))
        return None

    def _total_before(self, year: int) -> int:
        """How many come from the beginning of the start's year on until that of *year*."""
        totals, first = self._totals, self.start.year
        for each in range(first + len(totals), year + 1):
            totals[each] = totals[each - 1] + self.years.size_of(each - 1)
        return totals[year]

    @cached_property
    def _totals(self) -> dict[int, int]:
        return {self.start.year: 0}

    @cached_property
    def _before_start(self) -> int:
        last = self.start - clock.TICK
        return self._in_year_until(last) if last.year == self.start.year else 0

    def _in_year_until(self, local: datetime) -> int:
        """How many come in *local*'s year up to it."""
        first, found = first_of(local.year), self.years.of(local.year)
        day = local.toordinal() - first
        number = self.years.size(found, first, found.mask & (1 << day) - 1)
        if found.mask >> day & 1:
            until = (1 << self.years.times.slot_until(local) + 1) - 1
            number += (self.years.slots(found, first, day) & until).bit_count()
        return number

    def _in_order(self, year: int, number: int) -> datetime:
        """The one of that number within the year, which has so many."""
        first, found = first_of(year), self.years.of(year)
        for day in bits(found.mask):
            size = self.years.slots(found, first, day).bit_count()
            if number <= size:
                break
            number -= size
        slots = bits(self.years.slots(found, first, day))
        return self.years.local(first + day, next(islice(slots, number - 1, None)))
