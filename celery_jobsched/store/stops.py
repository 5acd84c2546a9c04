"""Stopping what is on its way of a job: what was not sent is cancelled, the rest is to end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..errors import JobNotFound
from ..fire import FireState, oldest_id
from .bulk import in_pages
from .engine import database_now
from .fires import IS_OVER
from .skips import Run
from .tables import fires, jobs, named

_NOT_SENT = [FireState.PENDING.value, FireState.WAITING.value]
_OPEN = [state.value for state in FireState if not state.is_final]


class OnTheWay(NamedTuple):
    """A job's fires that had not ended: those that are cancelled now, and those to be asked."""

    cancelled: list[Run]
    sent: list[Run]


def stop(conn: Connection, name: str, reason: str, since: datetime) -> OnTheWay:
    """Cancel what is pending or waiting of a job, and note on the rest that it is asked to end.

    Among the rest is what was sent after *since*, and nobody knows whether it has ended.

    Raises:
        JobNotFound: there is no job of that name.
    """
    found = OnTheWay([], [])
    for row in _open_fires(conn, name, since):
        is_sent = row.state not in _NOT_SENT
        run = Run(row.id, reason, row.state in (*_NOT_SENT, FireState.SENT.value), row.rights)
        (found.sent if is_sent else found.cancelled).append(run)
    _update(
        conn,
        found.cancelled,
        state=FireState.CANCELLED.value,
        ready_at=None,
        waiting_for=None,
        finished_at=database_now(),
        reason=reason,
    )
    _update(conn, found.sent, reason=f"asked to end: {reason}")
    return found


def _open_fires(conn: Connection, name: str, since: datetime) -> Sequence[Any]:
    job_id = conn.execute(sa.select(jobs.c.id).where(named(jobs, name))).scalar()
    if job_id is None:
        raise JobNotFound(f"no job {name!r}")
    query = sa.select(fires.c.id, fires.c.state, fires.c.rights).where(
        fires.c.job_id == job_id,
        fires.c.state.in_(_OPEN),
        sa.or_(sa.not_(IS_OVER), fires.c.id >= oldest_id(since)),
    )
    return conn.execute(query.order_by(fires.c.id).with_for_update()).all()


def _update(conn: Connection, runs: Sequence[Run], **values: Any) -> None:
    for page in in_pages(runs):
        these = fires.c.id.in_([run.fire for run in page])
        conn.execute(sa.update(fires).where(these).values(values))
