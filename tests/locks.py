"""Fresh memories for the locks, one of each kind, and what is held in them.

    with fresh_place("redis", tmp_path) as place:
        locks = place.open()
        place.lose()

Leases of no time are over at once, leases of an hour are not over in a test: nothing waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import redis
import sqlalchemy as sa

from celery_jobsched.fire import FireState
from celery_jobsched.limits import Limit
from celery_jobsched.locks import Copy, Hold, Locks, Report, Step, Terms
from celery_jobsched.locks.database import DatabaseLocks
from celery_jobsched.locks.redis import RedisLocks
from celery_jobsched.store import schema, tables
from celery_jobsched.store.engine import make_engine
from tests.servers import RedisServer
from tests.services import DATABASES, fresh_database, unique_name

PLACES = (*DATABASES, "redis")

AT_ONCE, HOUR = timedelta(0), timedelta(hours=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
NOW = datetime.now(timezone.utc)
TABLES = (tables.slots, tables.slot_keys, tables.admissions, tables.reports, tables.meta)


@dataclass
class Place:
    """Where locks are kept, whatever it is."""

    kind: str
    url: str
    installation: str = ""
    opened: list[Any] = field(default_factory=list)

    def open(self, **terms: Any) -> Locks:
        """Locks of their own on this place, as another process would have them."""
        if self.kind == "redis":
            locks = RedisLocks(self.url, self.installation, terms=Terms(**terms))
            self.opened.append(locks)
            return locks
        engine = self.opened[0]
        return DatabaseLocks(lambda: engine, Terms(**terms))

    def lose(self) -> None:
        """Lose the memory, as a restarted Redis does; a database is emptied."""
        if self.kind == "redis":
            with redis.Redis.from_url(self.url) as client:
                client.flushall()
            return
        with self.opened[0].begin() as conn:
            for table in TABLES:
                conn.execute(sa.delete(table))

    def count_slots(self, key: str) -> int:
        """How many entries a key has, whatever they are worth."""
        if self.kind == "redis":
            with redis.Redis.from_url(self.url) as client:
                return int(client.zcard(f"{{jobsched:{self.installation}}}:slots:{key}"))
        with self.opened[0].connect() as conn:
            rows = sa.select(sa.func.count()).where(tables.slots.c.key == key)
            return int(conn.execute(rows).scalar_one())

    def close(self) -> None:
        for each in self.opened:
            each.dispose() if isinstance(each, sa.Engine) else each.close()
        self.opened.clear()


@contextmanager
def fresh_place(kind: str, folder: Path) -> Iterator[Place]:
    """A place of one of `PLACES`, without any memory; Redis is a private server."""
    if kind == "redis":
        with RedisServer(folder) as server:
            place = Place(kind, server.url, unique_name())
            yield place
            place.close()
        return
    with fresh_database(kind, folder) as url:
        place = Place(kind, url)
        engine = make_engine(url, 10)
        place.opened.append(engine)
        schema.prepare(engine, may_change=True)
        yield place
        place.close()


def hold(fire: str, *limits: tuple[str, int], lease: timedelta = HOUR) -> Hold:
    return Hold(fire, tuple(Limit(*limit) for limit in limits), lease)


def copy(fire: str, *limits: tuple[str, int], **more: Any) -> Copy:
    """A first copy of *fire* with the token `T`, made and published now."""
    known: dict[str, Any] = {
        "lease": HOUR,
        "token": "T",
        "number": 1,
        "retries": 0,
        "made_at": NOW,
        "published_at": NOW,
        "worker": "w1",
    }
    return Copy(fire, tuple(Limit(*limit) for limit in limits), **(known | more))


def report(fire: str, state: FireState = FireState.SUCCEEDED, **more: Any) -> Report:
    return Report(fire, state, NOW, **more)


def running(locks: Locks, it: Copy) -> Copy:
    """The same copy, admitted and accepted."""
    locks.admit(it)
    locks.accept([Step(it)])
    return it
