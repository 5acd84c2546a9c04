"""For tests: a clock that you set, and a beat that ticks when you say so.

The rest is real: the database, the broker, what a beat does in a tick. Nobody sleeps.

    clock = Clock("2030-01-01T08:59:00Z")
    with Beat(app, clock) as beat:
        beat.run(minutes=2)
        assert [fire.state for fire in beat.fires("report")] == ["sent"]
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from . import runtime
from .beat import Scheduler
from .fields import instant
from .store import pages, settable
from .store.tables import fires

_MOST_TICKS = 10_000
#: A step of time where something is due that cannot be done yet.
_LEAST = timedelta(milliseconds=50)


class Clock(runtime.Clock):
    """A clock that stands until it is set: of the database, of beats, and of an application.

    *at*: an instant, as a datetime with a zone or as ISO text; by default the present one.
    """

    def __init__(self, at: datetime | str | None = None) -> None:
        self._now = super().now() if at is None else instant("at", at)
        self._monotonic = super().monotonic()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def lead(self, engine: Engine) -> None:
        settable.lead(engine, self.now)

    def rule(self, app: Any) -> None:
        """Give the application this clock; before it opens its database."""
        app.jobsched_clock = self

    def advance(self, delta: timedelta | None = None, **duration: float) -> None:
        """Let time pass: a timedelta, or what makes one, such as ``minutes=5``."""
        passed = timedelta(**duration) + (delta or timedelta(0))
        self._now += passed
        self._monotonic += passed.total_seconds()

    def set(self, at: datetime | str) -> None:
        """Set the wall clock, as a person does to the machine's: no time passes by it."""
        self._now = instant("at", at)


class Fire(NamedTuple):
    """A record of the history."""

    id: str
    job: str
    fire_at: datetime
    state: str
    reason: str | None


class Beat:
    """A beat of *app* that ticks by hand, on *clock*: else the application's, or a new one.

    Of several databases it serves all, one after another, or the one of alias *database*.
    """

    def __init__(
        self, app: Any, clock: Clock | None = None, *, database: str | None = None
    ) -> None:
        self.clock: Clock = clock or getattr(app, "jobsched_clock", None) or Clock()
        self.clock.rule(app)
        self.scheduler = Scheduler(app, database=database)
        self._schedulers: list[Scheduler] = [*self.scheduler.schedulers.values()]

    def __enter__(self) -> Beat:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tick(self) -> float:
        """Do what there is to do, as a beat does each time; the seconds it would sleep then."""
        return min([scheduler.tick() for scheduler in self._schedulers])

    def settle(self) -> None:
        """Tick until there is nothing left to do at this instant."""
        for _ in range(_MOST_TICKS):
            if self.tick() > 0:
                return
        raise RuntimeError(f"expected an end of work, got none in {_MOST_TICKS} ticks")

    def run(self, delta: timedelta | None = None, **duration: float) -> None:
        """Let so much time pass, with a stop wherever there is something to do."""
        self.run_until(self.clock.now() + timedelta(**duration) + (delta or timedelta(0)))

    def run_until(self, end: datetime | str) -> None:
        """The same until an instant, which is the last stop."""
        until = instant("end", end)
        self.settle()
        while (now := self.clock.now()) < until:
            # What is due by now and yet to be done waits for a rest to end: of a broker's, say.
            due = min([*self._ahead(), until])
            self.clock.advance(min(due if due > now else now + _LEAST, until) - now)
            self.settle()

    def fires(self, job: str | None = None) -> list[Fire]:
        """The records of *job*, or of all jobs, the oldest first; of one database after another."""
        query = sa.select(
            fires.c.id, fires.c.job_name, fires.c.fire_at, fires.c.state, fires.c.reason
        ).order_by(fires.c.fire_at, fires.c.id)
        if job is not None:
            query = query.where(fires.c.job_name == job)
        found: list[Fire] = []
        for scheduler in self._schedulers:
            with scheduler.runtime.reading() as conn:
                found += [Fire(*row) for row in conn.execute(query)]
        return found

    def close(self) -> None:
        """Give back what was opened; may be called twice."""
        self.scheduler.close()

    def _ahead(self) -> Sequence[datetime]:
        found: list[datetime] = []
        for scheduler in self._schedulers:
            with scheduler.runtime.reading() as conn:
                found += pages.poll(conn).ahead
        return found
