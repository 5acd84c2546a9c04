"""The rows of named calendars: what the names in a job stand for, and which calendars were edited.

No beat remembers a calendar: rows of jobs are read with those that they name, in one transaction.
An edit shows as one of a job does, by ``planned``, the definition that jobs are planned with. It is
noted only when all jobs that name the calendar were woken (see ``replan``): where a beat dies in
between, another begins again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..definition import calendar_names
from ..errors import InvalidJob
from ..fields import is_writable
from ..triggers.calendar import check_named
from .engine import database_now
from .tables import calendars, named

#: Whether a row was edited since jobs were planned with it.
IS_EDITED = sa.or_(calendars.c.planned.is_(None), calendars.c.planned != calendars.c.definition)

_MOST_AT_ONCE = 20
_PAGE = 500


def definitions(conn: Connection, names: Iterable[str]) -> dict[str, Any]:
    """The definitions of the calendars of these names, those that there are."""
    found: dict[str, Any] = {}
    wanted = iter(sorted(filter(is_writable, names)))
    while page := list(islice(wanted, _PAGE)):
        query = sa.select(calendars.c.name, calendars.c.definition)
        rows = conn.execute(query.where(calendars.c.name.in_(page)))
        found.update((row.name, row.definition) for row in rows)
    return found


def named_by(conn: Connection, rows: Iterable[Mapping[Any, Any]]) -> dict[str, Any]:
    """The definitions of the calendars that these rows of jobs name."""
    limited = (row for row in rows if row["only_during"] or row["not_during"])
    return definitions(conn, {name for row in limited for name in calendar_names(row)})


class Edited(NamedTuple):
    """A calendar as it was seen when it was found edited; SQLite keeps whatever was written."""

    id: int
    name: Any
    definition: Any


def edited(conn: Connection) -> list[Edited]:
    """Some calendars that were edited since jobs were planned with them."""
    found = _SEEN.where(IS_EDITED).order_by(calendars.c.id).limit(_MOST_AT_ONCE)
    return [Edited._make(row) for row in conn.execute(found)]


def note(conn: Connection, seen: Sequence[Edited]) -> dict[Any, str]:
    """Note that jobs are planned with these calendars, those that are still as they were seen.

    What is wrong with one of them is noted with it, and returned, by name.
    """
    ids = [each.id for each in seen]
    rows = conn.execute(_SEEN.where(calendars.c.id.in_(ids)).with_for_update())
    noted = {each: _problem(each) for each in map(Edited._make, rows.all()) if each in seen}
    for each, problem in noted.items():
        # The database copies it: what Python cannot read it cannot write back.
        values = {"planned": calendars.c.definition, "error": problem}
        conn.execute(sa.update(calendars).where(calendars.c.id == each.id).values(values))
    return {each.name: problem for each, problem in noted.items() if problem}


def names(conn: Connection) -> list[str]:
    """The names of all calendars, in order."""
    return list(conn.execute(sa.select(calendars.c.name).order_by(calendars.c.name)).scalars())


def write(conn: Connection, name: str, definition: str, source: str) -> None:
    """Write a calendar's definition, as a new row where there is none of that name."""
    values = {"definition": definition, "updated_at": database_now()}
    mine = sa.update(calendars).where(named(calendars, name))
    if not conn.execute(mine.values(values)).rowcount:
        conn.execute(sa.insert(calendars).values(name=name, definition=definition, source=source))


def delete(conn: Connection, name: str) -> bool:
    """Delete a calendar; whether there was one. Jobs that name it lack it when they come due."""
    return bool(conn.execute(sa.delete(calendars).where(named(calendars, name))).rowcount)


def sync(conn: Connection, source: str, wanted: Mapping[str, str]) -> list[str]:
    """Make the rows of *source* those of *wanted*; the names that others made, left alone."""
    mine = sa.or_(calendars.c.source == source, calendars.c.name.in_(wanted))
    query = sa.select(calendars.c.name, calendars.c.definition, calendars.c.source).where(mine)
    known = {row.name: row for row in conn.execute(query)}
    for name in known.keys() - wanted.keys():
        delete(conn, name)
    others = sorted(name for name in wanted if name in known and known[name].source != source)
    for name, definition in wanted.items():
        is_there = name in known and known[name].definition == definition
        if name not in others and not is_there:
            write(conn, name, definition, source)
    return others


def _problem(row: Edited) -> str | None:
    try:
        check_named(row.name, row.definition)
    except InvalidJob as error:
        return error.sentence
    return None


_SEEN = sa.select(calendars.c.id, calendars.c.name, calendars.c.definition)
