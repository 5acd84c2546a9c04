"""What a sync of the declared jobs would change in the table, before it happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from .errors import shown
from .job import Job
from .store import declared

#: What follows from a change, and is none of its own.
_BESIDE = frozenset({"paused_at", "paused_by", "paused_note"})


@dataclass(frozen=True)
class Differences:
    """Declared jobs against the table's rows; the columns of a change as (was, becomes)."""

    added: Sequence[Job]
    changed: dict[str, dict[str, tuple[Any, Any]]]
    gone: Sequence[str]
    #: Declared, but the table has one of that name that was made elsewhere.
    elsewhere: Sequence[str]
    unchanged: int

    @property
    def is_any(self) -> bool:
        """Whether a sync would change anything."""
        return bool(self.added or self.changed or self.gone)

    def lines(self) -> Iterator[str]:
        """For people."""
        for job in self.added:
            yield f"+ {job.name}: {job.describe()} -> {job.task}"
        for name, columns in self.changed.items():
            for column, (was, becomes) in columns.items():
                yield f"~ {name}: {column} {_said(was)} -> {_said(becomes)}"
        for name in self.gone:
            yield f"- {name}: no longer declared: disabled, and deleted a day later"
        for name in self.elsewhere:
            yield f"! {name}: declared, but made elsewhere: left alone"
        added, changed, gone = (len(each) for each in (self.added, self.changed, self.gone))
        yield f"{added} to add, {changed} to change, {gone} to remove, {self.unchanged} unchanged."

    def to_records(self) -> Iterator[dict[str, Any]]:
        """For programs."""
        for job in self.added:
            yield {"job": job.name, "change": "add", "when": job.describe(), "task": job.task}
        for name, columns in self.changed.items():
            told = {column: [_said(each) for each in both] for column, both in columns.items()}
            yield {"job": name, "change": "change", "columns": told}
        for name in self.gone:
            yield {"job": name, "change": "remove"}
        for name in self.elsewhere:
            yield {"job": name, "change": "none", "reason": "made elsewhere"}


def differences(conn: Connection, source: str, wanted: Sequence[Job]) -> Differences:
    """What a sync of *wanted* would change in the rows of *source*; see ``declare.sync``."""
    names = {job.name for job in wanted}
    rows = declared.rows_of(conn, sorted(names), source)
    ours = {source, declared.gone(source)}
    added = [job for job in wanted if job.name not in rows]
    elsewhere = [name for name in sorted(names & rows.keys()) if rows[name]["source"] not in ours]
    changed: dict[str, dict[str, tuple[Any, Any]]] = {}
    known = [job for job in wanted if job.name in rows and job.name not in elsewhere]
    for job in known:
        row = rows[job.name]
        if found := declared.difference(job, row, source):
            changed[job.name] = {
                name: (row[name], value) for name, value in found.items() if name not in _BESIDE
            }
    gone = [name for name, row in rows.items() if row["source"] == source and name not in names]
    return Differences(added, changed, gone, elsewhere, len(known) - len(changed))


def _said(value: Any) -> str:
    return "(none)" if value is None else shown(value)
