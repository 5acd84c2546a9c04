"""What all verbs stand on: the application, its database, who acts, and in which transaction."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from .. import fields as read
from ..declare import Declaration, gather
from ..definition import calendar_names
from ..errors import InvalidJob
from ..job import Job
from ..runtime import Runtime
from ..store import calendars
from ..store.changes import Author
from ..store.engine import begin_writing, is_deadlock

T = TypeVar("T")
#: How often a transaction is begun that others may take the locks of.
_TRIES = 5


class Bound:
    """A façade that is bound to an application, now or later; opens nothing before its use.

    *database*: the alias of one of several; by default the first.
    """

    def __init__(self, app: Any = None, door: str = "api", *, database: str | None = None) -> None:
        self._runtime: Runtime | None = None
        self._alias = database
        #: By which door changes come, as their record says it.
        self._door = door
        self._declared: list[Declaration] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Bind to *app*, and prepare its workers; opens nothing."""
        self._runtime = Runtime(app, database=self._alias)
        gather(app, self._declared, self._alias)
        import_module("..worker", __package__)

    @property
    def runtime(self) -> Runtime:
        """The wiring of the bound application.

        Raises:
            RuntimeError: none is bound yet.
        """
        if self._runtime is None:
            raise RuntimeError("Jobs: expected an application, call init_app(app) first")
        return self._runtime

    @contextmanager
    def _reading(self, connection: Connection | None = None) -> Iterator[Connection]:
        if connection is not None:
            yield connection
            return
        with self.runtime.reading() as conn:
            yield conn

    @contextmanager
    def _writing(self, connection: Connection | None = None) -> Iterator[Connection]:
        """A transaction of our own, or the caller's, which the caller commits."""
        if connection is not None:
            begin_writing(connection)
            yield connection
            return
        with self.runtime.engine.begin() as conn:
            yield conn

    def _insist(self, work: Callable[[Connection], T], connection: Connection | None = None) -> T:
        """What *work* comes to in a transaction; tried again where a beat's went before it."""
        for _ in range(_TRIES - 1):
            try:
                with self._writing(connection) as conn:
                    return work(conn)
            except DBAPIError as error:
                if connection is not None or not is_deadlock(error):
                    raise
        with self._writing(connection) as conn:
            return work(conn)

    def _author(self, by: str | None, note: str | None = None) -> Author:
        """Who changes something, and why.

        Raises:
            InvalidJob: no database takes *by* or *note*.
        """
        who = read.text(255)("by", by) if by else _user()
        return Author(self._door, who, note and read.long_text("note", note))

    def _job(self, conn: Connection, name: str, definition: Mapping[str, Any]) -> Job:
        """The job of a definition, with the calendars that it names."""
        names = calendar_names(definition)
        known = calendars.definitions(conn, names) if names else {}
        return Job.from_dict(name, definition, self.runtime.zone_name, known)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Let whatever cannot be read of a job, or for it, name the job."""
    try:
        yield
    except InvalidJob as error:
        raise error.of(name) from None


def _user() -> str | None:
    """Who runs this process; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else None
