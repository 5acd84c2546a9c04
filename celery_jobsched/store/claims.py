"""Claiming: due instants become pending fires and their jobs move on, in one transaction.

What is authoritative: the job's row says what is owed, the unique key of a fire's row says whether
an instant was taken, ``ready_at`` says who may publish it. Any number of beats may call these
functions at once; rows that another one holds are passed over where the database can do that, and
each update names the version it read.

    beat dies before the commit     nothing happened; the row is still due
    beat dies after the commit      the fires are pending; past ready_at another beat delivers them
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..clock import TICK
from ..errors import InvalidJob, JobschedError, shown
from ..fire import Fire
from ..job import Job
from ..plan import Missed, Plan, decide, plan_from, plan_kept, plan_new
from . import fires
from .bulk import insert_rows, update_rows
from .engine import GARBLED, database_now, skips_locked
from .fires import Delivery
from .jobs import DETAILS_TEXT, ROW, RULES_TEXT, SCHEDULE_TEXT, WOKEN, read_row
from .planned import EDITED
from .tables import changes, jobs
from .tables import fires as fires_table

_TEXTS = ("schedule_text", "rules_text")

#: How long ago an instant may lie that an edit wrote, and still be fired.
_JUST_NOW = timedelta(seconds=5)
#: How long a job that has ended and is to be deleted waits for its open fires.
_LOOK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Poll:
    """What there is to do, by the database's own clock."""

    now: datetime
    next_wake_at: datetime | None
    next_ready_at: datetime | None
    has_edited: bool

    @property
    def is_due(self) -> bool:
        """Whether a job is due."""
        return self.next_wake_at is not None and self.next_wake_at <= self.now


@dataclass(frozen=True)
class Claimant:
    """Who claims, and by which rules of the configuration."""

    beat: str
    zone_name: str = "UTC"
    catchup_limit: int = 100


@dataclass(frozen=True)
class Claimed:
    """What one transaction claimed: fires to deliver, and what there is to tell about the rest."""

    deliveries: list[Delivery] = field(default_factory=list)
    missed: list[tuple[Job, Missed]] = field(default_factory=list)
    broken: list[InvalidJob] = field(default_factory=list)
    rows: int = 0


class LostClaim(JobschedError):
    """A row changed under its lock: nothing of this claim counts."""


def poll(conn: Connection) -> Poll:
    """Look at the ends of three index ranges: due, edited, to deliver. One round trip."""
    row = conn.execute(_POLL).one()
    wake_at, ready_at = (_look_at(at, row.now) for at in (row.next_wake_at, row.next_ready_at))
    return Poll(row.now, wake_at, ready_at, row.edited is not None)


def _look_at(found: Any, now: datetime) -> datetime | None:
    """SQLite keeps whatever was written there: what is no instant is looked at now."""
    return found if found is None or isinstance(found, datetime) else now


_POLL = sa.select(
    database_now().label("now"),
    sa.select(sa.func.min(jobs.c.wake_at))
    .where(jobs.c.wake_at > EDITED)
    .scalar_subquery()
    .label("next_wake_at"),
    sa.select(sa.func.min(fires_table.c.ready_at)).scalar_subquery().label("next_ready_at"),
    sa.select(jobs.c.id).where(jobs.c.wake_at == EDITED).limit(1).scalar_subquery().label("edited"),
)


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
            with _confined(row):
                job = read_row(row, by.zone_name)
                plan = decide(job, now, by.catchup_limit)
        except InvalidJob as error:
            _refuse(conn, row, error)
            claimed.broken.append(error.of(row["name"]))
            continue
        if not job.enabled:
            _resume(conn, row)
        elif _is_over(conn, job, plan):
            conn.execute(sa.delete(jobs).where(jobs.c.id == job.id))
        else:
            new += [(job, fires.fire_of(job, owed, now)) for owed in plan.fires]
            if plan.missed:
                claimed.missed.append((job, plan.missed))
            updates.append(_advanced(row, job, plan, now))
    _write(conn, claimed, new, updates, by, now)
    return Claimed(claimed.deliveries, claimed.missed, claimed.broken, len(rows))


def plan_edited(
    conn: Connection, now: datetime, since: datetime, limit: int, by: Claimant
) -> Claimed:
    """Plan at most *limit* edited rows; the past of an edit ends at *since*. The caller commits.

    Fires nothing: what came due meanwhile is claimed by the next poll.
    """
    rows = _locked(conn, jobs.c.wake_at == EDITED, limit)
    broken: list[InvalidJob] = []
    updates, edits, refused = [], [], []
    for row in rows:
        try:
            with _confined(row):
                _require_readable(row)
                job = read_row(row, by.zone_name)
                job.check()
                replanned = _replanned(row, job, _plan_of(row, job, since), now)
                is_former = _is_of_a_former_pause(row, job, now)
            if is_former:
                ended = sa.update(jobs).where(jobs.c.id == row["id"])
                conn.execute(ended.values(paused_until=None))
                continue
            updates.append(replanned)
        except InvalidJob as error:
            broken.append(error.of(row["name"]))
            refused.append(row["id"])
            updates.append(_in_error(row, error))
        if row["planned"]:
            edits.append(_edit(row, now))
    if update_rows(conn, jobs, ("id", "version"), updates) != len(updates):
        raise LostClaim("an edited row changed while it was planned")
    _note_whole(conn, refused)
    insert_rows(conn, changes, edits)
    return Claimed(broken=broken, rows=len(rows))


def _due_rows(conn: Connection, since: datetime, now: datetime, limit: int) -> list[RowMapping]:
    """A page of due rows: the newly due first, then the older ones, each from the oldest on."""
    newly: Sequence[RowMapping] = ()
    if since > EDITED:
        newly = _locked(conn, _wakes_in(since, now), max(1, limit // 2))
        now = since
    return [*newly, *_locked(conn, _wakes_in(EDITED, now), limit - len(newly))]


def _wakes_in(after: datetime, until: datetime) -> Any:
    return sa.and_(jobs.c.wake_at > after, jobs.c.wake_at <= until)


def _locked(conn: Connection, wanted: Any, limit: int) -> Sequence[RowMapping]:
    query = (
        sa.select(
            *ROW,
            SCHEDULE_TEXT.label("schedule_text"),
            RULES_TEXT.label("rules_text"),
        )
        .where(wanted)
        .order_by(jobs.c.wake_at)
        .limit(limit)
        .with_for_update(skip_locked=skips_locked(conn))
    )
    return conn.execute(query).mappings().all()


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
        "due_at": _due(job, plan, now),
        "last_fire_at": plan.fires[-1].fire_at if plan.fires else job.last_fire_at,
        "fire_count": job.fire_count + len(plan.fires),
    }


def _is_over(conn: Connection, job: Job, plan: Plan) -> bool:
    """Whether a job that deletes itself at its end has come to it, with nothing left open."""
    ended = plan.next_fire_at is None and not plan.fires and plan.missed is None
    return ended and job.on_end == "delete" and not fires.has_open(conn, job.id or 0)


def _plan_of(row: RowMapping, job: Job, since: datetime) -> Plan:
    if row["planned"] is None:
        return plan_new(job)
    if job.enabled and job.next_fire_at and _keeps_schedule(row):
        return plan_kept(job)
    if row["planned"] == WOKEN and job.next_fire_at:
        # Nobody edited it: what came due since it was woken is owed all the same.
        since = min(since, job.next_fire_at - TICK)
    if _is_just_written(row, job):
        since -= _JUST_NOW
    return plan_from(job, since)


def _is_just_written(row: RowMapping, job: Job) -> bool:
    """Whether the edit wrote instants: `UPDATE … SET once = now()` means now, not the past."""
    repeats = job.every or job.cron or job.celery
    planned, written = row["planned"], f"once={row['once']}\n"
    return bool(job.once and not repeats and planned != WOKEN and written not in planned)


def _keeps_schedule(row: RowMapping) -> bool:
    """Whether the edit left alone what says when: then what is due stays due."""
    planned = row["planned"]
    return isinstance(planned, str) and planned.startswith(row["schedule_text"] + "enabled=")


def _due(job: Job, plan: Plan, now: datetime) -> datetime | None:
    """When to look at the row again: a job that deletes itself is looked at after its end."""
    if job.enabled and plan.next_fire_at is None and job.on_end == "delete":
        return now + _LOOK_AGAIN
    # EDITED is a word of wake_at's own: what was due by then is due just after it.
    return plan.due_at and max(plan.due_at, EDITED + TICK)


def _replanned(row: RowMapping, job: Job, plan: Plan, now: datetime) -> dict[str, Any]:
    return {
        "id": row["id"],
        "version": row["version"],
        "planned": row["schedule_text"] + row["rules_text"],
        "error": None,
        "anchor_at": job.starts_at or job.first_past,
        "next_fire_at": plan.next_fire_at,
        "due_at": _due(job, plan, now),
    }


def _in_error(row: RowMapping, error: InvalidJob) -> dict[str, Any]:
    return {
        "id": row["id"],
        "version": row["version"],
        "planned": WOKEN,  # see _note_whole
        "error": error.sentence,
        "anchor_at": None,
        "next_fire_at": None,
        "due_at": None,
    }


@contextmanager
def _confined(row: RowMapping) -> Iterator[None]:
    """Whatever reading or planning a row raises is that row's, never the page's."""
    try:
        yield
    except InvalidJob:
        raise
    except Exception as error:
        what = f"what can be planned ({type(error).__name__}: {shown(str(error))})"
        raise InvalidJob("definition", row["name"], what) from error


def _require_readable(row: RowMapping) -> None:
    if _is_garbled(row):
        name, value = next(each for each in row.items() if _holds_garbled(each[1]))
        raise InvalidJob(str(name), value, "text in UTF-8")


def _holds_garbled(value: Any) -> bool:
    return isinstance(value, bytes) or (isinstance(value, str) and value.startswith(GARBLED))


def _is_garbled(row: RowMapping) -> bool:
    return any(row[name].startswith(GARBLED) for name in _TEXTS)


def _note_whole(conn: Connection, ids: Sequence[int]) -> None:
    """Note what rows in error were read as: the database does it itself.

    What Python cannot read it cannot write back, and arguments can be large.
    """
    if ids:
        whole = SCHEDULE_TEXT.concat(RULES_TEXT).concat(DETAILS_TEXT)
        conn.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(planned=whole))


def _refuse(conn: Connection, row: RowMapping, error: InvalidJob) -> None:
    update_rows(conn, jobs, ("id", "version"), [_in_error(row, error)])
    _note_whole(conn, [row["id"]])


def _is_of_a_former_pause(row: RowMapping, job: Job, now: datetime) -> bool:
    """Whether ``paused_until`` was over before the row was disabled: then it wakes nothing."""
    if job.enabled or job.paused_until is None or job.paused_until > now or not row["planned"]:
        return False
    disabled, _, rest = row["rules_text"].partition("\n")
    ending = rest[rest.rindex("paused_until=") :]
    return disabled not in row["planned"] and row["planned"].endswith(ending)


def _resume(conn: Connection, row: RowMapping) -> None:
    """A pause has come to its end: the row is enabled, which makes it edited."""
    awake = {"enabled": True, "paused_at": None, "paused_by": None, "paused_until": None}
    conn.execute(sa.update(jobs).where(jobs.c.id == row["id"]).values(paused_note=None, **awake))


def _edit(row: RowMapping, now: datetime) -> dict[str, Any]:
    return {
        "job_id": row["id"],
        "job_name": row["name"],
        "changed_at": now,
        "door": "table",
        "was": row["planned"],
        "became": row["schedule_text"] + row["rules_text"],
    }
