"""The door of ``celery beat -S celery_jobsched.Scheduler``: one tick after another.

A tick looks once, then takes at most one page of each: fires that nobody delivers, jobs that are
due, rows that were edited. It never raises: what goes wrong is logged, and tried again.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from celery.beat import Scheduler as CeleryScheduler
from sqlalchemy.exc import DBAPIError

from . import events
from .claiming import Claiming
from .declare import declared_jobs
from .dispatch import Batch, Dispatcher
from .errors import InvalidJob, JobschedError
from .interrupts import uninterrupted
from .publish import Publisher, begin_transactions, noted
from .runtime import Runtime
from .settings import unknown_options
from .store import fires, planning
from .store.engine import is_deadlock
from .store.pages import Claimant, Claimed, Poll
from .upkeep import Upkeep

logger = logging.getLogger(__name__)

_EDITED_AT_ONCE = 1000
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0
_REFUSED_PAUSE_S = 2.0
_DEADLOCK_PAUSE_S = 0.01
#: A look that is older is not claimed by: what it would claim would be ours for too short a time.
_FRESH_S = 0.5


class Scheduler(CeleryScheduler):
    """Fires the jobs of a database, once each, beside any number of others like it."""

    #: Shown by the banner; ``jobsched_poll_interval`` decides.
    max_interval: Any = 0.2
    data: dict[str, Any]
    Producer: Any

    def __init__(self, app: Any, **kwargs: Any) -> None:
        self.runtime = Runtime(app)
        self.id = str(uuid.uuid4())
        self._ticking = False
        self._failures = 0
        #: Where the past of the edits ends that are being planned.
        self._edits_since: datetime | None = None
        super().__init__(app, **kwargs)
        self.max_interval = self.runtime.settings.poll_interval

    def setup_schedule(self) -> None:
        """Read and check all that the configuration declares; the tables come with the ticks.

        Raises:
            InvalidJob: a declared job cannot be read.
            InvalidSetting: an option cannot be used.
        """
        settings, zone_name = self.runtime.settings, self.runtime.zone_name
        for key, near in unknown_options(self.app.conf).items():
            logger.warning("unknown option %s%s", key, f"; did you mean {near}?" if near else "")
        self.install_default_entries(self.data)
        entries = {**self.data, **self.app.conf.beat_schedule}
        try:
            declared = declared_jobs(settings.jobs, entries, zone_name)
        except InvalidJob as error:
            logger.critical("%s", error, extra={"action": "declare", "job": error.job})
            raise
        self._upkeep = Upkeep(self.runtime, self.id, declared)
        self._claimant = Claimant(self.id, zone_name, settings.catchup_limit)
        self._claiming = Claiming(self.runtime, self._claimant)
        publisher = Publisher(self.app, settings, self.apply_entry, self.apply_async)
        self._dispatcher = Dispatcher(
            publisher, settings.claim_limit, lambda: self.producer, self._drop_connection
        )

    @property
    def info(self) -> str:
        """The lines of the banner: where jobs and locks are, without passwords."""
        urls = self.runtime.urls
        return f"    . jobs -> {urls['database']}\n    . locks -> {urls['locks']}"

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Do what there is to do; the seconds until the next look, 0 when there is more."""
        self._ticking = True
        try:
            pause = self._tick()
        except Exception as error:  # noqa: BLE001 - what leaves tick ends the beat
            return self._troubled(error)
        finally:
            self._ticking = False
        if self._failures:
            logger.warning("ticking again", extra={"action": "tick"})
        self._failures = 0
        return pause

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kw: Any) -> Any:
        """As Celery's own, leaving on a fire's entry what its publish raised."""
        publish = super().apply_async
        return noted(entry, lambda: publish(entry, producer=producer, advance=False, **kw))

    def sync(self) -> None:
        """Nothing to save: the tables are the state."""

    def close(self) -> None:
        """Give back what was opened. Called twice, and by a signal in the midst of a tick."""
        if self._ticking:
            return
        try:
            self._upkeep.sign_off()
        except Exception as error:  # noqa: BLE001 - ending must not fail; that row only informs
            logger.debug("could not sign off: %s", error)
        self.runtime.close()
        self._disconnect(lambda connection: connection.release())

    def _tick(self) -> float:
        self._upkeep.prepare()
        self._dispatcher.mark(self.runtime.engine)
        moment = time.monotonic()
        look = self._claiming.look(moment)
        if self._upkeep.refused:
            self._upkeep.keep(look)
            return _REFUSED_PAUSE_S
        worked = [self._take_over(look, moment), self._claim(look, moment), self._plan(look)]
        self._upkeep.keep(look)
        return 0.0 if any(worked) else self._until_next(look, moment)

    def _take_over(self, look: Poll, moment: float) -> bool:
        """Deliver what nobody owns any more: a dead beat's fires, and what a broker refused."""
        due = look.next_ready_at is not None and look.next_ready_at <= look.now
        if not due or self._dispatcher.rests:
            return False
        with uninterrupted():
            with self.runtime.engine.begin() as conn:
                taken = fires.take_ready(
                    conn, look.now, self._dispatcher.limit, self.runtime.zone_name
                )
            if taken:
                self._dispatcher.deliver(self.runtime.engine, Batch(taken, look.now, moment))
        return bool(taken)

    def _claim(self, look: Poll, moment: float) -> bool:
        """Claim a page of what is due and deliver it."""
        if not look.is_due or not self._dispatcher.may_claim():
            return False
        if time.monotonic() - moment > _FRESH_S:
            return True
        with uninterrupted():
            claimed = self._claiming.claim(look, self._dispatcher.limit, moment)
            if claimed.deliveries:
                batch = Batch(claimed.deliveries, look.now, moment)
                self._dispatcher.deliver(self.runtime.engine, batch)
        _tell(claimed)
        return claimed.rows > 0 or self._claiming.has_more(moment)

    def _plan(self, look: Poll) -> bool:
        """Plan a page of edited rows; their past ends where the first of them was found."""
        if not look.has_edited:
            self._edits_since = None
            return False
        since = self._edits_since = self._edits_since or look.now
        with self.runtime.engine.begin() as conn:
            planned = planning.plan_edited(conn, look.now, since, _EDITED_AT_ONCE, self._claimant)
        if planned.rows < _EDITED_AT_ONCE:
            self._edits_since = None
        if planned.left_from is not None:
            self._claiming.rounds.go_back(planned.left_from)
        _tell(planned)
        return planned.rows > 0

    def _until_next(self, look: Poll, moment: float) -> float:
        """Seconds to the next known instant, less the time since we looked."""
        ahead = [at for at in (look.next_wake_at, look.next_ready_at) if at and at > look.now]
        if not ahead:
            return float(self.max_interval)
        wait = (min(ahead) - look.now).total_seconds() - (time.monotonic() - moment)
        return float(min(max(wait, 0.001), self.max_interval))

    def _troubled(self, error: Exception) -> float:
        """Say once what is wrong, drop what may be broken; how long to wait."""
        if is_deadlock(error):
            logger.debug("lost to another transaction, trying again: %s", error)
            return _DEADLOCK_PAUSE_S
        self._failures += 1
        foreseen = isinstance(error, DBAPIError | JobschedError | OSError)
        logger.log(
            logging.ERROR if self._failures == 1 else logging.DEBUG,
            "tick failed, trying again: %s",
            _said(error),
            exc_info=None if foreseen else error,
            extra={"action": "tick"},
        )
        if isinstance(error, DBAPIError):
            self.runtime.close()
        return float(min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S))

    @cached_property
    def connection(self) -> Any:
        """The broker, each wait for which ends after the socket timeout."""
        connection: Any = self.app.connection_for_write()
        for name in _TIMEOUTS.get(connection.transport.driver_type, ()):
            connection.transport_options.setdefault(name, self.runtime.settings.socket_timeout)
        return connection

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


#: The transport options that bound a wait, by the kind of broker.
_TIMEOUTS = {
    "redis": ("socket_timeout", "socket_connect_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
}


def _said(error: Exception) -> str:
    """One line of what went wrong: SQLAlchemy adds the statement and a link to its own."""
    text = str(getattr(error, "orig", None) or error)
    return " ".join(text.split())


def _tell(claimed: Claimed) -> None:
    for job, missed in claimed.missed:
        span = {"fire_at": missed.fire_at, "until_at": missed.until_at, "count": missed.count}
        logger.warning(
            "job %r: missed %s instants from %s to %s, too late by misfire = %s",
            job.name,
            "many" if missed.count is None else missed.count,
            missed.fire_at.isoformat(),
            missed.until_at.isoformat(),
            job.misfire or "once",
            extra={"action": "missed", "job": job.name, "fire_at": missed.fire_at},
        )
        events.fire_missed.send(sender=None, job=job.name, **span)
    for error in claimed.broken:
        logger.error("%s", error, extra={"action": "refuse", "job": error.job})
        events.job_error.send(sender=None, job=error.job, error=error.sentence)
