"""The days on which a recurrence rule occurs, whatever its interval: masks of a year.

Bit 0 is 1 January. Which days match depends on the lengths of a year and of its neighbours and on
the weekday that it begins with: 28 kinds of years, each worked out once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple

from celery_jobsched.triggers.rrule.parts import Parts, Weekday
from celery_jobsched.triggers.rrule.times import bits, indices, mask_of, repeated

__all__ = ["CALENDAR", "Days", "YearDays", "days_of", "first_of", "in_months"]

#: After so many years the calendar is the same again, weekdays too.
CALENDAR = 400
_WEEK = 0x7F
#: A set of weekdays repeated over a year and more: multiplying copies it to bits 0, 7, 14, …
_WEEKS = repeated(1, 56, 7)


def first_of(year: int) -> int:
    """The ordinal of its first day."""
    return date(year, 1, 1).toordinal()


def _length(year: int) -> int:
    return 366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365


def _first_weekday(year: int) -> int:
    return date(year, 1, 1).weekday()


def _kind(year: int) -> tuple[int, ...]:
    return _first_weekday(year), *(_length(each) for each in (year - 1, year, year + 1))


_KIND_OF = {_kind(year): year for year in range(2000, 2000 + CALENDAR)}
#: A year of the kind of each, by the year's number within the calendar.
_SAMPLES = tuple(_KIND_OF[_kind(2000 + number)] for number in range(CALENDAR))


class YearDays(NamedTuple):
    """The days of a year; where BYSETPOS has chosen, the slots of each, and how many in all."""

    mask: int
    slots: Mapping[int, int] | None = None
    size: int = 0


@dataclass(frozen=True)
class Days:
    """The days that *parts* name, all of a rule's periods counted; ``slots`` are those of a day."""

    parts: Parts
    slots: int

    def of(self, year: int) -> YearDays:
        """The days of that year."""
        sample = _SAMPLES[year % CALENDAR]
        found = self._known.get(sample)
        if found is None:
            found = self._known[sample] = self._worked_out(sample)
        return found

    @property
    def come(self) -> bool:
        """Whether any year has one."""
        return any(self.of(year).mask for year in _KIND_OF.values())

    @cached_property
    def _known(self) -> dict[int, YearDays]:
        return {}

    @cached_property
    def _slots(self) -> list[int]:
        return list(bits(self.slots))

    @cached_property
    def _mask_of(self) -> Callable[[tuple[int, ...]], int]:
        # Masks of seconds are 10 kB each, and most days choose alike.
        return lru_cache(maxsize=256)(mask_of)

    def _worked_out(self, year: int) -> YearDays:
        if not self.parts.positions or self.parts.freq not in ("YEARLY", "MONTHLY", "WEEKLY"):
            return YearDays(_matching(self.parts, year))
        slots = self._slots
        chosen: dict[int, list[int]] = {}
        for days in _periods(self.parts, year):
            for index in indices(len(days) * len(slots), self.parts.positions):
                day, slot = days[index // len(slots)], slots[index % len(slots)]
                chosen.setdefault(day, []).append(slot)
        length = _length(year)
        within = {
            day: self._mask_of(tuple(sorted(each)))
            for day, each in chosen.items()
            if 0 <= day < length
        }
        return YearDays(mask_of(within), within, sum(map(int.bit_count, within.values())))


def days_of(parts: Parts, start: datetime, slots: int) -> Days:
    """The days that *parts* and *start*, which lends what they do not name, allow (3.3.10)."""
    if parts.month_days or parts.year_days or parts.weekdays:
        return Days(parts, slots)
    if parts.freq == "WEEKLY" or parts.weeks:
        return Days(replace(parts, weekdays=(Weekday(start.weekday()),)), slots)
    if parts.freq == "MONTHLY" or (parts.freq == "YEARLY" and parts.months):
        return Days(replace(parts, month_days=(start.day,)), slots)
    if parts.freq == "YEARLY":
        return Days(replace(parts, months=(start.month,), month_days=(start.day,)), slots)
    return Days(parts, slots)


def in_months(months: tuple[int, ...] | range, year: int) -> int:
    """The days of the year in these months."""
    return _in_months(months, _length(year))


@lru_cache
def _in_months(months: tuple[int, ...] | range, length: int) -> int:
    ranges = _months(length)
    return sum((1 << ranges[month - 1][1]) - 1 << ranges[month - 1][0] for month in months)


@lru_cache
def _months(length: int) -> tuple[tuple[int, int], ...]:
    """Where each month of a year of that length begins, and how long it is."""
    lengths = (31, length - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return tuple(zip(accumulate(lengths, initial=0), lengths, strict=False))


def _matching(parts: Parts, year: int) -> int:
    """The days of the year that each of the parts allows."""
    length = _length(year)
    mask = (1 << length) - 1
    if parts.months:
        mask &= in_months(parts.months, year)
    if parts.weeks:
        mask &= _in_weeks(parts, year)
    if parts.year_days:
        mask &= mask_of(indices(length, parts.year_days))
    if parts.month_days:
        mask &= _on_month_days(parts.month_days, length)
    if parts.weekdays:
        mask &= _on_weekdays(parts, year)
    return mask


def _on_month_days(numbers: tuple[int, ...], length: int) -> int:
    found = 0
    for start, days in _months(length):
        found |= mask_of(indices(days, numbers)) << start
    return found


def _on_weekdays(parts: Parts, year: int) -> int:
    found = _on_each(parts.weekdays, year)
    by_month = parts.freq == "MONTHLY" or bool(parts.months)
    ranges = _months(_length(year)) if by_month else ((0, _length(year)),)
    for number, nth in parts.weekdays:
        for start, days in ranges if nth else ():
            first = (number - _first_weekday(year) - start) % 7
            for index in indices((days - first + 6) // 7, (nth,)):
                found |= 1 << start + first + 7 * index
    return found


def _on_each(weekdays: tuple[Weekday, ...], year: int) -> int:
    """The days of the year, and some beyond it, on those weekdays that are meant each time."""
    each = mask_of(number for number, nth in weekdays if not nth)
    return each * _WEEKS >> _first_weekday(year)


def _in_weeks(parts: Parts, year: int) -> int:
    """The days of the year in these weeks, of its own or of a neighbour that reach into it."""
    found = 0
    for whose in (year - 1, year, year + 1):
        first, end = (_first_week(each, parts.week_start) for each in (whose, whose + 1))
        for index in indices((end - first) // 7, parts.weeks):
            start = first + 7 * index - first_of(year)
            found |= _WEEK << start if start >= 0 else _WEEK >> -start
    return found


def _first_week(year: int, week_start: int) -> int:
    """The ordinal of the first day of its first week: the first with four days in the year."""
    before = (_first_weekday(year) - week_start) % 7
    return first_of(year) - before + (7 if before > 3 else 0)


def _periods(parts: Parts, year: int) -> Iterator[list[int]]:
    """The days in each period of the year, ascending; those of a week may lie beside the year."""
    if parts.freq == "WEEKLY":
        yield from _weeks(parts, year)
        return
    mask, length = _matching(parts, year), _length(year)
    for start, days in _months(length) if parts.freq == "MONTHLY" else ((0, length),):
        yield [start + day for day in bits(mask >> start & (1 << days) - 1)]


def _weeks(parts: Parts, year: int) -> Iterator[list[int]]:
    """The days in each week that reaches into the year; the mask begins a week before it."""
    length = _length(year)
    mask = _on_each(parts.weekdays, year)
    if parts.months:
        december, january = (_WEEK if month in parts.months else 0 for month in (12, 1))
        mask &= december | in_months(parts.months, year) << 7 | january << 7 + length
    for start in range((parts.week_start - _first_weekday(year)) % 7, 7 + length, 7):
        yield [start - 7 + day for day in bits(mask >> start & _WEEK)]
