"""Asking the filter in a watched thread: it may be slow or hang, and no tick waits for it long.

    the tick                              the helper, a thread
    hands over a page of jobs             asks about one after another
    waits for 0.2 s at most               notes each answer
    takes what there is                   goes on with the job in hand alone
    the rest is asked about next time     its answer is there by then

A helper whose question takes longer than its time is left behind with it, which is a refusal, and
another one goes on with the other jobs. A few are left behind at most: then all jobs are refused,
until one of these questions comes to an end. Moments are monotonic seconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import InvalidSetting
from .filter import Answer, Filter, answer_about, load_filter
from .job import Job
from .settings import Settings
from .store.pages import Cause, Seen
from .store.planned import EDITED

#: How long a tick waits for answers: as long as a beat sleeps with nothing to do.
_PATIENCE_S = 0.2
# With questions of a second, they hold up other jobs for less than their grace of 5 s.
_MOST_LEFT_BEHIND = 4
_FEWEST_AT_ONCE = 10

_Question = tuple[Seen, Job]


def asking_of(settings: Settings) -> Asking | None:
    """Who asks the filter of the configuration; None where there is none.

    Raises:
        InvalidSetting: the filter cannot be imported or asked.
    """
    if settings.filter is None:
        return None
    return Asking(load_filter(settings.filter), settings.filter_timeout)


def refused_by(settings: Settings, job: Job) -> str | None:
    """Why the filter of the configuration refuses *job*; None where it does not, or there is none.

    Waits for an answer for ``jobsched_filter_timeout``.
    """
    try:
        asking = asking_of(settings)
    except InvalidSetting as error:
        return str(error)
    if asking is None:
        return None
    helper, only = Helper(asking.filter).start(), Seen(EDITED, job.id or 0, job.version)
    until = time.monotonic() + asking.timeout
    found = helper.work([(only, job)], until, asking.timeout)
    helper.end()
    return found.get(only, asking._no_answer).reason


@dataclass
class Asking:
    """Asks the filter; starts its helper with the first question."""

    filter: Filter
    timeout: float
    _helper: Helper | None = None
    _left_behind: list[Helper] = field(default_factory=list)
    _most: float = math.inf

    def most(self, limit: int) -> int:
        """How many jobs to ask about next: *limit*, or less while answers come slowly."""
        return int(min(limit, self._most))

    def ask(self, jobs: Mapping[Seen, Job]) -> dict[Seen, Answer]:
        """The answers about these jobs that came in time."""
        until = time.monotonic() + _PATIENCE_S
        found = self._still_open()
        while left := [each for each in jobs.items() if each[0] not in found]:
            helper = self._ready()
            if helper is None:
                found |= {seen: self._gave_up for seen, _ in left}
                break
            found |= helper.work(left, until, self.timeout)
            late = helper.leave_behind(self.timeout)
            if late is not None:
                self._left_behind.append(helper)
                found[late] = self._no_answer
            elif time.monotonic() >= until:
                break
        self._learn(sum(seen in found for seen in jobs), len(jobs))
        return found

    def close(self) -> None:
        """Let the helper go; it ends with its question at the latest."""
        if self._helper is not None:
            self._helper.end()
        self._helper = None

    @property
    def _no_answer(self) -> Answer:
        reason = f"jobsched_filter gave no answer within {self.timeout:g} s"
        return Answer(reason, Cause.NO_ANSWER)

    @property
    def _gave_up(self) -> Answer:
        reason = f"jobsched_filter hangs, {_MOST_LEFT_BEHIND} times by now, and is asked no more"
        return Answer(reason, Cause.NO_ANSWER)

    def _ready(self) -> Helper | None:
        """A helper that can be asked; None when too many were left behind."""
        if self._helper is None or self._helper.has_ended:
            is_full = len(self._left_behind) >= _MOST_LEFT_BEHIND
            self._helper = None if is_full else Helper(self.filter).start()
        return self._helper

    def _still_open(self) -> dict[Seen, Answer]:
        """No answer about the jobs whose helpers were left behind and did not come back yet."""
        self._left_behind = [each for each in self._left_behind if each.is_alive]
        return {each.late: self._no_answer for each in self._left_behind if each.late}

    def _learn(self, answered: int, asked: int) -> None:
        """What cannot be asked in time need not be read again with each tick."""
        is_slow = answered < asked
        # Doubled for weeks a float is infinite, and a whole number has a million digits.
        self._most = float(max(_FEWEST_AT_ONCE, answered)) if is_slow else 2 * self._most


class Helper:
    """A daemon thread that asks about one job after another, until it is left behind."""

    def __init__(self, by: Filter) -> None:
        #: The question that it was left behind with.
        self.late: Seen | None = None
        self._filter = by
        self._changed = threading.Condition()
        self._waiting: deque[_Question] = deque()
        self._in_hand: tuple[Seen, float] | None = None
        self._answers: dict[Seen, Answer] = {}
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="jobsched-filter", daemon=True)

    def start(self) -> Helper:
        """Begin to wait for questions."""
        self._thread.start()
        return self

    @property
    def is_alive(self) -> bool:
        """Whether its thread is still there."""
        return self._thread.is_alive()

    @property
    def has_ended(self) -> bool:
        """Whether it takes no more questions."""
        return self._ends or not self.is_alive

    def end(self) -> None:
        """Ask nothing more."""
        with self._changed:
            self._ends = True
            self._changed.notify_all()

    def work(
        self, questions: Sequence[_Question], until: float, timeout: float
    ) -> dict[Seen, Answer]:
        """The answers that there are by *until*; sooner when one question takes *timeout*."""
        with self._changed:
            self._waiting.extend(each for each in questions if not self._knows(each[0]))
            self._changed.notify_all()
            while self._is_busy and (wait := self._deadline(until, timeout) - time.monotonic()) > 0:
                self._changed.wait(wait)
            self._waiting.clear()
            answers, self._answers = self._answers, {}
            return answers

    def leave_behind(self, timeout: float) -> Seen | None:
        """The job in hand if its question took *timeout*: this helper asks nothing more then."""
        with self._changed:
            if self._in_hand is None or time.monotonic() < self._in_hand[1] + timeout:
                return None
            self.late, self._ends = self._in_hand[0], True
            return self.late

    @property
    def _is_busy(self) -> bool:
        return bool(self._waiting) or self._in_hand is not None

    def _knows(self, seen: Seen) -> bool:
        return seen in self._answers or (self._in_hand is not None and seen == self._in_hand[0])

    def _deadline(self, until: float, timeout: float) -> float:
        """When to look again: nobody tells when the next question begins."""
        begun = self._in_hand[1] if self._in_hand else time.monotonic()
        return min(until, begun + timeout)

    def _run(self) -> None:
        while (question := self._next()) is not None:
            seen, job = question
            self._note(seen, answer_about(job, self._filter))

    def _next(self) -> _Question | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ends)
            if self._ends:
                return None
            seen, job = self._waiting.popleft()
            self._in_hand = (seen, time.monotonic())
            return seen, job

    def _note(self, seen: Seen, answer: Answer) -> None:
        with self._changed:
            self._answers[seen], self._in_hand = answer, None
            if not self._waiting:
                self._changed.notify_all()
