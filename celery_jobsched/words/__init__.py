"""When a job fires, in words: each kind of trigger has a room of its own beside this file.

A sentence is never wrong: what has no exact words is shown as it is written ("cron 13 4/7 * * 5"),
or left out. Two jobs of the same words fire at the same instants.
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
from .english import moment
from .every import of_every
from .once import of_instants

if TYPE_CHECKING:
    from celery_jobsched.job import Job

__all__ = ["describe"]

_ENDS_IN_TIME = re.compile(r".* \d\d:\d\d(:\d\d)?(\.\d+)?")
#: Characters of a calendar that are told.
_LONGEST = 200
_NO_ANCHOR = datetime(2001, 1, 1, tzinfo=clock.UTC)


class _Said(NamedTuple):
    """A trigger's words, and whether they are of local times."""

    text: str
    local: bool = True


def describe(job: Job) -> str:
    """When *job* fires, in words: "every weekday at 09:00 Europe/Berlin, at most 10 fires"."""
    zone = clock.zone(job.zone_name)
    said = list(_triggers(job, zone))
    when, bounds = ", and ".join(each.text for each in said), _bounds(job, zone)
    calendars = ", ".join(_calendars(job))
    if any(each.local for each in said):
        when = _in_zone(when, job.zone_name) if len(said) == 1 else f"{when}, {job.zone_name}"
    elif bounds:
        bounds = _in_zone(bounds, job.zone_name)
    elif calendars:
        calendars = _in_zone(calendars, job.zone_name)
    return ", ".join(part for part in (when, bounds, calendars, *_rules(job)) if part)


def _triggers(job: Job, zone: tzinfo) -> Iterator[_Said]:
    anchor = job.starts_at or job.first_past
    if job.every is not None:
        text, anchored, local = of_every(job.every, job.at, job.month_end)
        counted = _counted(job, zone, anchor) if anchored else ""
        yield _Said(text + counted, local or bool(counted))
    if job.cron is not None:
        yield _Said(of_cron(job.cron))
    if job.once is not None:
        yield _Said(of_instants(parse_once(job.once, zone), zone))
    if job.celery is not None:
        yield _celery(job, zone, anchor)
    if job.custom is not None:
        yield _Said(f"custom {job.custom}")
    if job.keyword is not None:
        yield _Said(f"on the keyword {job.keyword!r}", local=False)


def _celery(job: Job, zone: tzinfo, anchor: datetime | None) -> _Said:
    trigger = parse_celery(job.celery, zone, anchor or _NO_ANCHOR)
    text = of_celery(str(job.celery), trigger)
    if not isinstance(trigger, Every):
        return _Said(text, local=isinstance(trigger, Cron))
    counted = _counted(job, zone, anchor and trigger.anchor)
    return _Said(text + counted, bool(counted))


def _counted(job: Job, zone: tzinfo, anchor: datetime | None) -> str:
    """From when an interval counts, where that is known and the bounds do not say it."""
    if anchor is None or anchor == job.starts_at:
        return ""
    return f", counted from {moment(anchor, zone)}"


def _bounds(job: Job, zone: tzinfo) -> str:
    bounds = (("from", job.starts_at), ("until", job.ends_at))
    return " ".join(f"{word} {moment(instant, zone)}" for word, instant in bounds if instant)


def _calendars(job: Job) -> Iterator[str]:
    for word, text in (("only", job.only_during), ("not", job.not_during)):
        if text is not None:
            yield f"{word} {of_calendar(text) or _as_written(text)}"
    moved = {"next": "at the first allowed instant after", "previous": "in the last second before"}
    if job.on_excluded in moved and job.has_calendars:
        yield f"else {moved[job.on_excluded]}"


def _as_written(text: str) -> str:
    written = " ".join(text.split())
    if len(written) > _LONGEST:
        written = f"{written[:_LONGEST]}... ({len(text)} characters)"
    return f"during {written}"


def _rules(job: Job) -> Iterator[str]:
    if job.max_fires is not None:
        yield f"at most {job.max_fires} fire{'' if job.max_fires == 1 else 's'}"
    if job.jitter:
        yield f"jitter up to {job.jitter:g} s"
    if job.lacks or all(t.real_time for t in local_times_of(job.times_from(_NO_ANCHOR))):
        return
    if job.dst_gap == "skip":
        yield "never at a time that the clocks skip"
    if job.dst_fold == "both":
        yield "twice at a time that comes twice"


def _in_zone(text: str, zone_name: str) -> str:
    return f"{text} {zone_name}" if _ENDS_IN_TIME.fullmatch(text) else f"{text}, {zone_name}"
