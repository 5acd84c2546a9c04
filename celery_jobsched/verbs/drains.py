"""The verbs about single beats: which there are, and draining one before it is taken away."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ..errors import InvalidJob
from ..freeze import Drain
from ..status import BeatSeen, BeatState
from ..store import meta, schema, standing
from ..store.engine import database_now
from .bound import Bound


class Drains(Bound):
    """Beats, one by one."""

    def beats(self) -> list[BeatSeen]:
        """The beats on the list, the one seen last first; see ``status``.

        Raises:
            SchemaMismatch: there are no tables.
        """
        with self.runtime.reading() as conn:
            schema.require_tables(conn)
            return standing.beats(conn, _now(conn))

    def drain(self, beat: str, note: str | None = None, by: str | None = None) -> BeatSeen:
        """Let that beat publish nothing more; the others go on. Gone when it starts anew.

        *beat*: its name or its id. It counts from when the beat is seen next, two seconds, or four
        when there is much to do; from then on :meth:`beats` says that it is drained.

        Raises:
            InvalidJob: it is not the name or id of one beat; *note* or *by* no database takes.
        """
        with self._writing() as conn:
            now = _now(conn)
            found = _named(conn, beat, now)
            noted = Drain(now, None, self._author(by, note).who, note)
            meta.note(conn, meta.drain_key(found.id), noted.to_text())
        return found

    def undrain(self, beat: str) -> bool:
        """Let that beat claim again; False where it was not drained.

        Raises:
            InvalidJob: it is not the name or id of one beat.
        """
        with self._writing() as conn:
            found = _named(conn, beat, _now(conn))
            return meta.forget(conn, meta.drain_key(found.id))


def _now(conn: Any) -> datetime:
    now: datetime = conn.execute(sa.select(database_now())).scalar_one()
    return now


def _named(conn: Any, beat: str, now: datetime) -> BeatSeen:
    """The beat of that id or name; of several with one name the one that is not gone."""
    known = [each for each in standing.beats(conn, now) if beat in {each.id, each.name}]
    there = [each for each in known if each.state is not BeatState.GONE] or known
    if not there:
        raise InvalidJob("beat", beat, "the name or the id of a beat on the list")
    if len(there) > 1:
        ids = ", ".join(each.id for each in there)
        raise InvalidJob("beat", beat, f"the id of one of the {len(there)} of that name ({ids})")
    return there[0]
