"""Every n units from an anchor, at the anchor's time of day or at another (see ``at``).

Occurrence k is counted from the anchor, never from the one before, so nothing drifts: elapsed time
for seconds, minutes and hours; local dates for days and longer, by the DST rule of ``clock``.
"""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache
from itertools import count
from typing import Any

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob, NextFireTimeError
from celery_jobsched.triggers.at import At, parse_at, require_finer

__all__ = ["At", "Every", "parse_at", "parse_every"]

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}
_ELAPSED = ("second", "minute", "hour")
_MONTHS_IN = {"month": 1, "year": 12}
_LONGEST = timedelta(days=1000 * 365)
#: The calendar repeats after 4800 months: what did not come by then never comes.
_MONTHS_IN_CYCLE = 4800

_EVERY_EXPECTED = "a number and a unit, such as 15 minutes or 1 month"
_EVERY = re.compile(rf"(?:([0-9]{{1,12}}(?:\.[0-9]{{1,6}})?) *)?({'|'.join(_UNITS)})s?")


@dataclass(frozen=True)
class Every:
    """A trigger: n units from *anchor*, over and over; see the module for what counts as a unit.

    Without *at* the first occurrence is the anchor itself; with it, what comes before the anchor
    is none. ``month_end``: a day that the month lacks is its last one (clamp) or none (skip).

    Raises: InvalidJob (``every``, ``month_end``, ``dst_gap``, ``dst_fold``) and NextFireTimeError.
    """

    n: int | float
    unit: str
    at: At | None
    zone: tzinfo
    anchor: datetime
    month_end: str = "clamp"
    dst_gap: str = "run"
    dst_fold: str = "first"

    def __post_init__(self) -> None:
        if _counted(self.n, self.unit, (self.n, self.unit)) != (self.n, self.unit):
            raise InvalidJob("every", (self.n, self.unit), _EVERY_EXPECTED)
        clock.check_dst(self.dst_gap, self.dst_fold)
        if self.month_end not in ("clamp", "skip"):
            raise InvalidJob("month_end", self.month_end, "clamp or skip")
        if self.at is not None:
            require_finer(self.at._asdict(), self.unit, self.at)
            self._require_a_day_that_comes()

    @cached_property
    def interval(self) -> timedelta:
        """The nominal time between two occurrences: a month is 30 days, a year 365."""
        return self.n * _UNITS[self.unit]

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence strictly later than *instant*; None past the year 9999."""
        if instant < self.anchor:
            if self.at is None:
                return self.anchor.astimezone(clock.UTC)
            instant = self.anchor - clock.TICK
        if self.unit in _ELAPSED:
            return self._elapsed_after(instant)
        return clock.next_instant(instant, self.zone, self._later, self.dst_gap, self.dst_fold)

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last occurrence strictly earlier than *instant*; None before the anchor."""
        if instant <= self.anchor:
            return None
        if self.unit in _ELAPSED:
            found = self._elapsed_before(instant)
        else:
            found = clock.previous_instant(
                instant, self.zone, self._earlier, self.dst_gap, self.dst_fold
            )
        if found is not None and found >= self.anchor:
            return found
        return self.anchor.astimezone(clock.UTC) if self.at is None else None

    @property
    def local_times(self) -> clock.LocalTimes | None:
        """The local times of days and longer units; what elapses has none."""
        if self.unit in _ELAPSED:
            return None
        return clock.LocalTimes(self.zone, self._later, self.dst_gap, self.dst_fold)

    def count_between(self, after: datetime, until: datetime) -> int | None:
        """How many occurrences lie in (after, until]; None where only walking could tell."""
        if self.unit not in _ELAPSED or self.at is not None:
            return None
        return max(0, self._count_until(until) - self._count_until(after))

    def _count_until(self, instant: datetime) -> int:
        return max(0, (instant - self.anchor) // self.interval + 1)

    def _elapsed(self, k: int) -> datetime | None:
        """Occurrence k of a unit that elapses; None past the year 9999."""
        try:
            moment = (self.anchor + k * self.interval).astimezone(clock.UTC)
            if self.at is None:
                return moment
            local = clock.to_local(moment, self.zone)
            return moment + (self.at.on_clock(local) - local)
        except OverflowError:
            return None

    def _elapsed_after(self, instant: datetime) -> datetime | None:
        k = (instant - self.anchor - self._reach) // self.interval
        for each in count(max(0, k)):
            found = self._elapsed(each)
            if found is None or found > instant:
                return found
        return None

    def _elapsed_before(self, instant: datetime) -> datetime | None:
        k = (instant - self.anchor + self._reach) // self.interval
        for each in range(k, -1, -1):
            found = self._elapsed(each)
            if found is not None and found < instant:
                return found
        return None

    @property
    def _reach(self) -> timedelta:
        """How far ``at`` may move an occurrence that elapses."""
        return timedelta(0) if self.at is None else _UNITS[self.unit]

    @cached_property
    def _first(self) -> datetime:
        """The local time of occurrence 0; the day of the month may still be another."""
        local = clock.to_local(self.anchor, self.zone)
        if self.at is None:
            return local
        if self.at.weekday is not None:
            local += timedelta(days=self.at.weekday - local.weekday())
        return self.at.on_clock(local)

    @cached_property
    def _first_month(self) -> int:
        month = self._first.month if self.at is None else self.at.month or self._first.month
        return self._first.year * 12 + month - 1

    @cached_property
    def _day(self) -> int:
        return self._first.day if self.at is None else self.at.day or self._first.day

    @cached_property
    def _months(self) -> int:
        return int(self.n) * _MONTHS_IN[self.unit]

    def _in_month(self, k: int) -> datetime | None:
        """The local time of occurrence k of a month or year; None when its day is skipped."""
        year, month = divmod(self._first_month + k * self._months, 12)
        if year > MAXYEAR:
            raise OverflowError
        length = monthrange(year, month + 1)[1]
        if self._day > length and self.month_end == "skip":
            return None
        day = length if self._day == -1 else min(self._day, length)
        return self._first.replace(year=year, month=month + 1, day=day)

    def _later(self, local: datetime) -> datetime | None:
        if self.unit not in _MONTHS_IN:
            k = (local - self._first) // self.interval + 1
            return self._first + max(0, k) * self.interval
        for k in count(max(0, self._k_of_month(local))):
            found = self._in_month(k)
            if found is not None and found > local:
                return found
        return None

    def _earlier(self, local: datetime) -> datetime | None:
        if self.unit not in _MONTHS_IN:
            k = (local - clock.TICK - self._first) // self.interval
            return self._first + k * self.interval if k >= 0 else None
        for k in range(self._k_of_month(local), -1, -1):
            found = self._in_month(k)
            if found is not None and found < local:
                return found
        return None

    def _k_of_month(self, local: datetime) -> int:
        return (local.year * 12 + local.month - 1 - self._first_month) // self._months

    def _require_a_day_that_comes(self) -> None:
        if self.unit not in _MONTHS_IN or self.month_end == "clamp":
            return
        try:
            if not any(map(self._in_month, range(_MONTHS_IN_CYCLE))):
                raise OverflowError
        except OverflowError:
            raise NextFireTimeError("at", self.at, "a day that one of these months has") from None


def parse_every(value: Any) -> tuple[int | float, str]:
    """Read an interval: its number and its unit in the singular.

    *value*: "15 minutes", "month", [3, "hour"], {"hours": 3} or a timedelta (which is seconds).
    Seconds alone may have a fraction, from 0.001 on, to the microsecond, as a timedelta has it;
    nothing is longer than 1000 years.

    Raises: InvalidJob (field ``every``).
    """
    if isinstance(value, timedelta):
        return _counted(value.total_seconds(), "second", value)
    if isinstance(value, str):
        return _worded(value)
    if isinstance(value, Mapping) and len(value) == 1:
        ((unit, n),) = value.items()
        return _counted(n, unit, value)
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return _counted(value[0], value[1], value)
    raise InvalidJob("every", value, _EVERY_EXPECTED)


@lru_cache(maxsize=1024)
def _worded(value: str) -> tuple[int | float, str]:
    readable = len(value) <= 64 and value.isascii()
    match = _EVERY.fullmatch(value.strip(" ").lower()) if readable else None
    if not match:
        raise InvalidJob("every", value, _EVERY_EXPECTED)
    return _counted(float(match[1] or 1), match[2], value)


def _counted(n: Any, unit: Any, value: Any) -> tuple[int | float, str]:
    unit = unit.lower() if isinstance(unit, str) and unit.isascii() else ""
    unit = unit[:-1] if unit.endswith("s") else unit
    if unit not in _UNITS or isinstance(n, bool) or not isinstance(n, (int, float)):
        raise InvalidJob("every", value, _EVERY_EXPECTED)
    least = 0.001 if unit == "second" else 1
    most = _LONGEST // _UNITS[unit]
    if not least <= n <= most:
        raise InvalidJob("every", value, f"from {least} to {most} {unit}s")
    if unit != "second" and n != math.floor(n):
        raise InvalidJob("every", value, f"a whole number of {unit}s")
    n = round(n, 6)
    return (int(n) if n == math.floor(n) else float(n)), unit
