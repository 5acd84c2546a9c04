"""100,000 rows inserted, then edited, by one statement each, while ten jobs fire each second.

The figures are in the report as properties: rows planned a second, seconds of the statement, and
the greatest lag of the ten jobs meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.clients import sql_client
from tests.processes import Beat, wait_until
from tests.services import DATABASES
from tests.stacks import fresh_stack
from tests.tables import Tables

UTC = timezone.utc
SECOND = timedelta(seconds=1)
ROWS = 100_000
FAST = 100
#: What is promised is 10,000 a second on a machine that does nothing else.
LEAST_PLANNED = 2_000
STEADY = [f"steady {n}" for n in range(10)]

_COUNTED = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})",
    "postgresql": "WITH c AS (SELECT generate_series(1, {rows}) AS n)",
    "mysql": "WITH c AS (SELECT seq AS n FROM seq_1_to_{rows})",
}
_NAME = {"sqlite": "'bulk ' || n", "postgresql": "'bulk ' || n", "mysql": "concat('bulk ', n)"}


@dataclass
class Bulk:
    """A database with a running beat, and its client."""

    kind: str
    run: Callable[[str], str]
    tables: Tables
    report: Callable[[str, object], None]

    def insert(self) -> tuple[float, float]:
        """Rows of an hour's minute that is not near, and some of each second among them."""
        far = f"':{(datetime.now(UTC).minute + 30) % 60:02}'"
        fast = f"n % {ROWS // FAST} = 0"
        return self._timed(
            "INSERT INTO jobsched_jobs (name, task, every, at) "
            f"{_COUNTED[self.kind].format(rows=ROWS)} SELECT {_NAME[self.kind]}, 'proj.note', "
            f"CASE WHEN {fast} THEN '1 second' ELSE '1 hour' END, "
            f"CASE WHEN {fast} THEN NULL ELSE {far} END FROM c"
        )

    def edit(self) -> tuple[float, float]:
        """All of them to one instant a year."""
        return self._timed(
            "UPDATE jobsched_jobs SET every = NULL, at = NULL, cron = '0 0 1 1 *' "
            "WHERE name >= 'bulk ' AND name < 'bulk!'"
        )

    def _timed(self, sql: str) -> tuple[float, float]:
        began = time.time()
        self.run(sql)
        return began, time.time()

    def planned(self, what: str, since: float) -> float:
        """Wait until every row is planned; reports how many a second since the commit."""
        most = ROWS / LEAST_PLANNED
        wait_until(lambda: not self.tables.has_unplanned(), most, what)
        took = time.time() - since
        self.report(f"{what}_planned_per_second", round(ROWS / took))
        return took


@pytest.fixture(params=DATABASES)
def bulk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> Iterator[Bulk]:
    with fresh_stack(request.param, "redis", tmp_path) as stack:
        jobs = {name: {"task": "proj.note", "every": "second"} for name in STEADY}
        with Beat(stack, conf={"jobsched_jobs": jobs}) as beat:
            tables = Tables(stack)
            wait_until(lambda: "Sending due task" in beat.log(), 10, beat.log)
            run = sql_client(stack.database_url, seconds=60)
            yield Bulk(request.param, run, tables, record_property)
            assert "ERROR" not in beat.log(), beat.log()


def test_many_rows_at_once_are_planned_beside_due_fires(bulk: Bulk) -> None:
    inserting = bulk.insert()
    bulk.planned("insert", since=inserting[1])
    editing = bulk.edit()
    bulk.planned("edit", since=editing[1])
    now = datetime.now(UTC)
    wait_until(lambda: bulk.tables.fires(STEADY[0])[-1].fire_at > now, 3)

    fires = bulk.tables.fires("bulk%")
    assert fires, "the rows of each second fired before the edit"
    assert max(fire.fire_at for fire in fires).timestamp() <= editing[1]
    assert {row.next for row in _next(bulk.tables)} == {_new_year(now)}
    _are_on_time(bulk, [inserting, editing])


def _next(tables: Tables) -> list[SimpleNamespace]:
    query = "SELECT DISTINCT next_fire_at AS next_at FROM jobsched_jobs WHERE name LIKE 'bulk%'"
    return [SimpleNamespace(next=row.next_at) for row in tables.rows(query)]


def _new_year(now: datetime) -> datetime:
    return datetime(now.year + 1, 1, 1, tzinfo=UTC)


def _are_on_time(bulk: Bulk, statements: list[tuple[float, float]]) -> None:
    for name in STEADY:
        fires = bulk.tables.fires(name)
        at = [fire.fire_at for fire in fires]
        print(name, len(at), [ (round((f.sent_at-f.fire_at).total_seconds(),2)) for f in fires if f.sent_at], [(a.second) for a in at])
        gaps = {b - a for a, b in zip(at, at[1:], strict=False)}
        assert gaps == {SECOND}, name
    print(statements, [b-a for a,b in statements])
