"""Many rows in one statement, by the form that each database takes fastest.

PostgreSQL unnests arrays, MariaDB joins a ``JSON_TABLE``, SQLite repeats a prepared statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection

from .types import Instant

Row = Mapping[str, Any]
T = TypeVar("T")

#: A statement of PostgreSQL's has room for 65,535 parameters.
_MOST_PARAMETERS = 10_000
#: Characters; what max_allowed_packet takes is 16 MB unless a server is set to less.
_LONGEST_PAGE = 1_000_000


def in_pages(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """*values* in such numbers as a statement takes."""
    for start in range(0, len(values), _MOST_PARAMETERS):
        yield values[start : start + _MOST_PARAMETERS]


def insert_rows(conn: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert *rows*, all with the same keys, in one round trip.

    Raises:
        sqlalchemy.exc.IntegrityError: one of them is there already; none was inserted.
    """
    if not rows:
        return
    columns = tuple(rows[0])
    if conn.dialect.name == "postgresql":
        conn.execute(_insert_unnest(table, columns), _arrays(rows, columns))
    else:
        conn.execute(_insert(table, columns), rows)


def update_rows(
    conn: Connection, table: sa.Table, keys: tuple[str, ...], rows: Sequence[Row]
) -> int:
    """Update each row that *keys* name to the rest of its values; how many were found.

    All *rows* have the same columns; *keys* are compared, the others are set.
    """
    if not rows:
        return 0
    columns = tuple(rows[0])
    if conn.dialect.name == "postgresql":
        statement = _update_unnest(table, keys, columns)
        return int(conn.execute(statement, _arrays(rows, columns)).rowcount)
    if conn.dialect.name in {"mysql", "mariadb"}:
        statement = _update_json(table, keys, columns)
        pages = _as_json(rows, columns)
        return sum(int(conn.execute(statement, {"rows": page}).rowcount) for page in pages)
    bound = [{f"_{name}": value for name, value in row.items()} for row in rows]
    return int(conn.execute(_update_each(table, keys, columns), bound).rowcount)


@lru_cache(maxsize=64)
def _insert(table: sa.Table, columns: tuple[str, ...]) -> Any:
    return sa.insert(table).values({name: sa.bindparam(name) for name in columns})


@lru_cache(maxsize=64)
def _unnested(table: sa.Table, columns: tuple[str, ...]) -> Any:
    arrays = [sa.bindparam(f"_{n}", type_=ARRAY(_array_type(table.c[n]))) for n in columns]
    return sa.func.unnest(*arrays).table_valued(*columns).render_derived(name="v")


def _array_type(column: sa.Column[Any]) -> Any:
    return column.type if _is_plain(column) else sa.Text()


def _typed(column: sa.Column[Any], value: Any) -> Any:
    """A value of an unnested array in the column's own type: JSON travels as text."""
    return value if _is_plain(column) else sa.cast(value, column.type)


def _is_plain(column: sa.Column[Any]) -> bool:
    kinds = (Instant, sa.Integer, sa.Double, sa.Boolean, sa.String)
    return isinstance(column.type, kinds)


@lru_cache(maxsize=64)
def _insert_unnest(table: sa.Table, columns: tuple[str, ...]) -> Any:
    rows = _unnested(table, columns)
    values = [_typed(table.c[name], rows.c[name]) for name in columns]
    return sa.insert(table).from_select(list(columns), sa.select(*values))


@lru_cache(maxsize=64)
def _update_unnest(table: sa.Table, keys: tuple[str, ...], columns: tuple[str, ...]) -> Any:
    rows = _unnested(table, columns)
    values = {n: _typed(table.c[n], rows.c[n]) for n in columns if n not in keys}
    found = sa.and_(*(table.c[name] == rows.c[name] for name in keys))
    return sa.update(table).where(found).values(values)


@lru_cache(maxsize=64)
def _update_each(table: sa.Table, keys: tuple[str, ...], columns: tuple[str, ...]) -> Any:
    found = sa.and_(*(table.c[name] == sa.bindparam(f"_{name}") for name in keys))
    values: Any = {name: sa.bindparam(f"_{name}") for name in columns if name not in keys}
    return sa.update(table).where(found).values(values)


@lru_cache(maxsize=64)
def _update_json(table: sa.Table, keys: tuple[str, ...], columns: tuple[str, ...]) -> Any:
    shape = ", ".join(
        f"`{name}` {_json_type(table.c[name])} PATH '$.{key}'"
        for key, name in zip(_keys(columns), columns, strict=True)
    )
    found = " AND ".join(f"t.`{name}` = v.`{name}`" for name in keys)
    values = ", ".join(f"t.`{name}` = v.`{name}`" for name in columns if name not in keys)
    # The rows first, then each by its key: a small table would be gone through as a whole, and a
    # row of it that somebody holds be waited for.
    return sa.text(
        f"UPDATE JSON_TABLE(:rows, '$[*]' COLUMNS({shape})) v STRAIGHT_JOIN `{table.name}` t "  # noqa: S608 - names of our own tables alone
        f"FORCE INDEX (PRIMARY) ON {found} SET {values}"
    )


def _json_type(column: sa.Column[Any]) -> str:
    if isinstance(column.type, Instant):
        return "DATETIME(6)"
    if isinstance(column.type, sa.Integer | sa.Boolean):
        return "BIGINT"
    if isinstance(column.type, sa.Double):
        return "DOUBLE"
    return "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


def _arrays(rows: Sequence[Row], columns: tuple[str, ...]) -> dict[str, list[Any]]:
    return {f"_{name}": [row[name] for row in rows] for name in columns}


def _keys(columns: tuple[str, ...]) -> list[str]:
    """The columns' keys in JSON, short ones: MariaDB looks through the text for each value."""
    return [f"c{n}" for n in range(len(columns))]


def _as_json(rows: Sequence[Row], columns: tuple[str, ...]) -> Iterator[str]:
    """The rows as JSON lists, none of them much longer than a packet may safely be."""
    keyed = list(zip(_keys(columns), columns, strict=True))
    page: list[str] = []
    length = 0
    for row in rows:
        # An absent key is NULL to JSON_TABLE; a JSON null may be the text "null".
        page.append(_encode({k: _plain(row[n]) for k, n in keyed if row[n] is not None}))
        length += len(page[-1])
        if length > _LONGEST_PAGE:
            yield f"[{','.join(page)}]"
            page, length = [], 0
    if page:
        yield f"[{','.join(page)}]"


# What json.dumps would make anew for each row.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")[:26]  # less the zone
    return int(value) if isinstance(value, bool) else value
