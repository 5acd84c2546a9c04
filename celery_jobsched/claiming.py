"""One beat's claims: what to look at, what was left to others, and why; see ``rounds``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from .rounds import PASSED_AT_ONCE, Rounds, Stretch
from .runtime import Runtime
from .store import claims, pages
from .store.pages import Claimant, Claimed, Poll, Refusal, Window
from .store.planned import EDITED

logger = logging.getLogger(__name__)

_MOST_TOLD = 1000


@dataclass
class Claiming:
    """Looks for due rows and claims them. Moments are monotonic seconds."""

    runtime: Runtime
    by: Claimant
    rounds: Rounds = field(default_factory=Rounds)
    _told: set[str] = field(default_factory=set)

    def look(self, moment: float) -> Poll:
        """What there is to do; rows that were left are not due while a round rests."""
        after = self.rounds.looked_until if self.rounds.rest(moment) else EDITED
        with self.runtime.reading() as conn:
            return pages.poll(conn, after)

    def claim(self, look: Poll, limit: int, moment: float) -> Claimed:
        """Claim at most about *limit* fires of what is due."""
        stretch = self._stretch(limit, moment)
        with self.runtime.engine.begin() as conn:
            window = self._window(look, stretch)
            claimed = claims.claim_due(conn, look.now, limit, self.by, window)
        self.rounds.note(claimed, stretch, look.now, moment)
        self._tell(claimed.refused)
        return claimed

    def has_more(self, moment: float) -> bool:
        """Whether a round is to go on at once."""
        return self.rounds.are_needed and not self.rounds.rest(moment)

    def _stretch(self, limit: int, moment: float) -> Stretch:
        """The next part of the round, read without a lock; an empty one when there is none."""
        if not self.has_more(moment):
            return Stretch()
        with self.runtime.reading() as conn:
            place, until = self.rounds.go_on(moment), self.rounds.looked_until
            page = pages.lying(conn, place, until, PASSED_AT_ONCE)
        return self.rounds.pass_over(page, limit)

    def _window(self, look: Poll, stretch: Stretch) -> Window:
        until = self.rounds.looked_until
        if self.rounds.are_needed:
            return Window(until, stretch.ids)
        is_behind = look.next_wake_at is not None and look.next_wake_at <= until
        return Window(until if is_behind else EDITED)

    def _tell(self, refused: Sequence[Refusal]) -> None:
        """Say once for each reason that jobs are left to other beats."""
        for each in refused:
            if each.reason not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(each.reason)
                logger.warning(
                    "job %r is left to other beats, as are all like it: %s here",
                    each.job,
                    each.reason,
                    extra={"action": "leave", "job": each.job},
                )
