"""Pages of rows that want to be looked at, under lock, and what comes of one that is unreadable.

Claiming and planning both work on such pages: see ``claims`` and ``planning``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..clock import TICK
from ..errors import InvalidJob, JobschedError, shown
from ..job import Job
from ..plan import Missed, Plan, awaits_keyword
from .bulk import update_rows
from .engine import database_now, skips_locked
from .fires import Delivery
from .jobs import DETAILS_TEXT, ROW, RULES_TEXT, SCHEDULE_TEXT, WOKEN
from .planned import EDITED
from .tables import fires, jobs
from .types import Instant

#: How long a job that has ended and is to be deleted waits for its open fires.
LOOK_AGAIN = timedelta(seconds=5)


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


class Seen(NamedTuple):
    """A due row as its index knows it: due at another instant, or changed, it is another one."""

    wake_at: datetime
    id: int
    version: int


class Place(NamedTuple):
    """A place in the order of due rows: behind the row of that id at that instant."""

    at: datetime = EDITED
    id: int = 0


@dataclass(frozen=True)
class Window:
    """The due rows that a claim is about: those that came due after *since*, and older ones.

    Of the older ones those of these *ids*; None: all.
    """

    since: datetime = EDITED
    ids: Sequence[int] | None = None


@dataclass(frozen=True)
class Refusal:
    """A row that this beat leaves to others, and why."""

    seen: Seen
    job: str
    reason: str


@dataclass
class Claimed:
    """What one transaction claimed: fires to deliver, and what there is to tell about the rest.

    ``left_from``: where due rows begin that it left for the next one; None: there are none.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    missed: list[tuple[Job, Missed]] = field(default_factory=list)
    broken: list[InvalidJob] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    rows: int = 0
    left_from: datetime | None = None

    def leave(self, at: Any, now: datetime) -> None:
        """Note that a row is left which wants to be looked at *at* that instant, if it is due."""
        if isinstance(at, datetime) and EDITED < at <= now:
            self.left_from = min(at, self.left_from or at)


class LostClaim(JobschedError):
    """A row changed under its lock: nothing of this claim counts."""


def poll(conn: Connection, after: datetime = EDITED) -> Poll:
    """Look at the ends of three index ranges: due *after* that, edited, to deliver.

    One round trip.
    """
    row = conn.execute(_POLL, {"after": after}).one()
    wake_at, ready_at = (_look_at(at, row.now) for at in (row.next_wake_at, row.next_ready_at))
    return Poll(row.now, wake_at, ready_at, row.edited is not None)


def _look_at(found: Any, now: datetime) -> datetime | None:
    """SQLite keeps whatever was written there: what is no instant is looked at now."""
    return found if found is None or isinstance(found, datetime) else now


_POLL = sa.select(
    database_now().label("now"),
    sa.select(sa.func.min(jobs.c.wake_at))
    .where(jobs.c.wake_at > sa.bindparam("after", type_=Instant()))
    .scalar_subquery()
    .label("next_wake_at"),
    sa.select(sa.func.min(fires.c.ready_at)).scalar_subquery().label("next_ready_at"),
    sa.select(jobs.c.id).where(jobs.c.wake_at == EDITED).limit(1).scalar_subquery().label("edited"),
)


def lying(conn: Connection, beyond: Place, until: datetime, limit: int) -> list[Seen]:
    """At most *limit* due rows beyond that place, in order; nothing is locked."""
    found: list[Seen] = []
    if beyond.at > EDITED:
        same = _SEEN.where(jobs.c.wake_at == beyond.at, jobs.c.id > beyond.id)
        found = _seen(conn, same.order_by(jobs.c.id).limit(limit))
    if len(found) < limit:
        later = _SEEN.where(jobs.c.wake_at > beyond.at, jobs.c.wake_at <= until)
        ordered = later.order_by(jobs.c.wake_at, jobs.c.id)
        found += _seen(conn, ordered.limit(limit - len(found)))
    return found


def _seen(conn: Connection, query: Any) -> list[Seen]:
    return [Seen._make(row) for row in conn.execute(query)]


_SEEN = sa.select(jobs.c.wake_at, jobs.c.id, jobs.c.version)


def locked(conn: Connection, wanted: Any, limit: int) -> Sequence[RowMapping]:
    """At most *limit* rows, those that woke first, that nobody else holds."""
    query = (
        sa.select(
            *ROW,
            jobs.c.wake_at,
            SCHEDULE_TEXT.label("schedule_text"),
            RULES_TEXT.label("rules_text"),
        )
        .where(wanted)
        .order_by(jobs.c.wake_at)
        .limit(limit)
        .with_for_update(skip_locked=skips_locked(conn))
    )
    return conn.execute(query).mappings().all()


@contextmanager
def confined(row: RowMapping) -> Iterator[None]:
    """Whatever reading or planning a row raises is that row's, never the page's."""
    try:
        yield
    except InvalidJob:
        raise
    except Exception as error:
        what = f"what can be planned ({type(error).__name__}: {shown(str(error))})"
        raise InvalidJob("definition", row["name"], what) from error


def note_error(conn: Connection, row: RowMapping, error: InvalidJob) -> None:
    """Note why a row cannot be read; it fires nothing until it is edited."""
    update_rows(conn, jobs, ("id", "version"), [in_error(row, error)])
    note_whole(conn, [row["id"]])


def in_error(row: RowMapping, error: InvalidJob) -> dict[str, Any]:
    """The columns of a row in error; :func:`note_whole` must follow."""
    return {
        "id": row["id"],
        "version": row["version"],
        "planned": WOKEN,  # see note_whole
        "error": error.sentence,
        "anchor_at": None,
        "next_fire_at": None,
        "due_at": None,
    }


def note_whole(conn: Connection, ids: Sequence[int]) -> None:
    """Note what rows in error were read as: the database does it itself.

    What Python cannot read it cannot write back, and arguments can be large.
    """
    if ids:
        whole = SCHEDULE_TEXT.concat(RULES_TEXT).concat(DETAILS_TEXT)
        conn.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(planned=whole))


def wakes_at(job: Job, plan: Plan, now: datetime) -> datetime | None:
    """When to look at the row again: a job that deletes itself is looked at after its end."""
    ended = plan.next_fire_at is None and plan.due_at is None
    if job.enabled and ended and job.on_end == "delete":
        if awaits_keyword(replace(job, fire_count=job.fire_count + len(plan.fires)), now):
            return job.ends_at and job.ends_at + TICK
        return now + LOOK_AGAIN
    # EDITED is a word of wake_at's own: what was due by then is due just after it.
    return plan.due_at and max(plan.due_at, EDITED + TICK)
