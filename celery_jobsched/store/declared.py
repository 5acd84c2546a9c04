"""The rows of jobs that a configuration declares: ``source = 'config:<app>'``.

A sync touches the rows of its own application alone. What is no longer declared is disabled with a
note and deleted a day later; a pause by a person is never undone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..job import Job
from .engine import database_now
from .jobs import columns_of
from .tables import fires, jobs

#: Who paused a job that is no longer declared.
SYNC = "sync"
_KEPT_FOR = timedelta(days=1)


def rows_of(conn: Connection, names: Iterable[str], source: str) -> dict[str, RowMapping]:
    """The rows of that source and those of that name, by name."""
    wanted = sa.or_(jobs.c.source == source, jobs.c.name.in_(list(names)))
    return {row["name"]: row for row in conn.execute(sa.select(jobs).where(wanted)).mappings()}


def difference(job: Job, row: RowMapping) -> dict[str, Any]:
    """The columns that have to change for the row to hold *job*; empty when it does.

    ``enabled`` is the person's: only what the configuration turns off, and what an earlier sync
    turned off, is changed.
    """
    wanted = columns_of(job)
    if row["paused_by"] == SYNC:
        wanted |= {"paused_at": None, "paused_by": None, "paused_note": None}
    elif job.enabled:
        del wanted["enabled"]
    return {name: value for name, value in wanted.items() if row[name] != value}


def retire(conn: Connection, source: str, declared: Iterable[str]) -> list[str]:
    """Disable the jobs of *source* that are not among *declared*; their names."""
    gone = sa.and_(
        jobs.c.source == source,
        jobs.c.name.not_in(list(declared)),
        sa.or_(jobs.c.paused_by.is_(None), jobs.c.paused_by != SYNC),
    )
    names = list(conn.execute(sa.select(jobs.c.name).where(gone)).scalars())
    if names:
        conn.execute(
            sa.update(jobs)
            .where(gone)
            .values(
                enabled=False,
                paused_at=database_now(),
                paused_by=SYNC,
                paused_note="no longer declared in the configuration",
                paused_until=None,
            )
        )
    return names


def purge(conn: Connection, source: str, now: Any) -> int:
    """Delete the jobs of *source* that were retired over a day ago and have nothing open."""
    still_open = sa.exists().where(fires.c.job_id == jobs.c.id, fires.c.ready_at.is_not(None))
    retired = sa.and_(
        jobs.c.source == source,
        jobs.c.paused_by == SYNC,
        jobs.c.paused_at < now - _KEPT_FOR,
        ~still_open,
    )
    return int(conn.execute(sa.delete(jobs).where(retired)).rowcount)
