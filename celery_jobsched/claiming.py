"""One beat's claims: what to look at, what was left to others, and why; see ``rounds``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from . import events
from .asking import Asking
from .filter import ALLOWED, Answer
from .freeze import Freeze
from .job import Job
from .rate import Urgency
from .rounds import PASSED_AT_ONCE, Rounds, Stretch
from .runtime import Runtime
from .store import claims, pages
from .store.pages import Cause, Claimant, Claimed, Poll, Refusal, Seen, Window
from .store.planned import EDITED
from .telling import tell_claimed

logger = logging.getLogger(__name__)

_MOST_TOLD = 1000
#: What is as it should be, what somebody else may mend, and a filter that needs help.
_LEVELS = {Cause.FILTERED: logging.INFO, Cause.LACKING: logging.WARNING}


@dataclass
class Claiming:
    """Looks for due rows and claims them. Moments are monotonic seconds.

    Without *asking* there is no filter.
    """

    runtime: Runtime
    by: Claimant
    asking: Asking | None = None
    urgency: Callable[[], Urgency] = Urgency
    rounds: Rounds = field(default_factory=Rounds)
    #: How often a due job was left to others.
    refusals: Counter[Cause] = field(default_factory=Counter)
    _told: set[str] = field(default_factory=set)
    _frozen: Freeze | None = None

    def look(self, moment: float) -> Poll:
        """What there is to do; rows that were left are not due while a round rests."""
        after = self.rounds.looked_until if self.rounds.rest(moment) else EDITED
        with self.runtime.reading() as conn:
            look = pages.poll(conn, after)
        self._tell_frozen(look.freeze)
        return look

    def claim(self, look: Poll, limit: int, moment: float, room: int) -> Claimed:
        """Claim at most about *limit* fires of what is due.

        Where there is *room* for less, the most urgent jobs of such a page.
        """
        if self.asking is not None:
            limit = self.asking.most(limit)
        stretch = self._stretch(limit, moment)
        window = self._window(look, stretch)
        if self.asking is not None or room < limit:
            claimed = self._claim_page(look.now, limit, min(limit, room), window)
        else:
            with self.runtime.engine.begin() as conn:
                claimed = claims.claim_due(conn, look.now, limit, self.by, window)
        self.rounds.note(claimed, stretch, look.now, moment)
        self._tell(claimed.refused)
        tell_claimed(claimed.deliveries)
        return claimed

    def has_more(self, moment: float) -> bool:
        """Whether a round is to go on at once."""
        return self.rounds.are_needed and not self.rounds.rest(moment)

    def close(self) -> None:
        """Let the filter's helper go."""
        if self.asking is not None:
            self.asking.close()

    def _claim_page(self, now: datetime, limit: int, room: int, window: Window) -> Claimed:
        """Claim what the filter allows of what there is room for.

        The page is read, and the filter asked, in no transaction and under no lock.
        """
        with self.runtime.reading() as conn:
            page = claims.read_due(conn, now, limit, self.by, window)
        chosen = page.jobs
        if room < len(chosen):
            chosen = self.urgency().most_urgent(chosen, room)
        answers = self._answers(chosen)
        allowed = [seen for seen in chosen if answers.get(seen) is ALLOWED]
        claimed = self._claim_chosen([*page.others, *allowed], now, room)
        for seen, job in page.jobs.items():
            if seen not in answers:
                claimed.leave(seen.wake_at, now)
            elif answers[seen] is not ALLOWED:
                page.refused.append(answers[seen].refusal(seen, job))
        claimed.refused += page.refused
        claimed.rows += len(page.refused) + len(page.jobs.keys() - answers.keys())
        if page.left_from is not None:
            claimed.leave(page.left_from, now)
        return claimed

    def _answers(self, jobs: Mapping[Seen, Job]) -> dict[Seen, Answer]:
        return dict.fromkeys(jobs, ALLOWED) if self.asking is None else self.asking.ask(jobs)

    def _claim_chosen(self, chosen: list[Seen], now: datetime, limit: int) -> Claimed:
        if not chosen:
            return Claimed()
        with self.runtime.engine.begin() as conn:
            return claims.claim_chosen(conn, now, limit, self.by, chosen)

    def _stretch(self, limit: int, moment: float) -> Stretch:
        """The next part of the round, read without a lock; an empty one when there is none."""
        if not self.has_more(moment):
            return Stretch()
        with self.runtime.reading() as conn:
            place, until = self.rounds.go_on(moment), self.rounds.looked_until
            asks = self.asking is not None
            page = pages.lying(conn, place, until, PASSED_AT_ONCE, asks)
        return self.rounds.pass_over(page, limit)

    def _window(self, look: Poll, stretch: Stretch) -> Window:
        until = self.rounds.looked_until
        if self.rounds.are_needed:
            return Window(until, stretch.ids)
        is_behind = look.next_wake_at is not None and look.next_wake_at <= until
        return Window(until if is_behind else EDITED)

    def _tell_frozen(self, freeze: Freeze | None) -> None:
        """Say once that a freeze began, or that it is over."""
        if freeze != self._frozen:
            said = "schedules fire again" if freeze is None else str(freeze)
            logger.warning("%s", said, extra={"action": "freeze"})
        self._frozen = freeze

    def _tell(self, refused: Sequence[Refusal]) -> None:
        """Count, signal, and say once for each reason, that jobs are left to other beats."""
        self.refusals.update(each.cause for each in refused)
        for each in refused:
            if events.job_refused.receivers:
                told = {"reason": each.reason, "cause": each.cause.value}
                events.job_refused.send(sender=None, job=each.job, **told)
            if each.reason not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(each.reason)
                logger.log(
                    _LEVELS.get(each.cause, logging.ERROR),
                    "job %r is left to other beats, as are all like it: %s",
                    each.job,
                    each.reason,
                    exc_info=each.error,
                    extra={"action": "leave", "job": each.job},
                )


def tell(claimed: Claimed) -> None:
    """Say what was missed, and which rows cannot be read."""
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
