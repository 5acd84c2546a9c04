"""When a job fires, in words: each kind of trigger has a room of its own beside this file.

A sentence is never wrong: what has no exact words is shown as it is written ("cron */60 9 * * *").
Two saved jobs of the same words fire at the same instants, but for what is too long to be told
(``once``, calendars), and for what only a program knows (custom triggers, keywords).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from celery_jobsched import clock
from celery_jobsched.triggers import local_times_of
from celery_jobsched.triggers.celery import parse_celery
from celery_jobsched.triggers.cron import Cron
from celery_jobsched.triggers.every import Every
from celery_jobsched.triggers.once import parse_once

from .calendar import of_calendar
from .celery import of_celery
from .cron import of_cron
from .english import as_written, moment
from .every import Interval, of_every
from .once import of_instants
from .rrule import of_rrule

if TYPE_CHECKING:
    from celery_jobsched.job import Job

__all__ = ["describe"]

_AND = ", and "
_ENDS_IN_TIME = re.compile(r".* \d\d:\d\d(:\d\d)?(\.\d+)?")
_NO_ANCHOR = datetime(2001, 1, 1, tzinfo=clock.UTC)


class _Said(NamedTuple):
    """A part of the sentence, and whether it is of local times: the first such names the zone."""

    text: str
    local: bool = True


def describe(job: Job, briefly: bool = False) -> str:
    """When *job* fires, in words: "every weekday at 09:00 Europe/Berlin, at most 10 fires".

    *briefly*: it is not said from when an interval counts.
    """
    zone = clock.zone(job.zone_name)
    parts = [_when(job, zone, briefly), *_bounds(job, zone), *_calendars(job), *_rules(job)]
    said = [each.text for each in parts]
    for index, each in enumerate(parts):
        if each.local:
            said[index] = _in_zone(each.text, job.zone_name)
            break
    return ", ".join(said)


def _when(job: Job, zone: tzinfo, briefly: bool) -> _Said:
    found = list(_triggers(job, zone, briefly))
    return _Said(_AND.join(each.text for each in found), any(each.local for each in found))


def _triggers(job: Job, zone: tzinfo, briefly: bool) -> Iterator[_Said]:
    anchor = job.starts_at or job.first_past
    told = None if briefly else anchor
    if job.every is not None:
        yield _told(of_every(job.every, job.at, job.month_end), job, zone, told)
    if job.cron is not None:
        yield _Said(of_cron(job.cron))
    if job.once is not None:
        yield _Said(of_instants(parse_once(job.once, zone), zone))
    if job.rrule is not None:
        yield _told(of_rrule(job.rrule, zone, anchor), job, zone, told)
    if job.celery is not None:
        yield _celery(job, zone, anchor, briefly)
    if job.custom is not None:
        yield _Said(f"custom {job.custom}")
    if job.keyword is not None:
        yield _Said(f"when the keyword {job.keyword!r} is fired", local=False)


def _told(interval: Interval, job: Job, zone: tzinfo, anchor: datetime | None) -> _Said:
    counted = _counted(job, zone, anchor) if interval.anchored else ""
    return _Said(interval.text + counted, interval.local or bool(counted))


def _celery(job: Job, zone: tzinfo, anchor: datetime | None, briefly: bool) -> _Said:
    trigger = parse_celery(job.celery, zone, anchor or _NO_ANCHOR)
    text = of_celery(str(job.celery), trigger)
    if not isinstance(trigger, Every):
        return _Said(text, local=isinstance(trigger, Cron))
    counted = "" if briefly else _counted(job, zone, anchor and trigger.anchor)
    return _Said(text + counted, bool(counted))


def _counted(job: Job, zone: tzinfo, anchor: datetime | None) -> str:
    """From when an interval counts, where that is known and the bounds do not say it."""
    if anchor is None or anchor == job.starts_at:
        return ""
    return f", counted from {moment(anchor, zone)}"


def _bounds(job: Job, zone: tzinfo) -> Iterator[_Said]:
    bounds = (("from", job.starts_at), ("until", job.ends_at))
    said = [f"{word} {moment(instant, zone)}" for word, instant in bounds if instant]
    if said:
        yield _Said(" ".join(said))


def _calendars(job: Job) -> Iterator[_Said]:
    for word, text in (("only", job.only_during), ("not", job.not_during)):
        if text is not None:
            yield _Said(f"{word} {of_calendar(text) or f'during {as_written(text)}'}")
    moved = {"next": "at the first allowed instant after", "previous": "in the last second before"}
    if job.on_excluded in moved and job.has_calendars:
        yield _Said(f"else {moved[job.on_excluded]}", local=False)


def _rules(job: Job) -> Iterator[_Said]:
    return (_Said(text, local=False) for text in _ruled(job))


def _ruled(job: Job) -> Iterator[str]:
    if job.max_fires is not None:
        yield f"at most {job.max_fires} fire{'' if job.max_fires == 1 else 's'}"
    if job.jitter:
        yield f"jitter up to {job.jitter:g} s"
    if job.lacks or all(t.real_time for t in local_times_of(job.times)):
        return
    if job.dst_gap == "skip":
        yield "never at a time that the clocks skip"
    if job.dst_fold == "both":
        yield "twice at a time that comes twice"


def _in_zone(text: str, zone_name: str) -> str:
    """A zone belongs to the time before it, or to all that was said."""
    joined = " " if _ENDS_IN_TIME.fullmatch(text) and _AND not in text else ", "
    return f"{text}{joined}{zone_name}"
