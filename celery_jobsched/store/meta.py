"""What the whole installation shares: its id, environment, planning fingerprint and beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ..errors import EnvironmentMismatch
from ..freeze import Drain, Freeze
from ..lags import Lag
from .engine import database_now
from .tables import beats, meta

#: Beats that were not seen for so long are taken off the list.
FORGOTTEN_AFTER = timedelta(days=1)
#: Under which key a freeze of all schedules is noted.
FREEZE = "freeze"


def value_of(conn: Connection, key: str) -> str | None:
    """What is noted under *key*."""
    return conn.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar()


def note(conn: Connection, key: str, value: str) -> None:
    """Note *value* under *key*."""
    changed = sa.update(meta).where(meta.c.key == key).values(value=value)
    if not conn.execute(changed).rowcount and value_of(conn, key) is None:
        remember(conn, key, value)


def forget(conn: Connection, *keys: str) -> bool:
    """Note nothing under these keys any more; whether anything was."""
    return bool(conn.execute(sa.delete(meta).where(meta.c.key.in_(keys))).rowcount)


def frozen(conn: Connection) -> Freeze | None:
    """The freeze that lasts, if one does."""
    noted = value_of(conn, FREEZE)
    found = None if noted is None else Freeze.from_text(noted)
    now = conn.execute(sa.select(database_now())).scalar_one()
    return found if found and found.holds(now) else None


def drain_key(beat: str) -> str:
    """Under which key it is noted that a beat is drained."""
    return f"drain {beat}"


def drained(conn: Connection, beat: str) -> Drain | None:
    """The drain of a beat, if it is drained."""
    noted = value_of(conn, drain_key(beat))
    return None if noted is None else Drain.from_text(noted)


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


def lease(conn: Connection, key: str, holder: str, now: datetime, until: datetime) -> bool:
    """Let *holder* have *key* alone until *until*; False while somebody else has it.

    Who seems to have it for longer than that took it by a clock that was set back since.
    """
    value = f"{until.isoformat()} {holder}"
    known = remember(conn, key, value)
    if known == value:
        return True
    if _is_leased(known, now, until) and not _is_of(known, holder):
        return False
    taken = sa.update(meta).where(meta.c.key == key, meta.c.value == known).values(value=value)
    return bool(conn.execute(taken).rowcount)


def give_up(conn: Connection, key: str, holder: str) -> None:
    """End the lease of *key* if it is that of *holder*."""
    known = value_of(conn, key)
    if known is not None and _is_of(known, holder):
        conn.execute(sa.delete(meta).where(meta.c.key == key, meta.c.value == known))


def check_environment(conn: Connection, environment: str | None) -> None:
    """Claim the database for *environment*, or see that it is of it.

    Raises:
        EnvironmentMismatch: it belongs to another one, as a copy of production does in staging;
            or to one at all, where this beat names none.
    """
    owner = value_of(conn, "environment")
    if environment and owner is None:
        owner = remember(conn, "environment", environment)
    if owner != environment:
        mine = f"to {environment!r}" if environment else "names none (jobsched_environment)"
        raise EnvironmentMismatch(
            f"the database belongs to environment {owner!r}, this beat {mine}: nothing is claimed"
        )


@dataclass(frozen=True)
class Sign:
    """What a beat says of itself when it ticks."""

    beat: str
    name: str
    started_at: datetime
    lag: Lag | None = None
    #: Why it claims nothing.
    refuses: str | None = None
    #: What it is for, if not for claiming.
    mode: str | None = None


def seen(conn: Connection, sign: Sign, now: datetime) -> None:
    """Note that a beat ticks."""
    told = {
        "seen_at": now,
        "usual_lag": sign.lag and sign.lag.usual.total_seconds(),
        "greatest_lag": sign.lag and sign.lag.greatest.total_seconds(),
        "refuses": sign.refuses,
        "mode": sign.mode,
    }
    mine = sa.update(beats).where(beats.c.id == sign.beat)
    if not conn.execute(mine.values(told)).rowcount:
        row = {"id": sign.beat, "name": sign.name, "started_at": sign.started_at}
        conn.execute(sa.insert(beats).values({**row, **told}))
        forgotten = sa.select(beats.c.id).where(beats.c.seen_at < now - FORGOTTEN_AFTER)
        for id_ in conn.execute(forgotten).scalars().all():
            gone(conn, id_)


def alive(conn: Connection, beat: str) -> None:
    """Note that the process of a beat lives, though its tick does not return."""
    mine = sa.update(beats).where(beats.c.id == beat)
    conn.execute(mine.values(alive_at=database_now()))


def gone(conn: Connection, beat: str) -> None:
    """Take a beat off the list, and whatever is noted of it."""
    forget(conn, drain_key(beat))
    conn.execute(sa.delete(beats).where(beats.c.id == beat))


def living(conn: Connection) -> Sequence[Any]:
    """The beats on the list, the one seen last first."""
    return conn.execute(sa.select(beats).order_by(beats.c.seen_at.desc())).mappings().all()


def _is_of(leased: str, holder: str) -> bool:
    return leased.partition(" ")[2] == holder


def _is_leased(leased: str, now: datetime, longest: datetime) -> bool:
    try:
        return now < datetime.fromisoformat(leased.partition(" ")[0]) <= longest
    except (ValueError, TypeError):  # written by a person
        return False
