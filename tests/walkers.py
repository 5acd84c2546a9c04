"""Beats that take a step when it is their turn: each a thread, left anywhere, or killed there."""

from __future__ import annotations

import threading
import traceback
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from celery import Celery
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from celery_jobsched.beat import Scheduler
from celery_jobsched.store import settable
from celery_jobsched.testing import Clock
from tests.compiled import COMPILED
from tests.crashes import START
from tests.steps import Steps

#: Who meets a lock fails at once: nobody waits for one whose turn it is not.
_IMPATIENT = {
    "postgresql": "SET lock_timeout = 1",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 0",
}


class Ground(Protocol):
    """What walkers share."""

    clock: Clock
    trouble: str

    def application(self) -> Celery: ...

    def enter(self, walker: Walker) -> bool:
        """A transaction begins that writes; whether it may."""

    def leave(self, walker: Walker) -> None:
        """It has ended."""

    def after(self, walker: Walker, what: str) -> None:
        """A step was taken."""


class Killed(BaseException):
    """What a beat meets where it is killed."""


class Walker(threading.Thread):
    """A beat that takes a step when it is its turn."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(daemon=True)
        self.ground = ground
        self.app = ground.application()
        self.clock = SharedClock(ground.clock, self)
        self.clock.rule(self.app)
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
    """A clock of all, and a watch on the steps of the beat that has it.

    The machine's own may be wrong: *ahead* of the database's.
    """

    ahead = timedelta(0)

    def __init__(self, clock: Clock, walker: Walker | None = None) -> None:
        self._clock, self._walker = clock, walker

    def now(self) -> datetime:
        return self._clock.now() + self.ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def lead(self, engine: Engine) -> None:
        settable.lead(engine, self._clock.now)
        engine.update_execution_options(compiled_cache=COMPILED)
        if self._walker is not None:
            Steps(self._walker.at).of_database(engine)
            _hurry(engine, self._walker)


def _hurry(engine: Engine, walker: Walker) -> None:
    """On a server anybody may write beside others, as long as nobody waits for anybody."""
    if (impatience := _IMPATIENT.get(engine.dialect.name)) is None:
        return

    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, record: Any) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute(impatience)
        dbapi_connection.commit()

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        if not conn.get_execution_options().get("jobsched_read"):
            walker.ground.enter(walker)
