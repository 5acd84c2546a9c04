"""A scheduler's line to the broker: one producer on one connection, each wait for it bounded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

from celery.beat import Scheduler as CeleryScheduler

from .publish import begin_transactions, bounded_connection
from .runtime import Runtime

logger = logging.getLogger(__name__)


class OnBroker(CeleryScheduler):
    """Celery's scheduler with a line that may break, and is then made anew."""

    runtime: Runtime
    Producer: Any

    @cached_property
    def connection(self) -> Any:
        """The broker, each wait for which ends after the socket timeout."""
        return bounded_connection(self.app, self.runtime.settings.socket_timeout)

    @cached_property
    def producer(self) -> Any:
        """One producer on one connection, grouping where the broker can."""
        timeout = self.runtime.settings.socket_timeout
        self.connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
        producer = self.Producer(self.connection, auto_declare=False)
        begin_transactions(producer, self.runtime.settings)
        return producer

    def _drop_connection(self) -> None:
        """Let go of a connection that went bad, without a word to the broker."""
        self._disconnect(lambda connection: connection.collect(socket_timeout=0.1))

    def _disconnect(self, end: Callable[[Any], None]) -> None:
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            try:
                end(connection)
            except Exception as error:  # noqa: BLE001 - whatever its state, it is let go
                logger.debug("could not close the broker's connection: %s", error)
