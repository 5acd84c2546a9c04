"""What a test reads and writes in the tables, and what must hold of any beat's records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from celery import Celery

from celery_jobsched import Scheduler
from celery_jobsched.store import tables
from celery_jobsched.store.engine import make_engine
from tests.stacks import Stack

SECOND = timedelta(seconds=1)


class Records:
    """The tables of one database, by a connection of the test's own."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url, 10)

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    def fires(self, job: str | None = None, *states: str) -> list[Mapping[str, Any]]:
        """The fires of *job* (or of all) in these states (or in any), the oldest first."""
        rows = self._rows(sa.select(tables.fires).order_by(tables.fires.c.fire_at))
        return [
            row
            for row in rows
            if (job is None or row["job_name"] == job) and (not states or row["state"] in states)
        ]

    def count(self, *states: str) -> int:
        """How many fires are in these states."""
        query = sa.select(sa.func.count()).where(tables.fires.c.state.in_(states))
        with self.engine.connect() as conn:
            return int(conn.execute(query).scalar_one())

    def jobs(self) -> dict[str, Mapping[str, Any]]:
        """Each job's row, by name."""
        return {row["name"]: row for row in self._rows(sa.select(tables.jobs))}

    def job(self, name: str) -> Mapping[str, Any]:
        return self.jobs()[name]

    def beats(self) -> list[Mapping[str, Any]]:
        return self._rows(sa.select(tables.beats))

    def meta(self) -> dict[str, str]:
        return {row["key"]: row["value"] for row in self._rows(sa.select(tables.meta))}

    def add(self, name: str, **columns: Any) -> None:
        """Write a job's row as raw SQL would; `args` and its like are JSON texts."""
        self.run(sa.insert(tables.jobs).values({"name": name, "task": "proj.note", **columns}))

    def copy(self, name: str, prefix: str, count: int, **values: Any) -> None:
        """So many more jobs like the planned one of that name: prefix and number, from 1 on."""
        source = tables.jobs
        numbers = sa.select(sa.literal(1).label("n")).cte(recursive=True)
        numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < count))
        same = [
            column.name
            for column in source.c
            if column.name not in {"id", "name", "wake_at", *values}
        ]
        named = sa.literal(f"{prefix} ").concat(sa.cast(numbers.c.n, sa.String(9)))
        new = [sa.literal(value, source.c[each].type) for each, value in values.items()]
        copies = sa.select(named, *(source.c[each] for each in same), *new)
        copies = copies.select_from(source.join(numbers, sa.true())).where(source.c.name == name)
        self.run(sa.insert(source).from_select(["name", *same, *values], copies))

    def edit(self, name: str, **columns: Any) -> None:
        self.run(sa.update(tables.jobs).where(tables.jobs.c.name == name).values(columns))

    def run(self, statement: Any, *rows: Any) -> None:
        with self.engine.begin() as conn:
            conn.execute(statement, *rows)

    def empty(self) -> None:
        """Delete all rows, but for the one that says of which release the tables are."""
        with self.engine.begin() as conn:
            for table in tables.metadata.sorted_tables:
                conn.execute(sa.delete(table))

    def has_tables(self) -> bool:
        """Whether all of them are there: this one is made last."""
        return sa.inspect(self.engine).has_table("jobsched_version")

    def _rows(self, query: Any) -> list[Mapping[str, Any]]:
        with self.engine.connect() as conn:
            return list(conn.execute(query).mappings())


@contextmanager
def ticking(stack: Stack, app: Celery | None = None) -> Iterator[Scheduler]:
    """A scheduler of this process on *stack*, ticked by hand; closed afterwards."""
    scheduler = Scheduler(app or stack.app())
    try:
        yield scheduler
    finally:
        scheduler.close()


def settle(scheduler: Scheduler) -> None:
    """Tick until there is nothing left to do at once."""
    for _ in range(1000):
        if scheduler.tick() > 0:
            return
    raise AssertionError("there is no end of work after 1000 ticks")


def unaccounted(rows: Iterable[Mapping[str, Any]], interval: timedelta = SECOND) -> list[datetime]:
    """The instants of one job, from its first to its last record, that no record covers once.

    An instant is owed one row of its own, or a place in one `missed` row.
    """
    rows = list(rows)
    found: Counter[datetime] = Counter()
    for row in rows:
        at, until = row["fire_at"], row["until_at"] or row["fire_at"]
        while at <= until:
            found[at] += 1
            at += interval
    first, last = min(found), max(found)
    wanted = {first + interval * k for k in range((last - first) // interval + 1)}
    return sorted(at for at in wanted | set(found) if found[at] != 1 or at not in wanted)
