"""Column types that hold the same thing on every database."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, UserDefinedType

from ..clock import UTC


class Instant(TypeDecorator[Any]):
    """An instant, stored as UTC without a zone, to the microsecond; aware UTC in Python.

    SQLite keeps it as text of one width, so that text order is time order. What a person wrote
    there that is no instant comes back as it stands, for the reader of the row to refuse.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(precision=6))
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        naive = _with_zone(value.astimezone(UTC), None)
        return naive.isoformat(" ", "microseconds") if dialect.name == "sqlite" else naive

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _instant


def _instant(value: Any) -> Any:
    if isinstance(value, datetime):
        return _with_zone(value, UTC)
    if not isinstance(value, str):
        return value
    try:
        found = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        return _with_zone(found, UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return value


def _with_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    # What replace(tzinfo=…) gives, five times as fast before Python 3.13.
    return datetime.combine(moment, moment.time(), zone)


class JsonText(UserDefinedType[Any]):
    """JSON, always as its text in Python: one broken value spoils its own row, not the page."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "JSON"

    def column_expression(self, colexpr: Any) -> Any:
        return sa.cast(colexpr, sa.Text)
