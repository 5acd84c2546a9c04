"""The locks of each installation whose fires come here, and whether they are those of its beats."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import JobschedError, LocksAway
from ..locks import Locks
from ..locks.open import DATABASE
from ..runtime import Runtime
from ..store import meta
from ..ticket import Ticket

logger = logging.getLogger(__name__)


class Places:
    """Opens locks as they are asked for, and warns once where they cannot be those of the beats."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        #: By the alias of a database.
        self._runtimes: dict[str, Runtime] = {}
        self._locks: dict[str, Locks] = {}
        self._compared: set[tuple[str, str]] = set()

    def locks_of(self, ticket: Ticket) -> Locks:
        """The locks to ask about *ticket*; where none can be opened, such as are always away."""
        if (ticket.installation, ticket.place) not in self._compared:
            self._compared.add((ticket.installation, ticket.place))
            self._locks.setdefault(ticket.installation, self._open(ticket))
            self._compare(ticket)
        return self._locks[ticket.installation]

    def _runtime_of(self, ticket: Ticket) -> Runtime:
        """The wiring for the database that a fire is of; where this worker has but one, of that."""
        if ticket.database is None or not self._runtime.databases:
            return self._runtime
        made = self._runtime.of(ticket.database)
        return self._runtimes.setdefault(ticket.database, made)

    def _open(self, ticket: Ticket) -> Locks:
        try:
            return self._runtime_of(ticket).locks(ticket.installation)
        except (JobschedError, ImportError) as error:
            unopened: Any = _Unopened(error)
            return unopened  # type: ignore[no-any-return]

    def _compare(self, ticket: Ticket) -> None:
        try:
            ours, theirs = self._runtime.urls["locks"], ticket.place
        except (JobschedError, ImportError):
            return
        if ours != theirs:
            logger.warning(
                "the beats share their locks in %s, this worker looks for them in %s: "
                "if that is not the same, nobody learns what becomes of its fires; "
                "set jobsched_lock_backend alike",
                theirs,
                ours,
                extra={"action": "locks"},
            )
        elif ours == DATABASE and not self._is_database_of(ticket):
            logger.warning(
                "the beats share their locks in their database, and it is not this worker's (%s): "
                "nobody learns what becomes of its fires; set jobsched_database_url alike",
                self._runtime_of(ticket).urls["database"],
                extra={"action": "locks"},
            )

    def _is_database_of(self, ticket: Ticket) -> bool:
        try:
            with self._runtime_of(ticket).reading() as conn:
                return meta.value_of(conn, "installation") == ticket.installation
        except Exception as error:  # noqa: BLE001 - a database without our tables, or away
            logger.debug("cannot tell whose database this is: %s", error)
            return True


class _Unopened:
    """Locks that cannot be opened: each call says why."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, verb: str) -> Any:
        def fail(*_: Any) -> None:
            raise LocksAway(str(self._error))

        return fail
