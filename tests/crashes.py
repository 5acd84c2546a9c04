"""A program that kills a beat at one point after the other, and tells what became of its fires.

    python -m tests.crashes '{"folder": …, "conf": …, "points": null, …}'

For each point there is a world of its own (a copy of the same database, an empty broker), in which
a beat is killed at that point. Then time goes on, another beat ticks, and a worker's hand runs what
is in the queue. Processes are forked from this one, which has no threads and opens nothing itself.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import Engine

from celery_jobsched import current_fire
from celery_jobsched.store import meta, tables
from celery_jobsched.testing import Beat, Clock
from tests import garbage
from tests.breakage import BREAKAGES
from tests.compiled import COMPILED
from tests.forks import ended, in_child, started
from tests.hand import Hand
from tests.processes import wait_until
from tests.steps import Steps
from tests.worlds import Worlds

#: When the beat begins that is killed.
START = datetime(2030, 1, 7, 9, 0, 0, 300_000, tzinfo=timezone.utc)
#: Longer than a beat owns what it claimed.
LATER = timedelta(seconds=1.7)
_SECOND = timedelta(seconds=1)
#: Its instants are those at which somebody learns how another job went: they are not compared.
AFTERWARDS = "afterwards"
#: The worlds in which nobody is killed.
_CALM, _COUNTED, _WARM = -1, -2, -3


@dataclass(frozen=True)
class Trial:
    """What is tried, as the test and the program agree on it."""

    folder: str
    #: Celery's settings; those of SQLite and the filesystem are replaced for each world.
    conf: dict[str, Any]
    #: The points at which a beat is killed: each `every`-th, from `first` on.
    first: int = 0
    every: int = 1
    #: Also behind each statement, which to the world is the moment before the next step.
    behind_statements: bool = False
    #: Whether the tables are not there yet.
    empty: bool = False
    #: Which rule is broken, to see that it is noticed.
    broken: str | None = None
    at_once: int = 2


@dataclass
class World:
    """What became of the fires after a beat was killed at a point."""

    point: int
    name: str = ""
    #: The job and the instant of each run, in their order.
    ran: list[tuple[str, str]] = field(default_factory=list)
    #: Ids of messages, as often as they came.
    received: list[str] = field(default_factory=list)
    #: Job, key and state of each record.
    records: list[tuple[str, str, str]] = field(default_factory=list)
    trouble: str = ""


class WatchedClock(Clock):
    """A clock whose databases are watched."""

    def __init__(self, at: datetime, steps: Steps | None = None) -> None:
        super().__init__(at)
        self._steps = steps

    def lead(self, engine: Engine) -> None:
        super().lead(engine)
        engine.update_execution_options(compiled_cache=COMPILED)
        if self._steps is not None:
            self._steps.of_database(engine)


#: The job and the instant of each run of this process, and the ids of the fires.
RAN: list[tuple[str, str]] = []
RAN_IDS: list[str] = []


def application(conf: dict[str, Any], declared: bool = True) -> Celery:
    """An application with a task that keeps its runs."""
    app = Celery("crash", config_source=dict(conf))
    app.set_current()
    jobs = {"declared": {"task": "crash.note", "every": "second"}} if declared else {}
    app.conf.jobsched_jobs = jobs

    @app.task(name="crash.note", shared=False)
    def note() -> None:
        fire = current_fire()
        assert fire is not None
        RAN_IDS.append(fire.id)
        RAN.append((fire.job, "" if fire.job == AFTERWARDS else fire.fire_at.isoformat()))

    return app


def prepare(conf: dict[str, Any]) -> None:
    """Tables and jobs as they stand when the beat begins that is killed."""
    clock = Clock(START - 3 * _SECOND)
    app = application(conf)
    with Beat(app, clock) as beat:
        beat.settle()
        add(beat, BEFORE)
        beat.settle()
        clock.advance(_SECOND)
        beat.settle()
        Hand(app).work()
        add(beat, ROWS)


def add(beat: Beat, rows: Sequence[dict[str, Any]]) -> None:
    with beat.scheduler.runtime.engine.begin() as conn:
        for row in rows:
            conn.execute(sa.insert(tables.jobs).values(task="crash.note", **row))


_LONG_AGO = START - timedelta(minutes=12)
#: Fires of these have run, and nobody has read the report of it.
BEFORE: Sequence[dict[str, Any]] = (
    {"name": "went well", "once": "2030-01-07 08:59:57", "on_success": "it went well"},
    {"name": AFTERWARDS, "keyword": "it went well"},
)
#: What comes of these does not depend on when a beat finds them, within some seconds.
ROWS: Sequence[dict[str, Any]] = (
    {"name": "each second", "every": "1 second"},
    {
        "name": "in turn",
        "once": "2030-01-07 08:59:58, 2030-01-07 08:59:59, 2030-01-07 09:00:00",
        "created_at": _LONG_AGO,
        "max_concurrency": 1,
        "overlap": "wait",
    },
    {
        "name": "not beside",
        "once": "2030-01-07 08:59:59, 2030-01-07 09:00:00",
        "created_at": _LONG_AGO,
        "max_concurrency": 1,
        "overlap": "latest",
    },
    {"name": "once", "once": "2030-01-07 09:00:00"},
    {"name": "late", "cron": "*/5 * * * *", "misfire": "all", "created_at": _LONG_AGO},
    {"name": "missed", "cron": "* * * * *", "misfire": "skip", "created_at": _LONG_AGO},
    {"name": "cannot be read", "cron": "never"},
    {"name": "ends", "every": "1 second", "max_fires": 1, "on_end": "delete"},
    {"name": "wakes", "cron": "*/5 * * * * *", "enabled": False, "paused_until": START},
)


def be_killed(conf: dict[str, Any], clock_at: datetime, point: int | None) -> list[str]:
    """Tick as a beat does, up to *point*; the names of the points where none is given."""

    def at(number: int, name: str) -> None:
        if number == point:
            os.kill(os.getpid(), signal.SIGKILL)

    steps = Steps(at)
    steps.of_broker()
    app = application(conf)
    with Beat(app, WatchedClock(clock_at, steps)) as beat:
        beat.settle()
        return list(steps.names)


def live_on(conf: dict[str, Any], world: World) -> None:
    """What another beat and a worker make of what was left."""
    app = application(conf)
    clock = WatchedClock(START + LATER)
    with Beat(app, clock) as beat:
        beat.settle()
        hand = Hand(app)
        for _ in range(5):
            hand.work()
            clock.advance(LATER)
            wait_until(partial(has_read, beat, conf), 10)
        hand.work()
        beat.settle()
        with beat.scheduler.runtime.reading() as conn:
            columns = (tables.fires.c.job_name, tables.fires.c.key, tables.fires.c.state)
            rows = [tuple(row) for row in conn.execute(sa.select(*columns))]
        world.records = [(job, "" if job == AFTERWARDS else key, state) for job, key, state in rows]
    world.ran, world.received = sorted(RAN), hand.received


def has_read(beat: Beat, conf: dict[str, Any]) -> bool:
    """Settle; whether no report is left: Redis goes by a clock that nobody sets."""
    beat.settle()
    if conf["jobsched_lock_backend"] == "database":
        return True
    runtime = beat.scheduler.runtime
    with runtime.reading() as conn:
        installation = meta.value_of(conn, "installation") or ""
    locks = runtime.locks(installation)
    kept = locks.open().reports
    locks.close()
    return kept == 0


def play(trial: Trial, worlds: Worlds, point: int | None, name: str) -> World:
    """Kill a beat at *point* (or none at all), and see what comes of it."""
    number = _CALM if point is None else point
    conf = worlds.make(number)
    world = World(number, name)
    finished = in_child(lambda: be_killed(conf, START, point))
    if point is not None and finished is not None:
        world.trouble = "the beat was not killed"

    def rest() -> dict[str, Any]:
        live_on(conf, world)
        return asdict(world)

    found = World(**in_child(rest))
    worlds.end(number)
    return found


def warm_up(conf: dict[str, Any]) -> None:
    """Load and compile what a beat needs, so that each child has it."""
    with Beat(application(conf), WatchedClock(START)) as beat:
        beat.settle()
    importlib.import_module("tests.hand")


def main(trial: Trial) -> dict[str, Any]:
    """The points' names, the world without a crash, and the world of each point."""
    logging.disable(logging.CRITICAL)
    if trial.broken:
        BREAKAGES[trial.broken]()
    worlds = Worlds(Path(trial.folder), trial.conf, None if trial.empty else prepare)
    warm_up(worlds.make(_WARM))
    garbage.keep()
    conf = worlds.make(_COUNTED)
    names = in_child(lambda: be_killed(conf, START, None))
    calm = play(trial, worlds, None, "no crash")
    points = points_of(trial, names)[trial.first :: trial.every]
    found = [ended(*each, World) for each in under_way(trial, worlds, points, names)]
    return {"names": names, "calm": asdict(calm), "worlds": [asdict(each) for each in found]}


def points_of(trial: Trial, names: Sequence[str]) -> list[int]:
    """Where a beat may be killed."""
    return [
        number
        for number, name in enumerate(names)
        if trial.behind_statements or name.startswith("before") or is_effect(name)
    ]


def is_effect(name: str) -> bool:
    """Whether a step is more than a statement of a transaction: a commit, or something sent."""
    return name.partition(" ")[2].startswith(("COMMIT", "SEND"))


def under_way(
    trial: Trial, worlds: Worlds, points: Sequence[int], names: Sequence[str]
) -> Iterator[tuple[int, int, int]]:
    """Start a process for each point, some at a time: they are handed out in their order."""
    waiting: deque[tuple[int, int, int]] = deque()
    for point in points:
        if len(waiting) >= (trial.at_once if worlds.is_file else 1):
            yield waiting.popleft()
        waiting.append((point, *started(partial(play, trial, worlds, point, names[point]))))
    yield from waiting


if __name__ == "__main__":
    said = json.dumps(main(Trial(**json.loads(sys.argv[1]))))
    sys.stdout.write(said)
