"""What a beat does beside firing: make the tables, say that it lives, watch the clock, prune."""

from __future__ import annotations

import gc
import logging
import os
import socket
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .declare import sync, sync_calendars
from .errors import EnvironmentMismatch, SchemaMismatch
from .job import Job
from .runtime import Runtime
from .store import calendars, fires, meta, pages, replan, schema
from .store.pages import Poll

logger = logging.getLogger(__name__)

_CHECK_IN_S = 2.0
_PRUNE_S = 60.0
_PRUNED_AT_ONCE = 1000
_JUMP = timedelta(seconds=60)
#: How long after the start all that stays has been made.
_SETTLED_S = 1.0


@dataclass
class Upkeep:
    """One beat's housekeeping; ``refused`` while the database is not this beat's to claim from."""

    runtime: Runtime
    beat: str
    declared: list[Job]
    refused: bool = False
    #: Where planning all rows anew goes on; None while there is no need.
    replan_after: int | None = None
    #: Edited calendars, and up to which id the jobs are awake that name one of them.
    _edited: list[calendars.Edited] = field(default_factory=list)
    _awake_until: int = 0
    _started_at: datetime | None = None
    _unsettled_since: float | None = None
    _checked_in: float | None = None
    _pruned: float = 0.0
    _clock: tuple[datetime, float] | None = None

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
            meta.remember(conn, "installation", self.beat)
            now = pages.poll(conn).now
            sync(conn, self.source, self.declared, now)
            sync_calendars(conn, self.source, settings.calendars)
            self.replan_after = replan.needed(conn, self.runtime.zone_name)
        self._started_at, self._unsettled_since = now, time.monotonic()
        gc.freeze()  # see _settle

    @property
    def source(self) -> str:
        """Whose the declared jobs are: this application's."""
        return f"config:{self.runtime.app.main or 'celery'}"

    def keep(self, look: Poll) -> None:
        """Each in its time: check in, prune the history, go on planning anew.

        What is due goes first: for as long again, a look without due jobs is waited for.
        """
        moment, patience = time.monotonic(), 2 if look.is_due else 1
        if self._unsettled_since is not None and not look.is_due:
            self._settle(moment - self._unsettled_since)
        if self._checked_in is None or moment - self._checked_in >= _CHECK_IN_S * patience:
            self._check_in(look.now, moment)
        if moment - self._pruned >= _PRUNE_S * patience:
            self._prune(look.now, moment)
        if self.replan_after is not None:
            with self.runtime.engine.begin() as conn:
                zone_name = self.runtime.zone_name
                self.replan_after = replan.next_page(conn, self.replan_after, zone_name)

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
        """Take this beat off the list."""
        if self._checked_in is not None:
            self._checked_in = None
            with self.runtime.engine.begin() as conn:
                meta.gone(conn, self.beat)

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

    def _check_in(self, now: datetime, moment: float) -> None:
        self._watch_clock(now, moment)
        with self.runtime.engine.begin() as conn:
            meta.seen(conn, self.beat, self._name, self._started_at or now, now)
            self._check_right(conn)
        self._checked_in = moment

    def _check_right(self, conn: Any) -> None:
        """Whether the tables are still ours to claim from; says so once when they are not."""
        try:
            schema.check(conn)
            meta.check_environment(conn, self.runtime.settings.environment)
        except (SchemaMismatch, EnvironmentMismatch) as error:
            if not self.refused:
                logger.error("%s", error, extra={"action": "refuse"})
            self.refused = True
        else:
            self.refused = False

    def _watch_clock(self, now: datetime, moment: float) -> None:
        """A jump of the database's clock is told; after one back, rows lie too far ahead."""
        if self._clock is not None:
            then, since = self._clock
            jump = (now - then) - timedelta(seconds=moment - since)
            if abs(jump) > _JUMP:
                seconds = jump.total_seconds()
                logger.error("the database's clock jumped by %.0f s", seconds)
                self.replan_after = 0 if seconds < 0 else self.replan_after
        self._clock = (now, moment)

    def _prune(self, now: datetime, moment: float) -> None:
        oldest = now - timedelta(seconds=self.runtime.settings.history_age)
        with self.runtime.engine.begin() as conn:
            pruned = fires.prune(conn, oldest, _PRUNED_AT_ONCE)
            fires.prune_changes(conn, oldest, _PRUNED_AT_ONCE)
        self._pruned = moment if pruned < _PRUNED_AT_ONCE else moment - _PRUNE_S + 1
