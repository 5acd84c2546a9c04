"""Workers whose runs last, on a clock that is set: they renew and report in time, and may die.

Requests, runs and the channel are the plugin's own. Instead of its thread the walk says when the
channel has its turn; the pool begins what it is given, and ends it, when it is time to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeAlias

from celery import Celery
from celery.concurrency.base import apply_target

from celery_jobsched.locks import Locks
from celery_jobsched.runtime import Clock
from celery_jobsched.worker import channel, request, runs
from tests.hand import Hand
from tests.labour import Labour, Run

#: In how many seconds a task begins, and ends.
Times: TypeAlias = tuple[float, float]


def go_by(clock: Clock) -> None:
    """Have the plugin of all workers of this process go by *clock*."""
    watch = SimpleNamespace(monotonic=clock.monotonic, sleep=time.sleep)
    for room in (channel, request, runs):
        room.time = watch  # type: ignore[attr-defined]
    for room in (request, runs):
        room.now = clock.now  # type: ignore[attr-defined]


class SpokenChannel(channel.Channel):
    """A channel without a thread."""

    def _start(self) -> None:
        """Nobody but :meth:`turn` says anything."""

    def turn(self) -> None:
        """Say what there is to say, and renew what it is time to renew."""
        self._wake()
        self._urgent.set()
        self._turn()

    @property
    def rest_s(self) -> float:
        """In how many seconds it renews."""
        return self._rest()

    @property
    def late_s(self) -> float:
        """For how many seconds it ought to have renewed."""
        moment: float = channel.time.monotonic()
        return moment - self._renewed_at - self._interval


class SpokenChannels(channel.Channels):
    def to(self, locks: Locks) -> SpokenChannel:
        made = SpokenChannel(partial(self._renew, locks))
        found: Any = self._channels.setdefault(id(locks), made)
        return found  # type: ignore[no-any-return]

    @property
    def all(self) -> list[Any]:
        return [*self._channels.values()]


@dataclass(eq=False)
class Task:
    """What a pool was given, from when it begins until when it ends."""

    run: Run
    message: Any
    accept: Callable[..., Any]
    perform: Callable[[], Any]
    begins_at: datetime
    ends_at: datetime


class LastingPool:
    """Keeps what it is given; *times* says in how many seconds a task begins and ends."""

    def __init__(self, clock: Clock, labour: Labour, times: Callable[[], Times]) -> None:
        self.clock, self.labour, self._times = clock, labour, times
        self.tasks: list[Task] = []
        #: Whose worker, and which message it has given.
        self.worker, self.message = "", None

    def apply_async(
        self, target: Any, args: Any, accept_callback: Any, callback: Any, **_: Any
    ) -> Task:
        times = [self.clock.now() + timedelta(seconds=each) for each in self._times()]
        perform = partial(apply_target, target, args, callback=callback)
        run = self.labour.take(args[1], args[2]["jobsched"]["job"], self.worker)
        self.tasks.append(Task(run, self.message, accept_callback, perform, *times))
        return self.tasks[-1]


class Worker(Hand):
    """A worker that does what it is time for when it has its turn."""

    pool: LastingPool

    def __init__(self, app: Celery, name: str, pool: LastingPool) -> None:
        super().__init__(app, name, pool)
        pool.worker = name
        self._clock, self._labour = pool.clock, pool.labour
        self.runs._channels = self._channels = SpokenChannels(self.runs._renew)
        self._connection = app.connection_for_read()
        #: Those that have ended, or were refused, and nobody knows.
        self._unsaid: list[Run] = []

    def work(self, most: int = 1000) -> int:
        """Take what lies there, *most* messages at most; how many there were."""
        for taken in range(most):
            self.pool.message = message = self.next_on(self._connection)
            if message is None:
                return taken
            before = len(self.pool.tasks)
            self.run(message)
            if len(self.pool.tasks) == before:
                fire = message.headers["id"], message.headers["jobsched"]["job"]
                self._unsaid.append(self._labour.refuse(*fire, self.name))
        return most

    @property
    def late_s(self) -> float:
        """For how long it ought to have renewed what it holds."""
        return max((each.late_s for each in self._channels.all), default=0)

    def turn(self, says: bool) -> None:
        """Begin and end what it is time for; say so at once, or when it is time to renew."""
        now = self._clock.now()
        for task in list(self.pool.tasks):
            if task.run.begun_at is None and task.begins_at <= now:
                self._labour.begin(task.run)
                task.accept(os.getpid(), self._clock.monotonic())
            if task.ends_at <= now:
                self._end(task)
        for each in self._channels.all:
            if says or each.rest_s <= 0:
                each.turn()
                self._unsaid.clear()

    def die(self) -> list[Task]:
        """It does nothing any more; what it had in hand, which a broker may give to another one."""
        for run in [*(task.run for task in self.pool.tasks), *self._unsaid]:
            self._labour.die(run)
        return self.pool.tasks

    def _end(self, task: Task) -> None:
        self.pool.tasks.remove(task)
        self._labour.end(task.run)
        self._unsaid.append(task.run)
        task.perform()
