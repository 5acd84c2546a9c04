"""Firing by keyword: each job of a keyword gets one pending fire, which any beat delivers.

The caller decides and no beat has to: a job's row is locked, its fire inserted as ready, and
counted, in one transaction. The key of the fires is the call's, so that it fires each job once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..fire import Fire, Origin, new_id
from ..job import Job
from ..plan import heeds_keyword, is_spent
from . import fires
from .bulk import update_rows
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
    #: The job whose run called it: that one it does not fire.
    caller: int | None = None


def new_call(
    conn: Connection,
    keyword: str,
    args: list[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> Call:
    """A call of *keyword* at this moment, by the database's clock."""
    now = conn.execute(sa.select(database_now())).scalar_one()
    return Call(keyword, new_id(now), now, args, kwargs)


def known(conn: Connection, words: Iterable[str]) -> set[str]:
    """Those of *words* that are the keyword of a job, whether it is enabled or not."""
    asked = set(words)
    found = sa.select(jobs.c.keyword).where(jobs.c.keyword.in_(asked)).distinct()
    return asked & set(conn.execute(found).scalars())


def fire_jobs(conn: Connection, calls: Sequence[Call], zone_name: str) -> list[str]:
    """Write a fire for each job that heeds one of the calls, in the order of the jobs' ids.

    Their ids. A row that cannot be read fires nothing: planning says so in its ``error``.
    """
    words = {call.keyword for call in calls}
    called = sa.select(jobs.c.id).where(jobs.c.keyword.in_(words), jobs.c.enabled)
    ids = conn.execute(called.order_by(jobs.c.id)).scalars().all()
    pages = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
    return [id_ for page in pages for id_ in _fire_page(conn, calls, page, zone_name)]


def _fire_page(
    conn: Connection, calls: Sequence[Call], ids: Sequence[int], zone_name: str
) -> list[str]:
    known = by_id(conn, ids, zone_name, for_update=True).values()
    able = {job.id: job for job in known if isinstance(job, Job) and _can_be_read(job)}
    new = [fire for place, job in enumerate(able.values()) for fire in _fires_of(job, calls, place)]
    if not new:
        return []
    written = fires.insert_ready(conn, new, calls[0].at)
    fired = [fire for fire in new if fire.id in written]
    counts = Counter(fire.job_id for fire in fired)
    _count(conn, [_counted(able[id_], count) for id_, count in counts.items()], calls[0].at)
    return [fire.id for fire in fired]


def _can_be_read(job: Job) -> bool:
    try:
        job.check()
    except Exception:  # noqa: BLE001 - whatever it is, the row's error will tell
        return False
    return True


def _fires_of(job: Job, calls: Sequence[Call], place: int) -> list[Fire]:
    """The fires of *job*, one for each call that it heeds, as often as it may."""
    found: list[Fire] = []
    for call in calls:
        is_meant = job.keyword == call.keyword and job.id != call.caller
        if is_meant and heeds_keyword(_counted(job, len(found)), call.at):
            found.append(_fire_of(job, call, place))
    return found


def _counted(job: Job, count: int) -> Job:
    return replace(job, fire_count=job.fire_count + count) if count else job


def _fire_of(job: Job, call: Call, place: int) -> Fire:
    return Fire(
        id=new_id(call.at, place),
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


def _count(conn: Connection, counted: Sequence[Job], now: datetime) -> None:
    """Note how often jobs that are held have fired, and end those that may fire no more."""
    update_rows(
        conn, jobs, ("id",), [{"id": job.id, "fire_count": job.fire_count} for job in counted]
    )
    spent = [job for job in counted if is_spent(job)]
    for on_end, due_at in (("delete", now + LOOK_AGAIN), ("keep", None)):
        ids = [job.id for job in spent if (job.on_end or "keep") == on_end]
        if ids:
            ended = sa.update(jobs).where(jobs.c.id.in_(ids))
            conn.execute(ended.values(next_fire_at=None, due_at=due_at))
