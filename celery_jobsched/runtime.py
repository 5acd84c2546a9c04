"""The one place of wiring: an application's settings, its engine, its clock."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy.engine import Connection, Engine

from .clock import UTC, zone
from .errors import InvalidJob, InvalidSetting
from .locks import Locks, Terms
from .locks.open import open_locks, place_of
from .settings import Settings
from .store import databases
from .store.engine import READ, make_engine, safe_url


def now() -> datetime:
    """The wall clock of this machine; what is due is judged by the database's."""
    return datetime.now(UTC)


class Clock:
    """What time a process goes by: the machine's. A test sets another one, see ``testing``."""

    def now(self) -> datetime:
        """The wall clock; what is due is judged by the database's."""
        return now()

    def monotonic(self) -> float:
        """Seconds that pass, whatever anybody sets the wall clock to."""
        return time.monotonic()

    def lead(self, engine: Engine) -> None:
        """Make the database's sessions go by this clock: here by their own."""


_MACHINE = Clock()


class Runtime:
    """What an application's beat, command line and façade share. Opens nothing before its use.

    *patience*: the seconds that this process waits for the database, if that is less than what
    ``jobsched_socket_timeout`` says. *database*: the alias of one of several; by default the first.
    """

    def __init__(
        self, app: Any, patience: float = math.inf, *, database: str | None = None
    ) -> None:
        self.app = app
        self._patience = patience
        self._alias = database
        #: By the id of the process that made them.
        self._engines: dict[int, Engine] = {}

    @cached_property
    def settings(self) -> Settings:
        """The options of the configuration.

        Raises:
            InvalidSetting: names the option.
        """
        settings = Settings.from_conf(self.app.conf)
        databases.check(settings.database_url)
        return settings

    @property
    def databases(self) -> tuple[str, ...]:
        """The aliases of all databases, in their order; none where there is but a URL."""
        return databases.aliases_of(self.settings.database_url)

    @property
    def database(self) -> str | None:
        """The alias of this one; None where there is but a URL.

        Raises:
            InvalidSetting: there is none of that alias.
        """
        return databases.named(self.settings.database_url, self._alias)

    def of(self, database: str) -> Runtime:
        """The same application's, for another one of its databases."""
        return Runtime(self.app, self._patience, database=database)

    @property
    def database_url(self) -> str:
        """Where this database is.

        Raises:
            InvalidSetting: there is none of that alias.
        """
        return databases.url_of(self.settings.database_url, self._alias)

    @property
    def clock(self) -> Clock:
        """The machine's, unless the application was given another one."""
        clock: Clock = getattr(self.app, "jobsched_clock", _MACHINE)
        return clock

    @cached_property
    def zone_name(self) -> str:
        """The zone of jobs that name none: the application's.

        Raises:
            InvalidSetting: Celery's ``timezone`` is none that pytz knows.
        """
        name = _zone_name(self.app.conf)
        try:
            zone(name)
        except InvalidJob as error:
            raise InvalidSetting(f"timezone: {error.sentence}") from None
        return name

    @property
    def engine(self) -> Engine:
        """The engine of this process: one that was made before a fork is left to the parent."""
        pid = os.getpid()
        found = self._engines.get(pid)
        if found is None:
            for other in set(self._engines) - {pid}:
                self._engines.pop(other).dispose(close=False)
            timeout = min(self.settings.socket_timeout, self._patience)
            engine = make_engine(self.database_url, timeout)
            self.clock.lead(engine)
            # Of two threads that come at once the first one's is kept; nothing is open yet.
            found = self._engines.setdefault(pid, engine)
        return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads."""
        with self.engine.connect() as conn:
            yield conn.execution_options(**READ)

    @cached_property
    def urls(self) -> dict[str, str]:
        """Database and lock backend as a person may see them."""
        return {
            "database": safe_url(self.database_url),
            "locks": place_of(self.settings.lock_backend, self.app.conf),
        }

    @property
    def places(self) -> list[tuple[str, str]]:
        """What is where, as a person may see it: each database, and the locks."""
        found = [(alias, self.of(alias).urls["database"]) for alias in self.databases]
        return [*(found or [("jobs", self.urls["database"])]), ("locks", self.urls["locks"])]

    def locks(self, installation: str) -> Locks:
        """What beats and workers of the *installation* share, as this application reaches it."""
        terms = Terms(max_queue_time=timedelta(seconds=self.settings.max_queue_time))
        backend = self.settings.lock_backend
        return open_locks(backend, self.app.conf, installation, lambda: self.engine, terms)

    def close(self) -> None:
        """Give back what was opened; the next use opens it anew."""
        engine = self._engines.pop(os.getpid(), None)
        if engine is not None:
            engine.dispose()


def _zone_name(conf: Any) -> str:
    if conf.timezone:
        return str(getattr(conf.timezone, "zone", None) or conf.timezone)
    if conf.enable_utc:
        return "UTC"
    from tzlocal import get_localzone_name

    return str(get_localzone_name())
