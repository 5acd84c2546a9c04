"""Reading the rows of fires that are to be published, each with its job as it is now.

SQLite keeps whatever was written into a column: one record that cannot be read fails alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from ..errors import InvalidJob, shown
from ..fire import Fire, Origin
from ..job import Job
from ..limits import NO_LIMIT, Rights
from . import jobs
from .planned import EDITED

#: What these columns must hold: a column, its types, and their words.
_KINDS: tuple[tuple[str, Any, str], ...] = (
    ("fire_at", datetime, "an instant"),
    ("due_at", datetime | None, "an instant"),
    ("sent_at", datetime | None, "an instant"),
    ("publishes", int, "a whole number"),
)
_UNREADABLE = Fire("", 0, "", "", EDITED, EDITED, Origin.SCHEDULE)


@dataclass(frozen=True)
class Delivery:
    """A fire to publish and the job as it is now; no job when it is gone or cannot be read."""

    fire: Fire
    job: Job | None
    problem: str | None = None
    #: What its run needs; of limits none until they were asked for.
    rights: Rights = NO_LIMIT


def deliveries_of(conn: Connection, rows: Sequence[Any], zone_name: str) -> list[Delivery]:
    """What is to be published of rows of pending fires, which one publish more is counted for."""
    known = jobs.by_id(conn, {row["job_id"] for row in rows}, zone_name)
    return [_delivery(row, known.get(row["job_id"])) for row in rows]


def _delivery(row: Any, job: Job | InvalidJob | None) -> Delivery:
    try:
        fire = _fire(row)
    except InvalidJob as error:
        return Delivery(_unreadable(row), None, error.sentence)
    except Exception as error:  # noqa: BLE001 - one record that cannot be read fails alone
        said = f"expected a readable record, got: {shown(error)}"
        return Delivery(_unreadable(row), None, said)
    if isinstance(job, InvalidJob):
        return Delivery(fire, None, job.sentence)
    return Delivery(fire, job)


def _unreadable(row: Any) -> Fire:
    return replace(_UNREADABLE, id=row["id"], job_id=row["job_id"], job_name=row["job_name"])


def _fire(row: Any) -> Fire:
    for name, kind, expected in _KINDS:
        if not isinstance(row[name], kind):
            raise InvalidJob(name, row[name], expected)
    return Fire(
        id=row["id"],
        job_id=row["job_id"],
        job_name=row["job_name"],
        key=row["key"],
        fire_at=row["fire_at"],
        due_at=row["due_at"] or row["fire_at"],
        origin=Origin(row["origin"]),
        publishes=row["publishes"] + 1,
        args=jobs.loads(row["args"]),
        kwargs=jobs.loads(row["kwargs"]),
        task=row["task"],
        waiting_for=row["waiting_for"],
        # Set where a beat made sure that no copy sent before is known any more; see ``watching``.
        copies_since=row["sent_at"],
    )
