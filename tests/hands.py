"""A beat ticked by hand on a clock that is set, and a worker's part played by hand.

with by_hand("sqlite", tmp_path) as hands:
    hands.add("job", every="1 second", max_concurrency=1)
    hands.play(5, run_s=2.3)
    assert hands.states("job") == [...]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from celery_jobsched import Jobs
from celery_jobsched.fire import FireState, made_at
from celery_jobsched.limits import NO_LIMIT, Rights
from celery_jobsched.locks import Copy, Locks, Report, Step, Verdict
from celery_jobsched.testing import Beat, Clock
from tests.records import Records
from tests.services import fresh_database
from tests.stacks import Stack

START = datetime(2030, 1, 1, tzinfo=timezone.utc)
#: How long a task takes to end that was told to.
_TO_END_S = 0.3
_STEP_S = 0.1
_ENDED = "asked to end"


@dataclass
class Hands:
    """What a test does in the place of a person, of time, and of a worker."""

    stack: Stack
    clock: Clock
    beat: Beat
    records: Records
    jobs: Jobs
    #: The fires that the worker runs, with the copy of each and since when.
    running: dict[str, tuple[Copy, datetime]] = field(default_factory=dict)

    @property
    def locks(self) -> Locks:
        return self.beat.scheduler._upkeep.locks

    def add(self, name: str, **columns: Any) -> None:
        """Write a job's row, made now."""
        self.write(name, **columns)
        self.beat.settle()

    def write(self, name: str, **columns: Any) -> None:
        """The same, and no beat ticks."""
        now = self.clock.now()
        self.records.add(name, **{"created_at": now, "updated_at": now, **columns})

    def edit(self, name: str, **columns: Any) -> None:
        self.records.edit(name, **columns)
        self.beat.settle()

    def call(self, keyword: str) -> None:
        """Fire the jobs of a keyword, a moment after whatever was before."""
        self.clock.advance(milliseconds=1)
        self.jobs.fire(keyword)
        self.beat.settle()

    def pass_time(self, seconds: float) -> None:
        """Let time pass in which no worker takes anything."""
        self.beat.run(seconds=seconds)

    def play(self, seconds: float, run_s: float) -> None:
        """Let time pass in which a worker takes what is sent and runs each for *run_s*."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self._end_due(run_s)
            self.start_sent()
            self.beat.run(seconds=_STEP_S)

    def start_sent(self) -> None:
        """The worker takes all that was sent."""
        for row in self.records.fires(None, "sent"):
            if row["id"] not in self.running:
                self.start(row)

    def end(self, fire: str, state: FireState = FireState.SUCCEEDED) -> None:
        """A run ends, which the worker reports; the beat does what follows at once."""
        copy, started_at = self.running.pop(fire)
        report = Report(fire, state, self.clock.now(), started_at, copy.token, worker="hands")
        self.locks.end([Step(copy, report)])
        self.beat.settle()

    def end_oldest(self, job: str) -> None:
        """The oldest run of *job* ends well, whether it was started or not."""
        self.start_sent()
        known = {row["id"] for row in self.records.fires(job)}
        self.end(min(fire for fire in self.running if fire in known))

    def states(self, job: str | None = None) -> list[str]:
        return [row["state"] for row in self.records.fires(job)]

    def told(self, job: str) -> list[str]:
        """The records of *job*: which second of the test, its state, and until which if many."""
        return [_told(row) for row in self.records.fires(job)]

    def holders(self, key: str) -> list[str]:
        return [holder.fire for holder in self.locks.holders([key])[key]]

    def start(self, row: Mapping[str, Any]) -> None:
        """The worker takes the message of a fire, and runs it if it may."""
        rights = Rights.from_text(row["rights"]) if row["rights"] else NO_LIMIT
        now = self.clock.now()
        copy = Copy(
            fire=row["id"],
            limits=rights.limits,
            lease=rights.lease,
            token=f"T{row['publishes']}",
            number=row["publishes"],
            retries=0,
            made_at=made_at(row["id"]),
            published_at=now,
            worker="hands",
        )
        if self.locks.admit(copy).verdict is Verdict.RUN:
            begun = Report(row["id"], FireState.STARTED, now, now, copy.token)
            self.locks.accept([Step(copy, begun)])
            self.running[row["id"]] = (copy, now)
            self.beat.settle()

    def _end_due(self, run_s: float) -> None:
        reasons = {row["id"]: row["reason"] or "" for row in self.records.fires()}
        for fire, (_, started_at) in list(self.running.items()):
            if (self.clock.now() - started_at).total_seconds() >= run_s - 1e-6:
                self.end(fire)
            elif reasons[fire].startswith(_ENDED):
                self.pass_time(_TO_END_S)
                self.end(fire, FireState.REVOKED)


def _told(row: Mapping[str, Any]) -> str:
    at = f"{(row['fire_at'] - START).total_seconds():g}"
    if row["count"] is not None and row["count"] > 1:
        at += f"-{(row['until_at'] - START).total_seconds():g}"
    return f"{at} {row['state']}"


@contextmanager
def by_hand(kind: str, folder: Path, **conf: Any) -> Iterator[Hands]:
    """Hands on a fresh database of one of `DATABASES`, whose locks are in it."""
    with fresh_database(kind, folder) as url, Records(url) as records:
        settings = {
            "jobsched_database_url": url,
            "jobsched_lock_backend": "database",
            "broker_url": "memory://",
            **conf,
        }
        stack = Stack(kind, "memory", folder, settings)
        clock = Clock(START)
        app = stack.app()
        with Beat(app, clock) as beat:
            beat.settle()
            yield Hands(stack, clock, beat, records, Jobs(app))
