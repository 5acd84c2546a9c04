"""Planning: an edited row is read, and gets its next instant or an error, under one lock.

The past of an edit ends where it was first seen: nothing fires for before it, and nothing that
came due since is lost while a heap of edits is worked off.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..clock import TICK
from ..errors import InvalidJob
from ..job import Job
from ..plan import Plan, plan_from, plan_kept, plan_new
from .bulk import update_rows
from .calendars import named_by
from .changes import note_edits
from .engine import GARBLED, database_now
from .jobs import RULES_TEXT, SCHEDULE_TEXT, WOKEN, read_row
from .pages import (
    Claimant,
    Claimed,
    LostClaim,
    Row,
    confined,
    in_error,
    locked,
    note_whole,
    wakes_at,
)
from .planned import EDITED
from .tables import jobs

_TEXTS = (SCHEDULE_TEXT.label("schedule_text"), RULES_TEXT.label("rules_text"))

#: How long ago an instant may lie that an edit wrote, and still be fired.
_JUST_NOW = timedelta(seconds=5)
#: A look that is older may have been before the edit.
_LONG_AGO = timedelta(seconds=0.5)


def plan_edited(
    conn: Connection, now: datetime, since: datetime, limit: int, by: Claimant
) -> Claimed:
    """Plan at most *limit* edited rows; the past of an edit ends at *since*. The caller commits.

    Where that is *now*, and long ago meanwhile, it ends at this moment: a row may have been edited
    since then. Fires nothing: what came due meanwhile is claimed by the next poll.
    """
    rows = locked(conn, jobs.c.wake_at == EDITED, limit, jobs.c.planned, jobs.c.due_at, *_TEXTS)
    if rows and since == now:
        since = _end_of_past(conn, now)
    named = named_by(conn, rows)
    planned = Claimed(rows=len(rows))
    updates, edits, refused, enabled = [], [], [], []
    for row in rows:
        try:
            with confined(row):
                _require_readable(row)
                job = read_row(row, by.zone_name, named)
                job.check()
                replanned = _replanned(row, job, _plan_of(row, job, since), now)
                is_former = _is_of_a_former_pause(row, job, now)
            if is_former:
                ended = sa.update(jobs).where(jobs.c.id == row["id"])
                conn.execute(ended.values(paused_until=None))
                continue
            updates.append(replanned)
            if job.failure_count and _is_enabled_again(row, job):
                enabled.append(row["id"])
            planned.leave(replanned["due_at"], now)
        except InvalidJob as error:
            planned.broken.append(error.of(row["name"]))
            refused.append(row["id"])
            updates.append(in_error(row, error))
        if row["planned"]:
            edits.append(row["id"])
    note_edits(conn, edits, now)
    if update_rows(conn, jobs, ("id", "version"), updates) != len(updates):
        raise LostClaim("an edited row changed while it was planned")
    note_whole(conn, refused)
    if enabled:
        conn.execute(sa.update(jobs).where(jobs.c.id.in_(enabled)).values(failure_count=0))
    return planned


def _end_of_past(conn: Connection, now: datetime) -> datetime:
    moment: datetime = conn.execute(sa.select(database_now())).scalar_one()
    return moment if moment - now > _LONG_AGO else now


def _plan_of(row: Row, job: Job, since: datetime) -> Plan:
    if row["planned"] is None:
        return plan_new(job)
    if job.enabled and job.next_fire_at and _keeps_schedule(row):
        return plan_kept(job)
    if row["planned"] == WOKEN and job.next_fire_at:
        # Nobody edited it: what came due since it was woken is owed all the same.
        since = min(since, job.next_fire_at - TICK)
    if _is_undecided(row, job) and _keeps_schedule(row):
        since = min(since, row["due_at"] - TICK)
    if _is_just_written(row, job):
        since -= _JUST_NOW
    return plan_from(job, since)


def _is_just_written(row: Row, job: Job) -> bool:
    """Whether the edit wrote instants: `UPDATE … SET once = now()` means now, not the past."""
    repeats = job.every or job.cron or job.rrule or job.celery or job.custom
    planned, written = row["planned"], f"once={row['once']}\n"
    is_known = not isinstance(planned, str) or planned == WOKEN or written in planned
    return bool(job.once and not repeats and not is_known)


def _is_undecided(row: Row, job: Job) -> bool:
    """Whether the row was planned where its trigger is not known, and nobody decided on it yet."""
    return bool(job.enabled and job.custom and not job.next_fire_at and row["due_at"])


def _keeps_schedule(row: Row) -> bool:
    """Whether the edit left alone what says when: then what is due stays due."""
    planned = row["planned"]
    return isinstance(planned, str) and planned.startswith(row["schedule_text"] + "enabled=")


def _replanned(row: Row, job: Job, plan: Plan, now: datetime) -> dict[str, Any]:
    return {
        "id": row["id"],
        "version": row["version"],
        "planned": row["schedule_text"] + row["rules_text"],
        "error": None,
        "anchor_at": job.starts_at or job.first_past,
        "next_fire_at": plan.next_fire_at,
        "due_at": wakes_at(job, plan, now),
    }


def _require_readable(row: Row) -> None:
    if _is_garbled(row):
        name, value = next(each for each in row.items() if _holds_garbled(each[1]))
        raise InvalidJob(str(name), value, "text in UTF-8")


def _holds_garbled(value: Any) -> bool:
    return isinstance(value, bytes) or (isinstance(value, str) and value.startswith(GARBLED))


def _is_garbled(row: Row) -> bool:
    return any(row[name].startswith(GARBLED) for name in ("schedule_text", "rules_text"))


def _is_of_a_former_pause(row: Row, job: Job, now: datetime) -> bool:
    """Whether ``paused_until`` was over before the row was disabled: then it wakes nothing."""
    if job.enabled or job.paused_until is None or job.paused_until > now or not row["planned"]:
        return False
    disabled, _, rest = row["rules_text"].partition("\n")
    ending = rest[rest.rindex("paused_until=") :]
    return disabled not in row["planned"] and row["planned"].endswith(ending)


def _is_enabled_again(row: Row, job: Job) -> bool:
    """Whether the edit ended a pause: what failed before it is forgiven."""
    planned, is_enabled = row["planned"], row["rules_text"].partition("\n")[0]
    return bool(job.enabled and planned and is_enabled not in planned)
