"""Looking after fires that were sent, page by page, until it is known how they ended.

    take in hand   ask the locks   decide   renew slots   ask the result backend   write down

What to do is decided in ``aftercare``. While the locks are away nothing is: what was taken in hand
is looked at again seconds later. A beat that dies in the middle leaves it to others, likewise.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .aftercare import Decision, Do, Sight, decide, put_off
from .errors import LocksAway
from .fire import FireState
from .job import Job
from .locks import Admission, Hold, Locks, Memory, Report
from .overruns import Overruns, tell_overruns
from .reports import are_workers_heard, tell
from .results import Results, ResultsAway
from .runtime import Runtime
from .store import ends, jobs, watching
from .store.pages import Poll
from .store.watching import HELD_FOR, Watched

logger = logging.getLogger(__name__)

_AT_ONCE = 200
_AWAY_PAUSE_S = 2.0
#: Of unread reports; with fewer, none is older than a tick or two.
_FEW = 500
_PLUGIN = f"{__package__}.worker"

Decided = list[tuple[Watched, Decision]]


class _Seen(NamedTuple):
    """What the locks say of a page."""

    records: Mapping[str, Admission]
    memory: Memory


@dataclass
class Watch:
    """One beat's looking after fires that were sent; ``locks`` are there once the tables are."""

    runtime: Runtime
    locks: Callable[[], Locks]
    results: Results = field(init=False)
    _overruns: Overruns = field(init=False)
    _paused_until: float = 0.0
    _is_heard: bool = False
    _has_told: bool = False

    def __post_init__(self) -> None:
        self._overruns = Overruns(self.runtime.clock.monotonic)
        self.results = Results(
            self.runtime.app, self.runtime.clock, self.runtime.settings.socket_timeout
        )

    @property
    def _is_eager(self) -> bool:
        """Whether tasks run as they are sent, as in tests: then no worker has them, or reports."""
        return bool(self.runtime.app.conf.task_always_eager)

    def hears(self, conn: Any) -> bool:
        """Whether workers say what becomes of fires, as far as one knows."""
        self._is_heard = self._is_heard or (not self._is_eager and _is_heard(conn))
        return self._is_heard

    def look_after(self, look: Poll) -> bool:
        """Look after a page of what is to be looked at by now; whether there may be more."""
        due = look.next_check_at is not None and look.next_check_at <= look.now
        if not due or self.runtime.clock.monotonic() < self._paused_until:
            return False
        with self.runtime.engine.begin() as conn:
            page = watching.take_watched(conn, look.now, _AT_ONCE)
            self.hears(conn)
        try:
            is_any_ready = bool(page) and self._treat(page, look.now)
        except LocksAway as error:
            logger.debug("nothing is decided about %d fires: %s", len(page), error)
            self._paused_until = self.runtime.clock.monotonic() + _AWAY_PAUSE_S
            return False
        return is_any_ready or len(page) == _AT_ONCE

    def _treat(self, page: Sequence[Watched], now: datetime) -> bool:
        """Do what follows for each; whether there is something to deliver now."""
        locks = self.locks()
        decided = self._decide(page, self._see(locks, page), now)
        found, ends_ = self._ask(decided, now)
        # Whoever was found to have ended needs its slot no more.
        locks.renew([_hold(it) for it, what in found if what.renews and it.id not in ends_])
        held = self._write(found, ends_, now)
        over = [it for it, what in found if it.id in ends_ or what.do is Do.LOSE]
        locks.release([_hold(it) for it in over if it.id in held])
        return any(what.do is Do.SEND_AGAIN for _, what in found)

    def _see(self, locks: Locks, page: Sequence[Watched]) -> _Seen:
        """What the locks know; whether they forgot something is asked last."""
        records = locks.admissions([it.id for it in page])
        return _Seen(records, locks.open())

    def _decide(self, page: Sequence[Watched], seen: _Seen, now: datetime) -> Decided:
        settings, memory = self.runtime.settings, seen.memory
        sight = Sight(
            now=now,
            # By their clock it may be yet to come: then they take what we send now for forgotten.
            is_whole=not memory.silent_for and memory.born_at <= now,
            has_read=memory.reports < _FEW,
            is_heard=self._is_heard or bool(seen.records),
            resend_after=timedelta(seconds=settings.resend_after),
            max_queue_time=timedelta(seconds=settings.max_queue_time),
        )
        kept = set() if sight.is_heard else self._keeping_results(page)
        self._tell_unheard(page, sight)
        return self._withheld(
            [(it, decide(it, seen.records.get(it.id), sight, it.id in kept)) for it in page]
        )

    def _withheld(self, decided: Decided) -> Decided:
        """The same, but two kinds are not sent again whose first copy might arrive all the same.

        What its job does not want any more: it would be cancelled. And what was sent again before,
        of a job of which no worker ever said a word: its workers may run it without the plugin.
        """
        repeated = {it.job_id for it, what in decided if what.may_arrive}
        if not repeated:
            return decided
        known = self._jobs(repeated)
        off = {id_ for id_ in repeated if not getattr(known.get(id_), "enabled", False)}
        with self.runtime.reading() as conn:
            silent = watching.never_heard(conn, repeated)
        later = timedelta(seconds=self.runtime.settings.resend_after)

        def is_withheld(it: Watched, what: Decision) -> bool:
            is_unwanted = it.is_clock and it.job_id in off
            return what.may_arrive and (is_unwanted or it.job_id in silent)

        return [
            (it, put_off(it, what, later) if is_withheld(it, what) else what)
            for it, what in decided
        ]

    def _jobs(self, ids: set[int]) -> Mapping[int, Any]:
        with self.runtime.reading() as conn:
            return jobs.by_id(conn, ids, self.runtime.zone_name)

    def _keeping_results(self, page: Sequence[Watched]) -> set[str]:
        """Those of *page* whose end will be in the result backend, as far as one knows."""
        if not self.results.can_tell:
            return set()
        known = self._jobs({it.job_id for it in page})
        kept = set()
        for it in page:
            job = known.get(it.job_id)
            if isinstance(job, Job) and self.results.are_kept(it.task or job.task, job.options):
                kept.add(it.id)
        return kept

    def _ask(self, decided: Decided, now: datetime) -> tuple[Decided, dict[str, Report]]:
        """What the result backend knows; what rests on its answer waits while it gives none."""
        asked = [it.id for it, what in decided if what.asks]
        try:
            return decided, self.results.ends_of(asked, now)
        except ResultsAway:
            if self.results.seconds_away > self.runtime.settings.resend_after:
                return decided, {}
            put = [
                (it, put_off(it, what, HELD_FOR) if _rests(what) else what) for it, what in decided
            ]
            return put, {}

    def _write(self, decided: Decided, ends_: Mapping[str, Report], now: datetime) -> set[str]:
        """Write down what was decided about those that are as they were; their ids."""
        settings, zone_name = self.runtime.settings, self.runtime.zone_name
        with self.runtime.engine.begin() as conn:
            held = watching.still_held(conn, [it for it, _ in decided])
            mine = [(it, what) for it, what in decided if it.id in held]
            open_ = [(it, what) for it, what in mine if it.id not in ends_]
            again = [(it, what) for it, what in open_ if what.do is Do.SEND_AGAIN]
            lost = [_lost(it, what, now) for it, what in open_ if what.do is Do.LOSE]
            watching.look_again(conn, _next_looks(open_, now))
            watching.send_again(conn, [it for it, _ in again], now)
            running = [it for it, what in open_ if what.do is Do.WAIT]
            overruns = self._overruns.note(conn, running, now)
            known = [ends_[it.id] for it, _ in mine if it.id in ends_]
            lease = timedelta(seconds=settings.lease)
            applied = ends.apply(conn, [*known, *lost], now, zone_name, lease)
        _tell_again(again)
        tell_overruns(overruns)
        tell(applied)
        return held

    def _tell_unheard(self, page: Iterable[Watched], sight: Sight) -> None:
        """Say once what is lacking, when it is first missed."""
        if (
            sight.is_heard
            or self._is_eager
            or self._has_told
            or not any(_is_sent(it) for it in page)
        ):
            return
        self._has_told = True
        how = "taken from the result backend" if self.results.can_tell else "not known"
        logger.warning(
            "no worker says what becomes of fires: how they end is %s, and none is sent again; "
            'load celery_jobsched.worker in the workers: imports = ["celery_jobsched.worker"]',
            how,
            extra={"action": "watch"},
        )


def _is_heard(conn: Any) -> bool:
    """Whether workers load the plugin, as this application does, or one has reported anything."""
    return _PLUGIN in sys.modules or are_workers_heard(conn)


def _is_sent(fire: Watched) -> bool:
    return fire.state is FireState.SENT


def _rests(what: Decision) -> bool:
    """Whether *what* must not be done before the result backend was asked."""
    return what.asks and what.do is not Do.WAIT


def _next_looks(decided: Decided, now: datetime) -> list[tuple[Watched, datetime | None]]:
    waiting = [(it, now + what.again_in) for it, what in decided if what.do is Do.WAIT]
    return [*waiting, *((it, None) for it, what in decided if what.do is Do.LET_GO)]


def _hold(fire: Watched) -> Hold:
    return Hold(fire.id, fire.rights.limits, fire.rights.lease)


def _lost(fire: Watched, what: Decision, now: datetime) -> Report:
    return Report(fire.id, FireState.LOST, now, error=what.reason)


def _tell_again(decided: Decided) -> None:
    for fire, what in decided[:1]:
        logger.warning(
            "%d fires are sent again; the first is %s of job %r: %s",
            len(decided),
            fire.id,
            fire.job_name,
            what.reason,
            extra={"action": "send again", "job": fire.job_name, "fire": fire.id},
        )
