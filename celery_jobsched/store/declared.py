"""The rows of jobs that a configuration declares: ``source = 'config:<app>'``.

A sync touches the rows of its own application alone. What is no longer declared becomes
``gone:<app>``, is disabled with a note and deleted a day later; a person's pause is left alone.
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
from .fires import IS_OVER
from .jobs import columns_of
from .tables import fires, jobs

#: Who paused a job that is no longer declared.
SYNC = "sync"
#: Who paused a job that is declared with ``enabled = False``.
CONFIG = "config"
#: What the source of jobs begins with that are no longer declared.
GONE = "gone:"
RETIRED = "no longer declared in the configuration"
_CONFIG = "config:"
_KEPT_FOR = timedelta(days=1)
_PAGE = 500
_T = TypeVar("_T")


def gone(source: str) -> str:
    """The source of what *source* declares no longer."""
    return source.replace(_CONFIG, GONE, 1)


def owner_of(source: str) -> str | None:
    """The application whose configuration declares rows of that source; None where none does."""
    return source.removeprefix(_CONFIG) if source.startswith(_CONFIG) else None


def rows_of(conn: Connection, names: Sequence[str], source: str) -> dict[str, RowMapping]:
    """The rows of that source, gone ones as well, and those of these names, by name."""
    query = sa.select(jobs).where(jobs.c.source.in_([source, gone(source)]))
    found = {row["name"]: row for row in conn.execute(query).mappings()}
    for page in _pages([name for name in names if name not in found]):
        query = sa.select(jobs).where(jobs.c.name.in_(page))
        found |= {row["name"]: row for row in conn.execute(query).mappings()}
    return found


def difference(job: Job, row: RowMapping, source: str) -> dict[str, Any]:
    """The columns that have to change for the row to hold *job* of *source*; empty when it does.

    ``enabled`` is the person's: only what the configuration turns off, and what an earlier sync
    turned off, is changed.
    """
    wanted = _columns_of(job) | {"source": source}
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


def retire(conn: Connection, names: Sequence[str], source: str) -> None:
    """Disable jobs that *source* declares no longer; a person's pause stays that person's."""
    note: Any = {
        "enabled": False,
        "paused_at": database_now(),
        "paused_by": SYNC,
        "paused_note": RETIRED,
        "paused_until": None,
    }
    left: Any = {"source": gone(source), "updated_at": database_now()}
    for page in _pages(names):
        chosen = jobs.c.name.in_(page)
        ours = sa.or_(jobs.c.enabled, jobs.c.paused_by == CONFIG)
        conn.execute(sa.update(jobs).where(chosen, ours).values(note))
        conn.execute(sa.update(jobs).where(chosen).values(left))


def purge(conn: Connection, source: str, now: datetime) -> int:
    """Delete the jobs that *source* declares no longer for a day and that have nothing open."""
    still_open = sa.exists().where(fires.c.job_id == jobs.c.id, sa.not_(IS_OVER))
    retired = sa.and_(
        jobs.c.source == gone(source),
        ~jobs.c.enabled,
        jobs.c.updated_at < now - _KEPT_FOR,
        ~still_open,
    )
    return int(conn.execute(sa.delete(jobs).where(retired)).rowcount)


def _columns_of(job: Job) -> dict[str, Any]:
    return columns_of(job) | {"paused_by": None if job.enabled else CONFIG}


def _pages(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (values[start : start + _PAGE] for start in range(0, len(values), _PAGE))
