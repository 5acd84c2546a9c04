"""How the whole stands, as operators see it: beats, database, locks, broker, workers, jobs.

Pure: what was found, and which of it is a problem. ``verbs.status`` asks, ``cli.status`` tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from .freeze import Freeze
from .views import JobState, duration

#: A beat that was not seen for so long does not tick: it says so each two seconds, or four.
GONE_AFTER = timedelta(seconds=10)
#: Of unread reports: more are not read in a tick or two.
MANY_REPORTS = 5000


class BeatState(str, Enum):
    """How a beat does that did not end in good order."""

    TICKS = "ticking"
    #: It ticks, and claims nothing.
    REFUSES = "refusing"
    #: The same, because somebody wants it so.
    DRAINED = "drained"
    #: It ticks, and tells what it would fire.
    SHADOW = "shadow"
    #: Its process lives, its tick does not return.
    HANGS = "hanging"
    GONE = "gone"


@dataclass(frozen=True)
class BeatSeen:
    """A beat on the list; one that ended in good order took itself off."""

    id: str
    name: str
    up: timedelta
    seen_ago: timedelta
    #: Since its process last said that it lives while its tick does not return.
    alive_ago: timedelta | None = None
    #: Between due and sent, of what it sent in the minute before; None where that was nothing.
    usual_lag: timedelta | None = None
    greatest_lag: timedelta | None = None
    #: Why it claims nothing, though it ticks.
    refuses: str | None = None
    #: What it is for, if not for claiming.
    mode: str | None = None

    @property
    def state(self) -> BeatState:
        """Whether it was seen lately, and fires what is due."""
        if self.seen_ago < GONE_AFTER:
            return self._claims
        is_alive = self.alive_ago is not None and self.alive_ago < GONE_AFTER
        return BeatState.HANGS if is_alive else BeatState.GONE

    @property
    def ticks(self) -> bool:
        """Whether it was seen lately, and fires what is due."""
        return self.state is BeatState.TICKS

    def to_dict(self) -> dict[str, Any]:
        """For programs: durations in seconds."""
        found: dict[str, Any] = _plain(asdict(self))
        return found | {"state": self.state.value, "ticks": self.ticks}

    @property
    def _claims(self) -> BeatState:
        """Whether it claims; what it is for that another release has thought of is no matter."""
        for state in (BeatState.DRAINED, BeatState.SHADOW):
            if self.mode == state.value:
                return state
        return BeatState.REFUSES if self.refuses else BeatState.TICKS


@dataclass(frozen=True)
class Service:
    """Something that is reached over a line: where, how fast it answers, what went wrong."""

    place: str
    seconds: float | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class LocksSeen(Service):
    """The locks: ``silent_for`` they grant nothing yet; ``reports`` nobody has read so far."""

    silent_for: timedelta = timedelta(0)
    reports: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class WorkerSeen:
    """A worker that reported what became of some of the latest fires."""

    name: str
    fires: int
    last_ago: timedelta


@dataclass(frozen=True)
class Queue:
    """The fires that wait for slots of a key; ``held``: taken ones, None where nobody can say."""

    key: str
    waiting: int
    oldest: timedelta
    held: int | None = None


@dataclass(frozen=True)
class Fires:
    """What is on its way, and how the latest fires went."""

    #: Waiting to be sent, and sent without an end so far.
    pending: int = 0
    sent: int = 0
    queues: Sequence[Queue] = ()
    #: Between due and sent, of the latest ones; None where there is none.
    usual_lag: timedelta | None = None
    greatest_lag: timedelta | None = None
    workers: Sequence[WorkerSeen] = ()
    #: Of so many of the latest that have or should have ended, how many no worker told of.
    recent: int = 0
    unheard: int = 0


@dataclass(frozen=True)
class Status:
    """How it all stands at *now*, by the database's clock."""

    now: datetime
    database: Service
    #: The version of the tables, and the one that this release knows; None: no tables.
    version: str | None
    known_version: str
    beats: Sequence[BeatSeen] = ()
    locks: LocksSeen | None = None
    broker: Service | None = None
    fires: Fires = field(default_factory=Fires)
    jobs: Mapping[JobState, int] = field(default_factory=dict)
    due: int = 0
    freeze: Freeze | None = None

    def problems(self, beat: str | None = None, max_lag: timedelta | None = None) -> list[str]:
        """Why the answer is no, in sentences; empty where all is well.

        *beat*: that one must tick, by its name or id; else any. *max_lag*: the latest fires must
        have been sent within it.
        """
        return list(self._problems(beat, max_lag))

    @property
    def notes(self) -> list[str]:
        """What somebody should know, though fires go out."""
        return list(self._notes())

    @property
    def verdict(self) -> str:
        """What is said where there is no problem: ok, and which jobs want a look all the same."""
        said = []
        if broken := self.jobs.get(JobState.ERROR):
            said.append(f"{_jobs(broken)} in error: see `jobs check`")
        wrong = [each for each in (JobState.LATE, JobState.FAILING) if self.jobs.get(each)]
        if wrong:
            counts = ", ".join(f"{_jobs(self.jobs[each])} {each.value}" for each in wrong)
            states = ",".join(each.value for each in wrong)
            said.append(f"{counts}: see `jobs list state:{states}`")
        return "ok" + (f", {'; '.join(said)}" if said else "")

    def to_dict(self) -> dict[str, Any]:
        """For programs: durations in seconds, instants in ISO 8601."""
        found: dict[str, Any] = _plain(asdict(self))
        found["beats"] = [beat.to_dict() for beat in self.beats]
        return found | {"problems": self.problems(), "notes": self.notes}

    def _problems(self, beat: str | None, max_lag: timedelta | None) -> Iterator[str]:
        if self.version != self.known_version:
            there = "there are no tables" if self.version is None else f"they are {self.version}"
            yield f"database: expected tables of version {self.known_version}, {there}"
        wanted = [each for each in self.beats if beat is None or beat in {each.name, each.id}]
        if not any(each.ticks for each in wanted):
            yield "no beat ticks" if beat is None else f"no beat {beat!r} ticks"
        for what, service in (("locks", self.locks), ("broker", self.broker)):
            if service is not None and service.trouble:
                yield f"{what}: {service.trouble}"
        lag = self.fires.greatest_lag
        if max_lag is not None and lag is not None and lag > max_lag:
            yield f"a fire was sent {duration(lag)} late, allowed are {duration(max_lag)}"

    def _notes(self) -> Iterator[str]:
        if self.freeze is not None:
            yield str(self.freeze)
        for beat in self.beats:
            if beat.state is BeatState.HANGS:
                yield f"beat {beat.name} hangs: its log says where its tick is"
        if self.locks is not None and self.locks.silent_for:
            wait = duration(self.locks.silent_for)
            yield f"the locks lost their memory: they grant nothing for another {wait}"
        if self.locks is not None and self.locks.reports > MANY_REPORTS:
            yield f"{self.locks.reports:,} reports of workers are not read yet"
        if self.locks is not None and self.locks.dropped:
            yield f"{self.locks.dropped:,} reports of workers were dropped, for nobody read them"
        if self.fires.unheard:
            yield (
                f"of {self.fires.unheard:,} of the latest {self.fires.recent:,} fires no worker "
                "told how they went: it lacks celery_jobsched.worker, or has its locks elsewhere"
            )


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value
