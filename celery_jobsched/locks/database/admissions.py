"""Admission records in one table; a row whose time is over is as good as none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ...store.bulk import insert_rows, update_rows
from ...store.tables import admissions
from .. import Admission, Copy, CopyState, Hold
from ..admission import is_of


@dataclass(frozen=True)
class Rows:
    """Records as they were read: what their leases mean is for a later look at the clock."""

    rows: dict[str, sa.RowMapping]

    def at(self, now: datetime) -> dict[str, Admission]:
        """Those whose time is not over at *now*."""
        return {f: _record(row, now) for f, row in self.rows.items() if row["forget_at"] > now}


def read(conn: Connection, fires: Iterable[str], for_update: bool = False) -> Rows:
    """The records of *fires*; *for_update*: nobody else touches them until the transaction ends."""
    wanted = sorted(set(fires))
    if not wanted:
        return Rows({})
    query = sa.select(admissions).where(admissions.c.fire.in_(wanted)).order_by(admissions.c.fire)
    rows = conn.execute(query.with_for_update() if for_update else query).mappings()
    return Rows({row["fire"]: row for row in rows})


class Records:
    """The records of some fires, locked by who read them: changed here, written together."""

    def __init__(self, rows: Rows, now: datetime, kept_for: timedelta) -> None:
        self._now, self._kept_for = now, kept_for
        self._there = set(rows.rows)
        self._changed: dict[str, Admission] = {}
        self._known = rows.at(now)

    def of(self, hold: Hold) -> Admission | None:
        return self._known.get(hold.fire)

    def put(self, copy: Copy, state: CopyState, lease: timedelta) -> None:
        """Make it the record of *copy*. A note that it came again stays with the same copy."""
        known = self.of(copy)
        self._set(
            copy.fire,
            Admission(
                state=state,
                token=copy.token,
                number=copy.number,
                retries=copy.retries,
                worker=copy.worker,
                until=self._now + lease,
                alive=lease > timedelta(0),
                redelivered=known is not None and is_of(copy, known) and known.redelivered,
            ),
        )

    def note_redelivered(self, fire: str) -> None:
        """Note that the same copy came again."""
        self._set(fire, replace(self._known[fire], redelivered=True))

    def write(self, conn: Connection) -> None:
        """Write what changed."""
        rows = [self._row(fire, self._changed[fire]) for fire in sorted(self._changed)]
        update_rows(conn, admissions, ("fire",), [r for r in rows if r["fire"] in self._there])
        insert_rows(conn, admissions, [r for r in rows if r["fire"] not in self._there])

    def _set(self, fire: str, record: Admission) -> None:
        self._known[fire] = self._changed[fire] = record

    def _row(self, fire: str, record: Admission) -> dict[str, Any]:
        return {
            "fire": fire,
            "state": record.state.value,
            "token": record.token,
            "number": record.number,
            "retries": record.retries,
            "worker": record.worker,
            "until_at": record.until,
            "redelivered": record.redelivered,
            "forget_at": max(record.until, self._now) + self._kept_for,
        }


def prune(conn: Connection, now: datetime, limit: int) -> int:
    """Delete at most *limit* records whose time is over; how many."""
    is_over = admissions.c.forget_at <= now
    fires = conn.execute(sa.select(admissions.c.fire).where(is_over).limit(limit)).scalars().all()
    if not fires:
        return 0
    gone = conn.execute(sa.delete(admissions).where(admissions.c.fire.in_(fires), is_over))
    return int(gone.rowcount)


def _record(row: sa.RowMapping, now: datetime) -> Admission:
    return Admission(
        state=CopyState(row["state"]),
        token=row["token"],
        number=row["number"],
        retries=row["retries"],
        worker=row["worker"],
        until=row["until_at"],
        alive=row["until_at"] > now,
        redelivered=row["redelivered"],
    )
