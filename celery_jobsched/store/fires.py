"""The fires: outbox while pending, history when finished, dedupe by their unique key.

``ready_at`` is the only ownership: who takes a pending fire moves it on by compare-and-set, and
past it any beat may take it. It is null for all that nobody has to deliver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ..errors import InvalidJob, printable, shown
from ..fields import to_json
from ..fire import Fire, FireState, Origin, clock_key, new_id, oldest_id
from ..job import Job
from ..plan import Missed, Owed
from . import jobs
from .bulk import insert_rows
from .engine import database_now, skips_locked
from .planned import EDITED
from .tables import changes, fires

#: How long a claim or a take-over owns its fires; then any beat may deliver them.
OWNED_FOR = timedelta(seconds=1.5)


@dataclass(frozen=True)
class Delivery:
    """A fire to publish and the job as it is now; no job when it is gone or cannot be read."""

    fire: Fire
    job: Job | None
    problem: str | None = None


def fire_of(job: Job, owed: Owed, now: datetime) -> Fire:
    """The fire of an instant that *job* owes."""
    if job.id is None:
        raise ValueError(f"expected a job with a row, {job.name!r} has none")
    return Fire(
        id=new_id(now),
        job_id=job.id,
        job_name=job.name,
        key=clock_key(owed.fire_at),
        fire_at=owed.fire_at,
        due_at=owed.due_at,
        origin=owed.origin,
    )


def insert_pending(conn: Connection, new: Sequence[Fire], beat: str, now: datetime) -> set[str]:
    """Write claimed fires as pending, owned by this beat for a while; the ids of those written.

    One that exists already is left as it is and does not spoil the others.
    """
    return _insert_new(conn, [_pending_row(fire, beat, now + OWNED_FOR) for fire in new])


def insert_ready(conn: Connection, new: Sequence[Fire], now: datetime) -> set[str]:
    """Write fires that any beat may deliver from *now* on; else as :func:`insert_pending`."""
    own = [{"args": _json(fire.args), "kwargs": _json(fire.kwargs)} for fire in new]
    rows = [_pending_row(fire, None, now) | more for fire, more in zip(new, own, strict=True)]
    return _insert_new(conn, rows)


def insert_missed(
    conn: Connection, found: Sequence[tuple[Job, Missed]], beat: str, now: datetime
) -> None:
    """Write what was missed: one row for each run of instants, with the reason and a count."""
    _insert_new(conn, [_missed_row(job, missed, beat, now) for job, missed in found])


def take_ready(conn: Connection, now: datetime, limit: int, zone_name: str) -> list[Delivery]:
    """Take over at most *limit* pending fires that nobody owns any more, oldest first."""
    query = (
        sa.select(fires)
        .where(fires.c.ready_at <= now, fires.c.state == FireState.PENDING.value)
        .order_by(fires.c.ready_at, fires.c.id)
        .limit(limit)
        .with_for_update(skip_locked=skips_locked(conn))
    )
    rows = conn.execute(query).mappings().all()
    if not rows:
        return []
    taken = fires.c.id.in_([row["id"] for row in rows])
    conn.execute(
        sa.update(fires)
        .where(taken, fires.c.ready_at <= now)
        .values(ready_at=now + OWNED_FOR, publishes=fires.c.publishes + 1)
    )
    known = jobs.by_id(conn, {row["job_id"] for row in rows}, zone_name)
    return [_delivery(row, known.get(row["job_id"])) for row in rows]


def mark_sent(conn: Connection, ids: Sequence[str]) -> None:
    """Note that the broker has these fires."""
    _move(conn, ids, FireState.SENT, sent_at=database_now())


def mark_failed(conn: Connection, problems: Sequence[tuple[str, str]]) -> None:
    """Note fires that can never be published, each with its error."""
    for id_, problem in problems:
        said = printable(problem[:2000])
        _move(conn, [id_], FireState.FAILED, finished_at=database_now(), error=said)


def mark_cancelled(conn: Connection, ids: Sequence[str], reason: str) -> None:
    """Note fires whose job no longer wants them."""
    _move(conn, ids, FireState.CANCELLED, finished_at=database_now(), reason=reason)


def put_back(
    conn: Connection, ids: Sequence[str], owned_until: datetime, ready_at: datetime
) -> None:
    """Leave fires pending, to be taken again at *ready_at*: what came of them is unknown.

    Those that another beat took when *owned_until* had passed are left to it.
    """
    if ids:
        mine = sa.and_(fires.c.id.in_(ids), fires.c.ready_at <= owned_until)
        conn.execute(sa.update(fires).where(mine).values(ready_at=ready_at))


def has_open(conn: Connection, job_id: int) -> bool:
    """Whether fires of the job still have to be delivered."""
    waiting = sa.select(fires.c.id).where(fires.c.job_id == job_id, fires.c.ready_at.is_not(None))
    return conn.execute(waiting.limit(1)).first() is not None


def prune(conn: Connection, before: datetime, limit: int) -> int:
    """Delete at most *limit* finished records made before *before*; how many there were."""
    old = (
        sa.select(fires.c.id)
        .where(fires.c.id < oldest_id(before), fires.c.ready_at.is_(None))
        .order_by(fires.c.id)
        .limit(limit)
    )
    ids = conn.execute(old).scalars().all()
    if ids:
        conn.execute(sa.delete(fires).where(fires.c.id.in_(ids)))
    return len(ids)


def prune_changes(conn: Connection, before: datetime, limit: int) -> None:
    """Delete those of the *limit* oldest records of changes that were made before *before*."""
    oldest = sa.select(changes.c.id).order_by(changes.c.id).limit(limit).subquery()
    old = sa.and_(changes.c.id.in_(sa.select(oldest.c.id)), changes.c.changed_at < before)
    conn.execute(sa.delete(changes).where(old))


def _insert_new(conn: Connection, rows: list[dict[str, Any]]) -> set[str]:
    """Insert those that are not there by their key; the ids of these."""
    try:
        with conn.begin_nested():
            insert_rows(conn, fires, rows)
    except IntegrityError:
        known = _existing(conn, {(row["job_id"], row["key"]) for row in rows})
        rows = [row for row in rows if (row["job_id"], row["key"]) not in known]
        insert_rows(conn, fires, rows)
    return {row["id"] for row in rows}


def _json(value: Any) -> str | None:
    return None if value is None else to_json(value)


def _move(conn: Connection, ids: Sequence[str], state: FireState, **values: Any) -> None:
    if ids:
        mine = sa.and_(fires.c.id.in_(ids), fires.c.state == FireState.PENDING.value)
        moved = sa.update(fires).where(mine)
        conn.execute(moved.values(state=state.value, ready_at=None, **values))


def _pending_row(fire: Fire, beat: str | None, ready_at: datetime) -> dict[str, Any]:
    return {
        "id": fire.id,
        "job_id": fire.job_id,
        "job_name": fire.job_name,
        "key": fire.key,
        "fire_at": fire.fire_at,
        "due_at": fire.due_at,
        "origin": fire.origin.value,
        "state": FireState.PENDING.value,
        "ready_at": ready_at,
        "publishes": fire.publishes,
        "beat": beat,
    }


def _missed_row(job: Job, missed: Missed, beat: str, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(now),
        "job_id": job.id,
        "job_name": job.name,
        "key": f"missed {clock_key(missed.fire_at)}",
        "fire_at": missed.fire_at,
        "until_at": missed.until_at,
        "count": missed.count,
        "origin": Origin.SCHEDULE.value,
        "state": FireState.MISSED.value,
        "reason": f"late: misfire = {job.misfire or 'once'}",
        "publishes": 0,
        "beat": beat,
        "finished_at": now,
    }


def _existing(conn: Connection, keys: set[tuple[int, str]]) -> set[tuple[int, str]]:
    found = sa.select(fires.c.job_id, fires.c.key).where(
        fires.c.job_id.in_({job_id for job_id, _ in keys}),
        fires.c.key.in_({key for _, key in keys}),
    )
    return {(job_id, key) for job_id, key in conn.execute(found)} & keys


def _delivery(row: Any, job: Job | InvalidJob | None) -> Delivery:
    try:
        fire = _fire(row)
    except Exception as error:  # noqa: BLE001 - one record that cannot be read fails alone
        fire = replace(_UNREADABLE, id=row["id"], job_id=row["job_id"], job_name=row["job_name"])
        return Delivery(fire, None, f"expected a readable record, got: {shown(error)}")
    if isinstance(job, InvalidJob):
        return Delivery(fire, None, job.sentence)
    return Delivery(fire, job)


def _fire(row: Any) -> Fire:
    return Fire(
        id=row["id"],
        job_id=row["job_id"],
        job_name=row["job_name"],
        key=row["key"],
        fire_at=row["fire_at"],
        due_at=row["due_at"] or row["fire_at"],
        origin=Origin(row["origin"]),
        publishes=row["publishes"] + 1,
        args=jobs.loads(row["args"]),
        kwargs=jobs.loads(row["kwargs"]),
    )


_UNREADABLE = Fire("", 0, "", "", EDITED, EDITED, Origin.SCHEDULE)
