"""Jobs and fires as people look at them: how they stand, how long something took, at what time.

Pure: values of rows, and their words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from .clock import to_local, zone
from .fields import plain
from .fire import FireState
from .jumps import abbreviation

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class JobState(str, Enum):
    """How a job stands, in one word; the worst first."""

    ERROR = "error"
    LATE = "late"
    FAILING = "failing"
    RUNNING = "running"
    OK = "ok"
    NEW = "new"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"


@dataclass(frozen=True)
class FireView:
    """One record of a fire; instants are aware UTC. ``count`` of them where they are one record."""

    id: str
    job: str
    fire_at: datetime
    origin: str
    state: str
    until_at: datetime | None = None
    count: int | None = None
    due_at: datetime | None = None
    ready_at: datetime | None = None
    sent_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    check_at: datetime | None = None
    publishes: int = 0
    beat: str | None = None
    worker: str | None = None
    waiting_for: str | None = None
    #: The keys whose slots its run was sent with.
    slots: tuple[str, ...] = ()
    task: str | None = None
    reason: str | None = None
    result: str | None = None
    error: str | None = None

    @property
    def late(self) -> timedelta | None:
        """How long after it was due it was sent."""
        due = self.due_at or self.fire_at
        return None if self.sent_at is None else max(self.sent_at - due, timedelta(0))

    @property
    def waited(self) -> timedelta | None:
        """How long it was in the broker's queue."""
        if self.sent_at is None or self.started_at is None:
            return None
        return max(self.started_at - self.sent_at, timedelta(0))

    @property
    def took(self) -> timedelta | None:
        """How long its run took."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(self.finished_at - self.started_at, timedelta(0))

    @property
    def mark(self) -> str:
        """Its state as one sign; the legend of ``list`` tells them."""
        return _MARKS.get(self.state, ".")

    def to_dict(self) -> dict[str, Any]:
        """For programs: instants in ISO 8601, durations in seconds."""
        spans = {"late": self.late, "waited": self.waited, "took": self.took}
        seconds = {name: _seconds(each) for name, each in spans.items()}
        return {name: _plain(value) for name, value in (asdict(self) | seconds).items()}


_MARKS = {
    FireState.SUCCEEDED.value: "+",
    FireState.FAILED.value: "x",
    FireState.REVOKED.value: "~",
    FireState.EXPIRED.value: "~",
    FireState.SKIPPED.value: "-",
    FireState.CANCELLED.value: "-",
    FireState.MISSED.value: "!",
    FireState.LOST.value: "?",
    FireState.STARTED.value: ">",
    FireState.RETRYING.value: ">",
}


@dataclass(frozen=True)
class JobView:
    """How a job stands. ``words`` is when it fires, None where its row cannot be read, as is
    ``brief``, which leaves out from when an interval counts.
    """

    id: int
    name: str
    state: JobState
    task: str
    schedule: str
    words: str | None
    brief: str | None
    timezone: str
    next_fire_at: datetime | None
    due_at: datetime | None
    last_fire_at: datetime | None
    error: str | None
    source: str
    version: int
    paused_at: datetime | None = None
    paused_by: str | None = None
    paused_note: str | None = None
    paused_until: datetime | None = None
    fire_count: int = 0
    failure_count: int = 0
    description: str | None = None
    queue: str | None = None
    overlap: str | None = None
    max_concurrency: int | None = None
    labels: dict[str, Any] = field(default_factory=dict)
    #: Its last fires, the newest last.
    recent: tuple[FireView, ...] = ()

    @property
    def last(self) -> FireView | None:
        """Its newest fire."""
        return self.recent[-1] if self.recent else None

    @property
    def last_run(self) -> FireView | None:
        """Its newest fire that was sent."""
        return next((each for each in reversed(self.recent) if each.sent_at is not None), None)

    @property
    def marks(self) -> str:
        """Its last fires as one sign each, the newest last."""
        return "".join(each.mark for each in self.recent)

    def to_dict(self) -> dict[str, Any]:
        """For programs: instants in ISO 8601, the last fire, and the recent ones as signs."""
        found = {name: _plain(value) for name, value in vars(self).items() if name not in _TOLD}
        last = self.last.to_dict() if self.last else None
        return found | {"last": last, "recent": self.marks}


#: What is told to people alone, or in another form.
_TOLD = frozenset({"recent", "brief"})


def moment(at: datetime, zone_name: str) -> str:
    """An instant by a zone's clocks, to the millisecond: "Fri 2026-11-20 16:00 CET"."""
    here = zone(zone_name)
    local = to_local(at, here)
    text = local.strftime("%Y-%m-%d %H:%M")
    milliseconds = local.microsecond // 1000
    if local.second or milliseconds:
        text += f":{local:%S}" + (f".{milliseconds:03}" if milliseconds else "")
    return f"{_WEEKDAYS[local.weekday()]} {text} {abbreviation(at, here)}"


def short_moment(at: datetime, zone_name: str, now: datetime, to_the_second: bool = False) -> str:
    """The same to the minute; the date alone is left out where a weekday says it."""
    here = zone(zone_name)
    local = to_local(at, here)
    days = abs((local.date() - to_local(now, here).date()).days)
    far = "%d %b %Y" if days > _HALF_A_YEAR else "%d %b"
    day = _WEEKDAYS[local.weekday()] if days < len(_WEEKDAYS) else local.strftime(far)
    time = local.strftime("%H:%M:%S" if to_the_second and local.second else "%H:%M")
    return f"{day} {time} {abbreviation(at, here)}"


_HALF_A_YEAR = 180
#: Below so many seconds a tenth of one says nothing.
_INSTANT = 0.1


def duration(span: timedelta) -> str:
    """How long, in two units: "2h 45m", "1m 3s", "8s", "0.3s", "12ms"."""
    seconds = abs(span.total_seconds())
    if 0 < seconds < _INSTANT:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s" if seconds != int(seconds) else f"{int(seconds)}s"
    return " ".join(parts(int(seconds))[:2])


def parts(seconds: int) -> list[str]:
    """As in 2d, 7h, 0m, 5s, from the first that is not zero."""
    found: list[str] = []
    for unit, length in _UNITS:
        number, seconds = divmod(seconds, length)
        if number or found:
            found.append(f"{number}{unit}")
    return found


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, dict)):
        return plain(value)
    return value.value if isinstance(value, Enum) else value
