"""The verb that ends what is on its way of a job, and leaves the job as it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa

from ..ending import revoke, withdraw
from ..errors import BrokerAway
from ..reports import are_workers_heard
from ..store import meta, stops
from ..store.engine import database_now
from ..store.skips import Run
from .bound import Bound

_AT_ONCE = 500


class Stopped(NamedTuple):
    """The ids of the fires that were on their way, by what became of them."""

    #: Were not sent, and are not any more.
    cancelled: list[str]
    #: Were sent, and no worker had begun with them: none will.
    withdrawn: list[str]
    #: Are in the hands of a worker, or may be, and workers were asked to end them.
    asked: list[str]


class Stops(Bound):
    """Stopping."""

    def stop(
        self, name: str, terminate: bool = False, by: str | None = None, note: str | None = None
    ) -> Stopped:
        """End all that is on its way of a job; the job stays as it is, and fires again when due.

        What waits or is pending is cancelled; what no worker has begun does not start; what runs
        goes on to its end and is not retried, or is killed where *terminate* is set and the pool
        can (prefork). Workers are told by Celery's ``revoke``. As long as none of them has reported
        of any fire, what was sent may run unknown: it is asked to end, and keeps its slot.

        Raises:
            JobNotFound: there is no job of that name.
            LocksAway, BrokerAway: what was not sent is cancelled; the rest may start or go on.
        """
        with self._writing() as conn:
            now = conn.execute(sa.select(database_now())).scalar_one()
            since = now - timedelta(seconds=self.runtime.settings.max_queue_time)
            found = stops.stop(conn, name, self._reason(by, note), since)
            installation = meta.value_of(conn, "installation")
            # That the plugin is loaded here says nothing: the façade itself loads it.
            is_heard = are_workers_heard(conn)
        runs = found.cancelled + found.sent
        to_withdraw = runs if is_heard else found.cancelled
        withdrawn = self._withdraw(to_withdraw, installation) if installation else set()
        try:
            revoke(self.runtime.app, runs, terminate)
        except Exception as error:  # whatever a transport raises
            raise BrokerAway(f"workers were not asked to end {len(runs)} fires: {error}") from error
        sent = [run.fire for run in found.sent]
        return Stopped(
            cancelled=[run.fire for run in found.cancelled],
            withdrawn=[fire for fire in sent if fire in withdrawn],
            asked=[fire for fire in sent if fire not in withdrawn],
        )

    def _withdraw(self, runs: Sequence[Run], installation: str) -> set[str]:
        """Let no copy of *runs* start any more; those of which none had."""
        waiting = [run for run in runs if run.is_sent_only]
        ended: set[str] = set()
        with closing(self.runtime.locks(installation)) as locks:
            for start in range(0, len(waiting), _AT_ONCE):
                page = waiting[start : start + _AT_ONCE]
                done = withdraw(locks, page, self.runtime.clock.now())
                ended |= {run.fire for run, is_done in zip(page, done, strict=True) if is_done}
        return ended

    def _reason(self, by: str | None, note: str | None) -> str:
        who = self._author(by, note).who or "somebody"
        return f"stopped by {who}" + (f": {note}" if note else "")
