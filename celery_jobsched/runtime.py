"""The one place of wiring: an application's settings, its engine, the wall clock."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy.engine import Connection, Engine

from .clock import UTC, zone
from .errors import InvalidJob, InvalidSetting
from .locks import Locks
from .locks.open import open_locks, place_of
from .settings import Settings
from .store.engine import READ, backend_of, make_engine, safe_url


def now() -> datetime:
    """The wall clock of this machine; what is due is judged by the database's."""
    return datetime.now(UTC)


class Runtime:
    """What an application's beat, command line and façade share. Opens nothing before its use.

    *patience*: the seconds that this process waits for the database, if that is less than what
    ``jobsched_socket_timeout`` says.
    """

    def __init__(self, app: Any, patience: float = math.inf) -> None:
        self.app = app
        self._patience = patience
        self._engine: Engine | None = None
        self._pid = 0

    @cached_property
    def settings(self) -> Settings:
        """The options of the configuration.

        Raises:
            InvalidSetting: names the option.
        """
        settings = Settings.from_conf(self.app.conf)
        backend_of(settings.database_url)
        return settings

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
        if self._engine is None or self._pid != os.getpid():
            if self._engine is not None:
                self._engine.dispose(close=False)
            timeout = min(self.settings.socket_timeout, self._patience)
            self._engine = make_engine(self.settings.database_url, timeout)
            self._pid = os.getpid()
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads."""
        with self.engine.connect() as conn:
            yield conn.execution_options(**READ)

    @property
    def urls(self) -> dict[str, str]:
        """Database and lock backend as a person may see them."""
        return {
            "database": safe_url(self.settings.database_url),
            "locks": place_of(self.settings.lock_backend, self.app.conf),
        }

    def locks(self, installation: str) -> Locks:
        """What beats and workers of the *installation* share, as this application reaches it."""
        backend = self.settings.lock_backend
        return open_locks(backend, self.app.conf, installation, lambda: self.engine)

    def close(self) -> None:
        """Give back what was opened; the next use opens it anew."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
            self._engine = None


def _zone_name(conf: Any) -> str:
    if conf.timezone:
        return str(getattr(conf.timezone, "zone", None) or conf.timezone)
    if conf.enable_utc:
        return "UTC"
    from tzlocal import get_localzone_name

    return str(get_localzone_name())
