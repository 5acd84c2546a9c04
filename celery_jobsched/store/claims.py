"""Claiming: due instants become pending fires and their jobs move on, in one transaction.

What is authoritative: the job's row says what is owed, the unique key of a fire's row says whether
an instant was taken, ``ready_at`` says who may publish it. Any number of beats may call this at
once: each works on rows that it holds, and passes over those of others where the database can.

    beat dies before the commit     nothing happened; the row is still due
    beat dies after the commit      the fires are pending; past ready_at another beat delivers them
    beat lacks what a row needs     it refuses the row, which stays as it is, due for the others
    beat has a filter               it reads a page without a lock, asks, and locks what it may fire
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..clock import TICK
from ..errors import InvalidJob
from ..job import Job
from ..plan import Plan, awaits_keyword, decide, decided
from . import fires
from .bulk import update_rows
from .calendars import named_by
from .declared import GONE, RETIRED, SYNC
from .deliveries import Delivery
from .jobs import ROW, read_row
from .pages import (
    DIGEST,
    Claimant,
    Claimed,
    LostClaim,
    Page,
    Refusal,
    Row,
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
_DUE = (jobs.c.wake_at, jobs.c.source)
_Read = Callable[[Connection, Any, int], Sequence[Row]]


def claim_due(
    conn: Connection, now: datetime, limit: int, by: Claimant, window: Window = _ALL
) -> Claimed:
    """Take what is due at *now*, at most about *limit* fires; the caller commits.

    Half of it is for what came due newly: a heap of older jobs delays only itself.
    """
    rows, left_from = _due_rows(conn, window, now, limit, _lock)
    claimed = Claimed(rows=len(rows), left_from=left_from)
    _claim(conn, rows, claimed, now, limit, by)
    return claimed


def read_due(
    conn: Connection, now: datetime, limit: int, by: Claimant, window: Window = _ALL
) -> Page:
    """What :func:`claim_due` would look at, read without a lock, for a filter to be asked first."""
    rows, left_from = _due_rows(conn, window, now, limit, _read)
    named = named_by(conn, rows)
    page = Page(left_from=left_from)
    for row in rows:
        seen, found = _seen(row), _job_of(row, named, by)
        if isinstance(found, Refusal):
            page.refused.append(found)
        elif isinstance(found, InvalidJob) or not found.enabled:
            page.others.append(seen)
        else:
            page.jobs[seen] = found
    return page


def claim_chosen(
    conn: Connection, now: datetime, limit: int, by: Claimant, chosen: Sequence[Seen]
) -> Claimed:
    """Take these rows of a page, in their order, as :func:`claim_due` does; the caller commits.

    One that changed since the page was read is left, to be asked about anew.
    """
    among = jobs.c.id.in_([seen.id for seen in chosen])
    rows = locked(conn, sa.and_(among, _wakes_in(EDITED, now)), len(chosen), *_DUE, DIGEST)
    claimed, found = Claimed(rows=len(rows)), {_seen(row): row for row in rows}
    for seen in found.keys() - set(chosen):
        claimed.leave(seen.wake_at, now)
    _claim(conn, [found[seen] for seen in chosen if seen in found], claimed, now, limit, by)
    return claimed


def at_a_glance(conn: Connection, ids: Sequence[int]) -> set[Seen]:
    """The rows of these ids as they are now; nothing is locked."""
    query = sa.select(jobs.c.wake_at, jobs.c.id, jobs.c.version).where(jobs.c.id.in_(ids))
    return {Seen(*row) for row in conn.execute(query)} if ids else set()


def _claim(
    conn: Connection,
    rows: Sequence[Row],
    claimed: Claimed,
    now: datetime,
    limit: int,
    by: Claimant,
) -> None:
    """Decide on rows that this transaction holds, write what they owe, and move them on."""
    named = named_by(conn, rows)
    decisions: list[_Decision] = []
    count = 0
    for row in rows:
        if count >= limit:
            claimed.leave(row["wake_at"], now)
            continue
        found = _judged(row, named, now, by)
        if isinstance(found, Refusal):
            claimed.refused.append(found)
        elif isinstance(found, InvalidJob):
            note_error(conn, row, found)
            claimed.broken.append(found)
        elif not found.job.enabled:
            _resume(conn, row)
        elif _is_over(conn, found, now):
            conn.execute(sa.delete(jobs).where(jobs.c.id == row["id"]))
        else:
            decisions.append(found)
            count += len(found.plan.fires)
    _write(conn, claimed, decisions, by, now)


def _due_rows(
    conn: Connection, window: Window, now: datetime, limit: int, read: _Read
) -> tuple[list[Row], datetime | None]:
    """A page of due rows: the newly due first, then the older ones, each from the oldest on.

    And where those begin of the newly due that are left, None when all are on the page.
    """
    since, most = window.since, max(1, limit // 2)
    if since == EDITED:
        return list(read(conn, _wakes_in(EDITED, now), limit)), None
    newly = read(conn, _wakes_in(since, now), most)
    left_from = since + TICK if len(newly) == most else None
    older, room = _wakes_in(EDITED, since), limit - len(newly)
    if window.ids is not None:
        # The round is beyond all of them: what there is no room for must be seen to be left.
        older, room = sa.and_(older, jobs.c.id.in_(window.ids)), len(window.ids)
    return [*newly, *read(conn, older, room)], left_from


def _lock(conn: Connection, wanted: Any, limit: int) -> Sequence[Row]:
    return locked(conn, wanted, limit, *_DUE)


def _read(conn: Connection, wanted: Any, limit: int) -> Sequence[Row]:
    """As :func:`_lock`, without a lock."""
    query = sa.select(*ROW, *_DUE, DIGEST).where(wanted)
    return conn.execute(query.order_by(jobs.c.wake_at).limit(limit)).mappings().all()


def _seen(row: Row) -> Seen:
    return Seen(row["wake_at"], row["id"], row["version"], row.get("digest"))


def _wakes_in(after: datetime, until: datetime) -> Any:
    return sa.and_(jobs.c.wake_at > after, jobs.c.wake_at <= until)


@dataclass(frozen=True)
class _Decision:
    """What a job that can be read owes, and its row."""

    row: Row
    job: Job
    plan: Plan


def _judged(
    row: Row, named: Mapping[str, Any], now: datetime, by: Claimant
) -> _Decision | Refusal | InvalidJob:
    """What a due row owes; or why this beat leaves it to others, or why nobody can read it."""
    found = _job_of(row, named, by)
    if not isinstance(found, Job):
        return found
    try:
        with confined(row):
            job = decided(found, row["wake_at"])
            return _Decision(row, job, decide(job, now, by.catchup_limit))
    except InvalidJob as error:
        return error.of(row["name"])


def _job_of(row: Row, named: Mapping[str, Any], by: Claimant) -> Job | Refusal | InvalidJob:
    """The job of a due row; or why this beat leaves it to others, or why nobody can read it."""
    try:
        with confined(row):
            job = read_row(row, by.zone_name, named)
            lacks = job.lacks if job.enabled else None
    except InvalidJob as error:
        return error.of(row["name"])
    return job if lacks is None else Refusal(_seen(row), job.name, f"{lacks} here")


def _write(
    conn: Connection,
    claimed: Claimed,
    decisions: Sequence[_Decision],
    by: Claimant,
    now: datetime,
) -> None:
    """Insert fires and what was missed, and move the jobs on."""
    owing = [(each.job, owed) for each in decisions for owed in each.plan.fires]
    new = [
        Delivery(fires.fire_of(job, owed, now, place), job)
        for place, (job, owed) in enumerate(owing)
    ]
    if new:
        ours = [each.fire for each in new]
        written = fires.insert_pending(conn, ours, by.beat, now, by.tenure.length)
        claimed.deliveries.extend(each for each in new if each.fire.id in written)
    claimed.missed.extend((each.job, each.plan.missed) for each in decisions if each.plan.missed)
    if claimed.missed:
        fires.insert_missed(conn, claimed.missed, by.beat, now)
    updates = [_advanced(each, now) for each in decisions]
    for each in updates:
        claimed.leave(each["due_at"], now)
    if update_rows(conn, jobs, ("id", "version"), updates) != len(updates):
        raise LostClaim("a due row changed while it was claimed")


def _advanced(found: _Decision, now: datetime) -> dict[str, Any]:
    job, plan = found.job, found.plan
    return {
        "id": found.row["id"],
        "version": found.row["version"],
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


def _resume(conn: Connection, row: Row) -> None:
    """A pause has come to its end: the row is enabled, which makes it edited.

    One that its configuration declares no longer stays disabled, by the sync from now on.
    """
    awake: dict[str, Any] = {"paused_at": None, "paused_by": None, "paused_note": None}
    if str(row["source"]).startswith(GONE):
        awake = {"paused_by": SYNC, "paused_note": RETIRED}
    else:
        awake["enabled"] = True
    mine = sa.update(jobs).where(jobs.c.id == row["id"])
    conn.execute(mine.values(paused_until=None, **awake))
