"""The locks in the database: each call is one transaction over small tables of their own.

    lock the keys   lock the records   read the clock   decide   write what changed

Who loses the race for the first row of a key or a fire, or is given up as a deadlock, tries again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ...errors import LocksAway
from ...limits import Limit
from ...store.engine import READ, is_deadlock, safe_url
from .. import Admission, Answer, Copy, Hold, Holder, Memory, Report, Reported, Step, Terms
from . import admissions, memory, reports, slots
from .ledger import Ledger

_ATTEMPTS = 5
_NOBODY = slots.Count(0, 0)

T = TypeVar("T")


class DatabaseLocks:
    """:class:`..Locks` in the database that *engine* returns, which is asked at each call.

    So it may give a process that was forked another engine than its parent.
    """

    def __init__(self, engine: Callable[[], Engine], terms: Terms | None = None) -> None:
        self._engine = engine
        self._terms = terms or Terms()
        self._reader = secrets.token_hex(8)

    def __repr__(self) -> str:
        url = self._engine().url.render_as_string(hide_password=False)
        return f"DatabaseLocks({safe_url(url)!r})"

    def open(self, first: bool = False) -> Memory:
        def work(conn: Connection) -> Memory:
            moment = memory.begin(conn, self._terms.renewal_period, first)
            kept = reports.count(conn)
            return Memory(moment.born_at, moment.silent_for, kept, moment.dropped)

        return self._do(work)

    def acquire(self, wanted: Sequence[Hold]) -> list[bool]:
        return self._on(wanted, wanted, Ledger.acquire)

    def renew(self, held: Sequence[Hold]) -> list[bool]:
        return self._on(held, held, Ledger.renew)

    def release(self, held: Sequence[Hold]) -> None:
        self._on(held, held, Ledger.release)

    def holders(self, keys: Sequence[str]) -> dict[str, list[Holder]]:
        def work(conn: Connection) -> dict[str, list[Holder]]:
            now = memory.look(conn, self._terms.renewal_period).now
            found = slots.holders(conn, map(slots.stored, keys), now)
            return {key: found.get(slots.stored(key), []) for key in keys}

        return self._read(work)

    def free(self, limits: Sequence[Limit]) -> dict[str, int]:
        def work(conn: Connection) -> dict[str, int]:
            moment = memory.look(conn, self._terms.renewal_period)
            if moment.silent_for:
                return dict.fromkeys((key for key, _ in limits), 0)
            found = slots.counts(conn, (slots.stored(key) for key, _ in limits), moment.now)
            held = {key: found.get(slots.stored(key), _NOBODY).held for key, _ in limits}
            return {key: max(0, most - held[key]) for key, most in limits}

        return self._read(work)

    def admit(self, copy: Copy) -> Answer:
        return self._on([copy], [copy], Ledger.admit)[0]

    def accept(self, started: Sequence[Step]) -> list[bool]:
        return self._on([step.copy for step in started], started, Ledger.accept)

    def give_back(self, copies: Sequence[Copy]) -> None:
        self._on(copies, copies, Ledger.give_back)

    def end(self, ended: Sequence[Step]) -> list[bool]:
        return self._on([step.copy for step in ended], ended, Ledger.end)

    def withdraw(self, refused: Sequence[Step]) -> list[bool]:
        return self._on([step.copy for step in refused], refused, Ledger.withdraw)

    def admissions(self, fires: Sequence[str]) -> dict[str, Admission]:
        def work(conn: Connection) -> dict[str, Admission]:
            now = memory.look(conn, self._terms.renewal_period).now
            return admissions.read(conn, fires).at(now)

        return self._read(work)

    def report(self, reports_: Sequence[Report]) -> None:
        self._do(lambda conn: reports.add(conn, reports_, self._terms.most_reports))

    def reports(self, limit: int) -> list[Reported]:
        # Most looks find nothing: they write nothing either.
        if not self._read(reports.is_any):
            return []
        return self._do(
            lambda conn: reports.take(conn, limit, self._reader, self._terms.reading_time)
        )

    def acknowledge(self, ids: Sequence[str]) -> None:
        self._do(lambda conn: reports.acknowledge(conn, ids, self._reader))

    def prune(self, limit: int) -> int:
        def work(conn: Connection) -> int:
            now = memory.look(conn, self._terms.renewal_period).now
            slots.prune(conn, now, limit)
            return admissions.prune(conn, now, limit)

        return self._do(work)

    def close(self) -> None:
        """Nothing: the engine is its owner's to close."""

    def _on(
        self, holds: Sequence[Hold], things: Sequence[Any], verb: Callable[[Ledger, Any], T]
    ) -> list[T]:
        """What *verb* says of each of *things*, which are about *holds*, in one transaction."""

        def work(conn: Connection) -> list[T]:
            ledger = Ledger(conn, holds, self._terms, with_records=verb is not Ledger.acquire)
            found = [verb(ledger, thing) for thing in things]
            ledger.write(conn)
            return found

        return self._do(work) if things else []

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine().connect() as conn:
                return work(conn.execution_options(**READ))
        except SQLAlchemyError as error:
            raise _away(error) from error

    def _do(self, work: Callable[[Connection], T], attempts: int = _ATTEMPTS) -> T:
        try:
            with self._engine().begin() as conn:
                return work(conn)
        except SQLAlchemyError as error:
            is_beaten = isinstance(error, IntegrityError) or is_deadlock(error)
            if not is_beaten or attempts == 1:
                raise _away(error) from error
        return self._do(work, attempts - 1)


def _away(error: SQLAlchemyError) -> LocksAway:
    return LocksAway(f"{type(error).__name__}: {error}")
