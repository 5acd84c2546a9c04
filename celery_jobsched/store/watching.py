"""Fires that were sent and have not ended: which of them to look after now, and what follows.

``check_at`` is when a beat looks, and who moves it on has the fire in hand meanwhile: what it
finds counts for a row that nobody else took since, and that no report has moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_high
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..fire import FireState, Origin
from ..limits import NO_LIMIT, Rights
from .bulk import update_rows
from .engine import skips_locked
from .planned import EDITED
from .tables import fires, jobs

#: How long a beat has in hand what it looks after; then another one may look.
HELD_FOR = timedelta(seconds=5)

_SOON = timedelta(minutes=1)
#: How many of a job's latest fires tell what is usual, and how many good runs that takes.
_LATEST, _ENOUGH = 50, 5


@dataclass(frozen=True)
class Watched:
    """A fire that a beat looks after."""

    id: str
    job_id: int
    job_name: str
    #: Whether the job's schedule owed it, so that it goes with its job alone.
    is_clock: bool
    #: Any: a row that somebody else ended may still be looked at.
    state: FireState
    #: How often it was published, and when last.
    publishes: int
    sent_at: datetime
    rights: Rights
    #: Its own, where it is not the job's.
    task: str | None
    #: What its row's ``check_at`` is while it is in hand.
    held_until: datetime
    fire_at: datetime = EDITED
    origin: str = ""
    #: When its run began, by its worker's clock.
    started_at: datetime | None = None
    #: What its record says about it already.
    reason: str | None = None


def bring_forward(conn: Connection, now: datetime) -> None:
    """Have looked at soon what lies ahead by a clock that was set back since; twice is fine.

    What is to be delivered at a time of its own, a delayed run, keeps that.
    """
    soon = now + HELD_FOR
    is_put_off = sa.and_(
        fires.c.state == FireState.PENDING.value,
        fires.c.ready_at > now + _SOON,
        fires.c.ready_at > fires.c.due_at,
    )
    conn.execute(sa.update(fires).where(is_put_off).values(ready_at=soon))
    conn.execute(sa.update(fires).where(fires.c.check_at > now + _SOON).values(check_at=soon))


def take_watched(conn: Connection, now: datetime, limit: int) -> list[Watched]:
    """Take at most *limit* fires in hand that are to be looked after *now*, oldest first."""
    query = (
        sa.select(*_COLUMNS)
        .where(fires.c.check_at <= now)
        .order_by(fires.c.check_at)
        .limit(limit)
        .with_for_update(skip_locked=skips_locked(conn))
    )
    rows = conn.execute(query).mappings().all()
    if not rows:
        return []
    until = now + HELD_FOR
    mine = sa.and_(fires.c.id.in_([row["id"] for row in rows]), fires.c.check_at <= now)
    conn.execute(sa.update(fires).where(mine).values(check_at=until))
    return [_watched(row, until) for row in rows]


def look_again(conn: Connection, found: Iterable[tuple[Watched, datetime | None]]) -> None:
    """Look after each at its instant; None: nobody does any more."""
    update_rows(conn, fires, ("id",), [{"id": it.id, "check_at": at} for it, at in found])


def send_again(conn: Connection, found: Sequence[Watched], now: datetime) -> None:
    """Have them delivered again from *now* on: no copy that was made before counts any more."""
    if found:
        again = {"state": FireState.PENDING.value, "ready_at": now, "sent_at": now}
        theirs = fires.c.id.in_([it.id for it in found])
        conn.execute(sa.update(fires).where(theirs).values(check_at=None, **again))


def still_held(conn: Connection, found: Sequence[Watched]) -> set[str]:
    """The ids of those that are as they were taken; nobody moves them in this transaction."""
    if not found:
        return set()
    query = (
        sa.select(fires.c.id, fires.c.state)
        .where(fires.c.id.in_([it.id for it in found]), fires.c.check_at == found[0].held_until)
        .order_by(fires.c.id)
        .with_for_update()
    )
    states = {row.id: row.state for row in conn.execute(query)}
    return {it.id for it in found if states.get(it.id) == it.state.value}


def never_heard(conn: Connection, job_ids: set[int]) -> set[int]:
    """Those jobs of which a fire was sent again, and no worker said a word of any of them."""
    own = sa.exists().where(fires.c.job_id == jobs.c.id)
    is_heard, is_repeated = own.where(fires.c.worker.is_not(None)), own.where(fires.c.publishes > 1)
    query = sa.select(jobs.c.id).where(jobs.c.id.in_(job_ids), ~is_heard, is_repeated)
    return set(conn.execute(query).scalars())


def usual_time(conn: Connection, job_id: int) -> timedelta | None:
    """The median of what the latest good runs of a job took; None where there are few."""
    columns = (fires.c.state, fires.c.task, fires.c.started_at, fires.c.finished_at)
    latest = sa.select(*columns).where(fires.c.job_id == job_id).order_by(fires.c.fire_at.desc())
    took = []
    for state, task, *span in conn.execute(latest.limit(_LATEST)):
        started_at, finished_at = map(_instant, span)
        if state == FireState.SUCCEEDED.value and task is None and started_at and finished_at:
            took.append(finished_at - started_at)
    return median_high(took) if len(took) >= _ENOUGH else None


def give_reason(conn: Connection, fire: Watched, reason: str) -> bool:
    """Note a word about a run, if it goes on and nobody noted another one; whether that was so."""
    goes_on = sa.and_(fires.c.id == fire.id, fires.c.state == FireState.STARTED.value)
    is_former = fires.c.reason.is_(None) if fire.reason is None else fires.c.reason == fire.reason
    mine = sa.update(fires).where(goes_on, is_former)
    return bool(conn.execute(mine.values(reason=reason)).rowcount)


def _watched(row: Any, until: datetime) -> Watched:
    return Watched(
        id=row["id"],
        job_id=row["job_id"],
        job_name=row["job_name"],
        is_clock=row["origin"] in _OF_THE_CLOCK,
        state=_state(row["state"]),
        publishes=row["publishes"] if isinstance(row["publishes"], int) else 1,
        sent_at=_instant(row["sent_at"]) or EDITED,
        rights=_rights(row["rights"]),
        task=row["task"],
        held_until=until,
        fire_at=row["fire_at"],
        origin=row["origin"],
        started_at=_instant(row["started_at"]),
        reason=row["reason"],
    )


def _instant(found: Any) -> datetime | None:
    """SQLite keeps whatever was written there."""
    return found if isinstance(found, datetime) else None


def _state(text: str) -> FireState:
    try:
        return FireState(text)
    except ValueError:  # another release knows it: none of our business
        return FireState.CANCELLED


def _rights(text: str | None) -> Rights:
    try:
        return Rights.from_text(text) if text else NO_LIMIT
    except (ValueError, TypeError, KeyError, AttributeError):
        return NO_LIMIT


_OF_THE_CLOCK = {origin.value for origin in Origin if origin.is_clock}
_ROW = (
    "id", "job_id", "job_name", "fire_at", "origin", "state", "publishes", "sent_at", "started_at",
    "rights", "task", "reason",
)  # fmt: skip
_COLUMNS = tuple(fires.c[name] for name in _ROW)
