"""The record of changes: who changed what of a job, when and by which door, from what to what.

A change is two texts of lines ``column=value``: all that planning reads, and what else differs. A
door writes it beside the change, in one transaction. What SQL changed is noted by planning, which
does not repeat what a door has said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from .engine import database_now
from .jobs import DETAILS_TEXT, RULES_TEXT, SCHEDULE_TEXT
from .planned import DETAILS, RULES, SCHEDULE
from .tables import changes, jobs, named
from .texts import begins_with

#: What is compared beside the columns that planning reads.
_DETAILS = (
    "task", "args", "kwargs", "options", "labels", "description", "paused_by", "paused_note",
)  # fmt: skip
#: What a door asks about a row before it changes it.
_KNOWN = (
    "id", "name", "source", "version", "enabled", "timezone", "paused_at", "next_fire_at",
    *_DETAILS,
)  # fmt: skip
_COLUMNS = frozenset({*SCHEDULE, *RULES, *DETAILS, *_DETAILS})
_ALL_DETAILS = frozenset({*DETAILS, *_DETAILS})
#: What the text of any row in error holds, and that of no other.
_OF_ERRORS = {"name", "created_at"}

#: All that planning reads, as one text.
WHOLE = SCHEDULE_TEXT.concat(RULES_TEXT)


class Author(NamedTuple):
    """Who changes something, by which door (``api``, ``cli``, ``config``, ``beat``), and why."""

    door: str
    who: str | None = None
    note: str | None = None


class Difference(NamedTuple):
    """A column that changed; None where it held nothing."""

    column: str
    was: str | None
    became: str | None


@dataclass(frozen=True)
class Change:
    """One change of a job; ``was`` is None of a new job, ``became`` of one that is gone."""

    at: datetime
    door: str
    by: str | None
    note: str | None
    was: str | None
    became: str | None

    @property
    def differences(self) -> list[Difference]:
        """The columns that changed, in the order of the text."""
        was, became = _values(self.was), _values(self.became)
        if _has_all(was) != _has_all(became):
            was, became = _planned_of(was), _planned_of(became)
        names = dict.fromkeys((*was, *became))
        both = [Difference(name, was.get(name), became.get(name)) for name in names]
        return [each for each in both if each.was != each.became]

    @property
    def before(self) -> dict[str, str]:
        """The columns as they were, those that planning reads and what else differs, as texts."""
        return _values(self.was)

    @property
    def was_in_error(self) -> bool:
        """Whether the row was known to be in error before: its schedule, or something else."""
        return _has_all(self.before)

    @property
    def paused(self) -> bool | None:
        """Whether it paused the job (True) or resumed it (False); None: neither."""
        ends = {each.column: each.became for each in self.differences}.get("enabled")
        return None if ends is None else ends not in _TRUE


_TRUE = {"1", "true"}


@contextmanager
def recorded(conn: Connection, name: str, author: Author) -> Iterator[RowMapping | None]:
    """Note what the block changes of the job of that name; gives its row as it is before.

    The row is locked. None: there is none yet. Nothing is noted where nothing differs.
    """
    before = _row(conn, name)
    yield before
    after = _row(conn, name)
    was, became = _text(before, after), _text(after, before)
    known = after or before
    if was != became and known is not None:
        row = {"job_id": known["id"], "job_name": name, "changed_at": database_now()}
        row |= {"changed_by": author.who, "door": author.door, "note": author.note}
        conn.execute(sa.insert(changes).values(was=was, became=became, **row))


def of_job(conn: Connection, job_id: int, limit: int) -> list[Change]:
    """The last *limit* changes of a job, newest first."""
    c = changes.c
    query = sa.select(c.changed_at, c.door, c.changed_by, c.note, c.was, c.became)
    mine = query.where(c.job_id == job_id).order_by(c.changed_at.desc(), c.id.desc())
    return [Change(*row) for row in conn.execute(mine.limit(limit))]


def note_edits(conn: Connection, ids: Sequence[int], now: datetime) -> None:
    """Note what rows were planned with, and what they say now: the database copies it itself.

    But for rows whose last change, by whichever door, says already that they became so.
    """
    if ids:
        conn.execute(_NOTE_EDITS, {"now": now, "ids": ids})


def _noting_edits() -> Any:
    c = changes.c
    newest = sa.select(c.became).where(c.job_id == jobs.c.id)
    newest = newest.order_by(c.changed_at.desc(), c.id.desc()).limit(1)
    told = sa.func.coalesce(newest.correlate(jobs).scalar_subquery(), "")
    said = {
        "job_id": jobs.c.id,
        "job_name": jobs.c.name,
        "changed_at": sa.bindparam("now", type_=c.changed_at.type),
        "door": sa.literal("table"),
        "was": jobs.c.planned,
        # What a row in error was planned with has its details, too.
        "became": sa.case((jobs.c.error.is_(None), WHOLE), else_=WHOLE.concat(DETAILS_TEXT)),
    }
    # A thousand numbers are sent in the statement's text: as parameters they take longer to bind.
    ids: Any = sa.bindparam("ids", expanding=True, literal_execute=True)
    edited = sa.and_(jobs.c.id.in_(ids), ~begins_with(told, WHOLE))
    found = sa.select(*said.values()).where(edited).order_by(jobs.c.id)
    return sa.insert(changes).from_select(list(said), found)


_NOTE_EDITS = _noting_edits()


def _row(conn: Connection, name: str) -> RowMapping | None:
    query = sa.select(*(jobs.c[each] for each in _KNOWN), WHOLE.label("whole"))
    found = conn.execute(query.where(named(jobs, name)).with_for_update())
    return found.mappings().first()


def _text(row: RowMapping | None, other: RowMapping | None) -> str | None:
    """What a row says of itself, with those details that *other* has otherwise."""
    if row is None:
        return None
    lines = [
        f"{name}={json.dumps(row[name], ensure_ascii=False)}\n"
        for name in _DETAILS
        if row[name] is not None and (other is None or row[name] != other[name])
    ]
    return str(row["whole"]) + "".join(lines)


def _values(text: str | None) -> dict[str, str]:
    """The values of a text by column; a line that begins with no column's name goes on."""
    found: dict[str, str] = {}
    name = ""
    for line in (text or "").split("\n"):
        key, is_value, value = line.partition("=")
        if is_value and key in _COLUMNS:
            name, found[key] = key, _plain(key, value)
        elif name and line:
            found[name] += f"\n{line}"
    return found


def _has_all(values: Mapping[str, str]) -> bool:
    """Whether a text has all details, as that of a row in error has, and not what differs alone."""
    return values.keys() >= _OF_ERRORS


def _planned_of(values: Mapping[str, str]) -> dict[str, str]:
    """What planning reads, of the values of a text."""
    return {name: value for name, value in values.items() if name not in _ALL_DETAILS}


def _plain(name: str, value: str) -> str:
    """A detail as it stood in the table."""
    if name not in _DETAILS:
        return value
    try:
        read: Any = json.loads(value)
    except ValueError:
        return value
    return read if isinstance(read, str) else value
