"""The jobs' rows: reading them one by one, and writing definitions.

A row is read by itself: what cannot be read spoils its own row, never the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as replaced
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from kombu.utils import json
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from .. import fields as read
from ..definition import checked
from ..errors import InvalidJob, JobExistError, JobNotFound
from ..job import DEFINITION, Job
from .calendars import named_by
from .engine import database_now
from .planned import RULES, SCHEDULE, details_text, rules_text, schedule_text
from .tables import jobs, named

SCHEDULE_TEXT = schedule_text()
RULES_TEXT = rules_text()
DETAILS_TEXT = details_text()

#: ``planned`` of a row that is to be planned anew though nobody edited it.
WOKEN = ""

_RULES = tuple(name for name in (*SCHEDULE, *RULES) if name != "paused_until")
_rules_of = itemgetter(*_RULES)
_text = read.text(255)

#: What says when, as a timetable shows it.
WHEN = ("every", "at", "cron", "once", "rrule", "celery", "custom", "keyword", "timezone")

#: What a definition may set in a row.
COLUMNS = tuple(dict.fromkeys((*DEFINITION, *_RULES)))
_JSON = ("args", "kwargs", "options", "labels")
_STATE = (
    "id",
    "name",
    "task",
    *_JSON,
    "version",
    "created_at",
    "next_fire_at",
    "last_fire_at",
    "fire_count",
    "failure_count",
    "paused_until",
)
#: What :func:`read_row` reads.
ROW = tuple(jobs.c[name] for name in (*_STATE, *_RULES))


def loads(text: str | None) -> Any:
    """What a JSON column holds."""
    return None if text is None else json.loads(text)


def read_row(row: Mapping[Any, Any], zone_name: str, named: Mapping[str, Any]) -> Job:
    """The job of a row; *named* has the calendars that it names, see ``calendars.named_by``.

    Raises:
        InvalidJob: names the job, the column, what was expected and what is there.
    """
    try:
        return Job.of_values(
            name=_text("name", row["name"]),
            task=_text("task", row["task"]),
            args=_or(row, "args", read.json_list, list),
            kwargs=_or(row, "kwargs", read.json_object, dict),
            options=_or(row, "options", read.options, dict),
            labels=_or(row, "labels", read.json_object, dict),
            id=row["id"],
            version=row["version"],
            created_at=_instant(row, "created_at"),
            next_fire_at=_instant(row, "next_fire_at"),
            last_fire_at=_instant(row, "last_fire_at"),
            fire_count=_whole(row, "fire_count"),
            failure_count=_whole(row, "failure_count"),
            paused_until=_instant(row, "paused_until"),
            default_timezone=zone_name,
            calendars=named,
            **_read_rules(_rules_of(row), zone_name),
        )
    except InvalidJob as error:
        raise error.of(str(row["name"])) from None


@lru_cache(maxsize=8192)
def _read_rules(rules: tuple[Any, ...], zone_name: str) -> dict[str, Any]:
    """The canonical values of a row's schedule and rules; those of like rows are read once."""
    columns = {name: each for name, each in zip(_RULES, rules, strict=True) if each is not None}
    return checked(columns, zone_name)


def by_id(
    conn: Connection, ids: Iterable[int], zone_name: str, for_update: bool = False
) -> dict[int, Job | InvalidJob]:
    """The jobs of *ids* as they are now, by id; for a row that cannot be read, why."""
    query = sa.select(*ROW).where(jobs.c.id.in_(set(ids))).order_by(jobs.c.id)
    rows = conn.execute(query.with_for_update() if for_update else query).mappings().all()
    named = named_by(conn, rows)
    return {row["id"]: _read_or_error(row, zone_name, named) for row in rows}


def find(conn: Connection, name: str, zone_name: str) -> Job:
    """The job of that name, with its description.

    Raises:
        JobNotFound: there is none.
        InvalidJob: its row cannot be read.
    """
    query = sa.select(*ROW, jobs.c.description).where(named(jobs, name))
    row = conn.execute(query).mappings().first()
    if row is None:
        raise JobNotFound(f"no job {name!r}")
    job = read_row(row, zone_name, named_by(conn, [row]))
    return replaced(job, description=row["description"])


def definition_of(conn: Connection, name: str) -> dict[str, Any]:
    """What the row of that name says, as it stands there, and nobody else changes meanwhile.

    Raises:
        JobNotFound: there is none.
    """
    query = sa.select(*(jobs.c[column] for column in COLUMNS)).where(named(jobs, name))
    row = conn.execute(query.with_for_update()).mappings().first()
    if row is None:
        raise JobNotFound(f"no job {name!r}")
    return dict(row)


def has(conn: Connection, name: str) -> bool:
    """Whether there is a job of that name."""
    return conn.execute(sa.select(jobs.c.id).where(named(jobs, name))).first() is not None


def descriptions(conn: Connection, ids: Iterable[int]) -> dict[int, str]:
    """What is told to people of these jobs, by id."""
    said = sa.select(jobs.c.id, jobs.c.description).where(jobs.c.description.is_not(None))
    return {row[0]: row[1] for row in conn.execute(said.where(jobs.c.id.in_(list(ids))))}


def sharing(conn: Connection, concurrency_key: str, limit: int) -> list[int]:
    """The ids of at most *limit* jobs that share that key."""
    ids = sa.select(jobs.c.id).where(jobs.c.concurrency_key == concurrency_key)
    return list(conn.execute(ids.order_by(jobs.c.id).limit(limit)).scalars())


def tasks(conn: Connection) -> list[tuple[str, str]]:
    """The names of all jobs with their tasks, in order."""
    found = conn.execute(sa.select(jobs.c.name, jobs.c.task).order_by(jobs.c.name))
    return [(name, task) for name, task in found]


def names(conn: Connection) -> list[str]:
    """The names of all jobs, in order."""
    return list(conn.execute(sa.select(jobs.c.name).order_by(jobs.c.name)).scalars())


def count(conn: Connection) -> int:
    """How many jobs there are."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(jobs)).scalar_one())


def insert(conn: Connection, job: Job, source: str) -> None:
    """Write a new job; the next poll plans it.

    Raises:
        JobExistError: there is one of that name.
    """
    try:
        with conn.begin_nested():
            conn.execute(sa.insert(jobs).values(name=job.name, source=source, **columns_of(job)))
    except IntegrityError as error:
        raise JobExistError(f"job {job.name!r} exists already") from error


def replace(conn: Connection, job: Job, **values: Any) -> None:
    """Write another definition under the job's name; its state stays.

    Raises:
        JobNotFound: there is no job of that name.
    """
    update(conn, job.name, columns_of(job) | values)


def update(conn: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Set columns of the job of that name; the next poll plans it where they matter to it."""
    changed = {"updated_at": database_now(), "version": jobs.c.version + 1, **values}
    if conn.execute(sa.update(jobs).where(named(jobs, name)).values(changed)).rowcount != 1:
        raise JobNotFound(f"no job {name!r}")


def delete(conn: Connection, name: str) -> None:
    """Delete a job; its fires stay, as history.

    Raises:
        JobNotFound: there is no job of that name.
    """
    if conn.execute(sa.delete(jobs).where(named(jobs, name))).rowcount != 1:
        raise JobNotFound(f"no job {name!r}")


def columns_of(job: Job) -> dict[str, Any]:
    """The columns of the job's definition, all of them; JSON as its text, empty ones as null."""
    values = {name: getattr(job, name, None) for name in COLUMNS}
    return values | {name: read.to_json(values[name]) if values[name] else None for name in _JSON}


def wake_page(conn: Connection, after_id: int, limit: int) -> int | None:
    """Make a page of rows edited, by id; the last id of it, None when there is none left.

    A job whose next fire is due keeps it.
    """
    page = sa.select(jobs.c.id).where(jobs.c.id > after_id).order_by(jobs.c.id).limit(limit)
    ids = conn.execute(page).scalars().all()
    wake(conn, ids)
    return int(ids[-1]) if ids else None


def wake(conn: Connection, ids: Sequence[int]) -> None:
    """Make these rows edited, but for those that are due, and those that were never planned.

    A transaction that plans or claims one of them is waited for.
    """
    chosen = jobs.c.id.in_(ids)
    if ids:
        conn.execute(sa.select(jobs.c.id).where(chosen).order_by(jobs.c.id).with_for_update())
        ahead = sa.and_(chosen, jobs.c.planned.is_not(None), _lies_ahead())
        conn.execute(sa.update(jobs).where(ahead).values(planned=WOKEN))


def _lies_ahead() -> Any:
    return sa.or_(jobs.c.due_at.is_(None), jobs.c.due_at > database_now())


def _or(row: Mapping[Any, Any], name: str, reader: Any, empty: Any) -> Any:
    return empty() if row[name] is None else reader(name, row[name])


def _instant(row: Mapping[Any, Any], name: str) -> Any:
    """An instant of the row; SQLite keeps whatever was written there."""
    value = row[name]
    return value if value is None or isinstance(value, datetime) else read.instant(name, value)


def _whole(row: Mapping[Any, Any], name: str) -> Any:
    """A number of the row; SQLite keeps whatever text was written there."""
    if not isinstance(row[name], int):
        raise InvalidJob(name, row[name], "a whole number")
    return row[name]


def _read_or_error(row: RowMapping, zone_name: str, named: Mapping[str, Any]) -> Job | InvalidJob:
    try:
        return read_row(row, zone_name, named)
    except InvalidJob as error:
        return error
