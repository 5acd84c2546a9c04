"""Intervals in words: "every 15 minutes", "every day at 02:30", "every 2 weeks on Monday at 09:00".

Where an interval with ``at`` says just what a calendar shows, it is told as cron is told.
"""

from __future__ import annotations

from typing import NamedTuple

from celery_jobsched.triggers.every import At, parse_at, parse_every

from .english import MONTHS, WEEKDAYS, clock_time, every, ordinal

__all__ = ["Interval", "of_every"]

_ELAPSED = ("second", "minute", "hour")
_DATED = ("month", "year")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SHORTEST = 28


class Interval(NamedTuple):
    """An interval in words; whether its anchor decides, and whether it is of local times."""

    text: str
    anchored: bool = True
    local: bool = True


def of_every(written: str, at: str | None = None, month_end: str | None = None) -> Interval:
    """An interval in words; ``at`` as it is written where there are no exact ones for it."""
    n, unit = parse_every(written)
    skipping = (
        " (skipping those that lack the day)" if month_end == "skip" and unit in _DATED else ""
    )
    if at is None:
        return Interval(every(n, unit) + skipping, local=unit not in _ELAPSED)
    text = _WITH_AT[unit](n, parse_at(at, unit), month_end != "skip")
    if text is None:
        return Interval(f"{every(n, unit)} at {at}{skipping}")
    return Interval(text, anchored=n > 1, local=unit != "minute")


def _minutes(n: int | float, at: At, clamp: bool) -> str:
    return f"{every(n, 'minute')} at second {at.second}"


def _hours(n: int | float, at: At, clamp: bool) -> str | None:
    if at.minute is None or at.second is None:
        return None
    second = f":{at.second:02}" if at.second else ""
    return f"{every(n, 'hour')} at :{at.minute:02}{second}"


def _days(n: int | float, at: At, clamp: bool) -> str | None:
    return _timed(every(n, "day"), at)


def _weeks(n: int | float, at: At, clamp: bool) -> str | None:
    if at.weekday is None:
        return None
    weekday = WEEKDAYS[at.weekday]
    return _timed(f"every {weekday}" if n == 1 else f"{every(n, 'week')} on {weekday}", at)


def _months(n: int | float, at: At, clamp: bool) -> str | None:
    if at.day is None:
        return None
    day = _day(at.day, max(_LONGEST), clamp)
    text = f"on {day} of each month" if n == 1 else f"{every(n, 'month')} on {day}"
    if clamp and _SHORTEST < at.day < max(_LONGEST):
        text += " (in a shorter one on its last day)"
    return _timed(text, at)


def _years(n: int | float, at: At, clamp: bool) -> str | None:
    if at.month is None or at.day is None:
        return None
    day = _day(at.day, _LONGEST[at.month - 1], clamp)
    text = f"on {day} of {MONTHS[at.month - 1]}"
    return _timed(text if n == 1 else f"{every(n, 'year')} {text}", at)


_WITH_AT = {
    "minute": _minutes,
    "hour": _hours,
    "day": _days,
    "week": _weeks,
    "month": _months,
    "year": _years,
}


def _day(day: int, longest: int, clamp: bool) -> str:
    return "the last day" if day == -1 or (clamp and day >= longest) else f"the {ordinal(day)}"


def _timed(text: str, at: At) -> str | None:
    if at.hour is None or at.minute is None or at.second is None:
        return None
    return f"{text} at {clock_time(at.hour, at.minute, at.second)}"
