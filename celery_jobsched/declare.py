"""Jobs that the configuration declares, as rows: read and checked at start, then synced once.

``jobsched_jobs`` and Celery's own ``beat_schedule`` are one list. Nothing is written before all of
it was read: one bad definition stops the beat before anything fires.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from .errors import InvalidJob
from .job import Job
from .store import declared, jobs, meta

logger = logging.getLogger(__name__)


def declared_jobs(
    definitions: Mapping[str, Mapping[str, Any]], entries: Mapping[str, Any], zone_name: str
) -> list[Job]:
    """The jobs of ``jobsched_jobs`` and of ``beat_schedule``.

    Raises:
        InvalidJob: names the first job and field that cannot be read.
    """
    both = definitions.keys() & entries.keys()
    if both:
        name = sorted(both)[0]
        raise InvalidJob("name", name, "one declaration, not two", job=name)
    found = [Job.from_dict(name, given, zone_name) for name, given in definitions.items()]
    return found + [_of_entry(name, entry, zone_name) for name, entry in entries.items()]


def sync(conn: Connection, source: str, wanted: list[Job], now: Any) -> None:
    """Make the rows of *source* those of *wanted*; the caller commits. Others are left alone."""
    meta.hold(conn, "sync")
    names = [job.name for job in wanted]
    rows = declared.rows_of(conn, names, source)
    for job in wanted:
        _sync_one(conn, source, job, rows.get(job.name))
    for name in declared.retire(conn, source, names):
        logger.info("job %r is no longer declared: disabled", name, extra={"job": name})
    declared.purge(conn, source, now)


def _sync_one(conn: Connection, source: str, job: Job, row: RowMapping | None) -> None:
    if row is None:
        jobs.insert(conn, job, source)
        logger.info("job %r: added from the configuration", job.name, extra={"job": job.name})
    elif row["source"] != source:
        logger.error(
            "job %r is declared in the configuration, but the table has one by %s: left alone",
            job.name,
            row["source"],
            extra={"job": job.name},
        )
    elif changed := declared.difference(job, row):
        jobs.update(conn, job.name, changed)
        logger.info(
            "job %r: changed by the configuration: %s",
            job.name,
            ", ".join(sorted(changed)),
            extra={"job": job.name},
        )


def _of_entry(name: str, entry: Any, zone_name: str) -> Job:
    """A job of an entry of ``beat_schedule``: a mapping, or a ``ScheduleEntry``."""
    given = dict(entry)
    if not isinstance(entry, Mapping):
        given = {key: given.get(key) for key in _ENTRY}
    unknown = set(given) - _ENTRY
    if unknown:
        raise InvalidJob(sorted(unknown)[0], given[sorted(unknown)[0]], "no such field", job=name)
    definition = {"task": given.get("task"), "schedule": _schedule(given)}
    definition |= {key: given[key] for key in ("args", "kwargs", "options") if given.get(key)}
    return Job.from_dict(name, definition, zone_name)


_ENTRY = frozenset({"task", "schedule", "args", "kwargs", "options", "relative"})


def _schedule(given: Mapping[str, Any]) -> Any:
    from celery.schedules import maybe_schedule

    schedule: Any = given.get("schedule")
    return maybe_schedule(schedule, bool(given.get("relative")))
