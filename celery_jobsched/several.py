"""A beat of several databases: each has a scheduler and a thread of its own, and waits for none.

    the thread that Celery ticks in     a thread for each database
    tick   sees that they live          tick, wait as long as that says, tick, …
    close  lets them end, for a while   end the tick, mark what was published, sign off

What hangs in a database, or in whatever one of them calls, is left behind at the end: its thread
ends with the process. That is for its database as when the process is killed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from . import events
from .interrupts import uninterrupted
from .tenure import OWNED_FOR

logger = logging.getLogger(__name__)

#: What ends as soon as it begins is not begun again at once.
_AGAIN_AFTER_S = 2.0


class Ticking(Protocol):
    """A scheduler of one database."""

    def tick(self) -> float:
        """Do what there is to do; the seconds until the next time."""

    def close(self) -> None:
        """Give back what was opened."""


@dataclass
class _Lane:
    """A database's scheduler, and the thread that it ticks in once that was started."""

    alias: str
    scheduler: Ticking
    thread: threading.Thread | None = None
    #: When another one may begin, in monotonic seconds.
    again_at: float = 0.0

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class Several:
    """Ticks the schedulers that *make* gives for *aliases*.

    *wait_s*: how long one of them waits for its database at most; *app*: whose they are.
    """

    def __init__(
        self, app: Any, aliases: Sequence[str], make: Callable[[str], Ticking], wait_s: float
    ) -> None:
        self._app, self._make = app, make
        #: A batch is published while it is owned, and marked in one wait.
        self._parting_s = OWNED_FOR.total_seconds() + wait_s
        self._ended = threading.Event()
        self._is_closed = False
        self._lanes = [_Lane(alias, make(alias)) for alias in aliases]

    @property
    def schedulers(self) -> Mapping[str, Ticking]:
        """The scheduler of each database."""
        return {lane.alias: lane.scheduler for lane in self._lanes}

    def watch(self) -> None:
        """See that each of them ticks: start those that do not; never raises."""
        with uninterrupted():
            for lane in [] if self._ended.is_set() else self._lanes:
                if not lane.is_alive and time.monotonic() >= lane.again_at:
                    lane.again_at = time.monotonic() + _AGAIN_AFTER_S
                    self._begin(lane)

    def close(self) -> None:
        """End them all together, within a bounded time; may be called twice."""
        self._ended.set()
        if self._is_closed:
            return
        self._is_closed = True
        with uninterrupted():
            until = time.monotonic() + self._parting_s
            for lane in self._lanes:
                if lane.thread is None:
                    lane.scheduler.close()
                else:
                    lane.thread.join(max(until - time.monotonic(), 0))
        if left := [lane.alias for lane in self._lanes if lane.is_alive]:
            logger.warning("not waiting any longer for %s", ", ".join(left))

    def _begin(self, lane: _Lane) -> None:
        name_in_logs()
        try:
            if lane.thread is not None:
                lane.scheduler = self._make(lane.alias)
                logger.warning("another one begins to serve database %s", lane.alias)
            name = f"jobsched-{lane.alias}"
            thread = threading.Thread(target=self._run, args=(lane,), name=name, daemon=True)
            thread.start()
            lane.thread = thread
        except Exception:  # no more threads, or a job that was declared meanwhile
            logger.exception("nobody serves database %s", lane.alias)

    def _run(self, lane: _Lane) -> None:
        scheduler = lane.scheduler
        self._app.set_current()
        with events.of_database(lane.alias):
            try:
                while not self._ended.is_set():
                    self._ended.wait(scheduler.tick())
            except BaseException:  # a task that runs here, or a receiver, may want to exit
                logger.exception("whoever served this database has ended")
            finally:
                scheduler.close()


def name_in_logs() -> None:
    """Let each line of the log that comes from a database's thread begin with its alias."""
    former = logging.getLogRecordFactory()
    if getattr(former, "names_databases", False):
        return

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = former(*args, **kwargs)
        alias = events.database.get()
        if alias is not None:
            made.msg, made.database = f"{alias}: {made.msg}", alias
        return made

    record.names_databases = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)
