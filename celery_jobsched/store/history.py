"""Reading what is on record of fires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..limits import Rights
from ..views import FireView
from .tables import fires, named

_COLUMNS = (
    "id", "fire_at", "origin", "state", "until_at", "count", "due_at", "ready_at", "sent_at",
    "started_at", "finished_at", "check_at", "publishes", "beat", "worker", "waiting_for", "task",
    "reason", "result", "error", "rights",
)  # fmt: skip
#: How many fires that are on their way are looked at, at most.
_ON_THEIR_WAY = 50
_SELECT = sa.select(fires.c.job_name.label("job"), *(fires.c[name] for name in _COLUMNS))


def of_job(
    conn: Connection,
    job: int | str,
    limit: int,
    states: Sequence[str] = (),
    since: datetime | None = None,
) -> list[FireView]:
    """The last *limit* fires of a job, newest first; of one that is gone by its name."""
    query = _SELECT.where(_of(job))
    if states:
        query = query.where(fires.c.state.in_(states))
    if since is not None:
        query = query.where(fires.c.fire_at >= since)
    newest = query.order_by(fires.c.fire_at.desc(), fires.c.id.desc()).limit(limit)
    return _views(conn.execute(newest).mappings())


def at(conn: Connection, job_id: int, instant: datetime) -> FireView | None:
    """The record that covers that instant of a job, the newest of its own first."""
    mine = _SELECT.where(fires.c.job_id == job_id)
    own = mine.where(fires.c.fire_at == instant)
    own = own.order_by(fires.c.until_at.is_not(None), fires.c.id.desc())
    folded = mine.where(fires.c.fire_at <= instant, fires.c.until_at >= instant)
    for query in (own, folded.order_by(fires.c.fire_at.desc())):
        found = _views(conn.execute(query.limit(1)).mappings())
        if found:
            return found[0]
    return None


def by_id_ending(conn: Connection, job_id: int, ending: str) -> FireView | None:
    """The fire of a job whose id ends so, if that is one."""
    mine = _SELECT.where(fires.c.job_id == job_id, fires.c.id.endswith(ending, autoescape=True))
    found = _views(conn.execute(mine.limit(2)).mappings())
    return found[0] if len(found) == 1 else None


def by_ids(conn: Connection, ids: Iterable[str]) -> dict[str, FireView]:
    """The fires of these ids, of whichever jobs."""
    found = _views(conn.execute(_SELECT.where(fires.c.id.in_(list(ids)))).mappings())
    return {each.id: each for each in found}


def on_their_way(conn: Connection, job_ids: Sequence[int], at: datetime) -> list[FireView]:
    """Fires of these jobs that were sent by then and had not ended, the newest first; not all."""
    is_open = sa.and_(fires.c.finished_at.is_(None), fires.c.check_at.is_not(None))
    mine = _SELECT.where(fires.c.job_id.in_(job_ids), fires.c.sent_at <= at)
    open_then = mine.where(sa.or_(is_open, fires.c.finished_at >= at))
    newest = open_then.order_by(fires.c.fire_at.desc(), fires.c.id.desc())
    return _views(conn.execute(newest.limit(_ON_THEIR_WAY)).mappings())


def counts(conn: Connection, job_id: int, since: datetime) -> dict[str, int]:
    """How many instants of a job there were in each state since then."""
    many = sa.func.sum(sa.func.coalesce(fires.c.count, 1))
    query = sa.select(fires.c.state, many).where(fires.c.job_id == job_id, fires.c.fire_at >= since)
    return {row[0]: int(row[1]) for row in conn.execute(query.group_by(fires.c.state))}


def _of(job: int | str) -> Any:
    return named(fires, job, "job_name") if isinstance(job, str) else fires.c.job_id == job


def _views(rows: Iterable[Any]) -> list[FireView]:
    return [FireView(**_known(row)) for row in rows]


def _known(row: Any) -> dict[str, Any]:
    found = dict(row)
    return found | {"slots": _keys(found.pop("rights"))}


def _keys(text: str | None) -> tuple[str, ...]:
    try:
        return Rights.from_text(text).keys if text else ()
    except (ValueError, TypeError, KeyError, AttributeError):  # another release's, or a person's
        return ()


def kept_since(
    conn: Connection, job_id: int, now: datetime, age: float, most: int, least_age: float
) -> datetime:
    """Since when all fires of a job are on record.

    Records are kept for *age* seconds, and the newest *most* of one job; none younger than
    *least_age* seconds is deleted.
    """
    oldest = now - timedelta(seconds=age)
    instants = sa.select(fires.c.fire_at).where(fires.c.job_id == job_id)
    newest = instants.order_by(fires.c.fire_at.desc()).limit(1).offset(most - 1)
    first = conn.execute(newest).scalar()
    if first is None:
        return oldest
    known: datetime = max(oldest, min(first, now - timedelta(seconds=least_age)))
    return known
