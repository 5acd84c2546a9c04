"""The days of a month that match: numbers, the last, the nearest weekday, the nth Friday.

A set of numbers is a bit mask throughout: bit n is set when n belongs to it. Weekdays count from
Sunday = 0. What only the length of a month and the weekday of its first day can change is found
once for each of the 28 shapes that months have.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache

__all__ = [
    "EVERY_DAY",
    "EVERY_MONTH",
    "EVERY_WEEKDAY",
    "DaySet",
    "MonthDays",
    "mask_of",
    "numbers_of",
]

EVERY_MONTH = (1 << 13) - 2
EVERY_DAY = (1 << 32) - 2
EVERY_WEEKDAY = (1 << 7) - 1

#: A set of weekdays repeated over six weeks: multiplying copies it to the bits 0, 7, 14, …
_SIX_WEEKS = sum(1 << 7 * week for week in range(6))
_SUNDAY, _SATURDAY = 0, 6


@dataclass(frozen=True)
class DaySet:
    """Days of a month, named in any of these ways: a day that one of them names belongs to it."""

    #: Bit n: day n, from 1 to 31.
    numbers: int = 0
    #: Bit w: each weekday w.
    weekdays: int = 0
    #: Bit 7n + w: the nth weekday w of the month, n from 1 to 5; for n = 0 the last one.
    nth: int = 0
    #: Bit n: n days before the last one.
    from_end: int = 0
    #: Bit n: the day from Monday to Friday that is nearest to day n, within the month.
    nearest: int = 0
    #: Bit n: the one nearest to n days before the last, within the month.
    nearest_from_end: int = 0

    def of(self, first: int, length: int) -> int:
        """The mask of these days in a month of *length* days whose first is weekday *first*."""
        days = self.numbers | self.weekdays * _SIX_WEEKS >> first << 1
        for back in numbers_of(self.from_end):
            days |= 1 << max(0, length - back)
        for day in (*numbers_of(self.nearest), *_counted_back(self.nearest_from_end, length)):
            if 1 <= day <= length:
                days |= 1 << _nearest_weekday(day, first, length)
        for n, weekday in (divmod(each, 7) for each in numbers_of(self.nth)):
            earliest = 1 + (weekday - first) % 7
            days |= 1 << (earliest + 7 * n - 7 if n else length - (length - earliest) % 7)
        return days & (2 << length) - 2


@dataclass(frozen=True)
class MonthDays:
    """The days that match a ``day`` field, a ``weekday`` field and ISO weeks.

    A day must be in both sets, or with ``either`` in one of them; and in one of ``weeks``, unless
    they are None.
    """

    day: DaySet
    weekday: DaySet
    either: bool = False
    #: Bit n: ISO week n, from 1 to 53.
    weeks: int | None = None

    def of(self, year: int, month: int) -> int:
        """The mask of the days that match in this month."""
        days = self._by_shape[_shape(year, month)]
        return days if self.weeks is None else days & _in_weeks(year, month, self.weeks)

    @property
    def are_all(self) -> bool:
        """Whether every day of every month matches."""
        every = self.day.numbers == EVERY_DAY and self.weekday.weekdays == EVERY_WEEKDAY
        return every and self.weeks is None

    @cached_property
    def _by_shape(self) -> _Shapes:
        return _Shapes(self)


class _Shapes(dict[tuple[int, int], int]):
    """The days that match in a month, by what _shape says of it: found when asked for."""

    def __init__(self, days: MonthDays) -> None:
        self._days = days

    def __missing__(self, shape: tuple[int, int]) -> int:
        day, weekday = self._days.day.of(*shape), self._days.weekday.of(*shape)
        self[shape] = day | weekday if self._days.either else day & weekday
        return self[shape]


def mask_of(numbers: set[int]) -> int:
    """The bit mask of a set of numbers."""
    return sum(1 << number for number in numbers)


def numbers_of(mask: int) -> Iterator[int]:
    """The numbers of a bit mask, ascending."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


@lru_cache(maxsize=400 * 12)
def _shape(year: int, month: int) -> tuple[int, int]:
    """The weekday of the month's first day, and its length."""
    first, length = monthrange(year, month)
    return (first + 1) % 7, length


def _in_weeks(year: int, month: int, weeks: int) -> int:
    """The days of a month that lie in these ISO weeks."""
    first, length = _shape(year, month)
    days, day = 0, 1
    while day <= length:
        next_monday = day + 1 + (8 - first - day) % 7
        if weeks >> date(year, month, day).isocalendar()[1] & 1:
            days |= (1 << next_monday) - (1 << day)
        day = next_monday
    return days & (2 << length) - 2


def _counted_back(mask: int, length: int) -> list[int]:
    return [length - back for back in numbers_of(mask)]


def _nearest_weekday(day: int, first: int, length: int) -> int:
    weekday = (first + day - 1) % 7
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day
