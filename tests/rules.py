"""What must hold of jobs and fires at any moment, and in the end: looked at after each commit.

Jobs here fire each so many seconds of a minute; what was done to them is noted by who did it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from celery_jobsched.store import tables
from celery_jobsched.store.engine import READ
from celery_jobsched.store.planned import EDITED

_SECOND = timedelta(seconds=1)
_FINAL = {"succeeded", "missed", "skipped", "cancelled"}
_LOST = "lost"


@dataclass
class Stretch:
    """A time in which a job was as it was: from an edit to the next."""

    since: datetime
    each: int
    enabled: bool
    #: When a beat had planned it.
    planned_at: datetime | None = None
    until: datetime | None = None
    #: The instants that are accounted for.
    instants: set[datetime] = field(default_factory=set)


@dataclass
class Known:
    """A job, as it was told."""

    id: int
    each: int
    enabled: bool
    is_limited: bool
    stretches: list[Stretch] = field(default_factory=list)
    is_gone: bool = False


class Rules:
    """The rules that were broken, in sentences."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self.engine, self.now = engine, now
        self.jobs: dict[int, Known] = {}
        #: The records, with the last instant that each is about.
        self.seen: dict[str, datetime] = {}
        self.broken: list[str] = []
        #: The keys of which more are held than may be.
        self._beyond: set[str] = set()

    def named(self, name: str) -> Known | None:
        """The job of that name that is there."""
        with self.engine.connect() as conn:
            query = sa.select(tables.jobs.c.id).where(tables.jobs.c.name == name)
            found = conn.execution_options(**READ).execute(query).scalar()
        return None if found is None else self.jobs[found]

    def note(self, id_: int, each: int, enabled: bool, is_limited: bool) -> None:
        """A job is like this from now on."""
        job = self.jobs.setdefault(id_, Known(id_, each, enabled, is_limited))
        job.each, job.enabled = each, enabled
        if job.stretches and job.stretches[0].planned_at is None:  # nobody knows what it was before
            job.stretches = [Stretch(job.stretches[0].since, each, enabled)]
            return
        if self._is_as_before(job):
            job.stretches.pop()
            job.stretches[-1].until = None
            return
        self._end(job)
        job.stretches.append(Stretch(self.now(), each, enabled))

    def _is_as_before(self, job: Known) -> bool:
        """Whether an edit was taken back before any beat had seen it: then there was none."""
        if len(job.stretches) < 2 or job.stretches[-1].planned_at is not None:
            return False
        former = job.stretches[-2]
        return former.planned_at is not None and (former.each, former.enabled) == (
            job.each,
            job.enabled,
        )

    def note_gone(self, id_: int) -> None:
        self._end(self.jobs[id_])
        self.jobs[id_].is_gone = True

    def note_all_paused(self) -> None:
        for job in self.jobs.values():
            if not job.is_gone and job.enabled:
                self.note(job.id, job.each, False, job.is_limited)

    def _end(self, job: Known) -> None:
        if job.stretches:
            job.stretches[-1].until = self.now()

    def look(self) -> None:
        """Look at what the last commit left."""
        with self.engine.connect() as conn:
            conn = conn.execution_options(**READ)
            self._look_at_jobs(conn)
            self._look_at_fires(conn)
            self._look_at_slots(conn)

    def _look_at_jobs(self, conn: Connection) -> None:
        for id_, wake_at in conn.execute(sa.select(tables.jobs.c.id, tables.jobs.c.wake_at)):
            stretch = self.jobs[id_].stretches[-1] if id_ in self.jobs else None
            if stretch and stretch.planned_at is None and wake_at != EDITED:
                stretch.planned_at = self.now()

    def _look_at_fires(self, conn: Connection) -> None:
        query = sa.select(
            tables.fires.c.id, tables.fires.c.job_id, tables.fires.c.fire_at,
            tables.fires.c.until_at,
        )  # fmt: skip
        for row in conn.execute(query):
            until = row.until_at or row.fire_at
            if row.id not in self.seen:
                self._judge(row)
            elif until > self.seen[row.id]:  # what was skipped since is folded into it
                self._account(row.job_id, self.seen[row.id], until)
            self.seen[row.id] = until

    def _judge(self, row: Any) -> None:
        """A new record: its job is awake, and was not edited since."""
        job = self.jobs[row.job_id]
        stretch = job.stretches[-1]
        if not job.enabled or job.is_gone:
            self.broken.append(f"job {job.id} fired {row.fire_at} while it was paused or gone")
        if row.fire_at <= stretch.since - _SECOND:
            self.broken.append(
                f"job {job.id} fired {row.fire_at}, before its edit of {stretch.since}"
            )
        self._account(job.id, row.fire_at, row.until_at or row.fire_at)

    def _account(self, id_: int, first: datetime, last: datetime) -> None:
        at = first
        while at <= last:
            self.jobs[id_].stretches[-1].instants.add(at)
            at += _SECOND

    @property
    def is_all_over(self) -> bool:
        """Whether nothing is expected of any fire."""
        with self.engine.connect() as conn:
            conn = conn.execution_options(**READ)
            states = conn.execute(sa.select(tables.fires.c.state).distinct()).scalars()
            return set(states) <= _FINAL | {_LOST}

    def _look_at_slots(self, conn: Connection) -> None:
        held = sa.select(tables.slots.c.key, sa.func.count()).where(
            tables.slots.c.released.is_(sa.false()), tables.slots.c.until_at > self.now()
        )
        counts = dict(conn.execute(held.group_by(tables.slots.c.key)).tuples().all())
        beyond = {key for key, count in counts.items() if count > 1}
        for key in sorted(beyond - self._beyond):
            self.broken.append(f"{counts[key]} hold {key!r} at {self.now()}")
        self._beyond = beyond

    def conclude(self, ran: Sequence[str], excused: AbstractSet[str] = frozenset()) -> None:
        """All has ended: what ran twice, what never ended, and what nobody accounts for.

        *excused*: fires of which nobody may know how they ended.
        """
        with self.engine.connect() as conn:
            rows = conn.execution_options(**READ).execute(sa.select(tables.fires)).mappings().all()
        told = {row["id"]: f"{row['job_name']} of {row['fire_at']}" for row in rows}
        self.broken += [f"{told.get(id_)} ran twice" for id_, n in Counter(ran).items() if n > 1]
        for row in rows:
            if row["id"] in excused and row["state"] in _FINAL - {"succeeded"} | {_LOST}:
                continue
            if row["state"] not in _FINAL:
                self.broken.append(f"{told[row['id']]} is {row['state']} in the end")
            elif (row["state"] == "succeeded") != (row["id"] in ran):
                self.broken.append(f"{told[row['id']]} is {row['state']}, which is not what it did")
        for job in self.jobs.values():
            for stretch in job.stretches:
                self._conclude(job, stretch)

    def _conclude(self, job: Known, stretch: Stretch) -> None:
        """From where it was planned until its last record, no instant is left out."""
        if not stretch.enabled or stretch.planned_at is None:
            return
        last = max(stretch.instants, default=stretch.planned_at)
        at = stretch.planned_at.replace(microsecond=0) + _SECOND
        while at <= last:
            if at.second % stretch.each == 0 and at not in stretch.instants:
                self.broken.append(f"job {job.id}: nobody accounts for {at}")
            at += _SECOND
