"""Claiming: due instants become pending fires and their jobs move on, in one transaction.

What is authoritative: the job's row says what is owed, the unique key of a fire's row says whether
an instant was taken, ``ready_at`` says who may publish it. Any number of beats may call this at
once: each works on rows that it holds, and passes over those of others where the database can.

    beat dies before the commit     nothing happened; the row is still due
    beat dies after the commit      the fires are pending; past ready_at another beat delivers them
    beat lacks what a row needs     it refuses the row, which stays as it is, due for the others
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..clock import TICK
from ..errors import InvalidJob
from ..fire import Fire
from ..job import Job
from ..plan import Plan, awaits_keyword, decide, decided
from . import fires
from .bulk import update_rows
from .fires import Delivery
from .jobs import read_row
from .pages import (
    Claimant,
    Claimed,
    LostClaim,
    Refusal,
    Seen,
    Window,
    confined,
    locked,
    note_error,
    wakes_at,
)
from .planned import EDITED
from .tables import jobs

_ALL = Window()


def claim_due(
    conn: Connection, now: datetime, limit: int, by: Claimant, window: Window = _ALL
) -> Claimed:
    """Take what is due at *now*, at most about *limit* fires; the caller commits.

    Half of it is for what came due newly: a heap of older jobs delays only itself.
    """
    rows, left_from = _due_rows(conn, window, now, limit)
    claimed = Claimed(rows=len(rows), left_from=left_from)
    updates: list[dict[str, Any]] = []
    new: list[tuple[Job, Fire]] = []
    for row in rows:
        if len(new) >= limit:
            claimed.leave(row["wake_at"], now)
            continue
        found = _judged(row, now, by)
        if isinstance(found, Refusal):
            claimed.refused.append(found)
        elif isinstance(found, InvalidJob):
            note_error(conn, row, found)
            claimed.broken.append(found)
        elif not found.job.enabled:
            _resume(conn, row)
        elif _is_over(conn, found, now):
            conn.execute(sa.delete(jobs).where(jobs.c.id == found.job.id))
        else:
            new += [(found.job, fires.fire_of(found.job, owed, now)) for owed in found.plan.fires]
            if found.plan.missed:
                claimed.missed.append((found.job, found.plan.missed))
            updates.append(_advanced(row, found, now))
            claimed.leave(updates[-1]["due_at"], now)
    _write(conn, claimed, new, updates, by, now)
    return claimed


def _due_rows(
    conn: Connection, window: Window, now: datetime, limit: int
) -> tuple[list[RowMapping], datetime | None]:
    """A page of due rows: the newly due first, then the older ones, each from the oldest on.

    And where those begin of the newly due that are left, None when all are on the page.
    """
    since, most = window.since, max(1, limit // 2)
    if since == EDITED:
        return list(locked(conn, _wakes_in(EDITED, now), limit)), None
    newly = locked(conn, _wakes_in(since, now), most)
    older = _wakes_in(EDITED, since)
    if window.ids is not None:
        older = sa.and_(older, jobs.c.id.in_(window.ids))
    left_from = since + TICK if len(newly) == most else None
    return [*newly, *locked(conn, older, limit - len(newly))], left_from


def _wakes_in(after: datetime, until: datetime) -> Any:
    return sa.and_(jobs.c.wake_at > after, jobs.c.wake_at <= until)


@dataclass(frozen=True)
class _Decision:
    """What a job that can be read owes."""

    job: Job
    plan: Plan


def _judged(row: RowMapping, now: datetime, by: Claimant) -> _Decision | Refusal | InvalidJob:
    """What a due row owes; or why this beat leaves it to others, or why nobody can read it."""
    try:
        with confined(row):
            job = read_row(row, by.zone_name)
            if job.enabled and job.lacks:
                seen = Seen(row["wake_at"], row["id"], row["version"])
                return Refusal(seen, job.name, job.lacks)
            job = decided(job, row["wake_at"])
            return _Decision(job, decide(job, now, by.catchup_limit))
    except InvalidJob as error:
        return error.of(row["name"])


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


def _advanced(row: RowMapping, found: _Decision, now: datetime) -> dict[str, Any]:
    job, plan = found.job, found.plan
    return {
        "id": row["id"],
        "version": row["version"],
        "next_fire_at": plan.next_fire_at,
        "due_at": wakes_at(job, plan, now),
        "last_fire_at": plan.fires[-1].fire_at if plan.fires else job.last_fire_at,
        "fire_count": job.fire_count + len(plan.fires),
    }


def _is_over(conn: Connection, found: _Decision, now: datetime) -> bool:
    """Whether a job that deletes itself at its end has come to it, with nothing left open."""
    job, plan = found.job, found.plan
    if job.on_end != "delete" or plan.next_fire_at or plan.fires or plan.missed:
        return False
    return not awaits_keyword(job, now) and not fires.has_open(conn, job.id or 0)


def _resume(conn: Connection, row: RowMapping) -> None:
    """A pause has come to its end: the row is enabled, which makes it edited."""
    awake = {"enabled": True, "paused_at": None, "paused_by": None, "paused_until": None}
    conn.execute(sa.update(jobs).where(jobs.c.id == row["id"]).values(paused_note=None, **awake))
