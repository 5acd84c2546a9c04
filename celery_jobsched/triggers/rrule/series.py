"""The local times of one recurrence rule, from its start on, whatever bounds it has.

``Steps`` count one interval after another; every other rule is a ``Rule``: slots of days of years.
Both jump to the year that is asked for; a ``Rule`` looks at one mask a year from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta
from functools import cached_property
from typing import Protocol

from celery_jobsched import clock
from celery_jobsched.triggers.rrule.days import first_of
from celery_jobsched.triggers.rrule.numbers import Numbers
from celery_jobsched.triggers.rrule.parts import Parts
from celery_jobsched.triggers.rrule.times import PERIODS, low
from celery_jobsched.triggers.rrule.years import NeverFromHere, Years, years_of

__all__ = ["Rule", "Series", "Steps", "series_of"]


class Series(Protocol):
    """Local times, ascending; the number of the first is 1."""

    def later(self, local: datetime) -> datetime | None:
        """The first of them strictly after *local*; None past the year 9999."""

    def earlier(self, local: datetime) -> datetime | None:
        """The last of them strictly before *local*."""

    def number_until(self, local: datetime) -> int:
        """How many of them come up to *local*."""

    def by_number(self, number: int) -> datetime | None:
        """The one of that number; None past the year 9999."""


@dataclass(frozen=True)
class Steps:
    """*start*, and one *step* after another as the clock shows them."""

    start: datetime
    step: timedelta

    def later(self, local: datetime) -> datetime | None:
        """The first strictly after *local*."""
        return self.by_number(self.number_until(local) + 1)

    def earlier(self, local: datetime) -> datetime | None:
        """The last strictly before *local*."""
        number = self.number_until(local - clock.TICK)
        return self.by_number(number) if number else None

    def number_until(self, local: datetime) -> int:
        """How many come up to *local*."""
        return max(0, (local - self.start) // self.step + 1)

    def by_number(self, number: int) -> datetime | None:
        """*number* - 1 steps after the start."""
        try:
            return self.start + (number - 1) * self.step
        except OverflowError:
            return None


@dataclass(frozen=True)
class Rule:
    """The occurrences of *years* from *start* on."""

    years: Years
    start: datetime

    def later(self, local: datetime) -> datetime | None:
        """The first strictly after *local*: one look at each year from its own on."""
        local = max(local, self._before)
        year, years = local.year, self.years
        first, found = first_of(year), years.recent(year)
        day = local.toordinal() - first
        if found.mask >> day & 1:
            slot = years.times.slot_until(local) + 1
            if slots := years.slots(found, first, day) >> slot:
                return years.local(first + day, slot + low(slots))
        days = found.mask >> day + 1 << day + 1
        while not days:
            year += 1
            if year > min(local.year + years.period, MAXYEAR):
                return None
            found = years.of(year)
            days = found.mask
        first, day = first_of(year), low(days)
        return years.local(first + day, low(years.slots(found, first, day)))

    def earlier(self, local: datetime) -> datetime | None:
        """The last strictly before *local*: one look at each year from its own back."""
        local -= clock.TICK
        year, years = local.year, self.years
        first, found = first_of(year), years.recent(year)
        day = local.toordinal() - first
        if found.mask >> day & 1:
            until = (1 << years.times.slot_until(local) + 1) - 1
            if slots := years.slots(found, first, day) & until:
                return self._started(first + day, slots)
        days = found.mask & (1 << day) - 1
        while not days:
            year -= 1
            if year < max(local.year - years.period, self.start.year):
                return None
            found = years.of(year)
            days = found.mask
        first, day = first_of(year), days.bit_length() - 1
        return self._started(first + day, years.slots(found, first, day))

    def number_until(self, local: datetime) -> int:
        """How many come up to *local*."""
        return self._numbers.until(local)

    def by_number(self, number: int) -> datetime | None:
        """The one of that number."""
        return self._numbers.of(number)

    @cached_property
    def _before(self) -> datetime:
        return self.start - clock.TICK

    @cached_property
    def _numbers(self) -> Numbers:
        return Numbers(self.years, self.start)

    def _started(self, ordinal: int, slots: int) -> datetime | None:
        """The last slot of that day, unless it comes before the start."""
        local = self.years.local(ordinal, slots.bit_length() - 1)
        return local if local >= self.start else None


def series_of(parts: Parts, start: datetime) -> Series:
    """The local times that *parts* make of *start*, naive and a whole second.

    Raises: ValueError for a rule that never comes, or whose times take too long to come round;
        NeverFromHere where it is the start that leaves none.
    """
    if parts.freq in PERIODS and not parts.named:
        return Steps(start, timedelta(seconds=PERIODS[parts.freq] * parts.interval))
    found = Rule(years_of(parts, start), start)
    if found.later(start - clock.TICK) is None:
        named = ", ".join((f"INTERVAL={parts.interval}", *parts.named))
        raise NeverFromHere(f"a time that comes: from {start} on {named} leave none")
    return found
