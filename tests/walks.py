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
import threading
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import Engine

from celery_jobsched.beat import Scheduler
from celery_jobsched.store import tables
from celery_jobsched.testing import Beat, Clock
from tests.breakage import BREAKAGES
from tests.crashes import COMPILED, RAN_IDS, START, application, ended, started
from tests.hand import Hand
from tests.rules import Rules
from tests.steps import Steps

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
#: For longer than the lease of a slot whose holder is no more.
_MOST_RESTS = 30


@dataclass(frozen=True)
class Walks:
    """What is walked, as the test and the program agree on it."""

    folder: str
    first: int = 0
    count: int = 1
    #: How many steps a walk has.
    steps: int = 1000
    broken: str | None = None
    at_once: int = 2
    #: How often, of all steps, a job is edited, or a beat held up.
    edits: float = 0.02
    stops: float = 0.01


@dataclass
class Walk:
    """What came of the walk of a seed."""

    point: int
    trouble: str = ""
    fires: int = 0
    crashes: int = 0
    ran: list[Any] = field(default_factory=list)


class Killed(BaseException):
    """What a beat meets where it is killed."""


class Walker(threading.Thread):
    """A beat that takes a step when it is its turn."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(daemon=True)
        self.ground = ground
        self.app = ground.application()
        self.turn, self.waits = threading.Semaphore(0), threading.Semaphore(0)
        self.stopped_until = START
        self.is_killed = self.is_blocked = self.is_done = False

    def run(self) -> None:
        scheduler = None
        try:
            self.wait_for_turn()
            scheduler = Scheduler(self.app)
            while True:
                pause = scheduler.tick()
                self.stopped_until = self.ground.clock.now() + timedelta(seconds=pause)
                self.wait_for_turn()
        except Killed:
            pass
        except BaseException:  # noqa: BLE001 - told by the walk
            self.ground.trouble = traceback.format_exc()
        finally:
            self.is_killed = True
            with suppress(BaseException):
                assert scheduler is not None
                scheduler.runtime.close()
            self.ground.leave(self)
            self.is_done = True
            self.waits.release()

    def wait_for_turn(self) -> None:
        self.waits.release()
        self.turn.acquire()
        if self.is_killed:
            raise Killed

    def at(self, number: int, name: str) -> None:
        """Wait before each step; one database has one writer at a time."""
        when, _, what = name.partition(" ")
        if threading.current_thread() is not self or self.is_killed:
            if self.is_killed and threading.current_thread() is self and what != "ROLLBACK":
                raise Killed
            return
        if when == "after":
            self.ground.after(self, what)
            return
        self.wait_for_turn()
        while what == "BEGIN IMMEDIATE" and not self.ground.enter(self):
            self.is_blocked = True
            self.wait_for_turn()
        self.is_blocked = False

    def step(self) -> None:
        """Let it go up to its next step."""
        self.turn.release()
        self.waits.acquire()


class SharedClock(Clock):
    """A clock of all, and a watch on the steps of the beat that has it."""

    def __init__(self, clock: Clock, walker: Walker | None = None) -> None:
        self._clock, self._walker = clock, walker

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def lead(self, engine: Engine) -> None:
        super().lead(engine)
        engine.update_execution_options(compiled_cache=COMPILED)
        if self._walker is not None:
            Steps(self._walker.at).of_database(engine)


class Ground:
    """What the beats of a walk share, and who goes on."""

    def __init__(self, walks: Walks, seed: int, file: Path) -> None:
        self.dice = random.Random(seed)
        self.walks, self.file = walks, file
        self.clock = Clock(START)
        self.writer: Walker | None = None
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
                "jobsched_database_url": f"sqlite:///{self.file}",
                "broker_url": "memory://",
                "jobsched_lock_backend": "database",
                "task_default_queue": self.file.stem,
            },
            declared=False,
        )

    def enter(self, walker: Walker) -> bool:
        if self.writer is None:
            self.writer = walker
        return self.writer is walker

    def leave(self, walker: Walker) -> None:
        if self.writer is walker:
            self.writer = None

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
        SharedClock(self.clock, walker).rule(walker.app)
        walker.start()
        walker.waits.acquire()
        return walker

    def happen(self, walkers: list[Walker]) -> None:
        """Whatever may happen between two steps."""
        if self.dice.random() < self.walks.edits and self.writer is None:
            self.edit(self.dice.choice(_JOBS))
        if self.dice.random() < _MESSAGES and self.writer is None:
            self.hand.work(self.dice.randint(1, 4))
        if self.dice.random() < _CRASHES:
            self.crashes += 1
            walker = self.dice.randrange(len(walkers))
            self.kill(walkers[walker])
            walkers[walker] = self.new()
        if self.dice.random() < self.walks.stops:
            stop = timedelta(seconds=self.dice.uniform(0, _LONGEST_STOP_S))
            self.dice.choice(walkers).stopped_until = self.clock.now() + stop

    def go_on(self, walkers: list[Walker]) -> None:
        """One step of one who may; where none may, time goes on until one does."""
        able = [each for each in walkers if each.stopped_until <= self.clock.now()]
        able = [each for each in able if not each.is_blocked or self.writer is None]
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


def walk(walks: Walks, template: Path, seed: int) -> Walk:
    """One walk, in a process of its own."""
    dice = random.Random(seed)
    os.urandom = dice.randbytes  # type: ignore[assignment]
    file = template.with_name(f"walk{seed}.db")
    for source in template.parent.glob(f"{template.name}*"):
        shutil.copy(source, source.with_name(source.name.replace(template.stem, file.stem)))
    found, ground = Walk(seed), Ground(walks, seed, file)
    try:
        ground.walk()
        found.trouble = ground.trouble or "; ".join(ground.rules.broken[:5])
    except Exception:  # noqa: BLE001 - whatever it is, the seed is told
        found.trouble = traceback.format_exc()
    found.fires, found.crashes = len(ground.rules.seen), ground.crashes
    for source in file.parent.glob(f"{file.name}*"):
        source.unlink()
    return found


def main(walks: Walks) -> list[dict[str, Any]]:
    logging.disable(logging.CRITICAL)
    if walks.broken:
        BREAKAGES[walks.broken]()
    template = Path(walks.folder) / "template.db"
    warm = Ground(walks, 0, template)
    warm.beat.settle()
    warm.beat.close()
    waiting: list[tuple[int, int, int]] = []
    found: list[dict[str, Any]] = []
    for seed in range(walks.first, walks.first + walks.count):
        if len(waiting) >= walks.at_once:
            found.append(asdict(ended(*waiting.pop(0), kind=Walk)))
        waiting.append((seed, *started(partial(walk, walks, template, seed))))
    found += [asdict(ended(*each, kind=Walk)) for each in waiting]
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Walks(**json.loads(sys.argv[1])))))
