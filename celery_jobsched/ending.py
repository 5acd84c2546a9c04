"""Asking runs to end: those in a queue do not start, those that run are ended by their workers.

A worker that cannot end a task (threads, solo) lets it run on, and its slot is free afterwards.
Of a worker without the plugin nobody knows whether it has begun: there the slot stays, too.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .errors import LocksAway
from .fire import FireState, made_at
from .limits import NO_LIMIT, Rights
from .locks import Copy, Locks, Report, Step
from .publish import bounded_connection
from .store.skips import Run

logger = logging.getLogger(__name__)


def end_runs(app: Any, locks: Locks, runs: Sequence[Run], now: datetime, is_heard: bool) -> None:
    """Ask *runs* to end; where that cannot be asked, they go on, which the log says.

    *is_heard*: workers say what they begin. Elsewhere a run that was only sent may be running, and
    keeps its slot.
    """
    try:
        withdraw(locks, [run for run in runs if run.is_sent_only and is_heard], now)
    except LocksAway as error:
        logger.warning("runs that are replaced may still start: %s", error)
    try:
        revoke(app, runs, terminate=True)
    except Exception as error:  # noqa: BLE001 - whatever a transport raises: it is away
        logger.warning("runs that are replaced go on: %s", error, extra={"action": "revoke"})


def withdraw(locks: Locks, runs: Sequence[Run], now: datetime) -> list[bool]:
    """Let no copy of *runs* start any more; False for each that a worker has in hand.

    Raises:
        LocksAway: nothing is known of what came of it.
    """
    return locks.withdraw([_withdrawal(run, now) for run in runs]) if runs else []


def revoke(app: Any, runs: Sequence[Run], terminate: bool, patience: float = 5.0) -> None:
    """Tell workers not to begin *runs*, and to *terminate* those that they have begun.

    As ``app.control.revoke`` does, but on a connection each wait for which ends after *patience*
    seconds: those of Celery's pool wait for a broker that is away without end.

    Raises:
        Exception: what the broker's transport raises.
    """
    if runs:
        with bounded_connection(app, patience) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=patience)
            mailbox = app.control.mailbox(connection)
            mailbox.producer_pool = None
            ids = [run.fire for run in runs]
            mailbox.abcast("revoke", {"task_id": ids, "terminate": terminate, "signal": "SIGTERM"})


def _withdrawal(run: Run, now: datetime) -> Step:
    """A copy that nobody has, which ends the fire where no worker has one of it either."""
    rights = _rights_of(run)
    try:
        first = made_at(run.fire)
    except ValueError:  # a row that somebody else wrote
        first = now
    copy = Copy(
        fire=run.fire,
        limits=rights.limits,
        lease=rights.lease,
        token=secrets.token_hex(8),
        number=1,
        retries=0,
        made_at=first,
        published_at=now,
        worker="",
    )
    return Step(copy, Report(run.fire, FireState.REVOKED, now, error=run.reason))


def _rights_of(run: Run) -> Rights:
    try:
        return Rights.from_text(run.rights) if run.rights else NO_LIMIT
    except (ValueError, TypeError, KeyError, AttributeError):
        return NO_LIMIT
