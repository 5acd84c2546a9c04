"""Watching the clocks: the database's, which says what is due, and that of this machine.

The measure is the monotonic clock. What is due is not judged here: whatever a clock does, an
instant that fired fires no more, and what lies behind is settled by the rules for misfires.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

logger = logging.getLogger(__name__)

#: By how much the database's clock may run fast or slow between two looks.
_JUMP = timedelta(seconds=60)
#: By how much this machine's may differ from the database's.
_OFF = timedelta(seconds=10)


@dataclass
class Clocks:
    """What one beat knows of them. Moments are monotonic seconds."""

    _last: tuple[datetime, float] | None = None
    _was_off: bool = False
    _is_told: bool = False

    def watch(self, now: datetime, own: datetime, moment: float) -> timedelta:
        """See what both say at *moment*; by how much the database's has jumped, mostly nothing."""
        self._compare(own - now)
        jump = timedelta(0)
        if self._last is not None:
            then, since = self._last
            jump = (now - then) - timedelta(seconds=moment - since)
        self._last = (now, moment)
        if abs(jump) <= _JUMP:
            return timedelta(0)
        logger.error("the database's clock jumped by %.0f s", jump.total_seconds())
        return jump

    def _compare(self, ahead: timedelta) -> None:
        """Say once that this machine's is off; a sleep in the midst of a look makes it seem so."""
        is_off = abs(ahead) > _OFF
        if is_off and self._was_off and not self._is_told:
            self._is_told = True
            logger.warning(
                "this machine's clock is %.0f s %s the database's, by which jobs are due",
                abs(ahead.total_seconds()),
                "ahead of" if ahead > timedelta(0) else "behind",
                extra={"action": "clock"},
            )
        if self._is_told and not is_off:
            self._is_told = False
            logger.warning("this machine's clock agrees with the database's again")
        self._was_off = is_off
