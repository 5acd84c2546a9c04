"""What the tables hold, read beside a running beat and without the package's own code.

tables = Tables(stack)
wait_until(lambda: tables.job("tick").next_fire_at, 2)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from sqlalchemy import create_engine, event, inspect, text

from tests.stacks import Stack


class Tables:
    """Reads of a stack's database; each sees what is committed by then. Instants are aware UTC."""

    def __init__(self, stack: Stack) -> None:
        self._engine = create_engine(stack.database_url, isolation_level="AUTOCOMMIT")
        if stack.database == "sqlite":
            event.listen(self._engine, "connect", _read_anything)
        stack.on_end.callback(self._engine.dispose)

    def has_any(self) -> bool:
        """Whether the tables are there: this one is made last."""
        return inspect(self._engine).has_table("jobsched_version")

    def jobs(self) -> dict[str, SimpleNamespace]:
        """All rows of `jobsched_jobs`, by name."""
        return {row.name: row for row in self.rows("SELECT * FROM jobsched_jobs")}

    def job(self, name: str) -> SimpleNamespace:
        """The row of that name; it must be there."""
        (row,) = self.rows("SELECT * FROM jobsched_jobs WHERE name = :name", name=name)
        return row

    def fires(self, name: str = "%") -> list[SimpleNamespace]:
        """The rows of `jobsched_fires` whose job's name is like *name*, by instant."""
        query = "SELECT * FROM jobsched_fires WHERE job_name LIKE :name ORDER BY fire_at, job_name"
        return self.rows(query, name=name)

    def has_unplanned(self) -> bool:
        """Whether some row waits to be planned."""
        (row,) = self.rows("SELECT min(wake_at) AS first_at FROM jobsched_jobs")
        return bool(row.first_at and row.first_at.year == 1970)

    def rows(self, sql: str, **parameters: Any) -> list[SimpleNamespace]:
        """What a query finds."""
        with self._engine.connect() as conn:
            found = conn.execute(text(sql), parameters).mappings().all()
        return [_row(each) for each in found]


def _row(row: Mapping[str, Any]) -> SimpleNamespace:
    values = {name: _instant(v) if name.endswith("_at") else v for name, v in row.items()}
    return SimpleNamespace(**values)


def _instant(value: Any) -> datetime | None:
    """SQLite gives instants as texts; what is none is left out."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) else None


def _read_anything(connection: Any, record: Any) -> None:
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
