"""The rows of jobs that a configuration declares: ``source = 'config:<app>'``.

A sync touches the rows of its own application alone. What is no longer declared is disabled with a
note and deleted a day later; a pause by a person is never undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..job import Job
from .bulk import insert_rows
from .engine import database_now
from .jobs import columns_of
from .tables import fires, jobs

#: Who paused a job that is no longer declared.
SYNC = "sync"
#: Who paused a job that is declared with ``enabled = False``.
CONFIG = "config"
_KEPT_FOR = timedelta(days=1)
_PAGE = 500
_T = TypeVar("_T")


def rows_of(conn: Connection, names: Sequence[str], source: str) -> dict[str, RowMapping]:
    """The rows of that source and those of these names, by name."""
    query = sa.select(jobs).where(jobs.c.source == source)
    found = {row["name"]: row for row in conn.execute(query).mappings()}
    for page in _pages([name for name in names if name not in found]):
        query = sa.select(jobs).where(jobs.c.name.in_(page))
        found |= {row["name"]: row for row in conn.execute(query).mappings()}
    return found


def difference(job: Job, row: RowMapping) -> dict[str, Any]:
    """The columns that have to change for the row to hold *job*; empty when it does.

    ``enabled`` is the person's: only what the configuration turns off, and what an earlier sync
    turned off, is changed.
    """
    wanted = _columns_of(job)
    if row["paused_by"] in {SYNC, CONFIG}:
        wanted |= {"paused_at": None, "paused_note": None}
    elif job.enabled or not row["enabled"]:
        del wanted["enabled"], wanted["paused_by"]
    return {name: value for name, value in wanted.items() if row[name] != value}


def add(conn: Connection, new: Sequence[Job], source: str) -> None:
    """Write new jobs of that source.

    Raises:
        sqlalchemy.exc.IntegrityError: one was made elsewhere just now; none is written.
    """
    for page in _pages(new):
        insert_rows(
            conn, jobs, [{"name": job.name, "source": source, **_columns_of(job)} for job in page]
        )


def retire(conn: Connection, names: Sequence[str]) -> None:
    """Disable jobs that are no longer declared."""
    note = {
        "enabled": False,
        "paused_at": database_now(),
        "paused_by": SYNC,
        "paused_note": "no longer declared in the configuration",
        "paused_until": None,
    }
    for page in _pages(names):
        conn.execute(sa.update(jobs).where(jobs.c.name.in_(page)).values(note))


def purge(conn: Connection, source: str, now: datetime) -> int:
    """Delete the jobs of *source* that were retired over a day ago and have nothing open."""
    still_open = sa.exists().where(fires.c.job_id == jobs.c.id, fires.c.ready_at.is_not(None))
    retired = sa.and_(
        jobs.c.source == source,
        jobs.c.paused_by == SYNC,
        ~jobs.c.enabled,
        jobs.c.paused_at < now - _KEPT_FOR,
        ~still_open,
    )
    return int(conn.execute(sa.delete(jobs).where(retired)).rowcount)


def _columns_of(job: Job) -> dict[str, Any]:
    return columns_of(job) | {"paused_by": None if job.enabled else CONFIG}


def _pages(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (values[start : start + _PAGE] for start in range(0, len(values), _PAGE))
