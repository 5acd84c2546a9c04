"""A fire as Celery's beat knows such things: a schedule entry of its own, with what it carries.

Sentry and Datadog read entries; so their schedule is a real one of Celery's wherever one says the
truth, and none where it would not.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from celery.beat import ScheduleEntry
from celery.schedules import BaseSchedule, crontab, schedule
from celery.utils.nodenames import anon_nodename
from kombu.utils.functional import maybe_list

from .clock import UTC, zone
from .errors import InvalidJob
from .fire import Fire
from .job import Job
from .placeholders import filled
from .ticket import Ticket
from .triggers.celery import parse_celery
from .triggers.cron import Cron, parse_cron
from .triggers.every import Every

#: A crontab counts from nothing.
_NO_ANCHOR = datetime(1970, 1, 1, tzinfo=UTC)
_REPR_LENGTH = 1024
#: What Celery writes for a signature that names its task alone.
_SIGNATURE: dict[str, Any] = {
    "args": [],
    "kwargs": {},
    "options": {},
    "subtask_type": None,
    "immutable": False,
}


class ZonedCrontab(crontab):
    """A crontab in a job's own zone; monitors read ``tz`` for it."""

    def __init__(self, tz: tzinfo, *fields: str) -> None:
        minute, hour, day_of_month, month_of_year, day_of_week = fields
        super().__init__(minute, hour, day_of_week, day_of_month, month_of_year)
        self._zone = tz

    @property
    def tz(self) -> tzinfo:  # type: ignore[override]
        """The job's zone."""
        return self._zone


class FireEntry(ScheduleEntry):
    """One fire's entry. ``problem`` is what its publish raised, None where it went well."""

    fire: Fire
    problem: BaseException | None = None


def entry_for(
    app: Any, fire: Fire, job: Job, ticket: Ticket, declared: bool, origin: str
) -> FireEntry:
    """A fresh entry: monitors change its options' headers as they like.

    *declared*: the queue is known to the broker; *origin*: how Celery names the sender.
    """
    header = _header(fire, job) | ticket.to_header()
    values = {
        "fire_at": header["fire_at"],
        "fire_date": header["local"][:10],
        "previous_fire_at": header["previous_fire_at"],
        "job": job.name,
    }
    args = filled(job.args if fire.args is None else fire.args, values)
    kwargs = filled(job.kwargs if fire.kwargs is None else fire.kwargs, values)
    given, when = job.options, celery_schedule(job)
    if fire.is_follow_up:
        # What it is told is data, where it goes is its own task's, and no monitor waits for it.
        args, kwargs, given, when = fire.args or [], fire.kwargs or {}, {}, None
    entry = FireEntry(
        name=job.name,
        task=fire.task or job.task,
        schedule=when,
        args=tuple(args),
        kwargs=kwargs,
        options={
            **given,
            **_links(given),
            "headers": _headers(given, job.name, header),
            "task_id": fire.id,
            "retry": False,
            "origin": origin,
            "argsrepr": _repr(tuple(args)),
            "kwargsrepr": _repr(kwargs),
            **({"declare": []} if declared else {}),
        },
        last_run_at=fire.fire_at,
        app=app,
    )
    entry.fire = fire
    return entry


def this_process() -> str:
    """How Celery names the sender of a message."""
    return str(anon_nodename())


def celery_schedule(job: Job) -> BaseSchedule | None:
    """Celery's own schedule that says just when *job* fires; None where none does."""
    rest: tuple[Any, ...] = (
        job.once,
        job.rrule,
        job.starts_at,
        job.ends_at,
        job.max_fires,
        job.jitter,
        job.dst_gap,
    )
    rest += (job.dst_fold, job.month_end, job.keyword, job.custom)
    if any(value is not None for value in rest):
        return None
    if job.has_calendars:
        return None
    kinds = (job.every is not None, job.cron is not None, job.celery is not None)
    if sum(kinds) != 1:
        return None
    return _schedule_of(job.every, job.at, job.cron, job.celery, job.zone_name)


@lru_cache(maxsize=4096)
def _schedule_of(
    every: str | None, at: str | None, cron: str | None, celery: str | None, zone_name: str
) -> BaseSchedule | None:
    if cron is not None:
        return _crontab(cron, zone_name) if _is_celerys(cron, zone_name) else None
    if celery is not None:
        kind, _, rest = celery.partition(" ")
        if kind == "crontab":
            return _crontab(rest, zone_name)
        return schedule(timedelta(seconds=float(rest.split()[0]))) if kind == "schedule" else None
    probe = Job(name="-", task="-", every=every, at=at, default_timezone=zone_name).trigger
    return _interval(probe) if isinstance(probe, Every) else None


def _is_celerys(cron: str, zone_name: str) -> bool:
    """Whether Celery reads an expression, and as the same fields: it takes friL for friday."""
    try:
        celerys = parse_celery(f"crontab {cron.lower()}", zone(zone_name), _NO_ANCHOR)
    except InvalidJob:
        return False
    return isinstance(celerys, Cron) and celerys.fields == parse_cron(cron)


def _crontab(text: str, zone_name: str) -> BaseSchedule:
    return ZonedCrontab(zone(zone_name), *text.lower().split())


def _interval(every: Every) -> BaseSchedule | None:
    if every.unit == "day" and every.n == 1 and every.at is not None:
        at = every.at
        if at.hour is not None and at.minute is not None and not at.second:
            return ZonedCrontab(every.zone, str(at.minute), str(at.hour), "*", "*", "*")
    elapses = every.unit in {"minute", "hour"} and every.at is None
    return schedule(every.interval) if elapses else None


def _header(fire: Fire, job: Job) -> dict[str, Any]:
    """What a message says of its fire; ``current`` reads it in the worker."""
    previous = _previous(fire, job)
    return {
        "job": job.name,
        "fire_at": _iso(fire.fire_at),
        "local": _iso(job.nominal(fire.fire_at)),
        "previous_fire_at": previous and _iso(previous),
        "origin": fire.origin.value,
        "token": secrets.token_hex(8),
        "n": fire.publishes,
    }


def _previous(fire: Fire, job: Job) -> datetime | None:
    """The job's instant before this one; None where it cannot be told."""
    try:
        return None if job.lacks else job.previous_before(fire.fire_at)
    except InvalidJob:  # a calendar that is no more, or has come to hold anything
        return None


def _links(options: dict[str, Any]) -> dict[str, Any]:
    """Links with all that a signature has: a worker fails after the task where some is missing."""
    found = {name: options.get(name) for name in ("link", "link_error")}
    return {
        name: [{**_SIGNATURE, **each} for each in maybe_list(links)]
        for name, links in found.items()
        if links
    }


def _headers(options: dict[str, Any], name: str, header: dict[str, Any]) -> dict[str, Any]:
    return {
        **(options.get("headers") or {}),
        "celery_beat_task": True,
        "periodic_task_name": name,
        "jobsched": header,
    }


def _iso(instant: datetime) -> str:
    return instant.isoformat()


def _repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _REPR_LENGTH else text[:_REPR_LENGTH] + "…"
