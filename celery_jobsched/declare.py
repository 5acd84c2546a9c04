"""Jobs that the configuration declares, as rows: read and checked at start, then synced once.

``jobsched_jobs`` and Celery's own ``beat_schedule`` are one list. Nothing is written before all of
it was read: one bad definition stops the beat before anything fires.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Connection, RowMapping

from .definition import calendar_names
from .errors import InvalidJob, InvalidSetting, shown
from .job import Job
from .runtime import Runtime
from .store import calendars, changes, declared, jobs, meta
from .triggers.calendar import check_named

logger = logging.getLogger(__name__)

#: How many jobs a sync names in the log.
_TOLD = 20
#: Beside a declared job's columns: the alias of the database that it is for.
_DATABASE = "database"


@dataclass(frozen=True)
class Declaration:
    """A job that is declared beside its task; without a name it has the task's."""

    task: Any
    name: str | None
    fields: Mapping[str, Any]


#: What façades declare by decorators, by the application that they are bound to; and of which
#: database they are.
_DECORATED: WeakKeyDictionary[Any, list[tuple[str | None, list[Declaration]]]]
_DECORATED = WeakKeyDictionary()


def gather(app: Any, declarations: list[Declaration], database: str | None = None) -> None:
    """Let what is in *declarations*, now or later, be declared for *app*."""
    _DECORATED.setdefault(app, []).append((database, declarations))


def with_decorated(
    app: Any, definitions: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """*definitions* and those that decorators declare for *app*.

    Raises:
        InvalidJob: a name is declared twice.
    """
    found = dict(definitions)
    for database, part in _DECORATED.get(app, []):
        beside = {} if database is None else {_DATABASE: database}
        for each in part:
            name = each.name or str(each.task.name)
            if name in found:
                once = "one declaration, not two (name= tells two apart)"
                raise InvalidJob("name", name, once, name)
            found[name] = {"task": each.task.name, **beside, **each.fields}
    return found


def of_database(
    definitions: Mapping[str, Mapping[str, Any]], database: str | None, aliases: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Those that belong to *database*: which one they name, or the first of *aliases*.

    Raises:
        InvalidJob: one names a database that is none of *aliases*.
    """
    found = {}
    for name, given in definitions.items():
        wanted = given.get(_DATABASE) if isinstance(given, Mapping) else None
        if wanted is None:
            wanted = aliases[0] if aliases else None
        elif wanted not in aliases:
            there = ", ".join(aliases) or "there are none, it is a single URL"
            raise InvalidJob(
                _DATABASE, wanted, f"an alias of jobsched_database_url ({there})", name
            )
        if wanted == database:
            found[name] = given
            if isinstance(given, Mapping):
                found[name] = {key: each for key, each in given.items() if key != _DATABASE}
    return found


def declared_in(runtime: Runtime, entries: Mapping[str, Any]) -> list[Job]:
    """All that the configuration declares for a database; *entries*, Celery's, are the first one's.

    Raises:
        InvalidJob: a declared job cannot be read; that is logged, too.
        InvalidSetting: a calendar cannot be read.
    """
    settings, aliases = runtime.settings, runtime.databases
    is_first = not aliases or runtime.database == aliases[0]
    try:
        check_calendars(settings.calendars)
        definitions = with_decorated(runtime.app, settings.jobs)
        mine = of_database(definitions, runtime.database, aliases)
        celerys = entries if is_first else {}
        return declared_jobs(mine, celerys, runtime.zone_name, settings.calendars)
    except InvalidJob as error:
        logger.critical("%s", error, extra={"action": "declare", "job": error.job})
        raise


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
