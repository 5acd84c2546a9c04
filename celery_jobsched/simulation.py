"""How many fires there will be, hour by hour, over many jobs. Pure: jobs come in one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from .clock import TICK
from .errors import InvalidJob
from .job import Job

#: Of one job; what fires more often in that time is counted no further, and named.
_MOST = 200_000
_NAMED = 3
_HOUR, _LONGEST = timedelta(hours=1), timedelta(days=3660)


class Minute(NamedTuple):
    """A minute, how many fires it has, and some of the jobs that they are of."""

    at: datetime
    fires: int
    jobs: tuple[str, ...]


@dataclass
class Simulation:
    """The fires from *start* (inclusive) to *end*, by the hours of UTC that they lie in.

    Raises:
        InvalidJob: *end* is more than ten years after *start*.
    """

    start: datetime
    end: datetime
    hours: dict[datetime, int] = field(default_factory=dict)
    #: Jobs of which it cannot be told when they fire, or not all of it.
    left_out: list[str] = field(default_factory=list)
    _minutes: dict[datetime, list[object]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.end - self.start > _LONGEST:
            said = f"not more than {_LONGEST.days} days after the first moment"
            raise InvalidJob("end", self.end.isoformat(), said)
        first = self.start.replace(minute=0, second=0, microsecond=0)
        for hour in range(max(0, -((first - self.end) // _HOUR))):
            self.hours[first + hour * _HOUR] = 0

    @property
    def fires(self) -> int:
        """How many there are in all."""
        return sum(self.hours.values())

    @property
    def busiest(self) -> Minute | None:
        """The minute that has most; the first one of several."""
        if not self._minutes:
            return None
        at = min(self._minutes, key=lambda each: (-_count(self._minutes[each]), each))
        found = self._minutes[at]
        return Minute(at, _count(found), tuple(str(name) for name in found[1:]))

    def add(self, job: Job) -> None:
        """Count what *job* fires; nothing while it is paused.

        Raises:
            InvalidJob: it cannot be told when it fires.
        """
        start = self.start
        if not job.enabled:
            if job.paused_until is None:
                return
            start = max(start, job.paused_until)
        left = _MOST
        at = job.next_after(start - TICK)
        if job.max_fires is not None:
            left = min(left, max(0, job.max_fires - job.fire_count))
            # What fires before that counts, too.
            at = min(filter(None, (at, job.next_fire_at)), default=None)
        while at is not None and at < self.end and left > 0:
            if at >= start:
                self._note(at, job.name)
            left -= 1
            at = job.next_after(at)
        if left == 0 and at is not None and at < self.end and job.max_fires is None:
            self.left_out.append(job.name)

    def _note(self, at: datetime, name: str) -> None:
        self.hours[at.replace(minute=0, second=0, microsecond=0)] += 1
        minute = self._minutes.setdefault(at.replace(second=0, microsecond=0), [0])
        minute[0] = _count(minute) + 1
        if len(minute) <= _NAMED and name not in minute:
            minute.append(name)


def _count(minute: list[object]) -> int:
    number = minute[0]
    return number if isinstance(number, int) else 0
