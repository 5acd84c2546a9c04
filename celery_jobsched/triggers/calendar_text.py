"""Reading calendars as people write them: "mon-fri 09:00-17:00", "12-24..01-02; sat, sun".

Semicolons part alternatives, any of which may hold; spaces part groups, all of which must; commas
part the items of a group, any of which may. The items of a group are of one kind:

    weekdays    mon   mon-fri   fri-mon
    months      dec   jun-aug   nov-feb
    days        1     1..7      -1 (the month's last)    -7..-1
    dates       2026-12-25      2026-12-24..2027-01-02   of every year: 12-25   12-24..01-02
    windows     09:00-17:00     22:00-06:00 (ends the next day)                 00:00-24:00
    names       holidays        calendars that are written down elsewhere
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.days import (
    AnyOfDays,
    Dates,
    Days,
    MonthDays,
    Months,
    Weekdays,
    YearlyDates,
)
from celery_jobsched.triggers.hours import DAY, joined

__all__ = ["LONGEST_TEXT", "Alternatives", "Group", "is_name", "mentions", "read_calendar"]

#: Characters.
LONGEST_TEXT = 20_000

_EXPECTED = (
    "weekdays (mon-fri), months (dec), days of the month (1..7, -1), dates (2026-12-25, 12-25), "
    "windows (09:00-17:00) or names of calendars"
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_RESERVED = {form for word in (*_WEEKDAYS, *_MONTHS) for form in (word, word[:3])}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_WORDS = re.compile(r"([a-z]+)(?:(?:-|\.\.)([a-z]+))?")
_DAYS = re.compile(r"(-?[0-9]{1,2})(?:\.\.(-?[0-9]{1,2}))?")
_DATE = r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})"
_DATES = re.compile(rf"{_DATE}(?:\.\.{_DATE})?")
_TIME = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
_WINDOW = re.compile(rf"{_TIME}(?:-|\.\.){_TIME}")
_AROUND_COMMA = re.compile(r"\s*,\s*")
_AROUND_RANGE = re.compile(r"\s+(-|\.\.)\s+")
_HYPHENED_DAYS = re.compile(r"[0-9]{1,2}-[0-9]{1,2}")
_A_LEAP_YEAR = 2000


class Group(NamedTuple):
    """Items of one kind, any of which may hold: days, or windows, or names."""

    kind: str
    days: Days | None = None
    windows: tuple[tuple[int, int], ...] = ()
    names: tuple[str, ...] = ()


#: What a text says: alternatives of groups; names are not looked up yet.
Alternatives = tuple[tuple[Group, ...], ...]


def read_calendar(field: str, value: Any) -> Alternatives:
    """Read a calendar's text; what its names stand for is not asked. The result is cached.

    Raises: InvalidJob (that *field*).
    """
    if not isinstance(value, str) or not value.isascii() or len(value) > LONGEST_TEXT:
        raise InvalidJob(field, value, f"a text of at most {LONGEST_TEXT} ASCII characters")
    try:
        return _read(value)
    except ValueError as error:
        raise InvalidJob(field, value, str(error)) from None


def mentions(alternatives: Alternatives) -> list[str]:
    """The names of calendars that a text names, as often as it does."""
    return [name for groups in alternatives for group in groups for name in group.names]


def is_name(text: str) -> bool:
    """Whether a calendar can be named so: by an identifier that is no weekday and no month."""
    return bool(_NAME.fullmatch(text)) and text.lower() not in _RESERVED


@lru_cache(maxsize=2048)
def _read(text: str) -> Alternatives:
    """Raises: ValueError, which says what was expected."""
    text = _AROUND_RANGE.sub(r"\1", _AROUND_COMMA.sub(",", text))
    return tuple(_groups(part) for part in text.split(";"))


def _groups(text: str) -> tuple[Group, ...]:
    found = tuple(_group(each.split(",")) for each in text.split())
    if not found:
        raise ValueError(f"something between semicolons: {_EXPECTED}")
    kinds = [group.kind for group in found if group.kind != "names"]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"commas or semicolons between {kind}: a space says that both hold")
    return found


def _group(texts: list[str]) -> Group:
    items = [_item(text) for text in texts]
    kind = items[0][0]
    for text, (other, _) in zip(texts, items, strict=True):
        if other != kind:
            raise ValueError(f"commas between {kind} alone, a semicolon before {text[:40]!r}")
    return _GROUPS[kind]([item for _, item in items])


def _item(text: str) -> tuple[str, Any]:
    """What one item says, and its kind."""
    lower = text.lower()
    for kind, (pattern, read) in _ITEMS.items():
        match = pattern.fullmatch(lower)
        if match and (item := read(match)) is not None:
            return kind, item
    if is_name(text):
        return "names", text
    if _HYPHENED_DAYS.fullmatch(text):
        raise ValueError(f"days of the month as {text.replace('-', '..')}, a date as MM-DD")
    raise ValueError(f"{_EXPECTED}; {text[:40]!r} is none of them")


def _word_range(words: tuple[str, ...], least: int) -> Any:
    """A reader of weekdays or months: the mask of a word, or of a range, which may go round."""
    numbers = {form: n + least for n, word in enumerate(words) for form in (word, word[:3])}

    def read(match: re.Match[str]) -> int | None:
        first, last = numbers.get(match[1]), numbers.get(match[2] or match[1])
        if first is None or last is None:
            return None
        length = (last - first) % len(words)
        return sum(1 << (first - least + n) % len(words) + least for n in range(length + 1))

    return read


def _days_of_month(match: re.Match[str]) -> tuple[int, int]:
    """The masks of days counted from the first and from the last."""
    first, last = int(match[1]), int(match[2] or match[1])
    if not (1 <= first <= last <= 31 or -31 <= first <= last <= -1):
        raise ValueError(f"days from 1 to 31 or from -31 to -1, ascending, not {match[0]!r}")
    mask = sum(1 << abs(day) for day in range(first, last + 1))
    return (mask, 0) if first > 0 else (0, mask)


def _dates(match: re.Match[str]) -> tuple[Any, Any]:
    """The ends of a span of dates, with years as ordinals, without as (month, day)."""
    years, days = match.group(1, 4), (match.group(2, 3), match.group(5, 6))
    first = _date(match, years[0], *days[0])
    last = _date(match, years[1], *days[1]) if days[1][0] else first
    if type(first) is not type(last):
        raise ValueError(f"both dates with a year or none, not {match[0]!r}")
    if isinstance(first, int) and first > last:
        raise ValueError(f"a range of dates that ascends, not {match[0]!r}")
    return first, last


def _date(match: re.Match[str], year: str | None, month: str, day: str) -> Any:
    try:
        found = date(int(year or _A_LEAP_YEAR), int(month), int(day))
    except ValueError:
        raise ValueError(f"dates that exist, not {match[0]!r}; days 1 to 7 are 1..7") from None
    return found.toordinal() if year else (found.month, found.day)


def _window(match: re.Match[str]) -> tuple[int, int]:
    """Start and end in seconds of the day; an end that is not later is the next day's."""
    start, end = _second(match.group(1, 2, 3)), _second(match.group(4, 5, 6))
    if start is None or end is None or start in (end, DAY):
        expected = "windows such as 09:00-17:00 or 22:00-06:00, the whole day as 00:00-24:00"
        raise ValueError(f"{expected}, not {match[0]!r}")
    return start, end if end > start else end + DAY


def _second(time: tuple[str, ...]) -> int | None:
    hour, minute, second = (int(part or 0) for part in time)
    found = hour * 3600 + minute * 60 + second
    return found if minute < 60 and second < 60 and found <= DAY else None


def _any_of_dates(items: list[Any]) -> Group:
    yearly = tuple(each for each in items if isinstance(each[0], tuple))
    dated = [each for each in items if isinstance(each[0], int)]
    found: list[Days] = [YearlyDates(yearly)] if yearly else []
    found += [Dates(_apart(dated))] if dated else []
    return Group("dates", found[0] if len(found) == 1 else AnyOfDays(tuple(found)))


def _apart(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Spans of days, ascending, where those that meet are one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


_ITEMS: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], Any]]] = {
    "weekdays": (_WORDS, _word_range(_WEEKDAYS, 0)),
    "months": (_WORDS, _word_range(_MONTHS, 1)),
    "days": (_DAYS, _days_of_month),
    "dates": (_DATES, _dates),
    "windows": (_WINDOW, _window),
}
_GROUPS: dict[str, Callable[[list[Any]], Group]] = {
    "weekdays": lambda items: Group("weekdays", Weekdays(_union(items))),
    "months": lambda items: Group("months", Months(_union(items))),
    "days": lambda items: Group("days", MonthDays(*map(_union, zip(*items, strict=True)))),
    "dates": _any_of_dates,
    "windows": lambda items: Group("windows", windows=tuple(joined(sorted(items), 2 * DAY))),
    "names": lambda items: Group("names", names=tuple(items)),
}
