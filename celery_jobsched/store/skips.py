"""Writing down what became of fires that got no slot: skipped, waiting, or asked for again.

Skips of one job that follow each other, for the same reason, are one row, with a count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..fire import Fire, FireState, Origin
from ..overlap import SUPERSEDED, Refused, Skip, Verdict
from .bulk import update_rows
from .engine import database_now, skips_locked
from .jobs import WOKEN
from .tables import fires, jobs

#: What ``max_fires`` counts.
_COUNTED = {Origin.SCHEDULE, Origin.CATCHUP, Origin.KEYWORD}
_CLOCKS = [origin.value for origin in Origin if origin.is_clock]
_RUNS = [state.value for state in (FireState.SENT, FireState.STARTED, FireState.RETRYING)]


class Run(NamedTuple):
    """A run that is to end, why, whether it may not have begun, and what it was sent with."""

    fire: str
    reason: str
    is_sent_only: bool
    rights: str | None


@dataclass
class Settled:
    """What was written down: the skips that begin a row of their own, and runs that are to end."""

    skipped: list[Skip] = field(default_factory=list)
    waiting: list[tuple[Fire, str]] = field(default_factory=list)
    ending: list[Run] = field(default_factory=list)


def settle(
    conn: Connection, verdict: Verdict, owned_until: datetime, again_at: datetime
) -> Settled:
    """Write down *verdict* for those fires that are still this beat's own; the caller commits."""
    if not (verdict.skipped or verdict.waiting or verdict.left):
        return Settled()
    mine = _locked(conn, verdict, owned_until)
    waiting = [(fire, key) for fire, key in verdict.waiting if fire.id in mine]
    _let_wait(conn, waiting)
    _leave(conn, [id_ for id_ in verdict.left if id_ in mine], again_at)
    skips = [skip for skip in verdict.skipped if skip.fire.id in mine]
    skips += _superseded(conn, [each for each in verdict.superseding if each.fire.id in mine])
    skipped = _skip(conn, skips)
    ending = _to_end(conn, [each for each in verdict.replacing if each.fire.id in mine])
    return Settled(skipped, waiting, ending)


def _locked(conn: Connection, verdict: Verdict, owned_until: datetime) -> set[str]:
    """Those fires of the verdict that no other beat took, and none gave back, since; locked."""
    ids = [skip.fire.id for skip in verdict.skipped]
    ids += [fire.id for fire, _ in verdict.waiting]
    query = (
        sa.select(fires.c.id)
        .where(
            fires.c.id.in_([*ids, *verdict.left]),
            fires.c.state == FireState.PENDING.value,
            fires.c.ready_at == owned_until,
        )
        .order_by(fires.c.id)
        .with_for_update()
    )
    return set(conn.execute(query).scalars())


def _let_wait(conn: Connection, waiting: Sequence[tuple[Fire, str]]) -> None:
    _update(conn, [{"id": fire.id, "waiting_for": key} for fire, key in waiting])
    _unpublished(conn, [fire.id for fire, _ in waiting], FireState.WAITING, None)


def _leave(conn: Connection, ids: Sequence[str], again_at: datetime) -> None:
    _unpublished(conn, ids, FireState.PENDING, again_at)


def _unpublished(
    conn: Connection, ids: Sequence[str], state: FireState, ready_at: datetime | None
) -> None:
    """Note what was not published after all."""
    if ids:
        publishes = fires.c.publishes - 1
        moved = sa.update(fires).where(fires.c.id.in_(ids))
        conn.execute(moved.values(state=state.value, ready_at=ready_at, publishes=publishes))


def _superseded(conn: Connection, by: Sequence[Refused]) -> list[Skip]:
    """The fires that wait in the places that *by* take, older ones of the same job; locked."""
    if not by:
        return []
    newest = {each.fire.job_id: each for each in by}
    query = (
        sa.select(fires)
        .where(
            fires.c.waiting_for.in_({key for each in by for key in each.keys}),
            fires.c.job_id.in_(newest),
            fires.c.state == FireState.WAITING.value,
            fires.c.origin.in_(_CLOCKS),
            fires.c.publishes == 0,  # else a copy of it may still run
            fires.c.id.not_in([each.fire.id for each in by]),
        )
        .order_by(fires.c.id)
        .with_for_update(skip_locked=skips_locked(conn))
    )
    found = [(newest[row["job_id"]], row) for row in conn.execute(query).mappings()]
    return [
        Skip(_older(each.fire, row), SUPERSEDED, each.job.max_fires is not None)
        for each, row in found
        # SQLite keeps whatever was written there: it fails when its turn comes.
        if isinstance(row["fire_at"], datetime) and row["fire_at"] < each.fire.fire_at
    ]


def _older(newer: Fire, row: RowMapping) -> Fire:
    return replace(newer, id=row["id"], fire_at=row["fire_at"], origin=Origin(row["origin"]))


def _skip(conn: Connection, skips: Sequence[Skip]) -> list[Skip]:
    """Note fires that do not run; those that begin a row of their own."""
    if not skips:
        return []
    _give_back(conn, skips)
    before_of = _before(conn, skips)
    groups = _groups(skips, before_of)
    former = _former(conn, {group[0].fire.id: before_of[group[0].fire.id] for group in groups})
    begun: list[Skip] = []
    kept: list[dict[str, Any]] = []
    gone: list[str] = []
    for group in groups:
        first, last, count = group[0], group[-1].fire.fire_at, len(group)
        before = former.get(first.fire.id)
        if before is not None and _continues(first, before):
            folded = (before["count"] or 1) + count
            kept.append({"id": before["id"], "until_at": last, "count": folded})
            gone += [skip.fire.id for skip in group]
        else:
            begun.append(first)
            kept.append({"id": first.fire.id, "until_at": last, "count": count})
            gone += [skip.fire.id for skip in group[1:]]
    _update(conn, kept)
    _end(conn, begun)
    if gone:
        conn.execute(sa.delete(fires).where(fires.c.id.in_(gone)))
    return begun


def _by_job(skip: Skip) -> tuple[Any, ...]:
    return (skip.fire.job_id, skip.fire.fire_at, skip.fire.id)


def _alike(skip: Skip) -> tuple[Any, ...]:
    """What is the same of skips that are one row; what no schedule owes has a row of its own."""
    own = "" if skip.fire.origin.is_clock else skip.fire.id
    return (skip.fire.job_id, skip.reason, own)


def _continues(skip: Skip, before: RowMapping) -> bool:
    if not skip.fire.origin.is_clock or before["origin"] not in _CLOCKS:
        return False
    if not isinstance(before["count"], int | None):  # a person wrote it: a row of its own follows
        return False
    return bool(before["state"] == FireState.SKIPPED.value and before["reason"] == skip.reason)


def _before(conn: Connection, skips: Sequence[Skip]) -> dict[str, str | None]:
    """The id of the record of the same job before each fire, by the fire's."""
    before = fires.alias("before")
    newest = (
        sa.select(before.c.id)
        .where(before.c.job_id == fires.c.job_id, before.c.fire_at < fires.c.fire_at)
        .order_by(before.c.fire_at.desc(), before.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    these = fires.c.id.in_([skip.fire.id for skip in skips])
    return {row[0]: row[1] for row in conn.execute(sa.select(fires.c.id, newest).where(these))}


def _groups(skips: Sequence[Skip], before_of: Mapping[str, str | None]) -> list[list[Skip]]:
    """Those that follow each other, with nothing of the same job between them."""
    groups: list[list[Skip]] = []
    for skip in sorted(skips, key=_by_job):
        last = groups[-1][-1] if groups else None
        follows = last is not None and before_of[skip.fire.id] == last.fire.id
        if last is not None and follows and _alike(last) == _alike(skip):
            groups[-1].append(skip)
        else:
            groups.append([skip])
    return groups


def _former(conn: Connection, heads: Mapping[str, str | None]) -> dict[str, RowMapping]:
    """The records that are named for these ids; locked."""
    heads_of = {former: head for head, former in heads.items() if former is not None}
    query = sa.select(fires.c.id, fires.c.state, fires.c.reason, fires.c.count, fires.c.origin)
    query = query.where(fires.c.id.in_(list(heads_of)))
    rows = conn.execute(query.order_by(fires.c.id).with_for_update()).mappings()
    return {heads_of[row["id"]]: row for row in rows}


def _end(conn: Connection, skips: Iterable[Skip]) -> None:
    for reason, group in groupby(sorted(skips, key=_reason), _reason):
        skipped = sa.update(fires).where(fires.c.id.in_([skip.fire.id for skip in group]))
        conn.execute(
            skipped.values(
                state=FireState.SKIPPED.value,
                ready_at=None,
                waiting_for=None,
                reason=reason,
                finished_at=database_now(),
            )
        )


def _reason(skip: Skip) -> str:
    return skip.reason


def _give_back(conn: Connection, skips: Iterable[Skip]) -> None:
    """What was not sent counts for no ``max_fires``; a job that had ended by it goes on."""
    counts = Counter(
        skip.fire.job_id for skip in skips if skip.is_counted and skip.fire.origin in _COUNTED
    )
    by_count: dict[int, list[int]] = defaultdict(list)
    for job_id, count in counts.items():
        by_count[count].append(job_id)
    for count, ids in by_count.items():
        counted = sa.and_(jobs.c.id.in_(ids), jobs.c.fire_count >= count)
        fewer = {"fire_count": jobs.c.fire_count - count, "planned": WOKEN}
        conn.execute(sa.update(jobs).where(counted).values(fewer))


def _to_end(conn: Connection, by: Sequence[Refused]) -> list[Run]:
    """The oldest run of each one's job, with a note on its record."""
    held = {id_: each for each in by for id_ in each.holders}
    query = sa.select(fires.c.id, fires.c.job_id, fires.c.state, fires.c.rights)
    query = query.where(fires.c.id.in_(list(held)), fires.c.state.in_(_RUNS))
    oldest: dict[int, Any] = {}
    for row in conn.execute(query.order_by(fires.c.id)) if held else ():
        oldest.setdefault(row.job_id, row)
    found = [
        Run(run.id, f"replaced by {each.fire.id}", run.state == FireState.SENT.value, run.rights)
        for each in by
        if (run := oldest.get(each.fire.job_id))
    ]
    _update(conn, [{"id": r.fire, "reason": f"asked to end: {r.reason}"} for r in found])
    return found


def _update(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    update_rows(conn, fires, ("id",), rows)
