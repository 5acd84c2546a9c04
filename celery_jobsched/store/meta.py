"""What the whole installation shares: its id, environment, planning fingerprint and beats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ..errors import EnvironmentMismatch
from .tables import beats, meta

#: Beats that were not seen for so long are taken off the list.
FORGOTTEN_AFTER = timedelta(days=1)


def value_of(conn: Connection, key: str) -> str | None:
    """What is noted under *key*."""
    return conn.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar()


def note(conn: Connection, key: str, value: str) -> None:
    """Note *value* under *key*."""
    changed = sa.update(meta).where(meta.c.key == key).values(value=value)
    if not conn.execute(changed).rowcount and value_of(conn, key) is None:
        remember(conn, key, value)


def remember(conn: Connection, key: str, value: str) -> str:
    """Note *value* under *key* unless there is one already; what is noted then."""
    known = value_of(conn, key)
    if known is not None:
        return known
    try:
        with conn.begin_nested():
            conn.execute(sa.insert(meta).values(key=key, value=value))
    except IntegrityError:  # another beat was faster
        return value_of(conn, key) or value
    return value


def hold(conn: Connection, key: str) -> None:
    """Let nobody else hold *key* until this transaction ends."""
    remember(conn, key, "")
    conn.execute(sa.select(meta.c.value).where(meta.c.key == key).with_for_update())


def check_environment(conn: Connection, environment: str | None) -> None:
    """Claim the database for *environment*, or see that it is of it.

    Raises:
        EnvironmentMismatch: it belongs to another one, as a copy of production does in staging.
    """
    owner = value_of(conn, "environment")
    if environment and owner is None:
        owner = remember(conn, "environment", environment)
    if environment and owner != environment:
        raise EnvironmentMismatch(
            f"the database belongs to environment {owner!r}, this beat to {environment!r}: "
            "nothing is claimed"
        )


def seen(conn: Connection, beat: str, name: str, started_at: datetime, now: datetime) -> None:
    """Note that this beat ticks."""
    mine = sa.update(beats).where(beats.c.id == beat)
    if not conn.execute(mine.values(seen_at=now)).rowcount:
        row = {"id": beat, "name": name, "started_at": started_at, "seen_at": now}
        conn.execute(sa.insert(beats).values(row))
        conn.execute(sa.delete(beats).where(beats.c.seen_at < now - FORGOTTEN_AFTER))


def gone(conn: Connection, beat: str) -> None:
    """Note that this beat has ended in good order."""
    conn.execute(sa.delete(beats).where(beats.c.id == beat))


def living(conn: Connection) -> Sequence[Any]:
    """The beats on the list, the one seen last first."""
    return conn.execute(sa.select(beats).order_by(beats.c.seen_at.desc())).mappings().all()
