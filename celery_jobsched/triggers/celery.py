"""Celery's own schedules, written as text and read back as triggers that keep their meaning.

Celery is imported when a schedule is read, not with this module; the work is done by the other
triggers, but for the sun.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import groupby
from typing import Any

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers import Trigger
from celery_jobsched.triggers.cron import Cron, CronFields, DaySet, MonthDays, mask_of
from celery_jobsched.triggers.every import Every, parse_every

__all__ = ["Solar", "parse_celery", "to_text"]

#: The width of the column.
_LONGEST_TEXT = 255
_EXPECTED = "a schedule of Celery's: schedule <seconds>, crontab <five fields> or solar <event> …"
_KINDS = "seconds, a timedelta, or a schedule, crontab or solar of celery.schedules"
#: The fields of a crontab in the order of its text: name, how many values, the first.
_CRONTAB = (
    ("minute", 60, 0),
    ("hour", 24, 0),
    ("day_of_month", 31, 1),
    ("month_of_year", 12, 1),
    ("day_of_week", 7, 0),
)
#: The longest number of seconds that a float holds; a whole number may be any longer.
_LONGEST_INTERVAL = sys.float_info.max
#: In the polar night the sun stays away for half a year.
_MOST_DAYS_WITHOUT_SUN = 366
#: The days (proleptic ordinals) of the years 1800 to 2400, for which ephem is made.
_FIRST_DAY, _LAST_DAY = date(1800, 1, 1).toordinal(), date(2400, 1, 1).toordinal()
_BETWEEN_EVENTS = timedelta(hours=12)


def to_text(schedule: Any) -> str:
    """Write a schedule of ``beat_schedule`` as text, for ``parse_celery``.

    Equal schedules give equal texts. A crontab's zone is not part of it.

    Raises: InvalidJob (field ``schedule``) for a kind that is not Celery's own.
    """
    from celery import schedules

    kind = type(schedule)
    if isinstance(schedule, timedelta):
        return _interval_text(schedule.total_seconds(), schedule)
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return _interval_text(schedule, schedule)
    if kind is schedules.schedule:
        relative = " relative" if schedule.relative else ""
        return _interval_text(schedule.run_every.total_seconds(), schedule) + relative
    if kind is schedules.crontab:
        return " ".join(["crontab", *(_crontab_field(schedule, *field) for field in _CRONTAB)])
    if kind is schedules.solar:
        return f"solar {schedule.event} {schedule.lat} {schedule.lon}"
    raise InvalidJob("schedule", schedule, _KINDS)


def parse_celery(
    value: Any, zone: tzinfo, anchor: datetime, gap: str = "run", fold: str = "first"
) -> Trigger:
    """Read what ``to_text`` wrote.

    An interval fires first one interval after *anchor*: for Celery a fresh entry has just run. A
    crontab's five fields must all match, in *zone*; a solar event takes its place with it.

    Raises: InvalidJob (field ``celery``).
    """
    if not isinstance(value, str) or not value.isascii():
        raise InvalidJob("celery", value, _EXPECTED)
    if len(value) > _LONGEST_TEXT:
        raise InvalidJob("celery", value, f"a text of at most {_LONGEST_TEXT} characters")
    kind, *words = value.split() or [""]
    if kind == "schedule" and words[1:] in ([], ["relative"]):
        return _interval(value, words, zone, anchor)
    if kind == "crontab" and len(words) == len(_CRONTAB):
        return Cron(_crontab(value), zone, gap, fold)
    if kind == "solar" and len(words) == 3:
        return _solar(value, words)
    raise InvalidJob("celery", value, _EXPECTED)


@dataclass(frozen=True)
class Solar:
    """A trigger: an event of the sun, such as sunset, at a place (degrees); to the second.

    Celery's ``solar`` gives the observer, the horizon and the method; it only looks forward and
    answers a day without the event with a time to ask again, so the search is done here.
    """

    event: str
    latitude: float
    longitude: float

    def next_after(self, instant: datetime) -> datetime | None:
        """The first event strictly later than *instant*; None when a year has none."""
        events = self._events(instant, range(_MOST_DAYS_WITHOUT_SUN))
        return next((found for found in events if found > instant), None)

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last event strictly earlier than *instant*; None when a year has none."""
        events = self._events(instant, range(0, -_MOST_DAYS_WITHOUT_SUN, -1))
        return next((found for found in events if found < instant), None)

    def _events(self, instant: datetime, days: range) -> Iterator[datetime]:
        """The events of these days after *instant*'s own, in the direction of *days*."""
        today = instant.astimezone(clock.UTC).toordinal()
        for ordinal in (today + day for day in days):
            if not _FIRST_DAY <= ordinal <= _LAST_DAY:
                return
            events = _solar_events(self.event, self.latitude, self.longitude, ordinal)
            yield from events[:: days.step]


@lru_cache(maxsize=4096)
def _solar_events(
    event: str, latitude: float, longitude: float, ordinal: int
) -> tuple[datetime, ...]:
    """The events of one UTC day, ascending.

    Always searched from its midnight: ephem's answer depends on where the search begins, by
    seconds. Where the event falls near midnight UTC, a day can have two of them, or none.
    """
    solar = _celery_solar(event, latitude, longitude)
    search = getattr(solar.cal, solar.method)
    center = {"use_center": True} if solar.use_center else {}
    moment = datetime.fromordinal(ordinal)
    found: list[datetime] = []
    while moment.toordinal() == ordinal:
        try:
            moment = search(solar.ephem.Sun(), start=solar.ephem.Date(moment), **center).datetime()
        except solar.ephem.CircumpolarError:
            break
        if moment.toordinal() == ordinal:
            found.append(moment.replace(microsecond=0, tzinfo=clock.UTC))
        moment += _BETWEEN_EVENTS
    return tuple(found)


def _interval_text(seconds: float, schedule: Any) -> str:
    if not 0 < seconds <= _LONGEST_INTERVAL:
        raise InvalidJob("schedule", schedule, "an interval above zero")
    return f"schedule {float(seconds)!r}"


def _crontab_field(schedule: Any, name: str, size: int, least: int) -> str:
    """The field as it was written; sets and numbers as a list, so that equal ones are equal."""
    written = getattr(schedule, f"_orig_{name}")
    if isinstance(written, str):
        return "".join(written.split())
    numbers = sorted(getattr(schedule, name))
    return "*" if len(numbers) == size else ",".join(map(_run_text, _runs(numbers)))


def _runs(numbers: list[int]) -> Iterable[list[int]]:
    """The stretches of *numbers* (ascending) that have no gap."""
    stretches = groupby(enumerate(numbers), lambda each: each[1] - each[0])
    return ([number for _, number in each] for _, each in stretches)


def _run_text(run: list[int]) -> str:
    return f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run))


def _interval(value: str, words: list[str], zone: tzinfo, anchor: datetime) -> Every:
    try:
        interval = timedelta(seconds=_number(words[0]))
        n, unit = parse_every(interval)
        first = (_floor(anchor, interval, zone) if words[1:] else anchor) + interval
        return Every(n, unit, None, zone, first)
    except IndexError:
        raise InvalidJob("celery", value, _EXPECTED) from None
    except (InvalidJob, OverflowError, ValueError):
        raise InvalidJob("celery", value, "schedule from 0.001 s to 1000 years") from None


def _number(text: str) -> float:
    """The number of a text; Python's own spellings (1_000) are none.

    Raises: ValueError.
    """
    if "_" in text:
        raise ValueError(f"expected a number, got: {text!r}")
    return float(text)


def _floor(anchor: datetime, interval: timedelta, zone: tzinfo) -> datetime:
    """*anchor* rounded down as Celery rounds a relative schedule: to the interval's own unit."""
    from celery.utils.time import delta_resolution

    local = clock.to_local(anchor, zone)
    return anchor + (delta_resolution(local, interval).replace(microsecond=0) - local)


@lru_cache(maxsize=4096)
def _crontab(value: str) -> CronFields:
    from celery.schedules import ParseException, crontab_parser

    masks = []
    words = value.split()[1:]
    for text, (name, size, least) in zip(words, _CRONTAB, strict=True):
        try:
            masks.append(mask_of(crontab_parser(size, least).parse(text)))
        except (ParseException, ValueError, LookupError, TypeError):
            raise InvalidJob("celery", value, f'crontab with a {name}, not "{text}"') from None
    if 0 in masks:
        raise InvalidJob("celery", value, "crontab with a value in each field")
    minutes, hours, days, months, weekdays = masks
    both_days = MonthDays(DaySet(numbers=days), DaySet(weekdays=weekdays))
    wildcard = "*" in (words[0][0], words[1][0])
    fields = CronFields(minutes, hours, both_days, months, wildcard=wildcard)
    if not fields.comes:
        raise InvalidJob("celery", value, "a date that comes: these months have no such day")
    return fields


def _solar(value: str, words: list[str]) -> Solar:
    from celery.exceptions import ImproperlyConfigured

    try:
        event, latitude, longitude = words[0], _number(words[1]), _number(words[2])
        _celery_solar(event, latitude, longitude)
    except ImproperlyConfigured:
        raise InvalidJob("celery", value, "the ephem package, which solar schedules need") from None
    except ValueError as error:
        raise InvalidJob(
            "celery", value, f"solar <event> <latitude> <longitude> ({error})"
        ) from None
    return Solar(event, latitude, longitude)


@lru_cache(maxsize=256)
def _celery_solar(event: str, latitude: float, longitude: float) -> Any:
    from celery import schedules

    solar: Any = schedules.solar
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        raise ValueError("a place on Earth")
    return solar(event, latitude, longitude)
