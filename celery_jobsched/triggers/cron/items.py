"""The texts of cron fields, read as sets: items of a list, ranges, steps, names, signs.

What is wrong is told by a ``ValueError`` that says what was expected: the field and what it takes.
Text comes in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from celery_jobsched.errors import shown
from celery_jobsched.triggers.cron.days import EVERY_DAY, EVERY_WEEKDAY, DaySet, MonthDays
from celery_jobsched.triggers.cron.fields import CronFields

__all__ = ["FIELDS", "Field", "read_fields"]

_ITEM = re.compile(r"(?:\*|([0-9]{1,4}|[a-z]{3})(?:-([0-9]{1,4}|[a-z]{3}))?)(?:/([0-9]{1,4}))?")
_FROM_END = re.compile(r"l(?:-([0-9]{1,2}))?(w?)")
_NEAREST = re.compile(r"([0-9]{1,2})w")
_NTH = re.compile(r"([0-7]|[a-z]{3})(?:#([1-5])|l)")
_PLACES = ("last", "1st", "2nd", "3rd", "4th", "5th")
_PLACED = re.compile(rf"({'|'.join(_PLACES)}) ([a-z]{{3}})")


class Field(NamedTuple):
    """One place of an expression: its name in messages, its bounds, its words."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()
    signs: str = ""

    @property
    def expected(self) -> str:
        """What the field takes."""
        words = f", or {self.words[0]} to {self.words[-1]}" if self.words else ""
        return f"{self.name} from {self.least} to {self.most}{words}{self.signs}"

    @property
    def size(self) -> int:
        """How many values there are; Sunday is one of them."""
        return len(self.words) or self.most - self.least + 1


_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


#: By the names that APScheduler gave them, the coarsest first.
FIELDS = {
    "year": Field("year", 1970, 2099),
    "month": Field("month", 1, 12, _MONTHS),
    "day": Field("day of month", 1, 31, signs=", L, L-3, LW or 15W"),
    "week": Field("week", 1, 53),
    "day_of_week": Field("day of week", 0, 7, _WEEKDAYS, signs=", fri#2 or friL"),
    "hour": Field("hour", 0, 23),
    "minute": Field("minute", 0, 59),
    "second": Field("second", 0, 59),
}
_DAY, _WEEKDAY = FIELDS["day"], FIELDS["day_of_week"]


def read_fields(texts: Mapping[str, str], text: str, either: bool = False) -> CronFields:
    """What the fields of *texts* mean together: one text for each of ``FIELDS``.

    *text* is their canonical text; ``either``: a day may match by one of its two fields.

    Raises: ValueError, saying which field expected what.
    """
    numbers = {
        name: _numbers(texts[name], field)
        for name, field in FIELDS.items()
        if field not in (_DAY, _WEEKDAY)
    }
    return CronFields(
        minutes=numbers["minute"],
        hours=numbers["hour"],
        days=MonthDays(
            _days(texts["day"]),
            _weekdays(texts["day_of_week"]),
            either,
            weeks=None if texts["week"] == "*" else numbers["week"],
        ),
        months=numbers["month"],
        years=None if texts["year"] == "*" else numbers["year"],
        seconds=numbers["second"],
        wildcard="*" in (texts["minute"][0], texts["hour"][0]),
        text=text,
    )


def _numbers(text: str, field: Field) -> int:
    """The mask of a field of numbers, names, ranges, steps and lists."""
    mask = 0
    for item in text.split(","):
        mask |= _span(item, field)
    return mask


def _days(text: str) -> DaySet:
    """The days of a day-of-month field."""
    if text == "?":
        return DaySet(numbers=EVERY_DAY)
    sets: dict[str, int] = {}
    for item in text.split(","):
        if item == "last":
            item = "l"
        if found := _FROM_END.fullmatch(item):
            _add(sets, "nearest_from_end" if found[2] else "from_end", _back(found[1]))
        elif found := _NEAREST.fullmatch(item):
            _add(sets, "nearest", _number(found[1], _DAY))
        elif found := _PLACED.fullmatch(item):
            _add(sets, "nth", 7 * _PLACES.index(found[1]) + _number(found[2], _WEEKDAY))
        else:
            sets["numbers"] = sets.get("numbers", 0) | _span(item, _DAY)
    return DaySet(**sets)


def _weekdays(text: str) -> DaySet:
    """The days of a day-of-week field; 0 and 7 are Sunday."""
    if text == "?":
        return DaySet(weekdays=EVERY_WEEKDAY)
    weekdays, nth = 0, 0
    for item in text.split(","):
        if found := _NTH.fullmatch(item):
            nth |= 1 << 7 * int(found[2] or 0) + _number(found[1], _WEEKDAY) % 7
        elif item == "l":
            raise ValueError(f"{_WEEKDAY.name} with its day before L, such as friL, or just sat")
        else:
            weekdays |= _span(item, _WEEKDAY)
    return DaySet(weekdays=weekdays & 0x7F | weekdays >> 7, nth=nth)


def _add(sets: dict[str, int], name: str, number: int) -> None:
    sets[name] = sets.get(name, 0) | 1 << number


def _span(item: str, field: Field) -> int:
    """The mask of one item: a star, a number or a range, each with a step or without."""
    if item == "*":
        return (2 << field.most) - (1 << field.least)
    match = _ITEM.fullmatch(item)
    if not match:
        raise _wrong(item, field)
    first, last, step = _bounds(item, field, *match.groups())
    if step == 1:
        return (2 << last) - (1 << first)
    return sum(1 << number for number in range(first, last + 1, step))


def _bounds(
    item: str, field: Field, first: str | None, last: str | None, step: str | None
) -> tuple[int, int, int]:
    by = _step(step, field)
    if first is None:
        return field.least, field.most, by
    least = _number(first, field)
    if last is None:
        return least, field.most if step else least, by
    most = 7 if last == "sun" != first else _number(last, field)
    if most < least:
        raise ValueError(f"{field.name} with a range that ascends, not {shown(item)}")
    return least, most, by


def _number(text: str, field: Field) -> int:
    if text in field.words:
        return field.words.index(text) + field.least
    if not text.isdigit() or not field.least <= int(text) <= field.most:
        raise _wrong(text, field)
    return int(text)


def _step(text: str | None, field: Field) -> int:
    if text is not None and not 1 <= int(text) <= field.size:
        raise ValueError(f"{field.name} with a step from 1 to {field.size}, not {shown(text)}")
    return int(text or 1)


def _back(text: str | None) -> int:
    if text is not None and int(text) >= _DAY.most:
        raise ValueError(f"{_DAY.name} at most {_DAY.most - 1} before the last")
    return int(text or 0)


def _wrong(item: str, field: Field) -> ValueError:
    return ValueError(f"{field.expected}, not {shown(item)}")
