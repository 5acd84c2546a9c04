"""Cron: what the five fields mean (``CronFields``, local times), and when that is (``Cron``).

Reading follows crontab(5) and Vixie's day rule; gaps and folds are the business of ``clock``.
A set of numbers is a bit mask throughout: bit n is set when n belongs to it.
"""
# ruff: noqa: DTZ001 - a local time has no zone: that is what makes it local

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob

__all__ = ["Cron", "CronFields", "mask_of", "parse_cron"]

#: The calendar repeats after 400 years: what did not come by then never comes.
_CYCLE = 400
_ANY_TIME = datetime(2000, 1, 1)
_LONGEST_TEXT = 1000
#: A set of weekdays repeated over six weeks: multiplying copies it to the bits 0, 7, 14, …
_SIX_WEEKS = sum(1 << 7 * week for week in range(6))

_ITEM = re.compile(r"([*?]|[0-9]{1,4}|[a-z]{3})(?:-([0-9]{1,4}|[a-z]{3}))?(?:/([0-9]{1,4}))?")
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class _Field(NamedTuple):
    """One place of an expression: its name in messages, its bounds, its words."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()
    any_sign: str = "*"

    @property
    def expected(self) -> str:
        words = f", or {self.words[0]} to {self.words[-1]}" if self.words else ""
        return f"{self.name} from {self.least} to {self.most}{words}"


_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31, any_sign="*?"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS, any_sign="*?"),
)


@dataclass(frozen=True)
class CronFields:
    """The local times of a cron expression, as masks; weekdays count from Sunday = 0.

    ``either``: a day matches by day of month or by day of week, else it must by both.
    ``wildcard``: the minute or the hour field begins with ``*``, the job follows real time.
    """

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    either: bool = False
    wildcard: bool = False
    seconds: int = 1

    def later(self, local: datetime) -> datetime | None:
        """The first matching local time strictly after *local*; None past the year 9999."""
        year, month, day = local.year, local.month, local.day
        if self.days_in(year, month) >> day & 1:
            time = self._time_after(local.hour, local.minute, local.second)
            if time:
                return datetime(year, month, day, *time)
        date = self._day_after(year, month, day)
        return date and datetime(*date, _low(self.hours), _low(self.minutes), _low(self.seconds))

    def earlier(self, local: datetime) -> datetime | None:
        """The last matching local time strictly before *local*."""
        local -= clock.TICK
        year, month, day = local.year, local.month, local.day
        if self.days_in(year, month) >> day & 1:
            time = self._time_until(local.hour, local.minute, local.second)
            if time:
                return datetime(year, month, day, *time)
        date = self._day_before(year, month, day)
        return date and datetime(*date, _high(self.hours), _high(self.minutes), _high(self.seconds))

    def coming(self, field: str, value: Any) -> CronFields:
        """These fields, unless they never match.

        Raises: InvalidJob (naming *field* and *value*).
        """
        if self.later(_ANY_TIME) is None:
            raise InvalidJob(field, value, "a date that comes: these months have no such day")
        return self

    def days_in(self, year: int, month: int) -> int:
        """The mask of the days that match in this month."""
        if not self.months >> month & 1:
            return 0
        first, length = monthrange(year, month)
        week = self.weekdays * _SIX_WEEKS >> (first + 1) % 7 << 1
        days = self.days | week if self.either else self.days & week
        return days & (2 << length) - 2

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
        last = min(year + _CYCLE, MAXYEAR)
        days = _from(self.days_in(year, month), day + 1)
        while not days:
            months = _from(self.months, month + 1)
            year, month = (year, _low(months)) if months else (year + 1, _low(self.months))
            if year > last:
                return None
            days = self.days_in(year, month)
        return year, month, _low(days)

    def _day_before(self, year: int, month: int, day: int) -> tuple[int, int, int] | None:
        days = _below(self.days_in(year, month), day)
        while not days:
            months = _below(self.months, month)
            year, month = (year, _high(months)) if months else (year - 1, _high(self.months))
            if year < MINYEAR:
                return None
            days = self.days_in(year, month)
        return year, month, _high(days)


@dataclass(frozen=True)
class Cron:
    """A trigger: the instants at which the fields match the clocks of *zone*.

    A wildcard expression follows real time, whatever the DST options say; they are for the
    others, whose times in a gap run at the jump, and in a fold the first time only.

    Raises: InvalidJob (``dst_gap``, ``dst_fold``).
    """

    fields: CronFields
    zone: tzinfo
    dst_gap: str = "run"
    dst_fold: str = "first"

    def __post_init__(self) -> None:
        clock.check_dst(self.dst_gap, self.dst_fold)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first match strictly later than *instant*; None past the year 9999."""
        return clock.next_instant(instant, self.zone, self.fields.later, *self._rule)

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last match strictly earlier than *instant*."""
        return clock.previous_instant(instant, self.zone, self.fields.earlier, *self._rule)

    @property
    def _rule(self) -> tuple[str, str]:
        return ("skip", "both") if self.fields.wildcard else (self.dst_gap, self.dst_fold)


def parse_cron(value: Any) -> CronFields:
    """Read an expression of five fields, or a macro such as ``@daily``; the result is cached.

    Raises: InvalidJob (field ``cron``), naming the field of the expression.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise InvalidJob("cron", value, f"a text of at most {_LONGEST_TEXT} characters")
    return _parsed(value)


def mask_of(numbers: set[int]) -> int:
    """The bit mask of a set of numbers."""
    return sum(1 << number for number in numbers)


@lru_cache(maxsize=4096)
def _parsed(value: str) -> CronFields:
    texts = _split(value)
    try:
        minutes, hours, days, months, weekdays = map(_mask, texts, _FIELDS)
    except ValueError as error:
        raise InvalidJob("cron", value, f'{error} in "{value}"') from None
    fields = CronFields(
        minutes,
        hours,
        days,
        months,
        weekdays & 0x7F | weekdays >> 7,
        either=texts[2][0] not in "*?" and texts[4][0] not in "*?",
        wildcard=texts[0][0] == "*" or texts[1][0] == "*",
    )
    return fields.coming("cron", value)


def _split(value: str) -> list[str]:
    text = value.replace("\t", " ").strip(" ").lower()
    texts = _MACROS.get(text, text).split(" ")
    texts = [each for each in texts if each]
    if not value.isascii() or len(texts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        macros = ", ".join(_MACROS)
        raise InvalidJob("cron", value, f"five fields ({names}), or one of {macros}")
    return texts


def _mask(text: str, field: _Field) -> int:
    mask = 0
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            raise ValueError(field.expected)
        first, last, step = _bounds(field, *match.groups())
        mask |= mask_of(set(range(first, last + 1, step)))
    return mask


def _bounds(field: _Field, first: str, last: str | None, step: str | None) -> tuple[int, int, int]:
    if first in "*?":
        if first not in field.any_sign or last:
            raise ValueError(field.expected)
        return field.least, field.most, _step(field, step)
    least = _number(field, first)
    if last is None:
        return least, field.most if step else least, _step(field, step)
    most = field.most if last == "sun" else _number(field, last)
    if most < least:
        raise ValueError(f"{field.name} with a range that ascends")
    return least, most, _step(field, step)


def _number(field: _Field, text: str) -> int:
    if text in field.words:
        return field.words.index(text) + field.least
    if not text.isdigit() or not field.least <= int(text) <= field.most:
        raise ValueError(field.expected)
    return int(text)


def _step(field: _Field, text: str | None) -> int:
    if text is None:
        return 1
    if int(text) < 1:
        raise ValueError(f"{field.name} with a step of at least 1")
    return int(text)


def _low(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _high(mask: int) -> int:
    return mask.bit_length() - 1


def _from(mask: int, number: int) -> int:
    return mask >> number << number


def _below(mask: int, number: int) -> int:
    return mask & (1 << number) - 1
