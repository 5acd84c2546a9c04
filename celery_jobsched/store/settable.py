"""Databases whose time is set: for tests alone, by what each database has for it.

Whatever a session asks for the time, in a query, in a column's default or in SQL that a person
typed, it is told the one that was set. It stands still during a transaction.

    SQLite       its functions of date and time are replaced in each connection
    PostgreSQL   functions of a schema of their own hide now() and clock_timestamp()
    MariaDB      the session's variable ``timestamp``
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from ..clock import UTC

#: How many arguments each may have before the first that is an instant.
_SQLITE_FUNCTIONS = {
    "strftime": 1, "datetime": 0, "date": 0, "time": 0, "julianday": 0, "unixepoch": 0,
}  # fmt: skip
_SCHEMA = "jobsched_clock"
_HIDDEN = ("now", "clock_timestamp", "transaction_timestamp", "statement_timestamp")


def lead(engine: Engine, now: Callable[[], datetime]) -> None:
    """Make all sessions of *engine* go by *now*, which returns an instant.

    To be called before its first connection. A column of PostgreSQL has a default that goes by it
    where its table was made by such an engine.
    """
    _LED[engine.dialect.name](engine, now)


def _lead_sqlite(engine: Engine, now: Callable[[], datetime]) -> None:
    @event.listens_for(engine, "connect")
    def _connect(dbapi_connection: Any, record: Any) -> None:
        for name, first in _SQLITE_FUNCTIONS.items():
            _replace(dbapi_connection, name, first, now)
        dbapi_connection.create_function(
            "current_timestamp", 0, lambda: now().strftime("%Y-%m-%d %H:%M:%S")
        )


def _replace(dbapi_connection: Any, name: str, first: int, now: Callable[[], datetime]) -> None:
    """Have the function *name* take what is set for 'now'."""
    asked = sqlite3.connect(":memory:", check_same_thread=False)

    def answer(*given: Any) -> Any:
        arguments = list(given) if len(given) > first else [*given, "now"]
        instant = arguments[first]
        if isinstance(instant, str) and instant.strip().lower() == "now":
            arguments[first] = now().astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        places = ", ".join("?" * len(arguments))
        return asked.execute(f"SELECT {name}({places})", arguments).fetchone()[0]

    # A generated column takes none but deterministic ones.
    dbapi_connection.create_function(name, -1, answer, deterministic=True)


def _lead_postgresql(engine: Engine, now: Callable[[], datetime]) -> None:
    @event.listens_for(engine, "connect")
    def _connect(dbapi_connection: Any, record: Any) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(5070501)")
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
            for name in _HIDDEN:
                cursor.execute(
                    f"CREATE OR REPLACE FUNCTION {_SCHEMA}.{name}() RETURNS timestamptz STABLE "
                    "LANGUAGE sql AS 'SELECT current_setting(''jobsched.now'')::timestamptz'"
                )
            cursor.execute(f'SET search_path = "$user", public, {_SCHEMA}, pg_catalog')
            cursor.execute("SELECT set_config('jobsched.now', %s, false)", [now().isoformat()])
        dbapi_connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        said = now().astimezone(UTC).isoformat()
        conn.exec_driver_sql(f"SELECT set_config('jobsched.now', '{said}', false)")


def _lead_mysql(engine: Engine, now: Callable[[], datetime]) -> None:
    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        at = now().astimezone(UTC)
        conn.exec_driver_sql(f"SET timestamp = {int(at.timestamp())}.{at.microsecond:06}")


_LED = {
    "sqlite": _lead_sqlite,
    "postgresql": _lead_postgresql,
    "mysql": _lead_mysql,
    "mariadb": _lead_mysql,
}
