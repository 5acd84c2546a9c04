"""What a tick does about whatever went wrong in it: say so once, and wait a while."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from .errors import JobschedError
from .store.engine import in_one_line, is_deadlock

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
#: It is doubled so often: to two seconds.
_DOUBLINGS = 2
_DEADLOCK_PAUSE_S = 0.01


@dataclass
class Setbacks:
    """The failures of one beat's ticks in a row; ``drop`` lets go of what may be broken."""

    drop: Callable[[], None]
    _count: int = 0

    def over(self) -> None:
        """A tick went well."""
        if self._count:
            logger.warning("ticking again", extra={"action": "tick"})
        self._count = 0

    def pause_after(self, error: Exception) -> float:
        """How many seconds to wait after *error*, which is told when it is the first."""
        if is_deadlock(error):
            logger.debug("lost to another transaction, trying again: %s", error)
            return _DEADLOCK_PAUSE_S
        self._count += 1
        foreseen = isinstance(error, DBAPIError | JobschedError | OSError)
        logger.log(
            logging.ERROR if self._count == 1 else logging.DEBUG,
            "tick failed, trying again: %s",
            in_one_line(error),
            exc_info=None if foreseen else error,
            extra={"action": "tick"},
        )
        if isinstance(error, DBAPIError):
            self.drop()
        return float(_FIRST_PAUSE_S * 2 ** min(self._count - 1, _DOUBLINGS))
