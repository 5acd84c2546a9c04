"""The verb that asks all that beats and workers stand on how it is."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from ..errors import JobschedError
from ..status import Fires, LocksSeen, Service, Status
from ..store import meta, schema, standing
from ..store.engine import database_now
from .bound import Bound


class Standing(Bound):
    """Looking at the whole."""

    def status(self, counts: bool = True) -> Status:
        """How beats, database, locks, broker and workers stand; *counts*: and how all jobs do.

        Asks the database, the locks and the broker. What workers are there is told by what they
        reported of the latest fires, nobody asks them.

        Raises:
            sqlalchemy.exc.DBAPIError: the database does not answer.
        """
        began, place = self.runtime.clock.monotonic(), self.runtime.urls["database"]
        with self.runtime.reading() as conn:
            now = conn.execute(sa.select(database_now())).scalar_one()
            database = Service(place, self.runtime.clock.monotonic() - began)
            found = Status(now, database, schema.version_of(conn), schema.HEAD)
            if found.version != schema.HEAD:
                return found
            jobs, due = standing.job_counts(conn, now) if counts else ({}, 0)
            found = replace(found, beats=standing.beats(conn, now), jobs=jobs, due=due)
            fires = standing.standing(conn, now)
            installation, freeze = meta.value_of(conn, "installation"), meta.frozen(conn)
        locks, fires = self._locks(installation, fires)
        return replace(found, locks=locks, fires=fires, broker=self._broker(), freeze=freeze)

    def _locks(self, installation: str | None, fires: Fires) -> tuple[LocksSeen, Fires]:
        """The locks; and who holds the keys that fires wait for."""
        place = self.runtime.urls["locks"]
        if installation is None:  # no beat has ever been here
            return LocksSeen(place), fires
        began = self.runtime.clock.monotonic()
        try:
            with closing(self.runtime.locks(installation)) as locks:
                memory = locks.open()
                seconds = self.runtime.clock.monotonic() - began
                held = locks.holders([queue.key for queue in fires.queues])
        except JobschedError as error:
            return LocksSeen(place, trouble=str(error)), fires
        seen = LocksSeen(
            place,
            seconds,
            silent_for=memory.silent_for,
            reports=memory.reports,
            dropped=memory.dropped,
        )
        queues = [replace(queue, held=len(held[queue.key])) for queue in fires.queues]
        return seen, replace(fires, queues=queues)

    def _broker(self) -> Service:
        place, began = "", self.runtime.clock.monotonic()
        try:
            with self.runtime.app.connection_for_write() as connection:
                place = connection.as_uri()
                connection.connect()
        except Exception as error:  # noqa: BLE001 - whatever a transport raises: it is away
            return Service(place, trouble=_said(error))
        return Service(place, self.runtime.clock.monotonic() - began)


def _said(error: Any) -> str:
    return f"{error}" or type(error).__name__
