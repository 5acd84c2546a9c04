"""The façade of named calendars: a mapping of their names to their definitions."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from .runtime import Runtime
from .store import calendars
from .triggers.calendar import check_named


class Calendars(MutableMapping[str, str]):
    """The named calendars of an application, as the table has them; each call is a transaction.

    Raises: KeyError for a name that there is not; InvalidJob when a calendar that cannot be read is
    set.
    """

    def __init__(self, runtime: Runtime, source: str) -> None:
        self._runtime = runtime
        self._source = source

    def __getitem__(self, name: str) -> str:
        with self._runtime.reading() as conn:
            return str(calendars.definitions(conn, [name])[name])

    def __setitem__(self, name: str, definition: str) -> None:
        check_named(name, definition)
        with self._runtime.engine.begin() as conn:
            calendars.write(conn, name, definition, self._source)

    def __delitem__(self, name: str) -> None:
        with self._runtime.engine.begin() as conn:
            if not calendars.delete(conn, name):
                raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        with self._runtime.reading() as conn:
            return iter(calendars.names(conn))

    def __len__(self) -> int:
        with self._runtime.reading() as conn:
            return len(calendars.names(conn))
