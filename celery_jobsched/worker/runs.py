"""What this worker reserved, runs, or waits for the next attempt of.

A run leaves the list when its end is known, and not before: whatever is on it is renewed.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..fire import FireState
from ..limits import renewal_of
from ..locks import Answer, Copy, Locks, Report, Step, Terms, Verdict
from ..runtime import now
from .channel import Channels, Word
from .copies import Asked
from .places import Places

logger = logging.getLogger(__name__)

_RENEWED_AT_ONCE = 500
#: How long a requeued message waits for the locks to know that another worker may have it.
_HAND_OVER_S = 0.5
_LAST_WORDS_S = 2.0
#: The column has room for 255.
_LONGEST_WORKER = 200
_LONGEST_WAIT_S = Terms().max_queue_time.total_seconds()
_BACK = {Verdict.HAND_BACK: FireState.PENDING, Verdict.WAIT: FireState.WAITING}


class End(NamedTuple):
    """How a run ended, as its report says it."""

    state: FireState
    result: str | None = None
    error: str | None = None


@dataclass(eq=False)
class Run:
    """A copy in this worker's hands; ``job`` names it in the log."""

    copy: Copy
    locks: Locks
    job: str
    #: None once the attempt is over, and the next one waited for.
    request: weakref.ref[Any] | None
    started_at: datetime | None = None
    #: What was ordered for it, before the pool let go of it.
    fate: End | None = None
    is_passed: bool = False
    #: Until when the next attempt is waited for, in monotonic seconds.
    wait_until: float = 0.0


class Runs:
    """One worker's runs."""

    def __init__(self, places: Places, worker: str) -> None:
        self.worker = worker
        self._places = places
        self._channels = Channels(self._renew)
        #: By the name that asked for admission.
        self._held: dict[str, Run] = {}
        #: By fire: those whose next attempt is waited for.
        self._retrying: dict[str, Run] = {}
        self._process = f"{worker[:_LONGEST_WORKER]} {secrets.token_hex(4)}"
        self._count = itertools.count(1)

    def new_name(self) -> str:
        """A name to ask in, for each request anew: a broker may bring a copy to a worker twice."""
        return f"{self._process}.{next(self._count)}"

    def of(self, fire: str) -> Run | None:
        """The run of *fire* that this worker has in hand."""
        return next((run for run in list(self._held.values()) if run.copy.fire == fire), None)

    def admit(self, request: Any, asked: Asked) -> Run | None:
        """Reserve the copy that *request* is of; None where it must not run."""
        locks = self._places.locks_of(asked.ticket)
        channel = self._channels.to(locks)
        answer = channel.ask(locks, asked.copy)
        verdict = self._unasked(asked) if answer is None else answer.verdict
        if verdict is not Verdict.RUN:
            self._refuse(asked, locks, verdict, answer)
            return None
        run = Run(asked.copy, locks, asked.job, weakref.ref(request))
        self._held[asked.copy.worker] = run
        self._retrying.pop(asked.copy.fire, None)
        channel.renew_every(renewal_of(run.copy.lease).total_seconds())
        return run

    def started(self, run: Run, at: datetime) -> None:
        """The pool runs it since *at*."""
        run.started_at, run.copy = at, replace(run.copy, accepted=True)
        self._say_of(run, "accept", End(FireState.STARTED), at)

    def tell_unacknowledged(self, run: Run, error: Exception) -> None:
        """It runs, though the broker could not be told that it is in hand."""
        logger.warning(
            "job %r: fire %s runs, and the broker could not be told: %r",
            run.job,
            run.copy.fire,
            error,
            extra={"action": "acknowledge", "job": run.job, "fire": run.copy.fire},
        )

    def ended(self, run: Run, end: End) -> None:
        """It is over, and was as *end* says unless something else was ordered for it before."""
        if self._is_over(run):
            return
        if run.fate is not None and run.fate.state is FireState.RETRYING:
            self._give_back([run])
            self._report(run, run.fate)
        else:
            self._say_of(run, "end", run.fate or end, now())

    def retried(self, run: Run, error: str, wait_s: float) -> None:
        """It failed, and its next attempt is on the way: it is due in *wait_s* seconds.

        Nobody has it in hand until it is received: so the lease lasts over the wait, and this
        worker goes on renewing it, until the attempt is admitted anywhere.
        """
        if self._is_over(run):
            return
        usual = run.copy
        run.copy = replace(usual, lease=usual.lease + timedelta(seconds=wait_s))
        self._say_of(run, "accept", End(FireState.RETRYING, error=error), now())
        run.copy, run.request = usual, None
        run.wait_until = time.monotonic() + wait_s + _LONGEST_WAIT_S
        self._retrying[run.copy.fire] = run

    def hand_over(self, run: Run) -> None:
        """Its message is about to go back to the broker: let another worker have it."""
        if self._is_over(run):
            return
        self._give_back([run])
        self._channels.to(run.locks).flush(_HAND_OVER_S)

    def handed_over(self, run: Run, error: str) -> None:
        """Say why its message went back."""
        self._report(run, End(FireState.RETRYING, error=error))

    def withdrawn(self, asked: Asked, end: End) -> None:
        """Celery itself refused a copy: that is the fire's end, unless another one was admitted."""
        locks = self._places.locks_of(asked.ticket)
        step = Step(asked.copy, self._report_of(asked.copy, end, now()))
        self._channels.say(Word(locks, "withdraw", asked.copy.fire, step))

    def give_back_reserved(self) -> None:
        """Let others have what did not start: it will not start here."""
        self._give_back([run for run in list(self._held.values()) if not run.copy.accepted])

    def close(self) -> None:
        """The pool has ended: give back, and say what is unsaid, for two seconds at most."""
        self.give_back_reserved()
        for run in [run for run in list(self._held.values()) if run.fate]:
            self.ended(run, End(FireState.LOST))
        self._channels.flush(_LAST_WORDS_S)

    def _unasked(self, asked: Asked) -> Verdict:
        """What becomes of a copy while the locks are away: what may be a second one must wait."""
        copy = asked.copy
        if self.of(copy.fire) is not None:
            return Verdict.REFUSE
        is_first = (copy.number == 1 or copy.retries > 0) and not asked.is_redelivered
        return Verdict.RUN if is_first else Verdict.HAND_BACK

    def _refuse(self, asked: Asked, locks: Locks, verdict: Verdict, answer: Answer | None) -> None:
        copy, reason = asked.copy, answer.reason if answer else "the locks are away"
        logger.info(
            "job %r: a copy of fire %s does not run (%s): %s",
            asked.job,
            copy.fire,
            verdict.value,
            reason,
            extra={"action": verdict.value, "job": asked.job, "fire": copy.fire},
        )
        if verdict in _BACK:
            report = self._report_of(copy, End(_BACK[verdict], error=reason), now())
            self._channels.say(Word(locks, "report", copy.fire, report))

    def _is_over(self, run: Run) -> bool:
        """Take it off the list; whether somebody was faster."""
        return self._held.pop(run.copy.worker, None) is None

    def _give_back(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self._held.pop(run.copy.worker, None)
            self._channels.say(Word(run.locks, "give_back", run.copy.fire, run.copy))

    def _report(self, run: Run, end: End) -> None:
        report = self._report_of(run.copy, end, now(), run.started_at)
        self._channels.say(Word(run.locks, "report", run.copy.fire, report))

    def _say_of(self, run: Run, verb: str, end: End, at: datetime) -> None:
        copy, has_started = run.copy, end.state is FireState.STARTED
        step = Step(copy, self._report_of(copy, end, at, run.started_at))
        started, ended = (copy.worker, None) if has_started else (None, copy.worker)
        self._channels.say(Word(run.locks, verb, copy.fire, step, started, ended))

    def _report_of(
        self, copy: Copy, end: End, at: datetime, started_at: datetime | None = None
    ) -> Report:
        return Report(
            fire=copy.fire,
            state=end.state,
            at=at,
            started_at=started_at,
            token=copy.token,
            retries=copy.retries,
            worker=self.worker,
            result=end.result,
            error=end.error,
        )

    def _renew(self, locks: Locks, probe: bool) -> None:
        """Renew what is held there, by the channel's thread; *probe*: ask, though it is nothing."""
        self._let_go_of_gone(locks)
        runs = [*list(self._held.values()), *list(self._retrying.values())]
        mine = [run for run in runs if run.locks is locks]
        for start in range(0, len(mine), _RENEWED_AT_ONCE):
            page = mine[start : start + _RENEWED_AT_ONCE]
            kept = locks.renew([run.copy for run in page])
            self._note_passed(run for run, is_ours in zip(page, kept, strict=True) if not is_ours)
        if probe and not mine:
            locks.open()

    def _let_go_of_gone(self, locks: Locks) -> None:
        """Celery drops requests without a word when a connection is lost, and at its end."""
        for run in [run for run in list(self._held.values()) if run.locks is locks]:
            if run.request is not None and run.request() is None:
                if not run.copy.accepted:
                    self._give_back([run])
                elif run.fate is not None:
                    self.ended(run, run.fate)
                else:
                    self._is_over(run)
        moment = time.monotonic()
        for fire in [f for f, run in list(self._retrying.items()) if run.wait_until < moment]:
            self._retrying.pop(fire, None)

    def _note_passed(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.request is None:
                self._retrying.pop(run.copy.fire, None)
            elif not run.is_passed and run.copy.worker in self._held:
                run.is_passed = True
                logger.warning(
                    "job %r: another copy of fire %s took the place of this one, which runs on",
                    run.job,
                    run.copy.fire,
                    extra={"action": "passed", "job": run.job, "fire": run.copy.fire},
                )
