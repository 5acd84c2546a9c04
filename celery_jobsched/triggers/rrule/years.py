"""The occurrences of a recurrence rule year by year: the days that match, and slots of a day."""
# ruff: noqa: DTZ001 - a local time has no zone: that is what makes it local

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import compress

from celery_jobsched.triggers.rrule.cycles import Cycle, cycle_of
from celery_jobsched.triggers.rrule.days import CALENDAR, Days, YearDays, days_of, first_of
from celery_jobsched.triggers.rrule.parts import Parts
from celery_jobsched.triggers.rrule.times import Strides, Times, bits, flags, strides_of, times_of

__all__ = ["NeverFromHere", "Years", "years_of"]


class NeverFromHere(ValueError):
    """The rule comes from some beginnings, but never from this one."""


#: The day of ordinal 1.
_FIRST_DAY = datetime(1, 1, 1)


@dataclass(frozen=True)
class Years:
    """The slots of a day on the days that match, in the periods that count."""

    times: Times
    days: Days
    cycle: Cycle | None
    strides: Strides | None

    @cached_property
    def period(self) -> int:
        """After how many years they are the same again: what did not come by then never comes."""
        return CALENDAR if self.cycle is None else self.cycle.years

    @cached_property
    def recent(self) -> Callable[[int], YearDays]:
        """``of``, remembered: a job asks for the same year again and again."""
        return lru_cache(maxsize=4)(self.of)

    def of(self, year: int) -> YearDays:
        """The days of that year."""
        found = self.days.of(year)
        if self.cycle is None or not found.mask:
            return found
        return YearDays(found.mask & self.cycle.in_year(year), found.slots)

    def slots(self, found: YearDays, first: int, day: int) -> int:
        """The slots of a day that matches; *first* is the ordinal of its year's first day."""
        if found.slots is not None:
            return found.slots[day]
        return self.times.mask if self.strides is None else self.strides.on(first + day)

    def size(self, found: YearDays, first: int, days: int) -> int:
        """How many occurrences these days, which match, have."""
        if found.slots is not None:
            return sum(found.slots[day].bit_count() for day in bits(days))
        if self.strides is not None:
            return sum(compress(self.strides.sizes_from(first), flags(days)))
        return days.bit_count() * self._slots_a_day

    def size_of(self, year: int) -> int:
        """How many occurrences the year has."""
        found = self.of(year)
        if not found.mask or (found.slots is not None and self.cycle is None):
            return found.size
        return self.size(found, first_of(year), found.mask)

    def local(self, ordinal: int, slot: int) -> datetime:
        """The local time of a slot of a day."""
        unit, offset, _ = self.times
        return _FIRST_DAY + timedelta(ordinal - 1, slot * unit + offset)

    @cached_property
    def _slots_a_day(self) -> int:
        return self.times.mask.bit_count()


def years_of(parts: Parts, start: datetime) -> Years:
    """The occurrences of *parts*, whose periods are counted from *start*.

    Raises: ValueError for a rule that has none, or whose times take too long to come round;
        NeverFromHere where it is the start that leaves none.
    """
    times, named = times_of(parts, start), ", ".join(parts.named)
    days = days_of(parts, start, times.mask)
    if not times.mask or not (days.come or Days(parts, times.mask).come):
        raise ValueError(f"a time that comes: {named} leave none")
    strides = strides_of(parts, start, times)
    if strides is not None and strides.length == 1:
        times, strides = times._replace(mask=strides.on(strides.day)), None
    if not times.mask or not days.come:
        raise NeverFromHere(f"a time that comes: from {start} on {named} leave none")
    return Years(times, days, cycle_of(parts, start, strides), strides)
