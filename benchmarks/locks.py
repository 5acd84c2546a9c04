"""What the locks cost: microseconds a slot, and a task its record.

    python benchmarks/locks.py URL [ROUNDS]     URL: redis://…, SQLAlchemy's, or a variable with it

The database must be an empty one: the tables are made, and dropped at the end. In Redis all names
are of one installation, and expire or are deleted. Of each figure the median of all rounds.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import sqlalchemy as sa

from celery_jobsched.fire import FireState, new_id
from celery_jobsched.limits import Limit
from celery_jobsched.locks import Copy, Hold, Locks, Report, Step
from celery_jobsched.locks.database import DatabaseLocks
from celery_jobsched.locks.redis import RedisLocks
from celery_jobsched.store import schema
from celery_jobsched.store.engine import make_engine

_LEASE = timedelta(seconds=30)


class Scenario(NamedTuple):
    what: str
    batch: int
    prepare: Callable[[int], Any]
    call: Callable[[Any], Any]


def main(url: str, rounds: int = 50) -> None:
    url = os.environ.get(url, url)
    with opened(url) as locks:
        locks.open(first=True)
        for scenario in scenarios(locks):
            said = {"scenario": "locks", "backend": url.partition(":")[0], "what": scenario.what}
            figures = measured(scenario, rounds)
            print(json.dumps({**said, "batch": scenario.batch, **figures}), flush=True)


def measured(scenario: Scenario, rounds: int) -> dict[str, float]:
    walls, cpus = [], []
    for _ in range(rounds):
        about = scenario.prepare(scenario.batch)
        wall, cpu = time.perf_counter(), time.process_time()
        scenario.call(about)
        walls.append((time.perf_counter() - wall) / scenario.batch)
        cpus.append((time.process_time() - cpu) / scenario.batch)
    return {"us": _us(walls), "client_cpu_us": _us(cpus)}


def scenarios(locks: Locks) -> Iterator[Scenario]:
    for count in (1, 100, 500):
        yield Scenario("acquire, a key each", count, holds, locks.acquire)
        yield Scenario("acquire, one key for all", count, one_key, locks.acquire)
        yield Scenario("renew", count, lambda n: taken(locks, n), locks.renew)
        yield Scenario("release", count, lambda n: taken(locks, n), locks.release)
    yield Scenario("admit, at the start of a task", 1, lambda n: sent(locks, n), locks.admit)
    yield Scenario("accept", 1, steps, locks.accept)
    yield Scenario("end, at its end", 1, steps, locks.end)
    yield Scenario("end", 100, steps, locks.end)
    yield Scenario(
        "read and acknowledge reports", 500, lambda n: locks.end(steps(n)), lambda _: read(locks)
    )


def holds(count: int, key: str | None = None) -> list[Hold]:
    """Of fires and, unless it is given, keys that nobody else has."""
    now, name = datetime.now(timezone.utc), secrets.token_hex(4)
    limits = [(Limit(key or f"{name} {n}", 1_000),) for n in range(count)]
    return [Hold(new_id(now), limit, _LEASE) for limit in limits]


def one_key(count: int) -> list[Hold]:
    return holds(count, secrets.token_hex(4))


def taken(locks: Locks, count: int) -> list[Hold]:
    held = holds(count)
    locks.acquire(held)
    return held


def sent(locks: Locks, count: int) -> Copy:
    """A copy whose fire has its slot, as they come to a worker."""
    (it,) = copies(count)
    locks.acquire([it])
    return it


def copies(count: int) -> list[Copy]:
    now = datetime.now(timezone.utc)
    more = {"number": 1, "retries": 0, "made_at": now, "published_at": now, "worker": "w"}
    return [
        Copy(hold.fire, hold.limits, hold.lease, token=secrets.token_hex(8), **more)
        for hold in holds(count)
    ]


def steps(count: int) -> list[Step]:
    now = datetime.now(timezone.utc)
    return [Step(it, Report(it.fire, FireState.SUCCEEDED, now)) for it in copies(count)]


def read(locks: Locks) -> None:
    locks.acknowledge([each.id for each in locks.reports(500)])


@contextmanager
def opened(url: str) -> Iterator[Locks]:
    if url.startswith(("redis", "sentinel", "unix")):
        locks = RedisLocks(url, f"benchmark {os.getpid()}", timeout=5)
        yield locks
        locks.close()
        return
    engine = make_engine(url, 30)
    schema.prepare(engine, may_change=True)
    try:
        yield DatabaseLocks(lambda: engine)
    finally:
        with engine.begin() as conn:
            schema.metadata.drop_all(conn)
            conn.execute(sa.text(f"DROP TABLE {schema.VERSION_TABLE}"))


def _us(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1e6, 1)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
