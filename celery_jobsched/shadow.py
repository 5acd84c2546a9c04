"""A shadow: a beat that tells what it would fire, and fires nothing; beside another scheduler.

It claims nothing and moves no job on: a row that is due stays as it is. Where its job would stand
is remembered here, for each job that came due since the shadow's start: what was due before that is
none of its business. An edited row is another one, planned as always. It knows no slots, and of
what somebody asks for it sends nothing: that waits for a beat.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from . import events
from .asking import Asking
from .claiming import tell
from .clock import TICK
from .errors import InvalidJob
from .filter import ALLOWED
from .job import Job
from .plan import Owed, Plan, decide, decided, plan_from
from .runtime import Runtime
from .store import claims, jobs, pages
from .store.pages import Claimant, Claimed, Place, Poll, Seen, confined

logger = logging.getLogger(__name__)

#: What its row on the list of beats says of it.
SAID = "it is a shadow: it tells what it would fire"

_AT_ONCE = 1000
#: How often all that is due is gone over: for rows that others planned, who put them behind us.
_ROUND_S = 30.0


@dataclass(frozen=True)
class _Known:
    """A job that was due: its row at a glance, and where it stands in the shadow's world."""

    seen: Seen
    job: Job
    #: Up to when its instants were told.
    until: datetime
    due_at: datetime | None


@dataclass
class Shadow:
    """One beat's foresight; moments are monotonic seconds. Without *asking* there is no filter."""

    runtime: Runtime
    by: Claimant
    asking: Asking | None = None
    _known: dict[int, _Known] = field(default_factory=dict)
    #: The instants at which one of them is due, the first on top; some are outdated.
    _ahead: list[tuple[datetime, int]] = field(default_factory=list)
    _place: Place = field(default_factory=Place)
    _round_at: float = 0.0
    _started_at: datetime | None = None

    def foresee(self, look: Poll, moment: float) -> bool:
        """Tell what is due now, a page of it; whether there may be more."""
        if look.freeze is not None:
            return False
        self._started_at = self._started_at or look.now
        if moment >= self._round_at:
            self._place, self._round_at = Place(), moment + _ROUND_S
        with self.runtime.reading() as conn:
            page = pages.lying(conn, self._place, look.now, _AT_ONCE)
            self._meet(conn, page)
            due = self._due(look.now)
            there = self._still_there(conn, due)
        for each in self._allowed(there):
            self._decide(each, look.now)
        return _AT_ONCE in {len(page), len(due)}

    def go_back(self, at: datetime) -> None:
        """Go over again what is due from there on: rows were planned that lie behind us."""
        self._place = min(self._place, Place(at - TICK))

    def _meet(self, conn: Any, page: Sequence[Seen]) -> None:
        """Remember the jobs of rows that are due and that were not met as they are now."""
        fresh = [seen for seen in page if not self._knows(seen)]
        found = jobs.by_id(conn, [seen.id for seen in fresh], self.by.zone_name)
        for seen in fresh:
            job = found.get(seen.id)
            if isinstance(job, Job) and job.enabled and job.lacks is None:
                self._remember(self._met(seen, decided(job, seen.wake_at)))
        if page:
            self._place = Place(page[-1].wake_at, page[-1].id)

    def _met(self, seen: Seen, job: Job) -> _Known:
        """What was told of it already, or was due before the shadow began, is its past."""
        former = self._known.get(seen.id)
        past = former.until if former else (self._started_at or seen.wake_at) - TICK
        known = _Known(seen, job, past, seen.wake_at)
        if seen.wake_at > past:
            return known
        stood_at = former and former.job.next_fire_at
        return _moved(known, plan_from(job, stood_at - TICK if stood_at else past), past)

    def _due(self, now: datetime) -> list[_Known]:
        found: dict[int, _Known] = {}
        while self._ahead and self._ahead[0][0] <= now and len(found) < _AT_ONCE:
            at, id_ = heapq.heappop(self._ahead)
            known = self._known.get(id_)
            if known is not None and known.due_at == at:
                found[id_] = known
        return list(found.values())

    def _still_there(self, conn: Any, due: Sequence[_Known]) -> list[_Known]:
        """Those whose rows are as they were: what was edited, paused or deleted is met anew."""
        try:
            rows = claims.at_a_glance(conn, [each.seen.id for each in due])
        except Exception:
            for each in due:
                self._remember(each)
            raise
        for each in due:
            if each.seen not in rows:
                del self._known[each.seen.id]
        return [each for each in due if each.seen in rows]

    def _allowed(self, due: Sequence[_Known]) -> list[_Known]:
        """Those that the filter lets this beat fire; what it has not answered yet stays due."""
        if self.asking is None:
            return list(due)
        answers = self.asking.ask({each.seen: each.job for each in due})
        for each in due:
            if each.seen not in answers:
                self._remember(each)
            elif answers[each.seen] is not ALLOWED:
                plan = plan_from(each.job, each.due_at or each.until)
                self._remember(_moved(each, plan, each.until))
        return [each for each in due if answers.get(each.seen) is ALLOWED]

    def _decide(self, known: _Known, now: datetime) -> None:
        job = known.job
        try:
            with confined({"name": job.name}):
                plan = decide(job, now, self.by.catchup_limit)
        except InvalidJob as error:
            logger.error("%s", error, extra={"action": "shadow", "job": job.name})
            return
        self._remember(_moved(known, plan, now))
        if plan.missed is not None:
            tell(Claimed(missed=[(job, plan.missed)]))
        _tell(job, plan.fires)

    def _knows(self, seen: Seen) -> bool:
        known = self._known.get(seen.id)
        return known is not None and known.seen == seen

    def _remember(self, known: _Known) -> None:
        self._known[known.seen.id] = known
        if known.due_at is not None:
            heapq.heappush(self._ahead, (known.due_at, known.seen.id))


def _moved(known: _Known, plan: Plan, now: datetime) -> _Known:
    """Where a job stands after a plan that no table knows of."""
    job = replace(
        known.job,
        next_fire_at=plan.next_fire_at,
        last_fire_at=plan.fires[-1].fire_at if plan.fires else known.job.last_fire_at,
        fire_count=known.job.fire_count + len(plan.fires),
    )
    return _Known(known.seen, job, now, plan.due_at)


def _tell(job: Job, owed: Iterable[Owed]) -> None:
    for each in owed:
        said = {"job": job.name, "fire_at": each.fire_at}
        logger.info(
            "job %r would fire %s at %s",
            job.name,
            job.task,
            each.fire_at.isoformat(),
            extra={"action": "shadow", **said},
        )
        events.job_would_fire.send(sender=None, origin=each.origin.value, **said)
