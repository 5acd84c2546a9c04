"""Pages of rows that want to be looked at, under lock, and what comes of one that is unreadable.

Claiming and planning both work on such pages: see ``claims`` and ``planning``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..clock import TICK
from ..errors import InvalidJob, JobschedError, shown
from ..freeze import Freeze
from ..job import Job
from ..plan import Missed, Plan, awaits_keyword
from ..tenure import Tenure
from .bulk import update_rows
from .calendars import IS_EDITED
from .deliveries import Delivery
from .engine import database_now, skips_locked
from .jobs import DETAILS_TEXT, ROW, RULES_TEXT, SCHEDULE_TEXT, WOKEN
from .meta import FREEZE
from .planned import EDITED
from .tables import calendars, fires, jobs, meta
from .texts import digest
from .types import Instant

Row = Mapping[Any, Any]

#: How long a job that has ended and is to be deleted waits for its open fires.
LOOK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Poll:
    """What there is to do, by the database's own clock."""

    now: datetime
    next_wake_at: datetime | None
    next_ready_at: datetime | None
    has_edited: bool
    has_edited_calendar: bool = False
    #: Whether any fire waits for a slot.
    has_waiting: bool = False
    #: When a fire that was sent is first to be looked after.
    next_check_at: datetime | None = None
    #: What holds up all schedules now.
    freeze: Freeze | None = None

    @property
    def ahead(self) -> list[datetime]:
        """The instants ahead at which there will be something to do."""
        known = (self.next_wake_at, self.next_ready_at, self.next_check_at)
        return [at for at in known if at is not None and at > self.now]

    def wait(self, passed: float, most: float) -> float:
        """Seconds to the next of these, *most* at most, when so many *passed* since the look."""
        if not self.ahead:
            return most
        left = (min(self.ahead) - self.now).total_seconds() - passed
        return min(max(left, 0.001), most)

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
    tenure: Tenure = field(default_factory=Tenure)


class Seen(NamedTuple):
    """A due row at a glance: due at another instant, or changed, it is another one.

    ``digest``: of what SQL may change without a trace in the others; None where nobody asks.
    """

    wake_at: datetime
    id: int
    version: int
    digest: Any = None


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


class Cause(str, Enum):
    """What kind of reason a beat has to leave a job to others."""

    LACKING = "lacking"
    FILTERED = "filtered"
    RAISED = "raised"
    WRONG_ANSWER = "wrong answer"
    NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Refusal:
    """A row that this beat leaves to others, and why; ``error`` is what the filter raised."""

    seen: Seen
    job: str
    reason: str
    cause: Cause = Cause.LACKING
    error: BaseException | None = None


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


@dataclass
class Page:
    """Due rows that were read without a lock: those of jobs to ask a filter about, and others.

    ``others`` fire nothing, whatever a filter says: what cannot be read, a pause that is over.
    ``left_from``: where newly due rows begin that are on no page yet; None: there are none.
    """

    jobs: dict[Seen, Job] = field(default_factory=dict)
    others: list[Seen] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    left_from: datetime | None = None


class LostClaim(JobschedError):
    """A row changed under its lock: nothing of this claim counts."""


def poll(conn: Connection, after: datetime = EDITED) -> Poll:
    """Look at the ends of four index ranges: due *after* that, edited, to deliver, to look after.

    And whether a calendar was edited, anybody waits, or all is frozen; all in one round trip.
    """
    row = conn.execute(_POLL, {"after": after}).one()
    found = (row.next_wake_at, row.next_ready_at, row.next_check_at)
    wake_at, ready_at, check_at = (_look_at(at, row.now) for at in found)
    has_edited, has_calendar = row.edited is not None, row.edited_calendar is not None
    has_waiting = row.waiting is not None
    freeze = None if row.freeze is None else Freeze.from_text(row.freeze)
    if freeze is not None and not freeze.holds(row.now):
        freeze = None
    return Poll(row.now, wake_at, ready_at, has_edited, has_calendar, has_waiting, check_at, freeze)


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
    sa.select(sa.func.min(fires.c.check_at)).scalar_subquery().label("next_check_at"),
    sa.select(jobs.c.id).where(jobs.c.wake_at == EDITED).limit(1).scalar_subquery().label("edited"),
    sa.select(calendars.c.id).where(IS_EDITED).limit(1).scalar_subquery().label("edited_calendar"),
    sa.select(sa.func.min(fires.c.waiting_for)).scalar_subquery().label("waiting"),
    sa.select(meta.c.value).where(meta.c.key == FREEZE).scalar_subquery().label("freeze"),
)


def lying(
    conn: Connection, beyond: Place, until: datetime, limit: int, digested: bool = False
) -> list[Seen]:
    """At most *limit* due rows beyond that place, in order; nothing is locked."""
    found: list[Seen] = []
    seen = _SEEN.add_columns(DIGEST) if digested else _SEEN
    if beyond.at > EDITED:
        same = seen.where(jobs.c.wake_at == beyond.at, jobs.c.id > beyond.id)
        found = _seen(conn, same.order_by(jobs.c.id).limit(limit))
    if len(found) < limit:
        later = seen.where(jobs.c.wake_at > beyond.at, jobs.c.wake_at <= until)
        ordered = later.order_by(jobs.c.wake_at, jobs.c.id)
        found += _seen(conn, ordered.limit(limit - len(found)))
    return found


def _seen(conn: Connection, query: Any) -> list[Seen]:
    return [Seen(*row) for row in conn.execute(query)]


#: Of what a filter reads and planning does not: an edit of that alone wakes no row.
DIGEST = digest(DETAILS_TEXT).label("digest")

_SEEN = sa.select(jobs.c.wake_at, jobs.c.id, jobs.c.version)


def locked(conn: Connection, wanted: Any, limit: int, *more: Any) -> list[Row]:
    """At most *limit* rows, with *more* columns, those that woke first, that nobody else holds."""
    query = (
        sa.select(*ROW, *more)
        .where(wanted)
        .order_by(jobs.c.wake_at)
        .limit(limit)
        .with_for_update(skip_locked=skips_locked(conn))
    )
    found = conn.execute(query)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


@contextmanager
def confined(row: Row) -> Iterator[None]:
    """Whatever reading or planning a row raises is that row's, never the page's."""
    try:
        yield
    except InvalidJob:
        raise
    except Exception as error:
        what = f"what can be planned ({type(error).__name__}: {shown(str(error))})"
        raise InvalidJob("definition", row["name"], what) from error


def note_error(conn: Connection, row: Row, error: InvalidJob) -> None:
    """Note why a row cannot be read; it fires nothing until it is edited."""
    update_rows(conn, jobs, ("id", "version"), [in_error(row, error)])
    note_whole(conn, [row["id"]])


def in_error(row: Row, error: InvalidJob) -> dict[str, Any]:
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
