"""Claiming: due instants become pending fires and their jobs move on, in one transaction.

What is authoritative: the job's row says what is owed, the unique key of a fire's row says whether
an instant was taken, ``ready_at`` says who may publish it. Any number of beats may call this at
once: each works on rows that it holds, and passes over those of others where the database can.

    beat dies before the commit     nothing happened; the row is still due
    beat dies after the commit      the fires are pending; past ready_at another beat delivers them
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..errors import InvalidJob
from ..fire import Fire
from ..job import Job
from ..plan import Plan, awaits_keyword, decide, decided
from . import fires
from .bulk import update_rows
from .fires import Delivery
from .jobs import read_row
from .pages import Claimant, Claimed, LostClaim, confined, locked, refuse, wakes_at
from .planned import EDITED
from .tables import jobs


def claim_due(
    conn: Connection, now: datetime, limit: int, by: Claimant, since: datetime = EDITED
) -> Claimed:
    """Take what is due at *now*, at most about *limit* fires; the caller commits.

    Half of it is for what came due after *since*: a heap of older jobs delays only itself.
    """
    rows = _due_rows(conn, since, now, limit)
    claimed = Claimed()
    updates: list[dict[str, Any]] = []
    new: list[tuple[Job, Fire]] = []
    for row in rows:
        if len(new) >= limit:
            break
        try:
            with confined(row):
                job = read_row(row, by.zone_name)
                job = decided(job, row["wake_at"])
                plan = decide(job, now, by.catchup_limit)
        except InvalidJob as error:
            refuse(conn, row, error)
            claimed.broken.append(error.of(row["name"]))
            continue
        if not job.enabled:
            _resume(conn, row)
        elif _is_over(conn, job, plan, now):
            conn.execute(sa.delete(jobs).where(jobs.c.id == job.id))
        else:
            new += [(job, fires.fire_of(job, owed, now)) for owed in plan.fires]
            if plan.missed:
                claimed.missed.append((job, plan.missed))
            updates.append(_advanced(row, job, plan, now))
    _write(conn, claimed, new, updates, by, now)
    return Claimed(claimed.deliveries, claimed.missed, claimed.broken, len(rows))


def _due_rows(conn: Connection, since: datetime, now: datetime, limit: int) -> list[RowMapping]:
    """A page of due rows: the newly due first, then the older ones, each from the oldest on."""
    newly: Sequence[RowMapping] = ()
    if since > EDITED:
        newly = locked(conn, _wakes_in(since, now), max(1, limit // 2))
        now = since
    return [*newly, *locked(conn, _wakes_in(EDITED, now), limit - len(newly))]


def _wakes_in(after: datetime, until: datetime) -> Any:
    return sa.and_(jobs.c.wake_at > after, jobs.c.wake_at <= until)


def _write(
    conn: Connection,
    claimed: Claimed,
    new: list[tuple[Job, Fire]],
    updates: list[dict[str, Any]],
    by: Claimant,
    now: datetime,
) -> None:
    if new:
        written = fires.insert_pending(conn, [fire for _, fire in new], by.beat, now)
        claimed.deliveries.extend(Delivery(fire, job) for job, fire in new if fire.id in written)
    if claimed.missed:
        fires.insert_missed(conn, claimed.missed, by.beat, now)
    if update_rows(conn, jobs, ("id", "version"), updates) != len(updates):
        raise LostClaim("a due row changed while it was claimed")


def _advanced(row: RowMapping, job: Job, plan: Plan, now: datetime) -> dict[str, Any]:
    return {
        "id": row["id"],
        "version": row["version"],
        "next_fire_at": plan.next_fire_at,
        "due_at": wakes_at(job, plan, now),
        "last_fire_at": plan.fires[-1].fire_at if plan.fires else job.last_fire_at,
        "fire_count": job.fire_count + len(plan.fires),
    }


def _is_over(conn: Connection, job: Job, plan: Plan, now: datetime) -> bool:
    """Whether a job that deletes itself at its end has come to it, with nothing left open."""
    if job.on_end != "delete" or plan.next_fire_at or plan.fires or plan.missed:
        return False
    return not awaits_keyword(job, now) and not fires.has_open(conn, job.id or 0)


def _resume(conn: Connection, row: RowMapping) -> None:
    """A pause has come to its end: the row is enabled, which makes it edited."""
    awake = {"enabled": True, "paused_at": None, "paused_by": None, "paused_until": None}
    conn.execute(sa.update(jobs).where(jobs.c.id == row["id"]).values(paused_note=None, **awake))
