"""What was due in a storm against what is on record and what ran. Pure: all of it comes in.

An instant is owed a record. A fire that succeeded ran once. A run is repeated with reason where its
worker was killed and nobody can have heard how it went: the broker gives its message to another
one, as Celery has it (at once where it is acknowledged late; else where it died before it could
acknowledge it, or say that it began). Any other second run is one too many.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.storm.weather import RESTARTED, Log, Outage

#: In so long a time a worker says what it has to say, where it is heard.
_SAYING_S = 1.0
_SECOND = timedelta(seconds=1)
#: How many seconds there may be between one fire and the next.
LONGEST_GAP_S = 5.0
OPEN = {"pending", "waiting", "sent", "started", "retrying"}


@dataclass
class Run:
    """A run of a fire, as its task noted it; seconds of the clock."""

    fire: str
    job: str
    worker: str
    late: bool
    begun: float
    ended: float | None = None


@dataclass(frozen=True)
class Owed:
    """What was owed: each second from *first* on, of each job."""

    jobs: Sequence[str]
    first: datetime
    seconds: int
    #: Those of which one run at a time is allowed.
    alone: frozenset[str] = frozenset()

    @property
    def instants(self) -> set[datetime]:
        return {self.first + _SECOND * k for k in range(self.seconds)}


@dataclass
class Account:
    """What came of it; texts name the job and the instant."""

    due: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    #: Due, and on record nowhere or twice.
    unaccounted: list[str] = field(default_factory=list)
    #: On record as succeeded without a run, or with no end at all.
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    #: Run again for a worker that was killed: of tasks that are acknowledged late, and of others.
    repeated_late: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    #: Though nobody died.
    lost_alive: list[str] = field(default_factory=list)
    #: Two runs at a time of a job that has one.
    together: list[str] = field(default_factory=list)
    #: Seconds; the second one without the time in which a server was down.
    gap_s: float = 0.0
    net_gap_s: float = 0.0

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What must not be, by its kind."""
        found = {
            "not on record": self.unaccounted,
            "missing": self.missing,
            "twice": self.twice,
            "lost, though no worker died": self.lost_alive,
            "beyond a limit": self.together,
        }
        if self.net_gap_s >= LONGEST_GAP_S:
            found["longest gap"] = [f"{self.net_gap_s:.1f} s"]
        return {what: which for what, which in found.items() if which}


def account(
    owed: Owed, rows: Sequence[Mapping[str, Any]], notes: Iterable[Mapping[str, Any]], log: Log
) -> Account:
    """The account of a storm that is over."""
    notes = list(notes)
    found, runs = Account(due=len(owed.jobs) * owed.seconds), runs_of(notes)
    by_fire: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.begun):
        by_fire[run.fire].append(run)
    found.runs = len(runs)
    _look_at_records(found, owed, rows)
    _look_at_ends(found, rows, by_fire, log)
    _look_at_runs(found, rows, by_fire, log)
    _look_at_limits(found, owed, runs, log)
    _look_at_gaps(found, owed, notes, log)
    return found


def runs_of(notes: Iterable[Mapping[str, Any]]) -> list[Run]:
    """The runs that were noted."""
    runs: dict[str, Run] = {}
    for note in notes:
        if note["what"] == "begun":
            said = {name: note[name] for name in ("fire", "job", "worker", "late")}
            runs[note["run"]] = Run(**said, begun=note["at"])
        elif note["what"] == "ended":
            runs[note["run"]].ended = note["at"]
    return list(runs.values())


def _look_at_records(found: Account, owed: Owed, rows: Iterable[Mapping[str, Any]]) -> None:
    covered: dict[str, Counter[datetime]] = {job: Counter() for job in owed.jobs}
    for row in rows:
        at, until = row["fire_at"], row["until_at"] or row["fire_at"]
        count = row["count"] or (until - at) // _SECOND + 1
        found.by_state[row["state"]] += count
        while at <= until:
            covered[row["job_name"]][at] += 1
            at += _SECOND
    for job, instants in covered.items():
        for at in sorted(owed.instants | set(instants)):
            if instants[at] != 1 or at not in owed.instants:
                found.unaccounted.append(f"{job} of {at:%H:%M:%S}: {instants[at]} records")


def _look_at_ends(
    found: Account,
    rows: Iterable[Mapping[str, Any]],
    by_fire: Mapping[str, Sequence[Run]],
    log: Log,
) -> None:
    for row in rows:
        runs, told = by_fire.get(row["id"], []), _told(row)
        has_ended = any(run.ended is not None for run in runs)
        if row["state"] in OPEN or (row["state"] == "succeeded" and not has_ended):
            found.missing.append(f"{told} is {row['state']} in the end")
        elif row["state"] == "lost":
            workers = {run.worker for run in runs} | {str(row["worker"]).partition("@")[0]}
            which = found.lost if workers & set(log.deaths) else found.lost_alive
            which.append(f"{told}: {row['error']}")


def _look_at_runs(
    found: Account,
    rows: Iterable[Mapping[str, Any]],
    by_fire: Mapping[str, Sequence[Run]],
    log: Log,
) -> None:
    told = {row["id"]: _told(row) for row in rows}
    for fire, runs in by_fire.items():
        name = told.get(fire, f"{fire}, of which there is no record")
        if fire not in told:
            found.unaccounted.append(name)
        for run, again in pairwise(runs):
            said = f"{name}: by {run.worker} at {run.begun:.3f}, again by {again.worker}"
            if not is_unheard(run, log):
                found.twice.append(f"{said} at {again.begun:.3f}")
            else:
                (found.repeated_late if run.late else found.repeated).append(said)


def is_unheard(run: Run, log: Log) -> bool:
    """Whether its worker was killed before it can have said how the run went."""
    died_at = log.deaths.get(run.worker)
    if died_at is None:
        return False
    if run.ended is None:
        return True
    said_by = run.ended + _SAYING_S
    return died_at < said_by + sum(_overlap(each, run.ended, died_at) for each in log.outages)


def _look_at_limits(found: Account, owed: Owed, runs: Iterable[Run], log: Log) -> None:
    """Two at a time; one that was killed is over then."""
    of_job: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        if run.job in owed.alone:
            end = run.ended if run.ended is not None else log.deaths.get(run.worker, run.begun)
            of_job[run.job].append((run.begun, end))
    for job, spans in of_job.items():
        for (_, end), (begun, _) in pairwise(sorted(spans)):
            if begun < end:
                found.together.append(f"{job}: another one at {begun:.3f}, {end - begun:.3f} s")


def _look_at_gaps(found: Account, owed: Owed, notes: Iterable[Mapping[str, Any]], log: Log) -> None:
    first = owed.first.timestamp()
    last = first + owed.seconds - 1
    sent = [note["at"] for note in notes if note["what"] == "sent"]
    moments = sorted({first, last, *(at for at in sent if first <= at <= last)})
    down = [each for each in log.outages if each.how == RESTARTED]
    for before, after in pairwise(moments):
        gap = after - before
        net = gap - sum(_overlap(each, before, after) for each in down)
        found.gap_s, found.net_gap_s = max(found.gap_s, gap), max(found.net_gap_s, net)


def _overlap(outage: Outage, since: float, until: float) -> float:
    return max(min(outage.until, until) - max(outage.since, since), 0.0)


def _told(row: Mapping[str, Any]) -> str:
    return f"{row['job_name']} of {row['fire_at']:%H:%M:%S} ({row['id']})"
