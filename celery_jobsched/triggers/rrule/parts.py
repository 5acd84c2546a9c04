"""The value of an RRULE line: its parts, read and checked as RFC 5545 says (3.3.10).

What the parts mean is told in the rooms after this one; lines are read in ``text``.
A part that cannot be read is a ``ValueError`` here, whose text says what was expected.
"""
# ruff: noqa: DTZ001 - a local time has no zone: that is what makes it local

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from typing import Any, NamedTuple

from celery_jobsched import clock
from celery_jobsched.errors import shown

__all__ = ["WEEKDAYS", "Moment", "Parts", "Weekday", "read_moment", "read_parts"]

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

#: What a part may not count beyond: no interval is longer than 1000 years.
_MOST_INTERVALS = {
    "SECONDLY": 1000 * 365 * 86_400,
    "MINUTELY": 1000 * 365 * 1440,
    "HOURLY": 1000 * 365 * 24,
    "DAILY": 1000 * 365,
    "WEEKLY": 1000 * 52,
    "MONTHLY": 1000 * 12,
    "YEARLY": 1000,
}
_MOST_COUNTED = 100_000
_DIGITS = re.compile(r"[0-9]{1,12}")
_SIGNED = re.compile(r"[+-]?[0-9]{1,3}")
_WEEKDAY = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(WEEKDAYS)})")
_MOMENT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z)?)?")
_MOMENT_EXPECTED = "a date and time such as 20270131T090000, 20270131T080000Z or 20270131"


class Moment(NamedTuple):
    """A date, or a date and time, as RFC 5545 writes it: naive, with its zone where it names one.

    A date alone is its midnight.
    """

    local: datetime
    zone: tzinfo | None = None
    is_date: bool = False

    @property
    def end(self) -> datetime:
        """The last moment of it: of a date the day's."""
        return datetime.combine(self.local, time.max) if self.is_date else self.local


class Weekday(NamedTuple):
    """A day of the week (Monday = 0): the n-th of its period (below 0: from the end), 0: each."""

    number: int
    nth: int = 0


@dataclass(frozen=True)
class Parts:
    """What one rule says; an empty tuple is a part that is not there. Numbers ascend, each once."""

    freq: str
    interval: int = 1
    count: int | None = None
    until: Moment | None = None
    week_start: int = 0
    seconds: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[Weekday, ...] = ()
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The names of its BY parts, as they are written."""
        return tuple(name for name, field in _LISTS.items() if getattr(self, field))

    @property
    def follows_real_time(self) -> bool:
        """Whether it repeats by the minute or by the hour, as a cron field with a star does."""
        each_hour = self.freq in ("HOURLY", "MINUTELY", "SECONDLY") and not self.hours
        return each_hour or (self.freq in ("MINUTELY", "SECONDLY") and not self.minutes)


def read_moment(text: str, name: str) -> Moment:
    """The moment that *name* gives.

    Raises: ValueError.
    """
    match = _MOMENT.fullmatch(text)
    if not match:
        raise ValueError(f"{name} with {_MOMENT_EXPECTED}, not {shown(text)}")
    year, month, day, hour, minute, second, utc = match.groups()
    try:
        if hour is None:
            return Moment(datetime(int(year), int(month), int(day)), is_date=True)
        # A leap second is the second before it (3.3.12).
        clock_time = int(hour), int(minute), min(int(second), 59 if second == "60" else 99)
        local = datetime(int(year), int(month), int(day), *clock_time)
    except ValueError as error:
        raise ValueError(f"{name} with a date and time that exist ({error})") from None
    return Moment(local, clock.zone("UTC") if utc else None)


def read_parts(text: str) -> Parts:
    """The rule that *text* (in capitals, without spaces) says.

    Raises: ValueError.
    """
    found: dict[str, Any] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not equals or name not in _FIELDS:
            raise ValueError(f"parts such as FREQ=DAILY or {', '.join(_LISTS)}, not {shown(part)}")
        field, read = _FIELDS[name]
        if field in found:
            raise ValueError(f"{name} once, not twice")
        found[field] = read(name, value)
    if "freq" not in found:
        raise ValueError("FREQ, which says how often")
    parts = Parts(**found)
    _require_consistent(parts)
    return parts


def _require_consistent(parts: Parts) -> None:
    """Refuse what RFC 5545 says must not go together.

    Raises: ValueError.
    """
    freq = parts.freq
    if parts.interval > _MOST_INTERVALS[freq]:
        raise ValueError(f"INTERVAL from 1 to {_MOST_INTERVALS[freq]} ({freq}: 1000 years)")
    if parts.count is not None and parts.until is not None:
        raise ValueError("COUNT or UNTIL, not both")
    if parts.weeks and freq != "YEARLY":
        raise ValueError(f"BYWEEKNO with FREQ=YEARLY alone, not {freq}")
    if parts.year_days and freq in ("DAILY", "WEEKLY", "MONTHLY"):
        raise ValueError(f"BYYEARDAY without FREQ={freq}")
    if parts.month_days and freq == "WEEKLY":
        raise ValueError("BYMONTHDAY without FREQ=WEEKLY")
    if any(day.nth for day in parts.weekdays):
        if freq not in ("MONTHLY", "YEARLY"):
            raise ValueError(f"BYDAY without numbers with FREQ={freq}")
        if parts.weeks:
            raise ValueError("BYDAY without numbers with BYWEEKNO")
    if parts.positions and parts.named == ("BYSETPOS",):
        raise ValueError("BYSETPOS with another BY part, not alone")


def _freq(name: str, value: str) -> str:
    if value not in _MOST_INTERVALS:
        raise ValueError(f"{name} of {', '.join(_MOST_INTERVALS)}, not {shown(value)}")
    return value


def _whole(most: int) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        if not _DIGITS.fullmatch(value) or not 1 <= int(value) <= most:
            raise ValueError(f"{name} of 1 to {most}, not {shown(value)}")
        return int(value)

    return read


def _week_start(name: str, value: str) -> int:
    if value not in WEEKDAYS:
        raise ValueError(f"{name} of {', '.join(WEEKDAYS)}, not {shown(value)}")
    return WEEKDAYS.index(value)


def _numbers(least: int, most: int, signed: bool = False) -> Callable[[str, str], tuple[int, ...]]:
    """Numbers from *least* to *most*; *signed*: negative ones, too, which count from the end."""
    expected = f"{least} to {most}" + (f" or -{most} to -1" if signed else "")

    def read(name: str, value: str) -> tuple[int, ...]:
        found = set()
        for text in value.split(","):
            number = int(text) if _SIGNED.fullmatch(text) and (signed or text.isdigit()) else None
            if number is None or not least <= (abs(number) if signed else number) <= most:
                raise ValueError(f"{name} of {expected}, not {shown(text)}")
            found.add(number)
        return tuple(sorted(found))

    return read


def _seconds(name: str, value: str) -> tuple[int, ...]:
    """A leap second is the second before it (3.3.12)."""
    return tuple(sorted({min(each, 59) for each in _numbers(0, 60)(name, value)}))


def _weekdays(name: str, value: str) -> tuple[Weekday, ...]:
    found = set()
    for text in value.split(","):
        match = _WEEKDAY.fullmatch(text)
        nth = int(match[1] or 0) if match else 0
        if not match or abs(nth) > 53 or (match[1] and not nth):
            raise ValueError(f"{name} of MO to SU, or 1MO to 53SU, or -1MO, not {shown(text)}")
        found.add(Weekday(WEEKDAYS.index(match[2]), nth))
    return tuple(sorted(found))


#: How each part is read, and the field of ``Parts`` that holds it, in the order of 3.3.10.
_FIELDS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "FREQ": ("freq", _freq),
    "INTERVAL": ("interval", _whole(max(_MOST_INTERVALS.values()))),
    "COUNT": ("count", _whole(_MOST_COUNTED)),
    "UNTIL": ("until", lambda name, value: read_moment(value, name)),
    "WKST": ("week_start", _week_start),
    "BYMONTH": ("months", _numbers(1, 12)),
    "BYWEEKNO": ("weeks", _numbers(1, 53, signed=True)),
    "BYYEARDAY": ("year_days", _numbers(1, 366, signed=True)),
    "BYMONTHDAY": ("month_days", _numbers(1, 31, signed=True)),
    "BYDAY": ("weekdays", _weekdays),
    "BYHOUR": ("hours", _numbers(0, 23)),
    "BYMINUTE": ("minutes", _numbers(0, 59)),
    "BYSECOND": ("seconds", _seconds),
    "BYSETPOS": ("positions", _numbers(1, 366, signed=True)),
}
_LISTS = {name: field for name, (field, _) in _FIELDS.items() if name.startswith("BY")}
