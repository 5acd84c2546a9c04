"""The databases: how each is opened, and every fact in which they differ.

SQLite, PostgreSQL and MariaDB (MySQL 8 speaks the same words and is untested). Nowhere else in
the package does a line ask which database it talks to.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from ..errors import InvalidSetting
from .types import Instant

READ = {"jobsched_read": True}

#: What a text begins with that is not UTF-8: a character that no text holds.
GARBLED = "\ufdd0"


def make_engine(url: str, timeout: float) -> Engine:
    """An engine for *url* whose every wait for the database ends after *timeout* seconds.

    Opens nothing. Connections are checked before use, so that a restarted server costs one
    reconnect and no error.

    Raises:
        InvalidSetting: see :func:`backend_of`.
    """
    return _BACKENDS[backend_of(url)](url, timeout)


def backend_of(url: str, option: str = "jobsched_database_url") -> str:
    """The kind of database that *url* leads to; *option* holds it.

    Raises:
        InvalidSetting: it is no URL, of a kind that is not known, or its driver is not installed.
    """
    wanted = f"{option}: expected a URL of {', '.join(_BACKENDS)}"
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):  # what it says may be a part of the password
        raise InvalidSetting(f"{wanted}, got: no URL") from None
    if "@" in (parts.host or ""):
        # The end of the password would be taken for the host's name, and shown.
        raise InvalidSetting(f"{wanted} with %40 for each @ of the password, got: another @")
    name = parts.get_backend_name()
    if name not in _BACKENDS:
        raise InvalidSetting(f"{wanted}, got: {name}")
    try:
        parts.get_dialect().import_dbapi()
    except (ArgumentError, ImportError) as error:
        raise InvalidSetting(f"{wanted} with its driver installed, got: {error}") from None
    return name


def safe_url(url: str) -> str:
    """*url* as a person may see it: without its password."""
    parts = make_url(url)
    hidden = {key: "..." for key in parts.query if "pass" in key.lower()}
    return parts.update_query_dict(hidden).render_as_string(hide_password=True)


def skips_locked(conn: Connection) -> bool:
    """Whether rows that another transaction holds can be passed over."""
    if conn.dialect.name == "postgresql":
        return True
    version: Any = conn.dialect.server_version_info or (0,)
    mariadb = getattr(conn.dialect, "is_mariadb", False)
    return conn.dialect.name == "mysql" and version >= ((10, 6) if mariadb else (8, 0, 1))


def begin_writing(conn: Connection) -> None:
    """Let a transaction of somebody else's engine be one that writes, from its beginning on.

    The driver of SQLite begins none before a savepoint, which would then commit by itself.
    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
    """
    if conn.dialect.name == "sqlite":
        driver: Any = conn.connection.dbapi_connection
        if not driver.in_transaction:
            conn.exec_driver_sql("BEGIN IMMEDIATE")


def is_deadlock(error: BaseException) -> bool:
    """Whether the database gave up this transaction in favour of another: try it again."""
    cause = getattr(error, "orig", error)
    # In tuples: what an exception carries need not be hashable.
    if getattr(cause, "sqlstate", None) in ("40P01", "40001"):
        return True
    arguments: Any = getattr(cause, "args", ())
    return bool(arguments) and arguments[0] in (1205, 1213)


def is_denied(error: BaseException) -> bool:
    """Whether the database refuses this to its user, and will again."""
    cause = getattr(error, "orig", error)
    if getattr(cause, "sqlstate", None) == "42501":
        return True
    arguments: Any = getattr(cause, "args", ())
    return bool(arguments) and arguments[0] in (1044, 1142, 1143)


def in_one_line(error: BaseException) -> str:
    """What went wrong: SQLAlchemy adds the statement and a link to its own."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


class database_now(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """The database's own clock, at this moment, as an :class:`Instant`."""

    type = Instant()
    inherit_cache = True


@compiles(database_now)
def _now_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(database_now, "postgresql")
def _now_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return "(clock_timestamp() AT TIME ZONE 'utc')"


@compiles(database_now, "mysql", "mariadb")
def _now_mysql(element: Any, compiler: Any, **kw: Any) -> str:
    return "(UTC_TIMESTAMP(6))"


class made_now(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """When a row is made: on PostgreSQL the transaction's start, so that ``now()`` is not before.

    A job inserted with ``once = now()`` would else lie in its own past.
    """

    type = Instant()
    inherit_cache = True


@compiles(made_now)
def _made_now(element: Any, compiler: Any, **kw: Any) -> str:
    if compiler.dialect.name == "postgresql":
        return "(now() AT TIME ZONE 'utc')"
    return str(compiler.process(database_now(), **kw))


def _sqlite(url: str, timeout: float) -> Engine:
    # pysqlite's own transactions begin too late: two beats would claim the same rows.
    # https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": timeout})

    @event.listens_for(engine, "connect")
    def _connect(dbapi_connection: Any, record: Any) -> None:
        dbapi_connection.isolation_level = None
        dbapi_connection.text_factory = _text
        dbapi_connection.create_function("jobsched_digest", 1, hash, deterministic=True)
        # The mode is the file's own: where it is locked, another process is just setting it.
        with suppress(sqlite3.OperationalError):
            dbapi_connection.execute("PRAGMA journal_mode = wal")
        # A commit that a power cut undoes would be claimed, and fired, a second time.
        dbapi_connection.execute("PRAGMA synchronous = full")

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        reads = conn.get_execution_options().get("jobsched_read")
        conn.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _text(raw: bytes) -> str:
    """SQLite keeps any bytes as text: those of one row must not spoil the page that it is on."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return GARBLED + raw.decode("utf-8", "replace")


def _mysql(url: str, timeout: float) -> Engine:
    seconds = max(1, round(timeout))
    return sa.create_engine(
        url,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=1,
        connect_args={
            "connect_timeout": seconds,
            "read_timeout": seconds,
            "write_timeout": seconds,
            "charset": "utf8mb4",
            **_conversions(url),
        },
    )


def _conversions(url: str) -> dict[str, Any]:
    """PyMySQL takes instants apart slowly: they are left as text, which :class:`Instant` reads."""
    driver: Any = make_url(url).get_dialect().import_dbapi()
    if driver.__name__ != "pymysql":
        return {}
    known = driver.converters.conversions
    return {"conv": {kind: f for kind, f in known.items() if kind != driver.FIELD_TYPE.DATETIME}}


def _postgresql(url: str, timeout: float) -> Engine:
    engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=1)
    if engine.driver == "psycopg":

        @event.listens_for(engine, "do_connect")
        def _connect(dialect: Any, record: Any, args: Any, params: dict[str, Any]) -> Any:
            params.setdefault("connect_timeout", max(2, round(timeout)))
            return _impatient(timeout).connect(*args, **params)

    return engine


def _impatient(timeout: float) -> Any:
    """A psycopg connection class that gives up when the server says nothing for *timeout* s.

    libpq has no such limit of its own: its TCP settings notice a dead peer, not a silent one.
    """
    import psycopg

    class Impatient(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().wait(_watched(gen, timeout), *args, **kwargs)
            except _NoAnswer as silence:
                # Its answer may still come: whoever asked next would get it.
                self.close()
                raise psycopg.OperationalError(str(silence)) from None

    return Impatient


class _NoAnswer(Exception):
    """The server says nothing."""


def _watched(gen: Generator[Any, Any, Any], timeout: float) -> Generator[Any, Any, Any]:
    deadline = time.monotonic() + timeout
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                deadline = time.monotonic() + timeout
            elif time.monotonic() > deadline:
                raise _NoAnswer(f"no answer from the database within {timeout:g} s")
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value


_BACKENDS = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql, "mariadb": _mysql}
