"""The verbs that hold up all schedules at once, and let them go on."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from ..errors import InvalidJob
from ..freeze import Freeze
from ..store import meta
from ..store.engine import database_now
from .bound import Bound


class Freezes(Bound):
    """Freezing."""

    def freeze(
        self, note: str | None = None, until: datetime | None = None, by: str | None = None
    ) -> Freeze:
        """Let no beat fire what schedules owe, until *until* or :meth:`thaw`.

        Counts with the next poll, in place of a freeze before it. What is on its way goes on, and
        so do runs by hand; of what comes due meanwhile the misfire rules decide afterwards.

        Raises:
            InvalidJob: *until* has no offset, or is past.
        """
        with self._writing() as conn:
            now = conn.execute(sa.select(database_now())).scalar_one()
            if until is not None and (until.tzinfo is None or until <= now):
                raise InvalidJob("until", until, "an instant that is to come, with an offset")
            found = Freeze(now, until, self._author(by, note).who, note)
            meta.note(conn, meta.FREEZE, found.to_text())
        return found

    def thaw(self) -> Freeze | None:
        """Let schedules fire again; the freeze that was, None where nothing was frozen."""
        with self._writing() as conn:
            found = meta.frozen(conn)
            meta.forget(conn, meta.FREEZE)
        return found

    def frozen(self) -> Freeze | None:
        """The freeze that lasts, if one does."""
        with self.runtime.reading() as conn:
            return meta.frozen(conn)
