"""The trigger of a job: its columns come together here, and what can never fire is refused."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from .clock import TICK, UTC, zone
from .errors import InvalidJob, NextFireTimeError
from .triggers import AnyOf, Trigger
from .triggers.calendar import parse_limits
from .triggers.celery import parse_celery
from .triggers.cron import Cron, parse_cron
from .triggers.custom import make_custom
from .triggers.during import Allowed, During, Within
from .triggers.every import Every, parse_at, parse_every
from .triggers.once import Once, parse_once
from .triggers.rrule import Recurrence, recurrence

if TYPE_CHECKING:
    from .job import Job

#: What a job counts from that is not made yet.
NOT_MADE = datetime(2001, 1, 1, tzinfo=UTC)
_LATER = NOT_MADE + timedelta(days=3660)


def limited(job: Job, times: Trigger) -> Trigger:
    """What the calendars of *job* make of these times."""
    if not job.has_calendars:
        return times
    calendar = parse_limits(job.only_during, job.not_during, job.calendars or {})
    within = Within(times, job.starts_at, job.ends_at)
    return During(within, Allowed(calendar, zone(job.zone_name)), job.on_excluded or "skip")


def times_of(job: Job, made_at: datetime) -> Trigger:
    """When *job* would fire, were there no calendars, had it been made in that second."""
    found = list(_triggers(job, job.starts_at or made_at))
    return found[0] if len(found) == 1 else AnyOf(tuple(found))


def require_coming(job: Job, trigger: Trigger) -> None:
    """Refuse a rule that never comes from where the job begins, once that is known.

    Until then: an interval that would never come, were the job made on some day of the year.

    Raises: InvalidJob (field ``rrule``), NextFireTimeError.
    """
    if job.starts_at is None and job.created_at is None:
        if job.every is not None and job.month_end == "skip":
            for month in range(1, 13):
                next(_triggers(job, datetime(2001, month, monthrange(2001, month)[1], tzinfo=UTC)))
        return
    for each in (trigger, *getattr(trigger, "triggers", ())):
        if isinstance(each, Recurrence) and each.never:
            raise InvalidJob("rrule", job.rrule, each.never)


def require_allowed(job: Job) -> None:
    """Refuse calendars that nothing fires in, where that is known before the job is made.

    Raises: InvalidJob (field ``only_during`` or ``not_during``).
    """
    trigger, anchor = job.trigger, job.starts_at or job.first_past
    if not isinstance(trigger, During):
        return
    if anchor is None and trigger != limited(job, times_of(job, _LATER)):
        return  # it counts from when the job is made, and is known then
    if not trigger.is_barren((anchor or NOT_MADE) - TICK):
        return
    if job.only_during is None:
        raise InvalidJob("not_during", job.not_during, "to leave times of the job's fires")
    raise InvalidJob("only_during", job.only_during, "some of the times of the job's fires")


def _triggers(job: Job, anchor: datetime) -> Iterator[Trigger]:
    here = zone(job.zone_name)
    gap, fold = job.dst_gap or "run", job.dst_fold or "first"
    if job.every is not None:
        yield _every(job, here, anchor)
    if job.cron is not None:
        yield Cron(parse_cron(job.cron), here, gap, fold)
    if job.once is not None:
        yield Once(parse_once(job.once, here))
    if job.rrule is not None:
        yield recurrence(job.rrule, here, anchor, gap, fold)
    if job.celery is not None:
        yield parse_celery(job.celery, here, anchor, gap, fold)
    if job.custom is not None:
        yield make_custom(job.custom, here, anchor)


def _every(job: Job, here: tzinfo, anchor: datetime) -> Every:
    n, unit = parse_every(job.every)
    at = None if job.at is None else parse_at(job.at, unit)
    rules = job.month_end or "clamp", job.dst_gap or "run", job.dst_fold or "first"
    try:
        return Every(n, unit, at, here, anchor, *rules)
    except NextFireTimeError as error:
        raise NextFireTimeError("at", job.at, error.expected) from None
