"""Statements that are compiled once for all engines of a process.

SQLAlchemy compiles for each engine anew what it executes, and each test has engines of its own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event


class Compiled(dict[Any, Any]):
    """What SQLAlchemy made of each statement, by all but the dialect: each engine has its own."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_known(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_known(key), value)


def _known(key: Any) -> Any:
    dialect, *statement = key
    return (dialect.name, dialect.driver, dialect.server_version_info, *statement)


COMPILED = Compiled()


def share() -> None:
    """Have all engines of this process, from now on, compile for each other."""
    event.listen(Engine, "engine_connect", _with_compiled)


def _with_compiled(conn: Connection) -> None:
    conn.execution_options(compiled_cache=COMPILED)
