"""A program that lets beats walk at random, and says where a rule did not hold.

    python -m tests.walks '{"first": 0, "count": 100, "folder": …}'

Some beats share a database and a clock that is set. Each is a thread that goes on only when it is
told to: before each of its steps it waits for its turn, may be left there for seconds, or killed.
Meanwhile jobs are edited by SQL, a worker's hand runs messages, and after each commit the rules are
looked at. All of it follows from the seed of the walk.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import Engine

from celery_jobsched.store import tables
from celery_jobsched.store.engine import make_engine
from celery_jobsched.testing import Beat, Clock
from tests.breakage import BREAKAGES
from tests.crashes import RAN_IDS, START, application
from tests.forks import ended, started
from tests.hand import Hand
from tests.rules import Rules
from tests.walkers import SharedClock, Walker
from tests.worlds import put_rows, rows_of

_JOBS = ("a", "b", "in turn", "alone")
_LIMITED: dict[str, dict[str, Any]] = {
    "in turn": {"max_concurrency": 1, "overlap": "wait"},
    "alone": {"max_concurrency": 1},
}
_EACH = (1, 2, 3)
_LONGEST_STOP_S = 5.0
#: How often, of all steps, a worker takes messages, or a beat is killed.
_MESSAGES = 0.03
_CRASHES = 0.005
#: By how many hours the clock of a beat's machine may be off.
_HOURS_OFF = (-1, 0, 1)
#: For longer than the lease of a slot whose holder is no more.
_MOST_RESTS = 30


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
    #: How often, of all steps, a job is edited, a beat held up, or the clock of its machine set.
    edits: float = 0.02
    stops: float = 0.01
    clocks: float = 0.005


@dataclass
class Walk:
    """What came of the walk of a seed."""

    point: int
    trouble: str = ""
    fires: int = 0
    crashes: int = 0
    ran: list[Any] = field(default_factory=list)


class Ground:
    """What the beats of a walk share, and who goes on."""

    def __init__(self, walks: Walks, seed: int, url: str) -> None:
        self.dice = random.Random(seed)
        self.walks, self.seed, self.url = walks, seed, url
        self.clock = Clock(START)
        self.writers: set[Walker] = set()
        self.trouble = ""
        self.crashes = 0
        self.own = self.application()
        SharedClock(self.clock).rule(self.own)
        self.beat = Beat(self.own)
        self.hand = Hand(self.own)
        self.rules = Rules(self.beat.scheduler.runtime.engine, self.clock.now)

    def application(self) -> Celery:
        return application(
            {
                "jobsched_database_url": self.url,
                "broker_url": "memory://",
                "jobsched_lock_backend": "database",
                "task_default_queue": f"walk{self.seed}",
            },
            declared=False,
        )

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
        for name in _JOBS:
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
            self.edit(self.dice.choice(_JOBS))
        if self.dice.random() < _MESSAGES and not self.writers:
            self.hand.work(self.dice.randint(1, 4))
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
            clock.ahead = timedelta(hours=self.dice.choice(_HOURS_OFF))

    def go_on(self, walkers: list[Walker]) -> None:
        """One step of one who may; where none may, time goes on until one does."""
        able = [each for each in walkers if each.stopped_until <= self.clock.now()]
        able = [each for each in able if not each.is_blocked or not self.writers]
        if able:
            self.dice.choice(able).step()
            self.clock.advance(seconds=self.dice.choice((0, 0, 0, 0, 0.001, 0.01)))
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
        with self.beat.scheduler.runtime.engine.begin() as conn:
            conn.execute(sa.update(tables.jobs).values(enabled=False))
        self.rules.note_all_paused()
        for _ in range(_MOST_RESTS):
            self.rest()
            if self.rules.is_all_over:
                break
        self.rules.conclude(RAN_IDS)

    def rest(self) -> None:
        """Run messages, settle, and let time pass."""
        self.hand.work()
        self.beat.settle()
        self.rules.look()
        self.clock.advance(seconds=1.7)

    def add(self, name: str) -> None:
        each = self.dice.choice(_EACH)
        row = {"task": "crash.note", "cron": f"*/{each} * * * * *", **_LIMITED.get(name, {})}
        with self.beat.scheduler.runtime.engine.begin() as conn:
            done = conn.execute(sa.insert(tables.jobs).values(name=name, **row))
            self.rules.note(int(done.inserted_primary_key[0]), each, True, name in _LIMITED)

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
            each = self.dice.choice(_EACH)
            change = change.values(cron=f"*/{each} * * * * *")
        elif what == "task":
            change = change.values(description=f"{self.dice.random()}")
        else:
            enabled = what == "resume"
            change = change.values(enabled=enabled)
        with self.beat.scheduler.runtime.engine.begin() as conn:
            conn.execute(change)
        if what == "delete":
            self.rules.note_gone(job.id)
        elif (each, enabled) != (job.each, job.enabled):
            self.rules.note(job.id, each, enabled, name in _LIMITED)
        return None


class Places:
    """The databases of walks: files that are copies of one, or servers' whose rows are."""

    def __init__(self, walks: Walks) -> None:
        self.folder, self.urls = Path(walks.folder), walks.urls
        for url in self.urls or [self._file("template")]:
            warm = Ground(walks, 0, url)
            warm.beat.settle()
            warm.beat.close()
        self._rows = [self._of(url, rows_of) for url in self.urls]

    @contextmanager
    def lent(self, seed: int, lane: int) -> Iterator[str]:
        """A database as it is before a walk."""
        if self.urls:
            self._of(self.urls[lane], partial(put_rows, rows=self._rows[lane]))
            yield self.urls[lane]
            return
        for source in self.folder.glob("template.db*"):
            shutil.copy(source, source.with_name(source.name.replace("template", f"walk{seed}")))
        yield self._file(f"walk{seed}")
        for source in self.folder.glob(f"walk{seed}.db*"):
            source.unlink()

    def _file(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.db"

    def _of(self, url: str, work: Callable[[Engine], Any]) -> Any:
        engine = make_engine(url, 10)
        try:
            return work(engine)
        finally:
            engine.dispose()


def walk(walks: Walks, places: Places, seed: int, lane: int) -> Walk:
    """One walk, in a process of its own."""
    dice = random.Random(seed)
    os.urandom = dice.randbytes  # type: ignore[assignment]
    found = Walk(seed)
    with places.lent(seed, lane) as url:
        ground = Ground(walks, seed, url)
        try:
            ground.walk()
            found.trouble = ground.trouble or "; ".join(ground.rules.broken[:5])
        except Exception:  # noqa: BLE001 - whatever it is, the seed is told
            found.trouble = traceback.format_exc()
    found.fires, found.crashes = len(ground.rules.seen), ground.crashes
    return found


def main(walks: Walks) -> list[dict[str, Any]]:
    logging.disable(logging.CRITICAL)
    if walks.broken:
        BREAKAGES[walks.broken]()
    places = Places(walks)
    waiting: deque[tuple[int, int, int]] = deque()
    found: list[Walk] = []
    for number, seed in enumerate(range(walks.first, walks.first + walks.count)):
        if len(waiting) >= walks.at_once:
            found.append(ended(*waiting.popleft(), Walk))
        lane = number % walks.at_once
        waiting.append((seed, *started(partial(walk, walks, places, seed, lane))))
    found += [ended(*each, Walk) for each in waiting]
    return [asdict(each) for each in found]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Walks(**json.loads(sys.argv[1])))))
