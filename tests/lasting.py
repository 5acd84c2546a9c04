"""The ground of walks on which runs last, workers die in them, and the locks are started again.

When a worker dies, the broker gives its messages to another one, at once or later, or to nobody, as
it does where they had been acknowledged. Locks that are started again know what they knew, and not
whether that is all; or they know nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import sqlalchemy as sa

from celery_jobsched import runtime
from celery_jobsched.fire import FireState
from celery_jobsched.locks import Terms
from celery_jobsched.store import meta, tables
from tests.crashes import RAN_IDS
from tests.grounds import LATEST, SKIP, WAIT, Ground
from tests.labour import Labour
from tests.workers import LastingPool, Worker, go_by

#: All goes faster than it usually does: leases are shorter, and silences as well.
_LEASE_S, _SILENCE = 3.0, timedelta(seconds=4)
_NEVER = datetime.max.replace(tzinfo=timezone.utc)
#: A worker renews three times a lease; a beat holds up all that write for no longer than this.
_MOST_LATE_S = 1.0
_WORKERS = 2
#: How often, of all steps, a worker takes messages, or says what it has to say.
_MESSAGES, _WORDS = 0.15, 0.3
#: How often the locks are started again, and forget all.
_RESTARTS, _LOSSES = 0.0005, 0.0005
_LONGEST_RUNS_S = (0, 5, 20)
#: How often a message had been acknowledged when its worker died in its run.
_ACKNOWLEDGED = 0.3
_OPEN = [state.value for state in FireState if not state.is_final]
_MEMORY = (tables.slots, tables.slot_keys, tables.admissions, tables.reports)


class LastingGround(Ground):
    """A ground with workers that go by its clock."""

    jobs: Mapping[str, dict[str, Any]] = {
        "free": {}, "in turn": WAIT, "one by one": WAIT, "newest": LATEST, "alone": SKIP,
    }  # fmt: skip
    each: Sequence[int] = (2, 3, 5)
    paces: Sequence[float] = (0, 0, 0, 0, 0.01, 0.1)
    off: Sequence[int] = (-20, 0, 20)

    hires = 0
    restarts_at = _NEVER

    def employ(self) -> None:
        go_by(self.clock)
        runtime.Terms = partial(Terms, renewal_period=_SILENCE)  # type: ignore
        self.labour = Labour(self.limited, self.rules.broken, self.clock.now)
        self.workers = [self._hired() for _ in range(_WORKERS)]
        #: Messages of workers that died, and when the broker gives them to another one.
        self.returning: list[tuple[datetime, Any]] = []

    @property
    def conf(self) -> dict[str, Any]:
        return {
            **super().conf,
            "jobsched_lease": _LEASE_S,
            "jobsched_resend_after": 10.0,
            "jobsched_max_queue_time": 60.0,
            "jobsched_poll_interval": 0.8,
            "task_acks_late": True,
        }

    def work(self) -> None:
        if self.dice.random() < _RESTARTS or self.restarts_at <= self.clock.now():
            self.restart_locks()
            self.restarts_at = _NEVER
        if self.dice.random() < _LOSSES:
            self.empty_locks()
        if self.dice.random() < self.walks.deaths:
            self.lose_worker(self.dice.randrange(_WORKERS))
        if self.dice.random() < _MESSAGES:
            self.dice.choice(self.workers).work(self.dice.randint(1, 4))
        self.have_turns(_WORDS)

    def have_turns(self, words: float) -> None:
        """Each worker does what it is time for, and says so that often."""
        for at, message in list(self.returning):
            if at <= self.clock.now():
                self.returning.remove((at, message))
                message.requeue()
        for worker in self.workers:
            worker.turn(self.dice.random() < words)

    def go_on(self, walkers: list[Any]) -> None:
        """Nobody holds up the database for so long that workers lose what they hold."""
        if max(each.late_s for each in self.workers) > _MOST_LATE_S:
            self.let_writers_end()
            self.have_turns(_WORDS)
        super().go_on(walkers)

    def let_writers_end(self) -> None:
        while self.writers:
            min(self.writers, key=lambda each: each.name).step()

    def lose_worker(self, number: int) -> None:
        """It dies, and another one is started in its place."""
        if not self.workers[number].pool.tasks:
            return
        for task in self.workers[number].die():
            is_gone = task.run.begun_at is not None and self.dice.random() < _ACKNOWLEDGED
            after = self.dice.choice((0.0, self.dice.uniform(1, 4) * _LEASE_S))
            if not is_gone:
                at = self.clock.now() + timedelta(seconds=after)
                self.returning.append((at, task.message))
        self.workers[number] = self._hired()
        if self.dice.random() < self.walks.restarts:
            lease = timedelta(seconds=_LEASE_S)
            self.restarts_at = self.clock.now() + self.dice.uniform(0.8, 1.5) * lease

    def restart_locks(self) -> None:
        """They know what they knew, and are silent, for it may not be all."""
        now = self.clock.now()
        with self.engine.begin() as conn:
            meta.note(conn, "locks.born_at", now.isoformat())
            meta.note(conn, "locks.grants_at", (now + _SILENCE).isoformat())

    def empty_locks(self) -> None:
        """They know nothing, and begin anew when they are asked."""
        on_their_way = sa.select(tables.fires.c.id).where(tables.fires.c.state.in_(_OPEN))
        of_locks = tables.meta.c.key.startswith("locks.")
        with self.engine.begin() as conn:
            for table in _MEMORY:
                conn.execute(sa.delete(table))
            conn.execute(sa.delete(tables.meta).where(of_locks))
            self.labour.forget(conn.execute(on_their_way).scalars().all())

    def rest(self) -> None:
        for worker in self.workers:
            worker.work()
        self.have_turns(1)
        self.beat.settle()
        self.rules.look()
        self.clock.advance(seconds=1 if self.is_any_in_hand else 3)

    @property
    def is_any_in_hand(self) -> bool:
        return any(worker.pool.tasks for worker in self.workers)

    @property
    def is_over(self) -> bool:
        return self.rules.is_all_over and not self.is_any_in_hand and not self.returning

    def conclude(self) -> None:
        self.deaths = self.labour.deaths
        # What no worker took is not sent again once its job is paused, as all are in the end.
        untaken = tables.fires.c.error.startswith("no worker took it")
        with self.engine.connect() as conn:
            left = set(conn.execute(sa.select(tables.fires.c.id).where(untaken)).scalars())
        self.rules.conclude(list(set(RAN_IDS)), self.labour.unknown | left)

    def _hired(self) -> Worker:
        self.hires += 1
        pool = LastingPool(self.clock, self.labour, self._times)
        return Worker(self.own, f"worker{self.hires}@here", pool)

    def _times(self) -> tuple[float, float]:
        begins = self.dice.choice((0.0, self.dice.uniform(0, 1)))
        return begins, begins + self.dice.uniform(0, self.dice.choice(_LONGEST_RUNS_S))
