"""What the tables say of how it all stands. Nothing here reads more than a page of fires."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median_high
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..filters import Filter
from ..fire import FireState, Origin, made_at
from ..status import BeatSeen, Fires, Queue, WorkerSeen
from ..views import JobState
from . import meta, search
from .planned import EDITED
from .tables import fires, jobs

_RECENT = 1000
#: How many of the fires whose sending is measured, and of the keys that are told.
_MEASURED, _KEYS = 100, 20
_LOOKED_AT = (
    "worker", "state", "origin", "publishes", "due_at", "sent_at", "started_at", "check_at",
    "rights",
)  # fmt: skip
_NOTHING = timedelta(0)
_ENDED = (FireState.SUCCEEDED.value, FireState.FAILED.value)


def beats(conn: Connection, now: datetime) -> list[BeatSeen]:
    """The beats on the list, the one seen last first."""
    return [
        BeatSeen(
            id=row["id"],
            name=row["name"],
            up=row["seen_at"] - row["started_at"],
            seen_ago=max(now - row["seen_at"], _NOTHING),
            alive_ago=row["alive_at"] and max(now - row["alive_at"], _NOTHING),
            usual_lag=_seconds(row["usual_lag"]),
            greatest_lag=_seconds(row["greatest_lag"]),
            refuses=row["refuses"],
            mode=row["mode"],
        )
        for row in meta.living(conn)
    ]


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def job_counts(conn: Connection, now: datetime) -> tuple[dict[JobState, int], int]:
    """How many jobs there are of each state, and how many are due. Looks at all of them."""
    due = sa.select(sa.func.count()).where(jobs.c.wake_at > EDITED, jobs.c.wake_at <= now)
    return search.find(conn, Filter(), 0).counts, conn.execute(due).scalar_one()


def standing(conn: Connection, now: datetime) -> Fires:
    """What is on its way, and how the latest fires went."""
    pending = sa.select(sa.func.count()).where(fires.c.ready_at.is_not(None))
    is_sent = sa.and_(fires.c.check_at.is_not(None), fires.c.state == FireState.SENT.value)
    sent = sa.select(sa.func.count()).where(is_sent)
    recent = _latest(conn)
    told = [row for row in recent if row.worker]
    unheard = [row for row in recent if _is_unheard(row)]
    lags = [_lag(row) for row in recent if _is_measured(row)][:_MEASURED]
    return Fires(
        pending=conn.execute(pending).scalar_one(),
        sent=conn.execute(sent).scalar_one(),
        queues=_queues(conn, now),
        usual_lag=median_high(lags) if lags else None,
        greatest_lag=max(lags, default=None),
        workers=_workers(told, now),
        recent=len(told) + len(unheard),
        unheard=len(unheard),
    )


def _latest(conn: Connection) -> Sequence[Any]:
    made_at = sa.select(jobs.c.created_at).where(jobs.c.id == fires.c.job_id).scalar_subquery()
    query = sa.select(*(fires.c[name] for name in _LOOKED_AT), made_at.label("made_at"))
    return conn.execute(query.order_by(fires.c.id.desc()).limit(_RECENT)).all()


def _is_unheard(row: Any) -> bool:
    """Whether it ran, or should have by now, and how was told by no worker."""
    if row.worker or row.sent_at is None:
        return False
    return row.state in _ENDED or (row.state == FireState.SENT.value and row.check_at is None)


def _is_measured(row: Any) -> bool:
    """Whether nothing but a beat held it up: no second try, and no wait for a slot."""
    is_first = row.origin == Origin.SCHEDULE.value and row.publishes == 1
    return is_first and row.rights is None and row.sent_at is not None and row.due_at is not None


def _lag(row: Any) -> timedelta:
    """Since it was due, or since its job was made: its first fire may be due before that."""
    is_known = isinstance(row.made_at, datetime)
    lag: timedelta = row.sent_at - (max(row.due_at, row.made_at) if is_known else row.due_at)
    return max(lag, _NOTHING)


def _workers(told: Sequence[Any], now: datetime) -> list[WorkerSeen]:
    started: dict[str, list[datetime]] = defaultdict(list)
    for row in told:
        started[row.worker].append(row.started_at or row.sent_at or now)
    return [
        WorkerSeen(name, len(at), max(now - max(at), _NOTHING))
        for name, at in sorted(started.items())
    ]


def _queues(conn: Connection, now: datetime) -> list[Queue]:
    """Those of the keys for which most fires wait."""
    count = sa.func.count().label("count")
    query = (
        sa.select(fires.c.waiting_for, count, sa.func.min(fires.c.id).label("oldest"))
        .where(fires.c.waiting_for.is_not(None))
        .group_by(fires.c.waiting_for)
        .order_by(count.desc(), fires.c.waiting_for)
        .limit(_KEYS)
    )
    found = conn.execute(query)
    return [Queue(row.waiting_for, row[1], _age(row.oldest, now)) for row in found]


def _age(id_: str, now: datetime) -> timedelta:
    try:
        return max(now - made_at(id_), _NOTHING)
    except ValueError:  # a row that somebody else wrote
        return _NOTHING
