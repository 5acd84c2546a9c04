"""Reading what workers report: written down, committed, and only then acknowledged.

A report may be read twice, and counts once; see ``store.ends``.

beat dies before the commit       another beat reads the reports again, and they count
beat dies before the acknowledge  they are read again, and change nothing any more
the locks are away                nothing is read, and nothing concluded from it
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from . import events
from .errors import LocksAway
from .fire import FireState
from .locks import Locks, Report, Reported
from .runtime import Runtime
from .store import ends, meta
from .store.afterwards import Told
from .store.ends import Applied

logger = logging.getLogger(__name__)

#: ``jobsched_meta``: when a beat last wrote down what a worker reported, to about a minute.
REPORTED_AT = "reported_at"

_AT_ONCE = 500
_AWAY_PAUSE_S = 2.0
_NOTED_EVERY_S = 60.0


@dataclass
class Reports:
    """One beat's reading of reports, a page at a time."""

    runtime: Runtime
    _away_until: float = 0.0
    _is_away: bool = False
    _noted: float | None = None

    def take(self, locks: Locks, now: datetime) -> bool:
        """Write a page of them down; whether there is more to do at once.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is in trouble; the reports stay.
        """
        found = self._read(locks)
        if not found:
            return False
        applied = self._apply([each.report for each in found if each.report], now)
        tell(applied)
        if any(each.report is None for each in found):
            logger.warning("a report was none that this release can read", extra={"action": "read"})
        self._ask(lambda: locks.acknowledge([each.id for each in found]))
        return len(found) == _AT_ONCE or applied.is_anything_ready

    def _read(self, locks: Locks) -> list[Reported]:
        if self.runtime.clock.monotonic() < self._away_until:
            return []
        return self._ask(lambda: locks.reports(_AT_ONCE)) or []

    def _ask(self, call: Any) -> Any:
        """What the locks say; None while they are away, which is said once."""
        try:
            found = call()
        except LocksAway as error:
            level = logging.DEBUG if self._is_away else logging.WARNING
            logger.log(level, "no reports are read: %s", error, extra={"action": "locks"})
            self._is_away = True
            self._away_until = self.runtime.clock.monotonic() + _AWAY_PAUSE_S
            return None
        if self._is_away:
            logger.warning("reports are read again", extra={"action": "locks"})
            self._is_away = False
        return found

    def _apply(self, reports: Sequence[Report], now: datetime) -> Applied:
        try:
            return self._write(reports, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a report holds, the beat goes on
            if len(reports) > 1:
                return self._one_by_one(reports, now)
            logger.error(
                "a report of fire %r cannot be written down: %s",
                reports[0].fire,
                error,
                extra={"action": "read"},
            )
            return Applied()

    def _one_by_one(self, reports: Sequence[Report], now: datetime) -> Applied:
        """What no database takes must not keep back the others."""
        all_of_them = Applied()
        for report in reports:
            all_of_them += self._apply([report], now)
        return all_of_them

    def _write(self, reports: Sequence[Report], now: datetime) -> Applied:
        settings, moment = self.runtime.settings, self.runtime.clock.monotonic()
        is_to_note = self._noted is None or moment - self._noted >= _NOTED_EVERY_S
        with self.runtime.engine.begin() as conn:
            lease = timedelta(seconds=settings.lease)
            applied = ends.apply(conn, reports, now, self.runtime.zone_name, lease)
            if is_to_note:
                meta.note(conn, REPORTED_AT, now.isoformat())
        self._noted = moment if is_to_note else self._noted
        return applied


def are_workers_heard(conn: Connection) -> bool:
    """Whether any worker has ever reported what became of a fire."""
    return meta.value_of(conn, REPORTED_AT) is not None


def tell(applied: Applied) -> None:
    """Send the signals of what was written down; after the commit."""
    for each in applied.told:
        signal, names = _SIGNALS.get(each.state, (None, ()))
        if each.state is FireState.LOST:
            _warn_of_lost(each)
        if signal is not None and signal.receivers:
            said = {name: getattr(each.report, name) for name in names}
            fire = {"job": each.job, "fire_id": each.report.fire, "fire_at": each.fire_at}
            signal.send(sender=None, origin=each.origin, **fire, **said)
    for job, note in applied.paused:
        logger.warning("job %r is paused: %s", job, note, extra={"action": "pause", "job": job})
        events.job_paused.send(sender=None, job=job, note=note)


def _warn_of_lost(told: Told) -> None:
    logger.warning(
        "job %r: fire %s is lost: %s",
        told.job,
        told.report.fire,
        told.report.error,
        extra={"action": "lost", "job": told.job, "fire": told.report.fire},
    )


_SIGNALS: dict[FireState, tuple[Any, tuple[str, ...]]] = {
    FireState.WAITING: (events.fire_waiting, ()),
    FireState.STARTED: (events.fire_started, ("worker",)),
    FireState.RETRYING: (events.fire_retried, ("worker", "error")),
    FireState.SUCCEEDED: (events.fire_succeeded, ("worker", "result")),
    FireState.FAILED: (events.fire_failed, ("worker", "error")),
    FireState.REVOKED: (events.fire_revoked, ("worker", "error")),
    FireState.EXPIRED: (events.fire_expired, ("worker", "error")),
    FireState.LOST: (events.fire_lost, ("error",)),
}
