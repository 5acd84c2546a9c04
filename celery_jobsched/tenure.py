"""How long a beat owns what it takes: a moment, so that nobody misses a dead one; longer where all
is slow.

From a look at the database to the first publish it is a dozen questions to the database, and some
to the locks. Where these take long (a far database, a disk under load), what a beat takes would be
another's before any of it is published, again and again. Pure: seconds come in.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

logger = logging.getLogger(__name__)

#: How long a claim or a take-over owns its fires; then any beat may deliver them.
OWNED_FOR = timedelta(seconds=1.5)

_LONGEST = 32 * OWNED_FOR
#: From here on somebody should know.
_LONG = 4 * OWNED_FOR


@dataclass
class Tenure:
    """Twice as long after each tick that would have needed it, half as long when it need not be."""

    length: timedelta = OWNED_FOR
    #: From the look to the first publish of the tick before; None: nothing was published.
    _way_s: float | None = None
    _is_told: bool = False

    def begin(self, look_s: float) -> None:
        """A tick begins, whose look took so many seconds: until the next one the length stays."""
        way_s = max(look_s, self._way_s or 0.0)
        if not self.is_fresh(way_s):
            self.length = min(2 * self.length, _LONGEST)
        elif self._way_s is not None and way_s < self.length.total_seconds() / 8:
            self.length = max(self.length / 2, OWNED_FOR)
        self._way_s = None
        self._tell(way_s)

    def note(self, way_s: float) -> None:
        """The first batch of a tick is about to be published, so many seconds after its look."""
        if self._way_s is None:
            self._way_s = way_s

    def is_fresh(self, age_s: float) -> bool:
        """Whether a look of that age may be claimed by: enough is left of what comes of it."""
        return age_s <= self.length.total_seconds() / 3

    def _tell(self, way_s: float) -> None:
        if self.length >= _LONG and not self._is_told:
            self._is_told = True
            logger.warning(
                "%.1f s pass from a look at the database to what is published by it: fires of "
                "this beat, should it die, are taken over after %g s",
                way_s,
                self.length.total_seconds(),
                extra={"action": "tick"},
            )
        self._is_told = self._is_told and self.length > OWNED_FOR
