"""The fires: outbox while pending, history when finished, dedupe by their unique key.

``ready_at`` is the only ownership: who takes a pending fire moves it on by compare-and-set, and
past it any beat may take it. It is null for all that nobody has to deliver.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ..fields import to_json
from ..fire import Fire, FireState, Origin, clock_key, new_id
from ..job import Job
from ..limits import NO_LIMIT, Rights
from ..plan import Missed, Owed
from ..tenure import OWNED_FOR
from .bulk import in_pages, insert_rows, update_rows
from .deliveries import Delivery, deliveries_of
from .engine import database_now, skips_locked
from .tables import fires

#: Of a fire that nobody delivers, that waits for no slot, and that no beat looks after.
IS_OVER = sa.and_(
    fires.c.ready_at.is_(None), fires.c.waiting_for.is_(None), fires.c.check_at.is_(None)
)


def fire_of(job: Job, owed: Owed, now: datetime, place: int | None = None) -> Fire:
    """The fire of an instant that *job* owes; *place*: in the order of those made *now*."""
    if job.id is None:
        raise ValueError(f"expected a job with a row, {job.name!r} has none")
    return Fire(
        id=new_id(now, place),
        job_id=job.id,
        job_name=job.name,
        key=clock_key(owed.fire_at),
        fire_at=owed.fire_at,
        due_at=owed.due_at,
        origin=owed.origin,
    )


def insert_pending(
    conn: Connection,
    new: Sequence[Fire],
    beat: str,
    now: datetime,
    owned_for: timedelta = OWNED_FOR,
) -> set[str]:
    """Write claimed fires as pending, owned by this beat for a while; the ids of those written.

    One that exists already is left as it is and does not spoil the others.
    """
    return _insert_new(conn, [_pending_row(fire, beat, now + owned_for) for fire in new])


def insert_ready(
    conn: Connection, new: Sequence[Fire], now: datetime, reason: str | None = None
) -> set[str]:
    """Write fires that any beat may deliver from *now* on, or from when they are due, if later.

    *reason*: who wanted them, and why. Else as :func:`insert_pending`.
    """
    rows = [
        _pending_row(fire, None, max(now, fire.due_at))
        | {"args": _json(fire.args), "kwargs": _json(fire.kwargs), "reason": reason}
        for fire in new
    ]
    return _insert_new(conn, rows)


def free_keys(conn: Connection, job_id: int, keys: Sequence[str]) -> None:
    """Let fires of *keys* be made anew where those on record will not run; these are known by id.

    One of which a beat may have published a copy keeps its own: the copy may arrive yet. Who calls
    it holds the job's row.
    """
    unsent = sa.or_(
        sa.and_(fires.c.state == FireState.SKIPPED.value, fires.c.publishes <= 1),
        sa.and_(fires.c.state == FireState.CANCELLED.value, fires.c.publishes == 0),
    )
    for page in in_pages(keys):
        mine = sa.and_(fires.c.job_id == job_id, fires.c.key.in_(page), unsent)
        conn.execute(sa.update(fires).where(mine).values(key=fires.c.id))


def insert_missed(
    conn: Connection, found: Sequence[tuple[Job, Missed]], beat: str, now: datetime
) -> None:
    """Write what was missed: one row for each run of instants, with the reason and a count."""
    _insert_new(conn, [_missed_row(job, missed, beat, now) for job, missed in found])


def take_ready(
    conn: Connection,
    now: datetime,
    limit: int,
    zone_name: str,
    owned_for: timedelta = OWNED_FOR,
) -> list[Delivery]:
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
        .values(ready_at=now + owned_for, publishes=fires.c.publishes + 1)
    )
    return deliveries_of(conn, rows, zone_name)


def mark_sent(
    conn: Connection,
    ids: Sequence[str],
    check_at: datetime | None = None,
    rights: Rights = NO_LIMIT,
) -> None:
    """Note that the broker has these fires, whose runs need *rights*.

    A beat looks after them at *check_at*, unless a worker says by then how they ended; None: no
    beat ever does.
    """
    said = rights.to_text() if rights.limits else None
    moved = _move(conn, ids, FireState.SENT, sent_at=database_now(), rights=said, check_at=check_at)
    if moved < len(ids):
        _note_overtaken(conn, ids)


def mark_limited(conn: Connection, sent: Sequence[tuple[str, Rights, datetime]]) -> None:
    """The same for fires that each need their own, in two statements: id, rights, check_at."""
    pending = FireState.PENDING.value
    own = [
        {"id": id_, "state": pending, "rights": rights.to_text(), "check_at": check_at}
        for id_, rights, check_at in sent
    ]
    ids = [id_ for id_, *_ in sent]
    update_rows(conn, fires, ("id", "state"), own)
    if _move(conn, ids, FireState.SENT, sent_at=database_now()) < len(ids):
        rights_of = [{"id": id_, "rights": rights.to_text()} for id_, rights, _ in sent]
        update_rows(conn, fires, ("id",), rights_of)
        _note_overtaken(conn, ids)


def mark_cancelled(conn: Connection, ids: Sequence[str], reason: str) -> None:
    """Note fires whose job no longer wants them, and that this time they were not published."""
    over: Any = {"finished_at": database_now(), "publishes": fires.c.publishes - 1}
    _move(conn, ids, FireState.CANCELLED, reason=reason, **over)


def put_back(
    conn: Connection, ids: Sequence[str], owned_until: datetime, ready_at: datetime
) -> None:
    """Leave fires pending, to be taken again at *ready_at*: what came of them is unknown.

    Those that another beat took when *owned_until* had passed are left to it.
    """
    if ids:
        mine = sa.and_(fires.c.id.in_(ids), fires.c.ready_at <= owned_until)
        conn.execute(sa.update(fires).where(mine).values(ready_at=ready_at))


def give_back(conn: Connection, ids: Sequence[str], owned_until: datetime, now: datetime) -> None:
    """Leave fires that were taken and not published, to whoever takes them next, at once.

    Once: a commit of which nobody knows whether it counted is tried again.
    """
    if ids:
        mine = sa.and_(
            fires.c.id.in_(ids),
            fires.c.ready_at == owned_until,
            fires.c.state == FireState.PENDING.value,
        )
        left: Any = {"ready_at": now, "publishes": fires.c.publishes - 1}
        conn.execute(sa.update(fires).where(mine).values(left))


def has_open(conn: Connection, job_id: int) -> bool:
    """Whether anything is still expected of fires of the job."""
    found = sa.select(fires.c.id).where(fires.c.job_id == job_id, sa.not_(IS_OVER)).limit(1)
    return conn.execute(found).first() is not None


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


def _move(conn: Connection, ids: Sequence[str], state: FireState, **values: Any) -> int:
    """Move those of *ids* that are pending; how many they were."""
    if not ids:
        return 0
    mine = sa.and_(fires.c.id.in_(ids), fires.c.state == FireState.PENDING.value)
    over = {"state": state.value, "ready_at": None, "waiting_for": None}
    moved = sa.update(fires).where(mine).values({**over, **values})
    return int(conn.execute(moved).rowcount)


def _note_overtaken(conn: Connection, ids: Sequence[str]) -> None:
    """Note that fires were sent of which a worker had said that they run before it was marked."""
    overtaken = sa.and_(fires.c.id.in_(ids), fires.c.sent_at.is_(None))
    conn.execute(sa.update(fires).where(overtaken).values(sent_at=database_now()))


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
        "task": fire.task,
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
    found: set[tuple[int, str]] = set()
    for page in in_pages(list(keys)):
        these = sa.select(fires.c.job_id, fires.c.key).where(
            fires.c.job_id.in_({job_id for job_id, _ in page}),
            fires.c.key.in_({key for _, key in page}),
        )
        found |= {(job_id, key) for job_id, key in conn.execute(these)}
    return found & keys
