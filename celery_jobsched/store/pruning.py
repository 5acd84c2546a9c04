"""Pruning: what is over is deleted, by age, and by count of each job.

Only what nothing is expected of any more. By count a row goes when as many newer ones of its job
are there, and when no copy of it can be in a queue any more. Nobody counts the rows of all jobs:
each fire becomes old once, and then it is time to look at its job, for one of several that did.
So the cost follows what fires, and is a fraction of what that cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..fire import oldest_id
from .fires import IS_OVER
from .tables import changes, fires

#: A job is looked at once for so many of its fires: a sixteenth of what it keeps, or a few.
_SHARE, _LEAST = 16, 8
#: How many jobs are looked at in one transaction.
_JOBS = 20


class Pruned(NamedTuple):
    """How many rows went, and up to which fire has been looked."""

    deleted: int
    reached: str
    #: Whether there was more to do than was allowed.
    has_more: bool


def prune_by_age(conn: Connection, before: datetime, limit: int) -> int:
    """Delete at most *limit* finished records made before *before*; how many there were."""
    old = (
        sa.select(fires.c.id)
        .where(fires.c.id < oldest_id(before), IS_OVER)
        .order_by(fires.c.id)
        .limit(limit)
    )
    return _delete(conn, conn.execute(old).scalars().all())


def prune_by_count(conn: Connection, most: int, before: datetime, after: str, limit: int) -> Pruned:
    """Look at fires made before *before* and later than the one of the id *after*, in their order.

    Delete what their jobs have beyond the newest *most*: at most *limit* rows, all of them made
    before *before*. A job keeps some more, about a sixteenth, until one of its fires is among those
    that are looked for.
    """
    horizon, deleted = oldest_id(before), 0
    page = _page(conn, after, horizon, limit)
    done: set[int] = set()
    for id_, job_id in page:
        if job_id not in done and _is_looked_for(id_, most):
            if len(done) == _JOBS:
                return Pruned(deleted, after, has_more=True)
            done.add(job_id)
            deleted += _delete(conn, _excess(conn, job_id, most, horizon, limit - deleted))
            if deleted >= limit:
                return Pruned(deleted, after, has_more=True)
        after = id_
    return Pruned(deleted, after, has_more=len(page) == limit)


def prune_changes(conn: Connection, before: datetime, limit: int) -> None:
    """Delete those of the *limit* oldest records of changes that were made before *before*."""
    oldest = sa.select(changes.c.id).order_by(changes.c.id).limit(limit).subquery()
    old = sa.and_(changes.c.id.in_(sa.select(oldest.c.id)), changes.c.changed_at < before)
    conn.execute(sa.delete(changes).where(old))


def _page(conn: Connection, after: str, horizon: str, limit: int) -> Sequence[Any]:
    became_old = sa.and_(fires.c.id > after, fires.c.id < horizon)
    query = sa.select(fires.c.id, fires.c.job_id).where(became_old)
    return conn.execute(query.order_by(fires.c.id).limit(limit)).all()


def _is_looked_for(id_: str, most: int) -> bool:
    """Whether it is one of those, by what is random in the id."""
    return crc32(id_.encode()) % max(_LEAST, most // _SHARE) == 0


def _excess(conn: Connection, job_id: int, most: int, horizon: str, limit: int) -> Sequence[str]:
    """The ids of a job's rows that are older than the newest *most*, and may go."""
    mine = fires.c.job_id == job_id
    instants = sa.select(fires.c.fire_at).where(mine).order_by(fires.c.fire_at.desc())
    kept_since = conn.execute(instants.limit(1).offset(most - 1)).scalar()
    if kept_since is None:
        return []
    old = sa.and_(mine, fires.c.fire_at < kept_since, fires.c.id < horizon, IS_OVER)
    query = sa.select(fires.c.id).where(old).order_by(fires.c.fire_at).limit(limit)
    return conn.execute(query).scalars().all()


def _delete(conn: Connection, ids: Sequence[str]) -> int:
    if ids:
        conn.execute(sa.delete(fires).where(fires.c.id.in_(ids)))
    return len(ids)
