"""Jobs that the configuration declares, as rows: read and checked at start, then synced once.

``jobsched_jobs`` and Celery's own ``beat_schedule`` are one list. Nothing is written before all of
it was read: one bad definition stops the beat before anything fires.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Connection, RowMapping

from .definition import calendar_names
from .errors import InvalidJob, InvalidSetting, shown
from .job import Job
from .store import calendars, changes, declared, jobs, meta
from .triggers.calendar import check_named

logger = logging.getLogger(__name__)

#: How many jobs a sync names in the log.
_TOLD = 20


@dataclass(frozen=True)
class Declaration:
    """A job that is declared beside its task; without a name it has the task's."""

    task: Any
    name: str | None
    fields: Mapping[str, Any]


#: What façades declare by decorators, by the application that they are bound to.
_DECORATED: WeakKeyDictionary[Any, list[list[Declaration]]] = WeakKeyDictionary()


def gather(app: Any, declarations: list[Declaration]) -> None:
    """Let what is in *declarations*, now or later, be declared for *app*."""
    _DECORATED.setdefault(app, []).append(declarations)


def with_decorated(
    app: Any, definitions: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """*definitions* and those that decorators declare for *app*.

    Raises:
        InvalidJob: a name is declared twice.
    """
    found = dict(definitions)
    for each in (each for part in _DECORATED.get(app, []) for each in part):
        name = each.name or str(each.task.name)
        if name in found:
            raise InvalidJob("name", name, "one declaration, not two (name= tells two apart)", name)
        found[name] = {"task": each.task.name, **each.fields}
    return found


def check_calendars(definitions: Mapping[str, Any]) -> None:
    """Refuse ``jobsched_calendars`` where one of them cannot be read.

    Raises:
        InvalidSetting: names the calendar.
    """
    for name, definition in definitions.items():
        try:
            check_named(name, definition)
        except InvalidJob as error:
            raise InvalidSetting(f"jobsched_calendars[{shown(name)}]: {error.sentence}") from None


def declared_jobs(
    definitions: Mapping[str, Mapping[str, Any]],
    entries: Mapping[str, Any],
    zone_name: str,
    calendars: Mapping[str, str],
) -> list[Job]:
    """The jobs of ``jobsched_jobs`` and of ``beat_schedule``.

    What names a calendar that is none of *calendars* is left for the table to say.

    Raises:
        InvalidJob: names the first job and field that cannot be read.
    """
    both = definitions.keys() & entries.keys()
    if both:
        name = sorted(both)[0]
        raise InvalidJob("name", name, "one declaration, not two", job=name)
    found = [_of_definition(*item, zone_name, calendars) for item in definitions.items()]
    return found + [_of_entry(name, entry, zone_name) for name, entry in entries.items()]


def sync(conn: Connection, source: str, wanted: list[Job], now: datetime) -> None:
    """Make the rows of *source* those of *wanted*; the caller commits. Others are left alone."""
    meta.hold(conn, "sync")
    names = {job.name for job in wanted}
    rows = declared.rows_of(conn, sorted(names), source)
    new = [job for job in wanted if job.name not in rows]
    declared.add(conn, new, source)
    for job in wanted:
        if job.name in rows:
            _sync_one(conn, source, job, rows[job.name])
    gone = [n for n, row in rows.items() if row["source"] == source and n not in names]
    declared.retire(conn, gone, source)
    declared.purge(conn, source, now)
    _tell("added from the configuration", [job.name for job in new])
    _tell("no longer declared, disabled", gone)


def sync_calendars(conn: Connection, source: str, wanted: Mapping[str, str]) -> None:
    """Make the calendars of *source* those of *wanted*; the caller commits, and holds "sync"."""
    for name in calendars.sync(conn, source, wanted):
        logger.error(
            "calendar %r is declared in the configuration, but the table has one that was made "
            "elsewhere: left alone",
            name,
            extra={"action": "sync"},
        )


def _sync_one(conn: Connection, source: str, job: Job, row: RowMapping) -> None:
    if row["source"] not in {source, declared.gone(source)}:
        # Celery declares its own clean-up for each application: one is enough.
        logger.log(
            logging.DEBUG if job.task == "celery.backend_cleanup" else logging.ERROR,
            "job %r is declared in the configuration, but the table has one by %s: left alone",
            job.name,
            row["source"],
            extra={"action": "sync", "job": job.name},
        )
    elif changed := declared.difference(job, row, source):
        with changes.recorded(conn, job.name, changes.Author("config", source)):
            jobs.update(conn, job.name, changed)
        _tell(f"changed by the configuration ({', '.join(sorted(changed))})", [job.name])


def _tell(what: str, names: list[str]) -> None:
    for name in names[:_TOLD]:
        logger.info("job %r: %s", name, what, extra={"action": "sync", "job": name})
    if len(names) > _TOLD:
        logger.info("and %d more jobs: %s", len(names) - _TOLD, what, extra={"action": "sync"})


def _of_definition(
    name: str, given: Mapping[str, Any], zone_name: str, known: Mapping[str, str]
) -> Job:
    names = calendar_names(given) if isinstance(given, Mapping) else frozenset()
    return Job.from_dict(name, given, zone_name, known if names <= known.keys() else None)


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
    is_interval = isinstance(schedule, int | float | timedelta)
    # What is neither an interval nor a schedule is refused with the rest of the definition.
    return maybe_schedule(schedule, bool(given.get("relative"))) if is_interval else schedule
