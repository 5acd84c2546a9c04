"""What a beat does beside firing: make the tables, say that it lives, watch the clock, prune."""

from __future__ import annotations

import gc
import logging
import os
import socket
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from . import shadow
from .clocks import Clocks
from .declare import sync, sync_calendars
from .errors import EnvironmentMismatch, LocksAway, SchemaMismatch
from .freeze import Drain
from .job import Job
from .lags import Lags
from .locks import Locks
from .pruning import Pruning
from .runtime import Runtime
from .siblings import Siblings
from .status import BeatState
from .store import calendars, meta, pages, replan, schema, watching
from .store.pages import Poll

logger = logging.getLogger(__name__)

_CHECK_IN_S = 2.0
#: How long after the start all that stays has been made.
_SETTLED_S = 1.0


@dataclass
class Upkeep:
    """One beat's housekeeping; ``refuses`` while the database is not this beat's to claim from."""

    runtime: Runtime
    beat: str
    declared: list[Job]
    siblings: Siblings
    #: What beats and workers share; opened with the tables.
    locks: Locks = field(init=False)
    #: How late what this beat sends is.
    lags: Lags = field(default_factory=Lags)
    #: Why it is not; None while it is.
    refuses: str | None = None
    #: Why this beat publishes nothing more.
    drained: Drain | None = None
    #: The id that all beats of these tables share; the first of them gave its own.
    installation: str = ""
    #: Where planning all rows anew goes on; None while there is no need.
    replan_after: int | None = None
    #: Edited calendars, and up to which id the jobs are awake that name one of them.
    _edited: list[calendars.Edited] = field(default_factory=list)
    _awake_until: int = 0
    _started_at: datetime | None = None
    _unsettled_since: float | None = None
    _checked_in: float | None = None
    _pruning: Pruning = field(init=False)
    _clocks: Clocks = field(default_factory=Clocks)

    def __post_init__(self) -> None:
        self._pruning = Pruning(self.runtime, self.beat)

    def prepare(self) -> None:
        """Tables, environment and declared jobs: once, as soon as the database lets us.

        Raises:
            SchemaMismatch: the tables are of another release.
            EnvironmentMismatch: the database belongs to another environment.
        """
        if self._started_at is not None:
            return
        settings, engine = self.runtime.settings, self.runtime.engine
        schema.prepare(engine, settings.auto_migrate)
        with engine.begin() as conn:
            meta.check_environment(conn, settings.environment)
            self.installation = meta.remember(conn, "installation", self.beat)
            self.siblings.own(self.installation, self.runtime.database)
            now = self._declare(conn)
            self.replan_after = replan.needed(conn, self.runtime.zone_name)
        self._open_locks()
        self._started_at, self._unsettled_since = now, self.runtime.clock.monotonic()
        gc.freeze()  # see _settle

    def declare(self) -> None:
        """Make the table's rows those that the configuration declares."""
        with self.runtime.engine.begin() as conn:
            self._declare(conn)

    def _declare(self, conn: Any) -> datetime:
        now: datetime = pages.poll(conn).now
        sync(conn, self.source, self.declared, now)
        sync_calendars(conn, self.source, self.runtime.settings.calendars)
        return now

    @property
    def source(self) -> str:
        """Whose the declared jobs are: this application's."""
        return f"config:{self.runtime.app.main or 'celery'}"

    def keep(self, look: Poll, looked: float) -> None:
        """Each in its time: check in, prune the history, go on planning anew.

        What is due goes first: for as long again, a look without due jobs is waited for. *looked*:
        at which moment that was.
        """
        moment, patience = self.runtime.clock.monotonic(), 2 if look.is_due else 1
        if self._unsettled_since is not None and not look.is_due:
            self._settle(moment - self._unsettled_since)
        if self._checked_in is None or moment - self._checked_in >= _CHECK_IN_S * patience:
            self._check_in(look.now, looked, moment)
        if self.refuses is not None:
            return
        if not self.runtime.settings.shadow and self._pruning.is_due(look.is_due):
            self._pruning.prune(self.locks, look.now)
        if self.replan_after is not None:
            with self.runtime.engine.begin() as conn:
                zone_name = self.runtime.zone_name
                self.replan_after = replan.next_page(conn, self.replan_after, zone_name)

    def say_alive(self) -> None:
        """Note that this process lives, though its tick does not return; by another thread."""
        with self.runtime.engine.begin() as conn:
            meta.alive(conn, self.beat)

    @property
    def _name(self) -> str:
        return f"{socket.gethostname()}:{os.getpid()}"

    def wake(self, look: Poll) -> bool:
        """Wake a page of the jobs that name edited calendars; whether there may be more to do."""
        if not look.has_edited_calendar:
            self._edited, self._awake_until = [], 0
            return False
        problems: dict[Any, str] = {}
        with self.runtime.engine.begin() as conn:
            edited = self._edited or calendars.edited(conn)
            names = [each.name for each in edited]
            reached = replan.wake_named(conn, names, self._awake_until)
            if reached is None:
                problems = calendars.note(conn, edited)
        self._edited, self._awake_until = ([], 0) if reached is None else (edited, reached)
        for name, problem in problems.items():
            logger.error("calendar %r: %s", name, problem, extra={"action": "refuse"})
        return bool(edited)

    def sign_off(self) -> None:
        """Take this beat off the list, and let go of the locks."""
        if self._started_at is not None:
            self.locks.close()
        if self._checked_in is not None:
            self._checked_in = None
            with self.runtime.engine.begin() as conn:
                meta.gone(conn, self.beat)
            self._pruning.hand_over()

    def _open_locks(self) -> None:
        """Begin the locks' memory where there never was one: then nobody is to be waited for."""
        self.locks = self.runtime.locks(self.installation)
        try:
            self.locks.open(first=self.installation == self.beat)
        except LocksAway as error:
            logger.warning("the locks are away: %s", error, extra={"action": "locks"})

    def _settle(self, seconds: float) -> None:
        """Keep from the garbage collector, for good, what came with the start.

        It would walk through all modules again and again, for 50 ms each time, mostly while a
        fire is under way: that is when objects are made. What is frozen at the start, so that the
        first fires do not wait, is swept once when there is time.
        """
        if seconds >= _SETTLED_S:
            self._unsettled_since = None
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _check_in(self, now: datetime, looked: float, moment: float) -> None:
        self._watch_clocks(now, looked, moment)
        with self.runtime.engine.begin() as conn:
            self._check_right(conn)
            drained = meta.drained(conn, self.beat)
            meta.seen(conn, self._sign(now, moment, drained), now)
        self._tell_drained(drained)
        self.drained, self._checked_in = drained, moment

    def _sign(self, now: datetime, moment: float, drained: Drain | None) -> meta.Sign:
        lag, started_at = self.lags.of_last_minute(moment), self._started_at or now
        sign = meta.Sign(self.beat, self._name, started_at, lag, self.refuses)
        if self.refuses is not None:
            return sign
        if drained is not None:
            return replace(sign, refuses=str(drained), mode=BeatState.DRAINED.value)
        if self.runtime.settings.shadow:
            return replace(sign, refuses=shadow.SAID, mode=BeatState.SHADOW.value)
        return sign

    def _tell_drained(self, drained: Drain | None) -> None:
        """Say once that this beat is drained, or that it is no more."""
        if drained != self.drained:
            said = "claiming again" if drained is None else f"claiming nothing more: {drained}"
            logger.warning("%s", said, extra={"action": "drain"})

    def _check_right(self, conn: Any) -> None:
        """Whether the tables are still ours to claim from; says so once when they are not."""
        try:
            schema.check(conn)
            meta.check_environment(conn, self.runtime.settings.environment)
        except (SchemaMismatch, EnvironmentMismatch) as error:
            if self.refuses is None:
                logger.error("%s", error, extra={"action": "refuse"})
            self.refuses = str(error)
        else:
            if self.refuses is not None:
                logger.warning("the tables are this beat's to claim from again")
            self.refuses = None

    def _watch_clocks(self, now: datetime, looked: float, moment: float) -> None:
        """After a jump back rows lie too far ahead, and so does what was to be done soon."""
        clock = self.runtime.clock
        own = clock.now() - timedelta(seconds=clock.monotonic() - looked)
        if self._clocks.watch(now, own, looked) < timedelta(0):
            self.replan_after = 0
            with self.runtime.engine.begin() as conn:
                watching.bring_forward(conn, now)
