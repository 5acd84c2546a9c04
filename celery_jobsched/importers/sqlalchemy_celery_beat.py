"""The tables of sqlalchemy-celery-beat: the kind of schedule is named by a discriminator."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidJob
from .draft import Draft
from .periodic_rows import KINDS, Row, Schedules, of_rows

TASKS = "celery_periodictask"
#: The tables of schedules by their kind.
SCHEDULES = {kind: f"celery_{kind}schedule" for kind in KINDS}
_BY_DISCRIMINATOR = {f"{kind}schedule": kind for kind in KINDS}


def of_tables(tasks: list[Row], schedules: Schedules) -> list[Draft]:
    """The drafts of its periodic tasks."""
    return of_rows(tasks, schedules, _key_of)


def _key_of(row: Row) -> tuple[str, Any]:
    kind = _BY_DISCRIMINATOR.get(row["discriminator"])
    if kind is None:
        known = ", ".join(_BY_DISCRIMINATOR)
        raise InvalidJob("discriminator", row["discriminator"], f"one of {known}")
    return kind, row["schedule_id"]
