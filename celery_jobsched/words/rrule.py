"""Recurrence rules in words: one that cron could say as cron is told, each n-th day, week or month.

Any other recurrence is shown as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from celery_jobsched import clock
from celery_jobsched.triggers.cron import CronFields
from celery_jobsched.triggers.cron.days import (
    EVERY_DAY,
    EVERY_WEEKDAY,
    DaySet,
    MonthDays,
    mask_of,
    numbers_of,
)
from celery_jobsched.triggers.rrule import parse_rrule
from celery_jobsched.triggers.rrule.days import days_of
from celery_jobsched.triggers.rrule.parts import Moment, Parts
from celery_jobsched.triggers.rrule.text import RecurrenceText

from .cron import of_fields, times_of_day
from .days import named_weekdays, of_months, places
from .english import as_written, every, local_text, moment
from .every import Interval

__all__ = ["of_rrule"]

_UNITS = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}
_BY_HOUR = ("HOURLY", "MINUTELY", "SECONDLY")
_BY_MINUTE, _BY_SECOND = _BY_HOUR[1:], _BY_HOUR[2:]
_EVERY_MONTH = range(1, 13)
_NO_START = datetime(2001, 1, 1)  # noqa: DTZ001 - a local time has no zone
#: The places of a weekday in a month that cron knows, too.
_NTH = (-1, 1, 2, 3, 4, 5)
_ANY = MonthDays(DaySet(numbers=EVERY_DAY), DaySet(weekdays=EVERY_WEEKDAY))


def of_rrule(text: str, zone: tzinfo, anchor: datetime | None) -> Interval:
    """A recurrence in words, as the clocks of *zone* show it; *anchor* is None where not known."""
    read = parse_rrule(text)
    said = _rule(read, zone, anchor)
    if said is None:
        elsewhere = read.start is not None and read.start.zone is not None
        return Interval(
            f"rrule {as_written(text)}", anchored=read.start is None, local=not elsewhere
        )
    bounds = list(_bounds(read, zone))
    counted = read.start is None and (read.rules[0].interval > 1 or bool(read.rules[0].count))
    return Interval(", ".join([said, *bounds]), anchored=counted)


def _rule(read: RecurrenceText, zone: tzinfo, anchor: datetime | None) -> str | None:
    """The one rule of a recurrence in words, without its bounds."""
    elsewhere = read.start and read.start.zone not in (None, zone)
    if len(read.rules) != 1 or read.dates or read.excluded or elsewhere:
        return None
    (parts,) = read.rules
    start = read.start.local if read.start else _begin(anchor, zone)
    fields = _fields(parts, start)
    if fields is None or parts.positions or parts.weeks or parts.year_days:
        return None
    return of_fields(fields) if parts.interval == 1 else _every_nth(parts, fields)


def _begin(anchor: datetime | None, zone: tzinfo) -> datetime | None:
    """A rule without DTSTART begins at a whole second."""
    if anchor is None:
        return None
    return clock.to_local(anchor + timedelta(microseconds=-anchor.microsecond % 1_000_000), zone)


def _fields(parts: Parts, start: datetime | None) -> CronFields | None:
    """The fields that match what the rule names, and what its start lends it; None for no such."""
    if start is None:
        if _borrows(parts):
            return None
        start = _NO_START
    filled = days_of(parts, start, 0).parts
    days = _days(filled)
    if days is None:
        return None
    return CronFields(
        seconds=mask_of(set(parts.seconds or _each(60, parts, _BY_SECOND) or {start.second})),
        minutes=mask_of(set(parts.minutes or _each(60, parts, _BY_MINUTE) or {start.minute})),
        hours=mask_of(set(parts.hours or _each(24, parts, _BY_HOUR) or {start.hour})),
        days=days,
        months=mask_of(set(filled.months or _EVERY_MONTH)),
        wildcard=parts.follows_real_time,
    )


def _borrows(parts: Parts) -> bool:
    """Whether the rule takes a day or a time from its start."""
    day = parts.freq in ("WEEKLY", "MONTHLY", "YEARLY")
    return (
        (day and not parts.weekdays and not parts.month_days)
        or (not parts.hours and parts.freq not in _BY_HOUR)
        or (not parts.minutes and parts.freq not in _BY_MINUTE)
        or (not parts.seconds and parts.freq not in _BY_SECOND)
    )


def _each(size: int, parts: Parts, frequencies: Sequence[str]) -> range | None:
    return range(size) if parts.freq in frequencies else None


def _days(parts: Parts) -> MonthDays | None:
    """The days of a rule as cron would name them."""
    numbers = {day for day in parts.month_days if day > 0}
    from_end = {-day - 1 for day in parts.month_days if day < 0}
    weekdays = {(day.number + 1) % 7 for day in parts.weekdays if not day.nth}
    nth = [day for day in parts.weekdays if day.nth]
    of_month = parts.freq == "MONTHLY" or bool(parts.months)
    if nth and not (of_month and all(day.nth in _NTH for day in nth)):
        return None
    places = {7 * max(day.nth, 0) + (day.number + 1) % 7 for day in nth}
    return MonthDays(
        day=DaySet(mask_of(numbers), from_end=mask_of(from_end)) if parts.month_days else _ANY.day,
        weekday=(
            DaySet(weekdays=mask_of(weekdays), nth=mask_of(places))
            if parts.weekdays
            else _ANY.weekday
        ),
    )


def _every_nth(parts: Parts, fields: CronFields) -> str | None:
    """As in "every 2 weeks on Monday at 09:00"."""
    times, on = times_of_day(fields), _on(parts, fields)
    if times is None or on is None:
        return None
    return f"{every(parts.interval, _UNITS[parts.freq])}{on} {times}"


def _on(parts: Parts, fields: CronFields) -> str | None:
    """The days within each n-th period; empty where each n-th day is one."""
    days, months = fields.days, list(numbers_of(fields.months))
    if parts.freq == "YEARLY":
        place = _place(days)
        return place and f" on {place}{of_months(months)}"
    if months != list(_EVERY_MONTH):
        return None
    if parts.freq == "MONTHLY":
        place = _place(days)
        return place and f" on {place}"
    if parts.freq == "WEEKLY" and parts.week_start == 0:
        weekdays = sorted((day - 1) % 7 for day in numbers_of(days.weekday.weekdays))
        return f" on {named_weekdays(weekdays)}"
    return "" if parts.freq == "DAILY" and days == _ANY else None


def _place(days: MonthDays) -> str | None:
    if days.weekday == _ANY.weekday:
        return places(days.day)
    return places(days.weekday) if days.day == _ANY.day else None


def _bounds(read: RecurrenceText, zone: tzinfo) -> Iterator[str]:
    (parts,) = read.rules
    bounds = []
    if read.start:
        bounds.append(f"from {moment(clock.instants_of(read.start.local, zone)[0], zone)}")
    if parts.until:
        bounds.append(f"until {_until(parts.until, zone)}")
    if bounds:
        yield " ".join(bounds)
    if parts.count:
        yield f"{parts.count} time{'s' * (parts.count > 1)}"


def _until(until: Moment, zone: tzinfo) -> str:
    """A date ends with its day; without a zone it is what the clocks show."""
    if until.zone:
        return moment(until.local.replace(tzinfo=clock.UTC), zone)
    text = local_text(until.local)
    return text.rpartition(" ")[0] if until.is_date else text
