"""Opening what a source is kept in: tables, keys of Redis, a shelf, an attribute, a file of JSON.

Everything is read, and closed again, before anything is made of it.
"""

from __future__ import annotations

import dbm
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchTableError

from ..errors import InvalidSetting, InvalidSource, shown

Row = Mapping[str, Any]


def tables(url: str, tasks: str, schedules: Mapping[str, str], schema: str | None) -> Any:
    """The rows of the table *tasks*, in their order, and those of *schedules* by kind and id.

    Raises:
        InvalidSource: there is no such table, or the URL cannot be read.
    """
    engine = _engine(url)
    try:
        with engine.connect() as conn:
            found = _rows(conn, tasks, schema)
            by_kind = {kind: _rows(conn, name, schema) for kind, name in schedules.items()}
    except NoSuchTableError as error:
        where = engine.url.render_as_string()
        raise InvalidSource(f"expected the table {error} in {where}, got: none") from None
    finally:
        engine.dispose()
    return found, {kind: {row["id"]: row for row in rows} for kind, rows in by_kind.items()}


def hashes(url: str, options: Mapping[str, Any], key: str, timeout: float) -> Any:
    """The keys of the sorted set *key* of redbeat's, with what their hashes hold.

    Raises:
        InvalidSource: the URL cannot be read, or there is no such set.
        ConnectionError: Redis does not answer as it should.
    """
    from ..locks.redis.client import TROUBLE, make_client, safe_url

    try:
        client = make_client(url, options, timeout)
    except InvalidSetting:
        raise InvalidSource("redbeat: expected a URL of Redis, got: another one") from None
    try:
        with client:
            keys = list(client.zrange(key, 0, -1))
            if not keys:
                raise InvalidSource(f"redbeat: expected keys in {key!r} at {safe_url(url)}")
            return [(name, *client.hmget(name, "definition", "meta")) for name in keys]
    except TROUBLE as error:
        raise ConnectionError(f"redbeat: {safe_url(url)}: {error}") from error


def shelf(path: str) -> bytes:
    """The ``entries`` of a shelf of Celery's, still pickled.

    Raises:
        InvalidSource: there is no such file, or it is none.
    """
    if not dbm.whichdb(path):
        raise InvalidSource(f"expected a file that Celery's beat has written, got: {shown(path)}")
    try:
        with dbm.open(path, "r") as kept:
            return bytes(kept[b"entries"])
    except (KeyError, *dbm.error) as error:
        raise InvalidSource(f"{path}: expected the entries of Celery's beat ({error})") from error


def attribute(place: str) -> Any:
    """What ``module:attribute`` names.

    Raises:
        InvalidSource: there is none.
    """
    module, _, names = place.partition(":")
    try:
        found: Any = import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSource(f"expected module:attribute, got: {shown(place)} ({error})") from error
    return found


def json_file(path: str) -> Any:
    """What a file of JSON holds.

    Raises:
        InvalidSource: it cannot be read.
    """
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidSource(f"expected a file of JSON, got: {shown(path)} ({error})") from error


def _engine(url: str) -> sa.Engine:
    try:
        parts = sa.make_url(url)
        engine = sa.create_engine(parts, poolclass=sa.NullPool, hide_parameters=True)
    except (ArgumentError, ImportError):
        raise InvalidSource("expected a URL of a database, and its driver installed") from None
    is_file = parts.get_backend_name() == "sqlite" and parts.database not in (None, "", ":memory:")
    if is_file and not Path(str(parts.database)).is_file():
        raise InvalidSource(f"expected the database {parts.database}, got: no such file")
    return engine


def _rows(conn: sa.Connection, name: str, schema: str | None) -> list[Row]:
    table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=conn, resolve_fks=False)
    return [dict(row) for row in conn.execute(sa.select(table).order_by(table.c.id)).mappings()]
