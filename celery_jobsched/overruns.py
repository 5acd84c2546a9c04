"""Runs that outlast their usual time: told once each, when somebody looks after them anyway.

The usual time of a job is the median of what its latest good runs took. It is asked for again
after a while, and for as many jobs as have runs to look after.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import events
from .fire import FireState
from .store import watching
from .store.watching import Watched
from .views import duration

logger = logging.getLogger(__name__)

#: So many times the usual is unusual.
_TIMES = 3
_SAID = "it outlasts its usual"
#: For how many seconds a usual time counts, and of how many jobs it is known.
_KNOWN_FOR_S, _MOST_KNOWN = 300.0, 10_000


@dataclass(frozen=True)
class Overrun:
    """A run that goes on, and how long it usually takes."""

    fire: Watched
    usual: timedelta

    def __str__(self) -> str:
        return f"{_SAID} {duration(self.usual)}"

    @property
    def reason(self) -> str:
        """As its record says it, behind what stands there."""
        return f"{self.fire.reason}; {self}" if self.fire.reason else str(self)


@dataclass
class Overruns:
    """What one beat knows of usual times; *monotonic* gives its moments."""

    monotonic: Callable[[], float]
    _usual: dict[int, tuple[float, timedelta | None]] = field(default_factory=dict)

    def note(self, conn: Any, runs: Iterable[Watched], now: datetime) -> list[Overrun]:
        """Write down which of *runs* outlast their usual time, unless that was done; those."""
        found = []
        for fire in runs:
            usual = self._usual_of(conn, fire)
            if usual is not None and fire.started_at and now - fire.started_at > _TIMES * usual:
                overrun = Overrun(fire, usual)
                if watching.give_reason(conn, fire, overrun.reason):
                    found.append(overrun)
        return found

    def _usual_of(self, conn: Any, fire: Watched) -> timedelta | None:
        is_told = fire.reason is not None and _SAID in fire.reason
        if fire.state is not FireState.STARTED or fire.task is not None or is_told:
            return None
        moment = self.monotonic()
        until, usual = self._usual.get(fire.job_id, (moment, None))
        if until > moment:
            return usual
        usual = watching.usual_time(conn, fire.job_id)
        if len(self._usual) >= _MOST_KNOWN:
            self._usual.clear()
        self._usual[fire.job_id] = (moment + _KNOWN_FOR_S, usual)
        return usual


def tell_overruns(found: Sequence[Overrun]) -> None:
    """Say it; after the commit."""
    for each in found:
        fire = each.fire
        said = {"job": fire.job_name, "fire_id": fire.id, "fire_at": fire.fire_at}
        extra = {"action": "overrun", **said}
        logger.warning("job %r: fire %s: %s", fire.job_name, fire.id, each, extra=extra)
        events.fire_overrun.send(sender=None, origin=fire.origin, usual=each.usual, **said)
