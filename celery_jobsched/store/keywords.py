"""Firing by keyword: each job of a keyword gets one pending fire, which any beat delivers.

The caller decides and no beat has to: a job's row is locked, its fire inserted as ready, and
counted, in one transaction. The key of the fires is the call's, so that it fires each job once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..fire import Fire, Origin, new_id
from ..job import Job
from ..plan import heeds_keyword, is_spent
from . import fires
from .engine import database_now
from .jobs import by_id
from .pages import LOOK_AGAIN
from .tables import jobs

_PAGE = 500


@dataclass(frozen=True)
class Call:
    """A keyword was called at *at*; *args* and *kwargs* None: those of the jobs."""

    keyword: str
    key: str
    at: datetime
    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None


def new_call(
    conn: Connection,
    keyword: str,
    args: list[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> Call:
    """A call of *keyword* at this moment, by the database's clock."""
    now = conn.execute(sa.select(database_now())).scalar_one()
    return Call(keyword, new_id(now), now, args, kwargs)


def fire_jobs(conn: Connection, call: Call, zone_name: str) -> list[str]:
    """Write a fire for each job that heeds the call, in the order of the jobs' ids; their ids.

    A row that cannot be read fires nothing: planning says so in its ``error``.
    """
    called = sa.select(jobs.c.id).where(jobs.c.keyword == call.keyword, jobs.c.enabled)
    ids = conn.execute(called.order_by(jobs.c.id)).scalars().all()
    pages = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
    return [id_ for page in pages for id_ in _fire_page(conn, call, page, zone_name)]


def _fire_page(conn: Connection, call: Call, ids: Sequence[int], zone_name: str) -> list[str]:
    known = by_id(conn, ids, zone_name, for_update=True).values()
    called = [job for job in known if isinstance(job, Job) and _heeds(job, call)]
    if not called:
        return []
    new = [_fire_of(job, call) for job in called]
    written = fires.insert_ready(conn, new, call.at)
    fired = [(job, fire.id) for job, fire in zip(called, new, strict=True) if fire.id in written]
    _count(conn, [job for job, _ in fired], call.at)
    return [id_ for _, id_ in fired]


def _heeds(job: Job, call: Call) -> bool:
    try:
        job.check()
    except Exception:  # noqa: BLE001 - whatever it is, the row's error will tell
        return False
    return job.keyword == call.keyword and heeds_keyword(job, call.at)


def _fire_of(job: Job, call: Call) -> Fire:
    return Fire(
        id=new_id(call.at),
        job_id=job.id or 0,
        job_name=job.name,
        key=call.key,
        fire_at=call.at,
        due_at=call.at,
        origin=Origin.KEYWORD,
        publishes=0,
        args=call.args,
        kwargs=call.kwargs,
    )


def _count(conn: Connection, fired: Sequence[Job], now: datetime) -> None:
    """Count a fire of each, and end those that may fire no more."""
    counted = sa.update(jobs).where(jobs.c.id.in_([job.id for job in fired]))
    conn.execute(counted.values(fire_count=jobs.c.fire_count + 1))
    spent = [job for job in fired if is_spent(replace(job, fire_count=job.fire_count + 1))]
    for on_end, due_at in (("delete", now + LOOK_AGAIN), ("keep", None)):
        ids = [job.id for job in spent if (job.on_end or "keep") == on_end]
        if ids:
            ended = sa.update(jobs).where(jobs.c.id.in_(ids))
            conn.execute(ended.values(next_fire_at=None, due_at=due_at))
