"""Pausing and resuming: a person's word over a job, whoever owns its definition."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from ..errors import InvalidJob
from .engine import database_now
from .jobs import WOKEN, update

_AWAKE = {"paused_at": None, "paused_by": None, "paused_note": None, "paused_until": None}


def pause(
    conn: Connection, row: RowMapping, by: str | None, note: str | None, until: datetime | None
) -> None:
    """Disable a job; one that is paused already stays so since then, for the new reason."""
    since = row["paused_at"] if not row["enabled"] else None
    values: dict[str, Any] = {"paused_by": by, "paused_note": note, "paused_until": until}
    values |= {"enabled": False, "paused_at": since or database_now()}
    update(conn, row["name"], values)


def resume(conn: Connection, row: RowMapping, catch_up: bool) -> None:
    """Enable a job: from now on, or with *catch_up* as though it had been due all the time.

    What it owes then is decided by its misfire rule.

    Raises:
        InvalidJob: it is to catch up, and nothing says since when it was paused.
    """
    if row["enabled"]:
        return
    if catch_up and row["paused_at"] is None:
        expected = "a job with paused_at, which says from where to catch up"
        raise InvalidJob("catch_up", True, expected, row["name"])
    # Woken without a next fire, it is planned from the next poll on, though no beat saw the pause.
    owed_since = row["next_fire_at"] or row["paused_at"] if catch_up else None
    update(
        conn,
        row["name"],
        {
            **_AWAKE,
            "enabled": True,
            "failure_count": 0,
            "planned": WOKEN,
            "next_fire_at": owed_since,
            "due_at": None,
        },
    )
