"""What is known of a job at an instant or in a fire, and what is said of it.

Pure: see ``explaining``. Each step of an explanation has a code for programs, and words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..errors import InvalidJob
from ..freeze import Freeze
from ..job import Job
from ..store.changes import Change
from ..store.jobs import WHEN
from ..views import FireView, JobState, JobView, moment

#: A beat that was not seen for longer is taken for gone.
ALIVE_FOR = timedelta(seconds=10)


@dataclass(frozen=True)
class Step:
    """One step of the way: a code, whether it went well (None: neither), and words."""

    code: str
    ok: bool | None
    text: str


@dataclass(frozen=True)
class Explanation:
    """What became of an instant of a job; as a text, sentences for people."""

    job: str
    at: datetime | None
    ran: bool
    summary: str
    steps: tuple[Step, ...] = ()
    fire: FireView | None = None

    def __str__(self) -> str:
        width = max((len(each.code) for each in self.steps), default=0)
        lines = [f"  {each.code.ljust(width)}  {each.text}" for each in self.steps]
        return "\n".join([self.summary, *lines])

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "job": self.job,
            "at": self.at and self.at.isoformat(),
            "ran": self.ran,
            "summary": self.summary,
            "steps": [vars(each) for each in self.steps],
            "fire": self.fire and self.fire.to_dict(),
        }


@dataclass(frozen=True)
class Holding:
    """A slot that is taken: by which fire, until when unless it is renewed."""

    id: str
    until: datetime
    fire: FireView | None


@dataclass(frozen=True)
class Listing:
    """Jobs, the worst first, how many there are of each state, and when that was so."""

    jobs: list[JobView]
    counts: dict[JobState, int]
    now: datetime


@dataclass(frozen=True)
class Facts:
    """All that is known of a job, at an instant, or in a fire."""

    view: JobView
    job: Job | InvalidJob
    created_at: datetime
    now: datetime
    changes: Sequence[Change]
    #: Id, name, and when it was seen last.
    beats: Sequence[tuple[str, str, datetime]]
    kept_since: datetime
    at: datetime | None = None
    fire: FireView | None = None
    #: Who holds the slots that the fire waits for; None where the locks do not say.
    holders: Sequence[Holding] | None = None
    #: The fires that held the slots which a skipped one did not get, by the record.
    held_then: Sequence[FireView] = ()
    #: Why the filter of this application refuses the job; None where it does not.
    refusal: str | None = None
    #: What holds up all schedules now.
    freeze: Freeze | None = None
    #: How often a beat looks.
    poll: timedelta = timedelta(seconds=0.2)

    def said(self, at: datetime) -> str:
        """An instant by the clocks of the job's zone."""
        return moment(at, self.view.timezone)


def with_fire(facts: Facts, at: datetime | None, fire: FireView | None) -> Facts:
    """The facts of one instant."""
    return replace(facts, at=at, fire=fire)


def is_due(facts: Facts) -> bool:
    """Whether an instant is due that no beat has taken."""
    due = facts.view.due_at
    return facts.view.error is None and due is not None and due <= facts.now


def view_of(
    row: Mapping[Any, Any],
    job: Job | InvalidJob,
    state: JobState,
    recent: Sequence[FireView],
    zone_name: str,
) -> JobView:
    """A row as people look at it; *recent* has its fires, the newest first."""
    known = job if isinstance(job, Job) else None
    error = row["error"] or (job.sentence if isinstance(job, InvalidJob) else None)
    return JobView(
        id=row["id"],
        name=row["name"],
        state=JobState.ERROR if error else state,
        task=row["task"],
        schedule=as_written(row),
        words=known.describe() if known else None,
        brief=known.describe(briefly=True) if known else None,
        timezone=known.zone_name if known else zone_name,
        next_fire_at=_instant(row["next_fire_at"]),
        due_at=_instant(row["due_at"]),
        last_fire_at=_instant(row["last_fire_at"]),
        error=error,
        source=row["source"],
        version=row["version"],
        paused_at=_instant(row["paused_at"]),
        paused_by=row["paused_by"],
        paused_note=row["paused_note"],
        paused_until=_instant(row["paused_until"]),
        fire_count=row["fire_count"],
        failure_count=row["failure_count"],
        description=row["description"],
        queue=known.options.get("queue") if known else None,
        overlap=known.overlap if known else None,
        max_concurrency=known.max_concurrency if known else None,
        labels=known.labels if known else {},
        recent=tuple(reversed(recent)),
    )


def as_written(row: Mapping[Any, Any]) -> str:
    """When a row says that it fires, as it stands there."""
    said = [
        f"{name} {' '.join(str(row[name]).split())}"
        for name in WHEN
        if row[name] and name not in {"at", "timezone"}
    ]
    if row["at"] and row["every"]:
        said[0] += f" at {row['at']}"
    return "; ".join(said) + (f", {row['timezone']}" if row["timezone"] else "")


def _instant(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def answer_no(facts: Facts, why: str, *steps: Step) -> Explanation:
    """It did not run, because of *why*."""
    where = f"{facts.view.name} at {facts.said(facts.at)}" if facts.at else facts.view.name
    return Explanation(facts.view.name, facts.at, False, f"{where}: {why}.", steps)


def paused_in_words(facts: Facts) -> Step:
    """By whom, since when, why and until when it is paused."""
    view = facts.view
    who = f" by {view.paused_by}" if view.paused_by else ""
    since = f" {facts.said(view.paused_at)}" if view.paused_at else ""
    note = f': "{view.paused_note}"' if view.paused_note else ""
    until = f", until {facts.said(view.paused_until)}" if view.paused_until else ""
    return Step("paused", False, f"paused{who}{since}{note}{until}")


def alive(facts: Facts) -> int:
    """How many beats there are."""
    return sum(seen >= facts.now - ALIVE_FOR for _, _, seen in facts.beats)


def beats_in_words(facts: Facts) -> str:
    """Whether any beat is alive."""
    many = alive(facts)
    if many and facts.freeze:
        return str(facts.freeze)
    if many:
        return f"{many} beat{'s' if many > 1 else ''} tick{'s' if many == 1 else ''}"
    if not facts.beats:
        return "no beat is alive"
    newest = max(seen for _, _, seen in facts.beats)
    return f"no beat is alive: the last one was seen {facts.said(newest)}"


def beat_in_words(facts: Facts, id_: str | None) -> str:
    """The beat of that id, while it is on the list."""
    names = {each: name for each, name, _ in facts.beats}
    return f"beat {names[id_]}" if id_ in names else "a beat that is gone"
