"""Sets of local times, as opening hours are: windows on days, and what is made of such sets.

Seconds are counted through all days, from the midnight that begins ordinal 0; a set is asked a
month at a time for its spans: (start, end), half-open, ascending, apart. Where one begins or ends
is an edge. No zone is known here, and no trigger.
"""
# ruff: noqa: DTZ001, DTZ901 - a local time has no zone: that is what makes it local

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import islice
from typing import Protocol

from celery_jobsched.triggers.days import Days, Month, month_of

__all__ = ["DAY", "Both", "Calendar", "Either", "Hours", "Windows", "Without", "joined"]

DAY = 86400

_FIRST, _LAST = MINYEAR * 12, MAXYEAR * 12 + 11
#: Within 40 years every kind of year comes, also a leap year on a Monday: what changed by no
#: rule in the 41 years after the last date never does.
_CYCLE = 41 * 12
_MOST_MONTHS = 3 * _CYCLE

_SOME_DAY = datetime(2000, 1, 1)
Spans = list[tuple[int, int]]


class Hours(Protocol):
    """A set of local times. ``dated``: the months, ascending, in which its rules change."""

    @property
    def dated(self) -> tuple[int, ...]: ...

    def spans_in(self, month: Month) -> Spans:
        """What of the month belongs to it: spans, cut at the month's ends."""


@dataclass(frozen=True)
class Windows:
    """Daily windows on days; one across midnight belongs to the day that it starts on.

    ``windows``: (start, end) in seconds of the day, ascending; an end may lie in the next day.
    """

    days: Days
    windows: tuple[tuple[int, int], ...] = ((0, DAY),)

    @property
    def dated(self) -> tuple[int, ...]:
        """The months that are dated for the days."""
        return self.days.dated

    def spans_in(self, month: Month) -> Spans:
        """What of the month belongs to it: spans, cut at the month's ends."""
        days, begin = self.days.days_in(month), month.ordinal * DAY
        found = [(begin, begin + end) for end in self._spilt_into(month)]
        while days:
            midnight = begin + ((days & -days).bit_length() - 2) * DAY
            found += [(midnight + start, midnight + end) for start, end in self.windows]
            days &= days - 1
        return joined(found, begin + month.length * DAY)

    def _spilt_into(self, month: Month) -> list[int]:
        """Where windows of the day before the month end in it: seconds of its first day."""
        ends = [end - DAY for _, end in self.windows if end > DAY]
        if not ends or month.number == _FIRST:
            return []
        before = month_of(month.number - 1)
        return ends if self.days.days_in(before) >> before.length & 1 else []


@dataclass(frozen=True)
class Either:
    """The local times of any of these sets."""

    sets: tuple[Hours, ...]

    @property
    def dated(self) -> tuple[int, ...]:
        """The months that are dated in one of them."""
        return _all_dated(self.sets)

    def spans_in(self, month: Month) -> Spans:
        """What of the month belongs to it: spans, cut at the month's ends."""
        found = sorted(span for each in self.sets for span in each.spans_in(month))
        return joined(found, (month.ordinal + month.length) * DAY)


@dataclass(frozen=True)
class Both:
    """The local times that all of these sets have."""

    sets: tuple[Hours, ...]

    @property
    def dated(self) -> tuple[int, ...]:
        """The months that are dated in one of them."""
        return _all_dated(self.sets)

    def spans_in(self, month: Month) -> Spans:
        """What of the month belongs to it: spans, cut at the month's ends."""
        first, *others = self.sets
        found = first.spans_in(month)
        for each in others:
            found = _common(found, each.spans_in(month)) if found else []
        return found


@dataclass(frozen=True)
class Without:
    """The local times of *hours* that are none of *others*."""

    hours: Hours
    others: Hours

    @property
    def dated(self) -> tuple[int, ...]:
        """The months that are dated in one of them."""
        return _all_dated((self.hours, self.others))

    def spans_in(self, month: Month) -> Spans:
        """What of the month belongs to it: spans, cut at the month's ends."""
        found = self.hours.spans_in(month)
        if not found:
            return found
        begin, end = month.ordinal * DAY, (month.ordinal + month.length) * DAY
        edges = [begin, *(each for span in self.others.spans_in(month) for each in span), end]
        gaps = list(zip(edges[::2], edges[1::2], strict=True))
        return _common(found, [gap for gap in gaps if gap[0] < gap[1]])


@dataclass(frozen=True, eq=False)
class Calendar:
    """A pure question on local times: whether one belongs, and where that changes.

    What it found of a month is kept, for a bounded number of months.
    """

    hours: Hours

    def contains(self, local: datetime) -> bool:
        """Whether the naive *local* time belongs to it."""
        month = month_of(_number(local))
        return bool(bisect_right(self._edges(month), _second(local) - month.ordinal * DAY) & 1)

    def later(self, local: datetime) -> datetime | None:
        """The first edge strictly after *local*; None when there is none."""
        second, inside = _second(local), self.contains(local)
        for month in islice(self._months_after(_number(local)), _MOST_MONTHS):
            edges, begin = self._edges(month), month.ordinal * DAY
            at = max(second - begin, 0)
            index = bisect_right(edges, at)
            if index & 1 != inside:
                return _local(begin + at)
            if index < len(edges) and edges[index] < month.length * DAY:
                return _local(begin + edges[index])
        return None

    def earlier(self, local: datetime) -> datetime | None:
        """The last edge strictly before *local*; None when there is none."""
        if local == datetime.min:
            return None
        before = local - datetime.resolution
        second, inside = _second(before) + 1, self.contains(before)
        for month in islice(self._months_before(_number(before)), _MOST_MONTHS):
            edges, begin = self._edges(month), month.ordinal * DAY
            at = min(second - begin, month.length * DAY)
            index = bisect_left(edges, at)
            if index & 1 != inside:
                return _local(begin + at)
            if index and edges[index - 1] > 0:
                return _local(begin + edges[index - 1])
        return None

    @cached_property
    def is_empty(self) -> bool:
        """Whether no local time belongs to it."""
        if self.contains(_SOME_DAY) or self.later(_SOME_DAY):
            return False
        return self.earlier(_SOME_DAY) is None

    def _months_after(self, number: int) -> Iterator[Month]:
        """The months from that one on in which the next edge can lie."""
        reached = number - 1
        for begin in (number, *self._dated[bisect_left(self._dated, number) :]):
            end = min(begin + _CYCLE, _LAST)
            yield from map(month_of, range(max(begin, reached + 1), end + 1))
            reached = max(reached, end)

    def _months_before(self, number: int) -> Iterator[Month]:
        """The months from that one back in which the edge before can lie."""
        reached = number + 1
        for begin in (number, *self._dated[: bisect_right(self._dated, number)][::-1]):
            end = max(begin - _CYCLE, _FIRST)
            yield from map(month_of, range(min(begin, reached - 1), end - 1, -1))
            reached = min(reached, end)

    def _edges(self, month: Month) -> tuple[int, ...]:
        """The starts and ends of the month's spans, in turn, in seconds of the month."""
        index = bisect_right(self._dated, month.number)
        since = self._dated[index - 1] + 1 if index else _FIRST + 1
        return _edges_of(self, _like(month.number, since))

    @cached_property
    def _dated(self) -> tuple[int, ...]:
        return self.hours.dated


@lru_cache(maxsize=8192)
def _edges_of(calendar: Calendar, number: int) -> tuple[int, ...]:
    month = month_of(number)
    begin = month.ordinal * DAY
    return tuple(edge - begin for span in calendar.hours.spans_in(month) for edge in span)


@lru_cache(maxsize=8192)
def _like(number: int, since: int) -> int:
    """The first month not before *since* that any rule without a year takes for this one."""
    if number < since:
        return number
    same_name = range(since + (number - since) % 12, number + 1, 12)
    return next(each for each in same_name if _kind(each) == _kind(number))


def _kind(number: int) -> tuple[int, int, int]:
    """What rules see of a month, given its name; a window may spill into it from the one before."""
    month = month_of(number)
    return month.first_weekday, month.length, month_of(number - 1).length


def joined(spans: Iterable[tuple[int, int]], limit: int) -> Spans:
    """Spans, ascending by start, where those that meet are one; none goes beyond *limit*.

    All of them start before it.
    """
    found: Spans = []
    opens = closes = -1
    for start, end in spans:
        if start > closes:
            found.append((opens, closes))
            opens, closes = start, end
        elif end > closes:
            closes = end
    found.append((opens, min(closes, limit)))
    return found[1:]


def _common(some: Spans, others: Spans) -> Spans:
    found: Spans = []
    i = j = 0
    while i < len(some) and j < len(others):
        start, end = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if start < end:
            found.append((start, end))
        if some[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found


def _all_dated(sets: Iterable[Hours]) -> tuple[int, ...]:
    return tuple(sorted({number for each in sets for number in each.dated}))


def _number(local: datetime) -> int:
    return local.year * 12 + local.month - 1


def _second(local: datetime) -> int:
    """The second that *local* lies in."""
    return local.toordinal() * DAY + local.hour * 3600 + local.minute * 60 + local.second


def _local(second: int) -> datetime | None:
    """The local time of a second; None past the year 9999."""
    try:
        return datetime.fromordinal(second // DAY) + timedelta(seconds=second % DAY)
    except (OverflowError, ValueError):
        return None
