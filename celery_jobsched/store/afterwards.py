"""What follows from the ends of runs: failures are counted, jobs paused, follow-ups fired.

In the transaction that writes down the ends, so that each counts once. What follows is known by
the fire that it follows: its key is that fire's, once for each job.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..errors import printable
from ..fire import Fire, FireState, Origin, new_id
from ..locks import Report
from . import fires, keywords
from .bulk import update_rows
from .changes import Author, recorded
from .keywords import Call
from .pauses import pause
from .tables import jobs

#: Who paused a job that failed too often in a row.
PAUSED_BY = "max_failures"

_FAILURES = {FireState.FAILED, FireState.LOST}
_LONGEST_WORD = 255
_LONGEST_NOTE = 500
_COLUMNS = ("id", "name", "enabled")
_RULES = ("failure_count", "max_failures", "on_success", "on_failure")


@dataclass(frozen=True)
class Told:
    """A report that counted, the fire that it is about, and what that is in now."""

    report: Report
    state: FireState
    job_id: int
    job: str
    fire_at: Any
    origin: str
    #: Whether it runs what follows another fire of the job: nothing follows from that.
    is_follow_up: bool

    @property
    def has_failed(self) -> bool:
        """Whether it is a failure of its job."""
        return self.state in _FAILURES

    @property
    def is_outcome(self) -> bool:
        """Whether something may follow from it."""
        return (self.has_failed or self.state is FireState.SUCCEEDED) and not self.is_follow_up


class Paused(NamedTuple):
    """A job that failed too often in a row, and the note that says so."""

    job: str
    note: str


@dataclass(frozen=True)
class Followed:
    """What followed: jobs that were paused, and how many fires there are to deliver."""

    paused: tuple[Paused, ...] = ()
    fired: int = 0


def follow(conn: Connection, told: Sequence[Told], now: datetime, zone_name: str) -> Followed:
    """Count failures, pause jobs and fire what follows; *told* in the order of what happened."""
    outcomes: dict[int, list[Told]] = defaultdict(list)
    for each in told:
        if each.is_outcome:
            outcomes[each.job_id].append(each)
    if not outcomes:
        return Followed()
    rows = _rows(conn, list(outcomes))
    paused = _count(conn, outcomes, rows)
    return Followed(tuple(paused), _fire(conn, outcomes, rows, now, zone_name))


def _rows(conn: Connection, ids: Sequence[int], hold: bool = False) -> dict[int, RowMapping]:
    query = sa.select(*(jobs.c[name] for name in (*_COLUMNS, *_RULES)))
    query = query.where(jobs.c.id.in_(ids)).order_by(jobs.c.id)
    found = conn.execute(query.with_for_update() if hold else query).mappings()
    return {row["id"]: row for row in found}


def _count(
    conn: Connection, outcomes: Mapping[int, Sequence[Told]], rows: Mapping[int, RowMapping]
) -> list[Paused]:
    """Count the failures in a row; most jobs have none, and are not written."""
    counting = [
        id_
        for id_, row in rows.items()
        if _whole(row["failure_count"]) or any(each.has_failed for each in outcomes[id_])
    ]
    if not counting:
        return []
    counts, notes = [], {}
    for id_, row in _rows(conn, counting, hold=True).items():
        most = _whole(row["max_failures"]) if row["enabled"] else 0
        count, note = _tally(_whole(row["failure_count"]), most, outcomes[id_])
        counts.append({"id": id_, "failure_count": count})
        if note is not None:
            notes[row["name"]] = note
    update_rows(conn, jobs, ("id",), counts)
    return [_pause(conn, name, note) for name, note in notes.items()]


def _tally(count: int, most: int, outcomes: Sequence[Told]) -> tuple[int, str | None]:
    """How many have failed in a row, and why the job is to be paused; *most* 0: it is not."""
    note = None
    for each in outcomes:
        count = count + 1 if each.has_failed else 0
        if most and count >= most and note is None:
            note = _note(count, each)
    return count, note


def _note(count: int, last: Told) -> str:
    often = "1 failure" if count == 1 else f"{count} failures in a row"
    said = f"{often}, the last of fire {last.report.fire} ({last.state.value}): {last.report.error}"
    return printable(said[:_LONGEST_NOTE])


def _pause(conn: Connection, name: str, note: str) -> Paused:
    with recorded(conn, name, Author("beat", PAUSED_BY, note)) as row:
        if row is not None:
            pause(conn, row, PAUSED_BY, note, None)
    return Paused(name, note)


def _fire(
    conn: Connection,
    outcomes: Mapping[int, Sequence[Told]],
    rows: Mapping[int, RowMapping],
    now: datetime,
    zone_name: str,
) -> int:
    """Fire what follows: the jobs of a keyword, where it is one that jobs have, else a task."""
    follow_ups = list(_follow_ups(outcomes, rows))
    if not follow_ups:
        return 0
    words = keywords.known(conn, (word for word, _ in follow_ups))
    calls = [_call(word, each, now) for word, each in follow_ups if word in words]
    tasks = [_fire_of(word, each, now) for word, each in follow_ups if word not in words]
    fired = keywords.fire_jobs(conn, calls, zone_name) if calls else []
    return len(fired) + len(fires.insert_ready(conn, tasks, now) if tasks else ())


def _follow_ups(
    outcomes: Mapping[int, Sequence[Told]], rows: Mapping[int, RowMapping]
) -> Iterator[tuple[str, Told]]:
    for id_, row in rows.items():
        for each in outcomes[id_]:
            word = row["on_failure" if each.has_failed else "on_success"]
            if isinstance(word, str) and word and len(word) <= _LONGEST_WORD:
                yield word, each


def _key(outcome: Told) -> str:
    """Once for each outcome: what was lost may turn out well, and is followed by both."""
    return f"{outcome.report.fire} failed" if outcome.has_failed else outcome.report.fire


def _call(word: str, outcome: Told, now: datetime) -> Call:
    return Call(word, _key(outcome), now, caller=outcome.job_id)


def _fire_of(task: str, outcome: Told, now: datetime) -> Fire:
    # SQLite keeps whatever was written there.
    fire_at = outcome.fire_at if isinstance(outcome.fire_at, datetime) else now
    return Fire(
        id=new_id(now),
        job_id=outcome.job_id,
        job_name=outcome.job,
        # A run by hand is known by its own id, to the same job.
        key=f"after {_key(outcome)}",
        fire_at=fire_at,
        due_at=now,
        origin=Origin.FOLLOW_UP,
        publishes=0,
        args=[],
        kwargs={
            "job": outcome.job,
            "fire_id": outcome.report.fire,
            "fire_at": fire_at.isoformat(),
            "state": outcome.state.value,
            "result": outcome.report.result,
            "error": outcome.report.error,
        },
        task=task,
    )


def _whole(value: Any) -> int:
    """A number of a job's row; SQLite keeps whatever was written there."""
    return value if isinstance(value, int) else 0
