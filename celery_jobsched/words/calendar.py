"""Calendars in words: "on weekdays from 09:00 to before 17:00 or on 25 Dec".

Of a list joined by "and" any will do, and so of what is joined by "or". The end of a window is no
part of it, the last day of a range is one. What a name stands for is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from celery_jobsched.triggers.calendar_text import Group, read_calendar
from celery_jobsched.triggers.cron.days import DaySet, numbers_of
from celery_jobsched.triggers.days import AnyOfDays, Dates
from celery_jobsched.triggers.hours import DAY

from .days import in_months, named_weekdays, of_months, places
from .english import MONTHS, MOST_ITEMS, clock_time, listed

__all__ = ["of_calendar"]

_EVERY_MONTH = list(range(1, 13))
_WHOLE_DAY = ((0, DAY),)
_MOST_ALTERNATIVES = 4


def of_calendar(text: str) -> str | None:
    """The times of a calendar in words; None where there are no exact ones."""
    found = [_alternative(groups) for groups in read_calendar("only_during", text)]
    said = [each for each in found if each is not None]
    return " or ".join(said) if len(said) == len(found) <= _MOST_ALTERNATIVES else None


def _alternative(groups: Sequence[Group]) -> str | None:
    """All of these groups at once: "on Mondays in June from 09:00 to before 17:00"."""
    kinds = {group.kind: group for group in groups}
    days = _days(kinds)
    if days is None or len(kinds) < len(groups):
        return None
    names = kinds["names"].names if "names" in kinds else ()
    windows = kinds["windows"].windows if "windows" in kinds else _WHOLE_DAY
    if len(names) > MOST_ITEMS or len(windows) > MOST_ITEMS:
        return None
    return " ".join(part for part in (days, _named(names), _windows(windows)) if part) or "always"


def _days(kinds: Mapping[str, Group]) -> str | None:
    """Weekdays, months, days of the month and dates; empty where there are none of them."""
    sets: dict[str, Any] = {kind: group.days for kind, group in kinds.items()}
    months = list(numbers_of(sets["months"].months)) if "months" in sets else _EVERY_MONTH
    weekdays = list(numbers_of(sets["weekdays"].weekdays)) if "weekdays" in sets else []
    if "dates" in sets and ("months" in sets or "days" in sets):
        return None
    if not {"days", "dates"} & sets.keys():
        on = f"on {named_weekdays(weekdays, plural=True)}" if weekdays else ""
        return f"{on}{in_months(months)}".strip()
    last = "or" if weekdays else "and"
    dates = _dates(sets["dates"], last) if "dates" in sets else _places(sets["days"], months, last)
    fall = f"{named_weekdays(weekdays, plural=True)} that fall on " if weekdays else ""
    return dates and f"on {fall}{dates}"


def _places(days: Any, months: list[int], last: str) -> str | None:
    # A calendar counts the last day as the first from the end, a cron as none before it.
    found = places(DaySet(numbers=days.from_first, from_end=days.from_last >> 1), last)
    return found and f"{found}{of_months(months)}"


def _dates(days: Any, last: str) -> str | None:
    """As in "25 Dec and 26 Dec"; those of one year beside those of every year would confuse."""
    if isinstance(days, AnyOfDays):
        return None
    form = _dated if isinstance(days, Dates) else _yearly
    spans = [(form(first), form(until)) for first, until in days.spans]
    named = [first if first == until else f"{first} to {until}" for first, until in spans]
    return listed(named, last) if len(named) <= MOST_ITEMS else None


def _dated(ordinal: Any) -> str:
    day = date.fromordinal(ordinal)
    return f"{_yearly((day.month, day.day))} {day.year}"


def _yearly(day: Any) -> str:
    return f"{day[1]} {MONTHS[day[0] - 1][:3]}"


def _named(names: Sequence[str]) -> str:
    return f"in the calendar{'s' * (len(names) > 1)} {listed(names)}" if names else ""


def _windows(windows: Sequence[tuple[int, int]]) -> str:
    """As in "from 22:00 to before 06:00 of the next day"; nothing for the whole day."""
    if windows == _WHOLE_DAY:
        return ""
    return listed([f"from {_clock(start)} to before {_end(end)}" for start, end in windows])


def _end(second: int) -> str:
    return f"{_clock(second - DAY)} of the next day" if second > DAY else _clock(second)


def _clock(second: int) -> str:
    return clock_time(second // 3600, second // 60 % 60, second % 60)
