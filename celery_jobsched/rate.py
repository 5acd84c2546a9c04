"""How many fires a beat may publish now, and which of those that are due come first.

Pure: moments, in monotonic seconds, come in. What is over the rate is left where it is: a job stays
due, a claimed fire pending; so the misfire rule goes on counting from when it was due.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import TypeVar

from .job import Job

_Key = TypeVar("_Key")
#: What sums of fractions may lack of a whole right.
_A_HAIR = 1e-6


@dataclass
class Rate:
    """A bucket of rights to publish: so many flow in each second, and that many fit in.

    Without a number there is no limit. Several threads may take of them at a time.
    """

    per_second: float | None = None
    _rights: float = 0.0
    _at: float | None = None
    _lock: RLock = field(default_factory=RLock, repr=False)

    def take(self, moment: float, count: int) -> int:
        """Take rights to publish *count* at *moment*, or as many as there are; how many."""
        with self._lock:
            taken = min(count, self.room(moment))
            self.spend(taken)
        return taken

    def room(self, moment: float) -> int:
        """How many may be published at *moment*."""
        with self._lock:
            return self._room(moment)

    def _room(self, moment: float) -> int:
        if self.per_second is None:
            return sys.maxsize
        most = max(self.per_second, 1.0)
        if self._at is None:
            self._rights, self._at = most, moment
        flown = (moment - self._at) * self.per_second
        self._rights, self._at = min(self._rights + flown, most), moment
        return max(0, int(self._rights + _A_HAIR))

    def spend(self, count: int) -> None:
        """Note that so many were published; fewer than none: that so many of them were not."""
        if self.per_second is not None:
            with self._lock:
                self._rights -= count


@dataclass(frozen=True)
class Urgency:
    """By which priorities a broker's queues go: the greatest first, or in Redis the smallest."""

    smallest_first: bool = False
    #: Of a job that names none.
    usual: int = 0

    def most_urgent(self, jobs: Mapping[_Key, Job], count: int) -> dict[_Key, Job]:
        """*count* of these, of the same priority those that stand first."""
        return dict(sorted(jobs.items(), key=lambda each: self._rank(each[1]))[:count])

    def _rank(self, job: Job) -> int:
        said = job.options.get("priority")
        priority = said if isinstance(said, int) else self.usual
        return priority if self.smallest_first else -priority
