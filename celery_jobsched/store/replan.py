"""Planning rows anew, a page at a time: when what they are planned with is another than before.

All of them: the fingerprint in ``jobsched_meta`` names the planner, the zones' release and the
default zone. Those that name a calendar: when it was edited. A row whose fire is due keeps it; the
others are edited as far as planning goes.

    an edited calendar commits    -> a beat's poll sees it; pages of jobs are woken; it is noted
    a row is planned meanwhile    by what its transaction read: where that was the old definition,
                                  the row was locked before the edit, and waking waits for it
    it is edited again meanwhile  it is another than was seen, is not noted, and all begins again
    the beat dies meanwhile       it was not noted, and another beat begins again
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..clock import zones_version
from ..triggers.calendar_text import is_name
from . import meta
from .jobs import wake, wake_page
from .tables import jobs

#: Raised when the same definition would be planned to other instants than before.
PLANNER = 1

_KEY = "planned_by"
_PAGE = 500
#: How many rows are looked through at once for those that name a calendar.
_SEARCHED = 20_000


def fingerprint(zone_name: str) -> str:
    """What decides, beside the rows themselves, what their next instants are."""
    return f"planner {PLANNER}, zones {zones_version()}, default zone {zone_name}"


def needed(conn: Connection, zone_name: str) -> int | None:
    """Where to begin planning all rows anew; None where that is not needed."""
    wanted = fingerprint(zone_name)
    return None if meta.remember(conn, _KEY, wanted) == wanted else 0


def next_page(conn: Connection, after_id: int, zone_name: str) -> int | None:
    """Wake a page of rows beyond that id; where the next page begins, None after the last."""
    last = wake_page(conn, after_id, _PAGE)
    if last is None:
        meta.note(conn, _KEY, fingerprint(zone_name))
    return last


def wake_named(conn: Connection, names: Iterable[Any], after_id: int) -> int | None:
    """Wake a page of the jobs beyond that id that name one of these calendars, by their texts.

    Where the next page begins; None after the last.
    """
    ahead = sa.select(jobs.c.id).where(jobs.c.id > after_id).order_by(jobs.c.id)
    end = conn.execute(ahead.offset(_SEARCHED).limit(1)).scalar()
    columns = (jobs.c.only_during, jobs.c.not_during)
    known = [name for name in names if isinstance(name, str) and is_name(name)]
    named = (column.contains(name, autoescape=True) for name in known for column in columns)
    here = sa.true() if end is None else jobs.c.id <= end
    found = conn.execute(ahead.where(here, sa.or_(sa.false(), *named)).limit(_PAGE)).scalars().all()
    wake(conn, found)
    return int(found[-1]) if len(found) == _PAGE else end
