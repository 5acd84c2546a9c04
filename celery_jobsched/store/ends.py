"""What is said of fires on their way, written down: how each goes, where it runs, how it ended.

Said by workers in reports, or by a beat that looked after a fire. A report counts once, whoever
reads it and how often: the fire's row is held, and a state that is final stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..fire import FireState
from ..limits import USUAL_LEASE_S
from ..locks import Report
from ..record import Record, after
from .afterwards import Paused, Told, follow
from .bulk import update_rows
from .tables import fires

_USUAL_LEASE = timedelta(seconds=USUAL_LEASE_S)
_INSTANTS = ("ready_at", "check_at", "started_at", "finished_at")
_TEXTS = ("rights", "waiting_for", "worker", "token", "reason", "result", "error")
_KNOWN = ("id", "job_id", "job_name", "fire_at", "origin", "state", "task")
_COLUMNS = tuple(fires.c[name] for name in (*_KNOWN, *_INSTANTS, *_TEXTS))


@dataclass
class Applied:
    """What came of some reports, in their order."""

    told: list[Told] = field(default_factory=list)
    paused: list[Paused] = field(default_factory=list)
    #: How many fires followed.
    fired: int = 0

    @property
    def is_anything_ready(self) -> bool:
        """Whether there is something to deliver, or to look after and to deliver then."""
        return self.fired > 0 or any(each.state is FireState.PENDING for each in self.told)

    def __iadd__(self, other: Applied) -> Applied:
        self.told += other.told
        self.paused += other.paused
        self.fired += other.fired
        return self


def apply(
    conn: Connection,
    reports: Sequence[Report],
    now: datetime,
    zone_name: str,
    lease: timedelta = _USUAL_LEASE,
) -> Applied:
    """Note what *reports* say, each once, and what follows from it. The caller commits.

    Those of fires that are not there any more say nothing. *lease*: of fires without any limit.
    """
    rows = _held(conn, {report.fire for report in reports})
    records = {id_: record for id_, row in rows.items() if (record := _record(row))}
    applied, changed = Applied(), set[str]()
    for report in reports:
        known = records.get(report.fire)
        said = known and after(known, report, now, lease)
        if said:
            records[report.fire] = said
            changed.add(report.fire)
            applied.told.append(_told(rows[report.fire], report, said.state))
    update_rows(conn, fires, ("id",), [_row(id_, records[id_]) for id_ in sorted(changed)])
    followed = follow(conn, applied.told, now, zone_name)
    applied.paused.extend(followed.paused)
    applied.fired = followed.fired
    return applied


def fail(
    conn: Connection, problems: Sequence[tuple[str, str]], now: datetime, zone_name: str
) -> Applied:
    """Note fires that can never be published, each with its error, if nobody else moved them."""
    ids = [id_ for id_, _ in problems]
    if not ids:
        return Applied()
    mine = sa.and_(fires.c.id.in_(ids), fires.c.state == FireState.PENDING.value)
    query = sa.select(fires.c.id).where(mine).order_by(fires.c.id).with_for_update()
    pending = set(conn.execute(query).scalars())
    failed = [Report(id_, FireState.FAILED, now, error=said) for id_, said in problems]
    return apply(conn, [each for each in failed if each.fire in pending], now, zone_name)


def _held(conn: Connection, ids: set[str]) -> Mapping[str, RowMapping]:
    """The fires of *ids*, which nobody else changes meanwhile."""
    if not ids:
        return {}
    query = sa.select(*_COLUMNS).where(fires.c.id.in_(ids)).order_by(fires.c.id)
    return {row["id"]: row for row in conn.execute(query.with_for_update()).mappings()}


def _record(row: RowMapping) -> Record | None:
    """What a row says; None where a person wrote into it what no fire is in."""
    try:
        state = FireState(row["state"])
    except ValueError:
        return None
    instants = {name: row[name] for name in _INSTANTS if isinstance(row[name], datetime)}
    texts = {name: row[name] for name in _TEXTS if isinstance(row[name], str)}
    return replace(Record(state), **instants, **texts)


def _row(id_: str, record: Record) -> dict[str, Any]:
    values = {**vars(record), "id": id_, "state": record.state.value}
    del values["rights"]
    return values


def _told(row: RowMapping, report: Report, state: FireState) -> Told:
    return Told(
        report=report,
        state=state,
        job_id=row["job_id"],
        job=row["job_name"],
        fire_at=row["fire_at"],
        origin=row["origin"],
        is_follow_up=row["task"] is not None,
    )
