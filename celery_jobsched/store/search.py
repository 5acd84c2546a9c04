"""Looking for jobs: how each stands, by one expression; the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..filters import Filter
from ..fire import FireState
from ..views import JobState
from .engine import database_now
from .jobs import ROW, loads
from .tables import fires, jobs, named

#: How long something may be due before no beat seems to take it.
LATE_AFTER = timedelta(seconds=10)

_RUNNING = (FireState.STARTED.value, FireState.RETRYING.value)
_STATES: tuple[JobState, ...] = tuple(JobState)
#: What is told of a job beside what is read of its row.
_SHOWN = (
    "description", "due_at", "paused_at", "paused_by", "paused_note", "source", "planned", "error",
)  # fmt: skip


class Found(NamedTuple):
    """The rows that were asked for, each with ``state``, and how many there are of each state."""

    rows: Sequence[RowMapping]
    counts: dict[JobState, int]
    now: datetime


def find(conn: Connection, wanted: Filter, limit: int | None) -> Found:
    """At most *limit* rows that *wanted* matches, the worst first, then those that fire soonest."""
    now: datetime = conn.execute(sa.select(database_now())).scalar_one()
    rank = _rank(now).label("rank")
    matching = sa.and_(*_conditions(wanted, rank.element))
    order = (rank, jobs.c.next_fire_at.is_(None), jobs.c.next_fire_at, jobs.c.name)
    if wanted.labels:
        found = sa.select(jobs.c.id, rank, jobs.c.labels).where(matching)
        known = conn.execute(found.order_by(*order)).all()
        hits = [row for row in known if wanted.has_labels(_labels(row[2]))]
        ids = [row[0] for row in hits[:limit]]
        counts = _counted((row[1], 1) for row in hits)
        return Found(_rows(conn, ids, rank), counts, now)
    grouped = sa.select(rank, sa.func.count()).where(matching).group_by(rank)
    counts = _counted((row[0], row[1]) for row in conn.execute(grouped))
    page = sa.select(jobs.c.id).add_columns(rank).where(matching).order_by(*order).limit(limit)
    ids = [row[0] for row in conn.execute(page)]
    return Found(_rows(conn, ids, rank), counts, now)


def row_of(conn: Connection, name: str) -> tuple[RowMapping | None, datetime]:
    """The row of that name with its ``state``, and the time by the database."""
    now: datetime = conn.execute(sa.select(database_now())).scalar_one()
    id_ = conn.execute(sa.select(jobs.c.id).where(named(jobs, name))).scalar()
    rows = _rows(conn, [] if id_ is None else [id_], _rank(now).label("rank"))
    return (rows[0] if rows else None), now


def ids(conn: Connection, wanted: Filter) -> Iterator[list[int]]:
    """The ids that *wanted* matches, in pages, as they were made."""
    now: datetime = conn.execute(sa.select(database_now())).scalar_one()
    matching = sa.and_(*_conditions(wanted, _rank(now)))
    last = 0
    while True:
        query = sa.select(jobs.c.id, jobs.c.labels).where(matching)
        page = conn.execute(query.where(jobs.c.id > last).order_by(jobs.c.id).limit(500)).all()
        if not page:
            return
        last = page[-1][0]
        yield [row[0] for row in page if wanted.has_labels(_labels(row[1]))]


def _rows(conn: Connection, ids: Sequence[int], rank: Any) -> list[RowMapping]:
    """The rows of these ids in their order."""
    more = [jobs.c[name] for name in _SHOWN]
    found: dict[int, RowMapping] = {}
    for start in range(0, len(ids), 500):
        query = sa.select(*ROW, *more, rank).where(jobs.c.id.in_(ids[start : start + 500]))
        found |= {row["id"]: row for row in conn.execute(query).mappings()}
    return [found[id_] for id_ in ids if id_ in found]


def state_of(row: RowMapping) -> JobState:
    """The state of a row that was found."""
    return _STATES[int(row["rank"])]


def _rank(now: datetime) -> Any:
    """The place of a row's state in the order of :class:`JobState`."""
    running = sa.select(fires.c.job_id).where(
        fires.c.check_at.is_not(None), fires.c.state.in_(_RUNNING)
    )
    is_over = sa.or_(jobs.c.fire_count >= jobs.c.max_fires, jobs.c.ends_at < now)
    awaits = sa.and_(jobs.c.keyword.is_not(None), sa.not_(sa.func.coalesce(is_over, sa.false())))
    unplanned = sa.func.coalesce(jobs.c.planned, "") == ""
    ends = jobs.c.next_fire_at.is_(None)
    states = (
        (jobs.c.error.is_not(None), JobState.ERROR),
        (sa.not_(jobs.c.enabled), JobState.PAUSED),
        (sa.and_(unplanned, ends), JobState.NEW),
        (jobs.c.due_at < now - LATE_AFTER, JobState.LATE),
        (jobs.c.failure_count > 0, JobState.FAILING),
        (jobs.c.id.in_(running), JobState.RUNNING),
        (sa.and_(ends, jobs.c.due_at.is_not(None), jobs.c.custom.is_not(None)), JobState.OK),
        (sa.and_(ends, awaits), JobState.WAITING),
        (ends, JobState.DONE),
    )
    ranks = [(condition, _place(state)) for condition, state in states]
    return sa.case(*ranks, else_=_place(JobState.OK))


def _place(state: JobState) -> Any:
    return sa.literal_column(str(_STATES.index(state)), sa.Integer)


def _conditions(wanted: Filter, rank: Any) -> Iterator[Any]:
    yield sa.true()
    if wanted.states:
        yield rank.in_([_STATES.index(each) for each in wanted.states])
    for column, patterns in (("task", wanted.tasks), ("source", wanted.sources)):
        for pattern in patterns:
            yield _like(jobs.c[column], _pattern(pattern))
    for name in wanted.names:
        at_large = "*" in name or "?" in name
        yield _like(jobs.c.name, _pattern(name) if at_large else f"%{_escaped(name)}%")
    for text in wanted.texts:
        part = f"%{_escaped(text)}%"
        yield sa.or_(
            *(_like(each, part) for each in (jobs.c.name, jobs.c.task, jobs.c.description))
        )
    if wanted.labels:
        yield jobs.c.labels.is_not(None)


def _like(column: Any, pattern: str) -> Any:
    return sa.func.lower(column).like(pattern.lower(), escape="/")


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _pattern(text: str) -> str:
    return _escaped(text).replace("*", "%").replace("?", "_")


def _labels(text: Any) -> Any:
    try:
        return loads(text)
    except Exception:  # noqa: BLE001 - labels that cannot be read match nothing
        return None


def _counted(ranks: Iterable[tuple[int, int]]) -> dict[JobState, int]:
    counts: dict[JobState, int] = {}
    for rank, count in ranks:
        counts[_STATES[rank]] = counts.get(_STATES[rank], 0) + count
    return {state: counts[state] for state in JobState if state in counts}
