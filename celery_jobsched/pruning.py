"""Keeping the history within bounds: in small batches, by one beat at a time.

Which beat that is stands in ``jobsched_meta``, with the moment until when it is; so does how far
it came. It informs nobody and decides nothing else: two that prune at once do no harm.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from .errors import LocksAway
from .locks import Locks
from .runtime import Runtime
from .store import meta
from .store import pruning as store

logger = logging.getLogger(__name__)

_KEY, _REACHED = "pruning", "pruned"
_AT_ONCE = 1000
#: After all was pruned, and after a batch that left some: then ten times as long as that took.
_REST_S, _SHORT_REST_S = 60.0, 0.2
_REST_FOR_EACH_S = 10
#: Until another beat prunes in the place of one that died.
_LEASE = timedelta(seconds=2 * _REST_S)


@dataclass
class Pruning:
    """One beat's pruning; it is asked often, and rests most of the time."""

    runtime: Runtime
    beat: str
    _again_at: float | None = None

    def is_due(self, is_busy: bool) -> bool:
        """Whether there may be something to prune; while the beat is busy that can wait."""
        patience = _REST_S if is_busy else 0.0
        moment = self.runtime.clock.monotonic()
        return self._again_at is None or moment >= self._again_at + patience

    def prune(self, locks: Locks, now: datetime) -> None:
        """Delete a batch of what is too old or too much, if this is the beat that does so."""
        began = self.runtime.clock.monotonic()
        with self.runtime.engine.begin() as conn:
            is_mine = meta.lease(conn, _KEY, self.beat, now, now + _LEASE)
            has_more = is_mine and self._prune_history(conn, now)
        if is_mine:
            has_more = self._prune_locks(locks) or has_more
        ended = self.runtime.clock.monotonic()
        short = max(_SHORT_REST_S, _REST_FOR_EACH_S * (ended - began))
        self._again_at = ended + (short if has_more else _REST_S)

    def hand_over(self) -> None:
        """Let another beat do it from now on."""
        with self.runtime.engine.begin() as conn:
            meta.give_up(conn, _KEY, self.beat)

    def _prune_history(self, conn: Connection, now: datetime) -> bool:
        settings = self.runtime.settings
        oldest = now - timedelta(seconds=settings.history_age)
        too_old = store.prune_by_age(conn, oldest, _AT_ONCE)
        store.prune_changes(conn, oldest, _AT_ONCE)
        if too_old == _AT_ONCE:
            return True
        return self._prune_by_count(conn, now - timedelta(seconds=settings.max_queue_time))

    def _prune_by_count(self, conn: Connection, before: datetime) -> bool:
        """Go on where the last batch ended; from the start when another count is set."""
        most = self.runtime.settings.history_count
        count, _, after = (meta.value_of(conn, _REACHED) or "").partition(" ")
        start = after if count == str(most) else ""
        pruned = store.prune_by_count(conn, most, before, start, _AT_ONCE)
        if (pruned.reached, str(most)) != (after, count):
            meta.note(conn, _REACHED, f"{most} {pruned.reached}")
        return pruned.has_more

    def _prune_locks(self, locks: Locks) -> bool:
        try:
            return locks.prune(_AT_ONCE) == _AT_ONCE
        except LocksAway as error:
            logger.debug("the locks are not pruned: %s", error)
            return False
