"""Since when the database knows who holds what, and what time it is there.

Kept in ``jobsched_meta``: a database forgets only what a person deletes, or restores.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ...store import meta
from ...store.engine import database_now
from ...store.tables import meta as table

_BORN, _GRANTS, _DROPPED = "locks.born_at", "locks.grants_at", "locks.dropped"
_NOBODY = timedelta(0)


@dataclass(frozen=True)
class Moment:
    """What time it is, since when there is a memory, and from when on it grants."""

    now: datetime
    born_at: datetime
    grants_at: datetime
    dropped: int
    #: Whether that is written down.
    is_noted: bool
    renewal_period: timedelta

    @property
    def silent_for(self) -> timedelta:
        return max(self.grants_at - self.now, _NOBODY)

    @property
    def hears_of_runs_alone(self) -> bool:
        """Whoever runs has told it well before the last quarter; then queues are heard."""
        return self.silent_for > self.renewal_period / 4


def look(conn: Connection, renewal_period: timedelta) -> Moment:
    """How it stands now; where there is no memory, as though it began at this moment."""
    noted = [_noted(key) for key in (_BORN, _GRANTS, _DROPPED)]
    now, born, grants, dropped = conn.execute(sa.select(database_now(), *noted)).one()
    if born is None or grants is None:
        return Moment(now, now, now + renewal_period, int(dropped or 0), False, renewal_period)
    moments = (now, _instant(born), _instant(grants))
    return Moment(*moments, int(dropped or 0), True, renewal_period)


def begin(conn: Connection, renewal_period: timedelta, first: bool = False) -> Moment:
    """The same, where a memory begins if there is none, and is believed to be the *first* one."""
    moment = look(conn, renewal_period)
    if not moment.is_noted:
        _remember(conn, moment)
        moment = look(conn, renewal_period)
    if first and moment.silent_for:
        meta.note(conn, _GRANTS, moment.now.isoformat())
        moment = look(conn, renewal_period)
    return moment


def count_dropped(conn: Connection, more: int) -> None:
    """Note that *more* reports were dropped."""
    meta.hold(conn, _DROPPED)
    meta.note(conn, _DROPPED, str(int(meta.value_of(conn, _DROPPED) or 0) + more))


def _noted(key: str) -> sa.ScalarSelect[str]:
    return sa.select(table.c.value).where(table.c.key == key).scalar_subquery()


def _remember(conn: Connection, moment: Moment) -> None:
    meta.remember(conn, _BORN, moment.born_at.isoformat())
    meta.remember(conn, _GRANTS, moment.grants_at.isoformat())


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
