"""Calendars: the local times that a text means, with those that its names stand for.

How they are written is told in ``calendar_text``; which instants they are, in ``during``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.calendar_text import (
    LONGEST_TEXT,
    Alternatives,
    Group,
    mentions,
    read_calendar,
)
from celery_jobsched.triggers.days import AllOfDays, AnyOfDays, Days
from celery_jobsched.triggers.hours import DAY, Both, Calendar, Either, Hours, Windows, Without

__all__ = ["names_in", "parse_calendar", "parse_limits"]

_MOST_ALTERNATIVES = 50
_MOST_WINDOWS = 24
_WHOLE_DAY = ((0, DAY),)


def names_in(field: str, value: Any) -> frozenset[str]:
    """The names of calendars that a text names.

    Raises: InvalidJob (that *field*).
    """
    return frozenset(mentions(read_calendar(field, value)))


def parse_calendar(field: str, value: Any, named: Mapping[str, Any]) -> Calendar:
    """The calendar of a text whose names stand for the texts in *named*; the result is cached.

    Raises: InvalidJob (that *field*), also for a name that is not there, for a text behind one
    that cannot be read or names others, and for a calendar to which no time belongs.
    """
    names = sorted(names_in(field, value))
    for name in names:
        if name not in named:
            raise InvalidJob(field, value, f"calendars that exist: there is none named {name}")
        _require_readable(field, name, named[name])
    try:
        calendar = _calendar(value, tuple((name, named[name]) for name in names))
    except ValueError as error:
        raise InvalidJob(field, value, str(error)) from None
    if calendar.is_empty:
        raise InvalidJob(field, value, "a time that comes: none belongs to this calendar")
    return calendar


def parse_limits(only_during: Any, not_during: Any, named: Mapping[str, Any]) -> Calendar:
    """The calendar of the times in *only_during* that are not in *not_during*; either may be None.

    Raises: InvalidJob (``only_during`` or ``not_during``), as ``parse_calendar`` does, also when
    no time is left.
    """
    only = _ALWAYS
    if only_during is not None:
        only = parse_calendar("only_during", only_during, named)
    if not_during is None:
        return only
    left = _without(only, parse_calendar("not_during", not_during, named))
    if left.is_empty:
        raise InvalidJob("not_during", not_during, "a calendar that leaves some time")
    return left


def _require_readable(field: str, name: str, text: Any) -> None:
    try:
        if names_in(field, text):
            raise InvalidJob(field, text, "no names of other calendars")
    except InvalidJob as error:
        raise InvalidJob(field, text, f"in the calendar {name}: {error.expected}") from None


@lru_cache(maxsize=1024)
def _without(only: Calendar, others: Calendar) -> Calendar:
    return Calendar(Without(only.hours, others.hours))


@lru_cache(maxsize=1024)
def _calendar(text: str, named: tuple[tuple[str, str], ...]) -> Calendar:
    """Raises: ValueError, which says what was expected."""
    alternatives, known = (
        read_calendar("", text),
        {name: read_calendar("", each) for name, each in named},
    )
    meant = [groups for name in mentions(alternatives) for groups in known[name]]
    windows = sum(len(group.windows) for groups in (*alternatives, *meant) for group in groups)
    for count, most, what in (
        (len(text) + sum(len(each) for _, each in named), LONGEST_TEXT, "characters"),
        (len(alternatives) + len(meant), _MOST_ALTERNATIVES, "alternatives"),
        (windows, _MOST_WINDOWS, "windows"),
    ):
        if count > most:
            raise ValueError(f"at most {most} {what}, those behind names included")
    return Calendar(_hours(alternatives, known))


def _hours(alternatives: Alternatives, named: Mapping[str, Alternatives]) -> Hours:
    """The local times of any of these alternatives; those with the same windows are one set."""
    found: list[Hours] = []
    days_with: dict[tuple[tuple[int, int], ...], list[Days]] = {}
    for groups in alternatives:
        windows = next((group.windows for group in groups if group.windows), _WHOLE_DAY)
        days, hours = _meant(groups, named)
        if hours:
            found.append(Both((Windows(days, windows), *hours)))
        else:
            days_with.setdefault(windows, []).append(days)
    found += [Windows(AnyOfDays(tuple(each)), windows) for windows, each in days_with.items()]
    return found[0] if len(found) == 1 else Either(tuple(found))


def _meant(groups: Iterable[Group], named: Mapping[str, Alternatives]) -> tuple[Days, list[Hours]]:
    """The days and the other times that all have to hold.

    Named calendars without windows are sets of days like any other: a window that begins on one
    of these days belongs to it.
    """
    days: list[Days] = []
    hours: list[Hours] = []
    for group in groups:
        meant = tuple(each for name in group.names for each in named[name])
        if any(each.windows for inner in meant for each in inner):
            hours.append(_hours(meant, {}))
        elif meant:
            days.append(AnyOfDays(tuple(_meant(inner, {})[0] for inner in meant)))
        elif group.days:
            days.append(group.days)
    return AllOfDays(tuple(days)), hours


_ALWAYS = Calendar(Windows(AllOfDays(())))
