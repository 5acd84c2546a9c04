"""Reports in one table, in the order of their ids; one reader at a time has some in hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ...store import meta
from ...store.bulk import insert_rows
from ...store.engine import database_now
from ...store.tables import reports
from .. import Report, Reported
from ..reports import from_text, to_text
from .memory import count_dropped

_READER = "locks.reader"


def add(conn: Connection, new: Sequence[Report], most: int) -> None:
    """Keep *new* ones; where there are more than *most*, drop the oldest and count them."""
    insert_rows(conn, reports, [{"report": to_text(report)} for report in new])
    ends = sa.select(sa.func.min(reports.c.id), sa.func.max(reports.c.id))
    oldest, newest = conn.execute(ends).one() if new else (None, None)
    # Ids leave gaps: only a count says how many there are, and it is asked for when it may matter.
    if oldest is not None and newest - oldest >= most:
        _drop(conn, most)


def count(conn: Connection) -> int:
    """How many there are."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(reports)).scalar_one())


def is_any(conn: Connection) -> bool:
    """Whether there are some."""
    return conn.execute(sa.select(reports.c.id).limit(1)).first() is not None


def take(conn: Connection, limit: int, reader: str, reading_time: timedelta) -> list[Reported]:
    """The oldest, which are in this reader's hand from now on; none while another's has some."""
    meta.hold(conn, _READER)
    now = conn.execute(sa.select(database_now())).scalar_one()
    name, _, until = (meta.value_of(conn, _READER) or "").partition(" ")
    if until and name != reader and datetime.fromisoformat(until) > now:
        return []
    query = sa.select(reports.c.id, reports.c.report).order_by(reports.c.id).limit(limit)
    found = [Reported(str(id_), from_text(text)) for id_, text in conn.execute(query)]
    if found:
        meta.note(conn, _READER, f"{reader} {(now + reading_time).isoformat()}")
    return found


def acknowledge(conn: Connection, ids: Sequence[str], reader: str) -> None:
    """Forget reports, and let others read."""
    conn.execute(sa.delete(reports).where(reports.c.id.in_([int(id_) for id_ in ids])))
    if (meta.value_of(conn, _READER) or "").startswith(f"{reader} "):
        meta.note(conn, _READER, "")


def _drop(conn: Connection, most: int) -> None:
    query = sa.select(reports.c.id).order_by(reports.c.id.desc()).offset(most).limit(1)
    newest_to_drop = conn.execute(query).scalar()
    if newest_to_drop is not None:
        gone = conn.execute(sa.delete(reports).where(reports.c.id <= newest_to_drop))
        count_dropped(conn, int(gone.rowcount))
