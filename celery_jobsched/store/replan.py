"""Planning every row anew, a page at a time: when what plans them is another than before.

The fingerprint in ``jobsched_meta`` names the planner, the zones' release and the default zone. A
row whose fire is due keeps it; the others are edited as far as planning goes.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection

from ..clock import zones_version
from . import jobs, meta

#: Raised when the same definition would be planned to other instants than before.
PLANNER = 1

_KEY = "planned_by"
_PAGE = 500


def fingerprint(zone_name: str) -> str:
    """What decides, beside the rows themselves, what their next instants are."""
    return f"planner {PLANNER}, zones {zones_version()}, default zone {zone_name}"


def needed(conn: Connection, zone_name: str) -> int | None:
    """Where to begin planning all rows anew; None where that is not needed."""
    wanted = fingerprint(zone_name)
    return None if meta.remember(conn, _KEY, wanted) == wanted else 0


def next_page(conn: Connection, after_id: int, zone_name: str) -> int | None:
    """Wake a page of rows beyond that id; where the next page begins, None after the last."""
    last = jobs.wake_page(conn, after_id, _PAGE)
    if last is None:
        meta.note(conn, _KEY, fingerprint(zone_name))
    return last
