"""The ground of a walk: what its beats share, what happens between their steps, and who goes on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import Engine

from celery_jobsched.store import tables
from celery_jobsched.testing import Beat, Clock
from tests.crashes import RAN_IDS, START, application
from tests.hand import Hand
from tests.rules import Rules
from tests.walkers import SharedClock, Walker

WAIT: dict[str, Any] = {"max_concurrency": 1, "overlap": "wait"}
LATEST: dict[str, Any] = {"max_concurrency": 1, "overlap": "latest"}
SKIP: dict[str, Any] = {"max_concurrency": 1}
_LONGEST_STOP_S = 5.0
#: How often, of all steps, a worker takes messages, or a beat is killed.
_MESSAGES = 0.03
_CRASHES = 0.005
#: For longer than the lease of a slot whose holder is no more.
_MOST_RESTS = 120


@dataclass(frozen=True)
class Walks:
    """What is walked, as the test and the program agree on it."""

    folder: str
    #: Databases with nothing in them, one for each walk that is under way; none: files.
    urls: Sequence[str] = ()
    first: int = 0
    count: int = 1
    #: How many steps a walk has.
    steps: int = 1000
    broken: str | None = None
    at_once: int = 2
    #: Whether runs last and workers die, see ``tests.lasting``; else a hand runs each at once.
    lasting: bool = False
    #: How often, of all steps, a job is edited, a beat held up, or the clock of its machine set.
    edits: float = 0.02
    stops: float = 0.01
    clocks: float = 0.005
    #: How often, of all steps, a worker dies, where runs last; and how often then the locks are
    #: started again at about the time when its lease is over.
    deaths: float = 0.03
    restarts: float = 0.5


class Ground:
    """What the beats of a walk share, and who goes on."""

    #: The columns of each job.
    jobs: Mapping[str, dict[str, Any]] = {"a": {}, "b": {}, "in turn": WAIT, "alone": SKIP}
    #: How many seconds there may be from one fire of a job to the next.
    each: Sequence[int] = (1, 2, 3)
    #: How long a step takes, in seconds.
    paces: Sequence[float] = (0, 0, 0, 0, 0.001, 0.01)
    #: By how many seconds the clock of a beat's machine may be off.
    off: Sequence[int] = (-3600, 0, 3600)

    def __init__(self, walks: Walks, seed: int, url: str) -> None:
        self.dice = random.Random(seed)
        self.walks, self.seed, self.url = walks, seed, url
        self.clock = Clock(START)
        self.writers: set[Walker] = set()
        self.trouble = ""
        self.crashes = self.deaths = 0
        self.own = self.application()
        SharedClock(self.clock).rule(self.own)
        self.beat = Beat(self.own)
        self.rules = Rules(self.engine, self.clock.now)
        self.employ()

    def employ(self) -> None:
        """Have somebody to run messages."""
        self.hand = Hand(self.own)

    @property
    def limited(self) -> set[str]:
        """The jobs that run one at a time."""
        return {name for name, rules in self.jobs.items() if rules}

    @property
    def engine(self) -> Engine:
        return self.beat.scheduler.runtime.engine

    @property
    def conf(self) -> dict[str, Any]:
        """The settings of all."""
        return {
            "jobsched_database_url": self.url,
            "broker_url": "memory://",
            "jobsched_lock_backend": "database",
            "task_default_queue": f"walk{self.seed}",
        }

    def application(self) -> Celery:
        return application(self.conf, declared=False)

    def enter(self, walker: Walker) -> bool:
        """A file has one writer at a time."""
        if self.walks.urls or not self.writers:
            self.writers.add(walker)
        return walker in self.writers

    def leave(self, walker: Walker) -> None:
        self.writers.discard(walker)

    def after(self, walker: Walker, what: str) -> None:
        if what in ("COMMIT", "ROLLBACK"):
            self.leave(walker)
        if what == "COMMIT":
            self.rules.look()

    def walk(self) -> None:
        walkers = [self.new() for _ in range(self.dice.randint(2, 3))]
        for name in self.jobs:
            self.add(name)
        for _ in range(self.walks.steps):
            self.happen(walkers)
            self.go_on(walkers)
        for each in walkers:
            self.kill(each)
        self.finish()

    def new(self) -> Walker:
        walker = Walker(self)
        walker.start()
        walker.waits.acquire()
        return walker

    def happen(self, walkers: list[Walker]) -> None:
        """Whatever may happen between two steps."""
        if self.dice.random() < self.walks.edits and not self.writers:
            self.edit(self.dice.choice([*self.jobs]))
        if not self.writers:
            self.work()
        if self.dice.random() < _CRASHES:
            self.crashes += 1
            walker = self.dice.randrange(len(walkers))
            self.kill(walkers[walker])
            walkers[walker] = self.new()
        if self.dice.random() < self.walks.stops:
            stop = timedelta(seconds=self.dice.uniform(0, _LONGEST_STOP_S))
            self.dice.choice(walkers).stopped_until = self.clock.now() + stop
        if self.dice.random() < self.walks.clocks:
            clock = self.dice.choice(walkers).clock
            clock.ahead = timedelta(seconds=self.dice.choice(self.off))

    def work(self) -> None:
        """What workers do between two steps."""
        if self.dice.random() < _MESSAGES:
            self.hand.work(self.dice.randint(1, 4))

    def go_on(self, walkers: list[Walker]) -> None:
        """One step of one who may; where none may, time goes on until one does."""
        able = [each for each in walkers if each.stopped_until <= self.clock.now()]
        able = [each for each in able if not each.is_blocked or not self.writers]
        if able:
            self.dice.choice(able).step()
            self.clock.advance(seconds=self.dice.choice(self.paces))
        else:
            self.clock.advance(seconds=0.05)

    def kill(self, walker: Walker) -> None:
        walker.is_killed = True
        while not walker.is_done:
            walker.step()
        walker.join()

    def finish(self) -> None:
        """Another beat and a worker take up what was left; then all must be accounted for."""
        for _ in range(3):
            self.rest()
        with self.engine.begin() as conn:
            conn.execute(sa.update(tables.jobs).values(enabled=False))
        self.rules.note_all_paused()
        for _ in range(_MOST_RESTS):
            self.rest()
            if self.is_over:
                break
        self.conclude()

    @property
    def is_over(self) -> bool:
        return self.rules.is_all_over

    def conclude(self) -> None:
        self.rules.conclude(RAN_IDS)

    def rest(self) -> None:
        """Run messages, settle, and let time pass."""
        self.hand.work()
        self.beat.settle()
        self.rules.look()
        self.clock.advance(seconds=1.7)

    def add(self, name: str) -> None:
        each = self.dice.choice(self.each)
        row = {"task": "crash.note", "cron": f"*/{each} * * * * *", **self.jobs[name]}
        with self.engine.begin() as conn:
            done = conn.execute(sa.insert(tables.jobs).values(name=name, **row))
            self.rules.note(int(done.inserted_primary_key[0]), each, True, name in self.limited)

    def edit(self, name: str) -> None:
        """Edit a job as a person does: by SQL."""
        job = self.rules.named(name)
        if job is None:
            return self.add(name)
        what = self.dice.choice(("pause", "resume", "schedule", "schedule", "delete", "task"))
        each, enabled = job.each, job.enabled
        change: Any = sa.update(tables.jobs).where(tables.jobs.c.name == name)
        if what == "delete":
            change = sa.delete(tables.jobs).where(tables.jobs.c.name == name)
        elif what == "schedule":
            each = self.dice.choice(self.each)
            change = change.values(cron=f"*/{each} * * * * *")
        elif what == "task":
            change = change.values(description=f"{self.dice.random()}")
        else:
            enabled = what == "resume"
            change = change.values(enabled=enabled)
        with self.engine.begin() as conn:
            conn.execute(change)
        if what == "delete":
            self.rules.note_gone(job.id)
        elif (each, enabled) != (job.each, job.enabled):
            self.rules.note(job.id, each, enabled, name in self.limited)
        return None
