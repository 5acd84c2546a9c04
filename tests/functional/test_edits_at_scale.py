"""Many rows inserted, then edited, by one statement each, while ten jobs fire each second.

20,000 of them; JOBSCHED_TEST_ROWS says otherwise. The figures are
in the report as properties: rows planned a second, and the greatest lag of the ten jobs meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.clients import sql_client
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.services import DATABASES
from tests.stacks import fresh_stack
from tests.tables import Tables

pytestmark = pytest.mark.alone

UTC = timezone.utc
SECOND = timedelta(seconds=1)
ROWS = int(os.environ.get("JOBSCHED_TEST_ROWS") or 20_000)
#: What is promised is 10,000 a second on a machine that does nothing else.
LEAST_PLANNED = 2_000
STEADY = [f"steady {n}" for n in range(10)]

_COUNTED = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})",
    "postgresql": "WITH c AS (SELECT generate_series(1, {rows}) AS n)",
    "mysql": "WITH c AS (SELECT seq AS n FROM seq_1_to_{rows})",
}


@dataclass
class Bulk:
    """A database with a running beat, and its client."""

    kind: str
    sql: Callable[[str], str]
    tables: Tables
    report: Callable[[str, object], None]

    def insert(self, columns: str, values: str, rows: int) -> tuple[float, float]:
        """Insert *rows* numbered rows; *values* may use n. When it began and ended."""
        counted = _COUNTED[self.kind].format(rows=rows)
        name = self.joined("'bulk '", "n")
        into = f"INSERT INTO jobsched_jobs (name, task, {columns})"
        return self.run(f"{into} {counted} SELECT {name}, 'proj.note', {values} FROM c")

    def joined(self, *parts: str) -> str:
        """The SQL that makes one text of *parts*."""
        return f"concat({', '.join(parts)})" if self.kind == "mysql" else " || ".join(parts)

    def run(self, sql: str) -> tuple[float, float]:
        began = time.time()
        self.sql(sql)
        return began, time.time()

    def wait_planned(self, what: str, committed: float) -> None:
        """Wait until every row is planned, and report how many a second that were."""
        wait_until(lambda: not self.tables.has_unplanned(), paced(ROWS / LEAST_PLANNED), what)
        self.report(f"{what}s_planned_per_second", round(ROWS / (time.time() - committed)))

    def wait_for_steady(self) -> datetime:
        """Wait for the next fire of the steady jobs; when that began."""
        now = datetime.now(UTC)
        wait_until(lambda: self.tables.fires(STEADY[0])[-1].fire_at > now, 5)
        return now


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
            wait_until(lambda: tables.has_any() and tables.fires(STEADY[0]), 10, beat.log)
            sql = sql_client(stack.database_url, seconds=60)
            yield Bulk(request.param, sql, tables, record_property)
            assert "ERROR" not in beat.log(), beat.log()


def test_many_rows_are_planned_and_edited_beside_due_fires(bulk: Bulk) -> None:
    # Each row has a second of the hour to itself, so that some are due at any time.
    at = bulk.joined("'{\"minute\": '", "(n % 60)", "', \"second\": '", "(n % 59)", "'}'")
    change = "SET every = NULL, at = NULL, cron = '0 0 1 1 *'"

    inserting = bulk.insert("every, at", f"'1 hour', {at}", ROWS)
    bulk.wait_planned("insert", committed=inserting[1])
    editing = bulk.run(f"UPDATE jobsched_jobs {change} WHERE name >= 'bulk ' AND name < 'bulk!'")
    bulk.wait_planned("edit", committed=editing[1])
    now = bulk.wait_for_steady()

    fires = bulk.tables.fires("bulk%")
    assert fires
    assert max(fire.fire_at for fire in fires).timestamp() <= editing[1]
    assert _next_instants(bulk.tables) == {datetime(now.year + 1, 1, 1, tzinfo=UTC)}
    _were_on_time(bulk, [inserting, editing])


def test_a_heap_of_new_jobs_does_not_hold_up_the_others(bulk: Bulk) -> None:
    rows = ROWS // 10

    inserting = bulk.insert("every", "'1 hour'", rows)

    wait_until(lambda: len(bulk.tables.fires("bulk%")) >= rows, paced(rows / 500))
    bulk.wait_for_steady()
    assert len({fire.job_name for fire in bulk.tables.fires("bulk%")}) == rows
    _were_on_time(bulk, [inserting])


def _next_instants(tables: Tables) -> set[datetime]:
    query = "SELECT DISTINCT next_fire_at FROM jobsched_jobs WHERE name LIKE 'bulk%'"
    return {row.next_fire_at for row in tables.rows(query)}


def _were_on_time(bulk: Bulk, statements: list[tuple[float, float]]) -> None:
    """No instant of the steady jobs is missing, and none was sent a second late."""
    fires = bulk.tables.fires("steady%")
    first = min(fire.fire_at for fire in fires)
    for name in STEADY:
        instants = [fire.fire_at for fire in fires if fire.job_name == name]
        assert instants == [first + k * SECOND for k in range(len(instants))], name
    sent = [fire for fire in fires if fire.state != "pending" and fire.fire_at > first]
    lags = [
        fire.sent_at.timestamp() - _could_be_sent_at(bulk, fire.fire_at, statements)
        for fire in sent
    ]
    bulk.report("greatest_lag", round(max(lags), 3))
    assert max(lags) < paced(1)


def _could_be_sent_at(
    bulk: Bulk, fire_at: datetime, statements: list[tuple[float, float]]
) -> float:
    """SQLite and MariaDB hold the others' rows while one statement writes (nearly) all."""
    instant = fire_at.timestamp()
    if bulk.kind != "postgresql":
        for began, ended in statements:
            if began - 0.1 < instant < ended:
                return ended
    return instant
