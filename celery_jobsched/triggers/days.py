"""Sets of days, asked a month at a time; they know no time of day and no zone.

A month is a number, 12 * year + month - 1. Days are a bit mask: bit n is set when the month's day n
belongs to the set.
"""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, date
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

__all__ = [
    "AllOfDays",
    "AnyOfDays",
    "Dates",
    "Days",
    "Month",
    "MonthDays",
    "Months",
    "Weekdays",
    "YearlyDates",
    "month_of",
]

#: A set of weekdays repeated over six weeks: multiplying copies it to the bits 0, 7, 14, …
_SIX_WEEKS = sum(1 << 7 * week for week in range(6))


class Month(NamedTuple):
    """A month as its days are counted: the weekday of its first (Monday = 0), and how many."""

    number: int
    year: int
    month: int
    first_weekday: int
    length: int
    #: The proleptic ordinal of its first day.
    ordinal: int

    @property
    def mask(self) -> int:
        """All of its days."""
        return (2 << self.length) - 2


@lru_cache(maxsize=2048)
def month_of(number: int) -> Month:
    """The month of that number, from the year 1 to the year 9999."""
    year, month = number // 12, number % 12 + 1
    weekday, length = monthrange(year, month)
    return Month(number, year, month, weekday, length, date(year, month, 1).toordinal())


class Days(Protocol):
    """A set of days. ``dated``: the months, ascending, in which it is not what its rules repeat."""

    @property
    def dated(self) -> tuple[int, ...]: ...

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""


@dataclass(frozen=True)
class Weekdays:
    """Days of the week; bit 0 is Monday."""

    weekdays: int
    dated = ()

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""
        return self.weekdays * _SIX_WEEKS >> month.first_weekday << 1 & month.mask


@dataclass(frozen=True)
class Months:
    """Whole months of every year; bit 1 is January."""

    months: int
    dated = ()

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""
        return month.mask if self.months >> month.month & 1 else 0


@dataclass(frozen=True)
class MonthDays:
    """Days of every month: counted from its first (bit 1), and back from its last (bit 1)."""

    from_first: int
    from_last: int = 0
    dated = ()

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""
        back = (n for n in range(1, month.length + 1) if self.from_last >> n & 1)
        days = sum(1 << month.length + 1 - n for n in back) if self.from_last else 0
        return (self.from_first | days) & month.mask


@dataclass(frozen=True)
class YearlyDates:
    """Dates of every year: spans of (month, day), both ends inclusive; some go round its end."""

    spans: tuple[tuple[tuple[int, int], tuple[int, int]], ...]
    dated = ()

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""
        days = 0
        for first, last in self.spans:
            until_last = _until(month, last)
            from_first = ~_until(month, (first[0], first[1] - 1))
            days |= until_last & from_first if first <= last else until_last | from_first
        return days & month.mask


@dataclass(frozen=True)
class Dates:
    """Dates of one year: spans of proleptic ordinals, both ends inclusive, ascending, apart."""

    spans: tuple[tuple[int, int], ...]

    @cached_property
    def dated(self) -> tuple[int, ...]:
        """The months in which a span begins or has just ended."""
        found = {_number(first) for first, _ in self.spans}
        found |= {_number(last + 1) for _, last in self.spans if last < _LAST_DAY}
        return tuple(sorted(found))

    @cached_property
    def _ends(self) -> list[int]:
        return [last for _, last in self.spans]

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""
        days, end = 0, month.ordinal + month.length - 1
        for first, last in self.spans[bisect_left(self._ends, month.ordinal) :]:
            if first > end:
                break
            begins, ends = max(first, month.ordinal), min(last, end)
            days |= (2 << ends - begins) - 1 << begins - month.ordinal + 1
        return days


@dataclass(frozen=True)
class AnyOfDays:
    """The days of any of these sets."""

    sets: tuple[Days, ...]

    @cached_property
    def dated(self) -> tuple[int, ...]:
        """The months that are dated in one of them."""
        return tuple(sorted({number for each in self.sets for number in each.dated}))

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""
        days = 0
        for each in self.sets:
            days |= each.days_in(month)
        return days


@dataclass(frozen=True)
class AllOfDays:
    """The days that all of these sets have; of none at all: every day."""

    sets: tuple[Days, ...]

    @cached_property
    def dated(self) -> tuple[int, ...]:
        """The months that are dated in one of them."""
        return tuple(sorted({number for each in self.sets for number in each.dated}))

    def days_in(self, month: Month) -> int:
        """The mask of the month's days that belong to it."""
        days = month.mask
        for each in self.sets:
            days &= each.days_in(month)
        return days


_LAST_DAY = date(MAXYEAR, 12, 31).toordinal()


def _number(ordinal: int) -> int:
    day = date.fromordinal(ordinal)
    return day.year * 12 + day.month - 1


def _until(month: Month, last: tuple[int, int]) -> int:
    """The mask of the month's days up to that day of the year."""
    if month.month != last[0]:
        return month.mask if month.month < last[0] else 0
    return (2 << last[1]) - 2 & month.mask
