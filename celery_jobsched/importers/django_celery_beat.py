"""The tables of django-celery-beat: a column for each kind of schedule, one of them not null."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidJob
from .draft import Draft
from .periodic_rows import KINDS, Row, Schedules, of_rows

TASKS = "django_celery_beat_periodictask"
#: The tables of schedules by their kind.
SCHEDULES = {kind: f"django_celery_beat_{kind}schedule" for kind in KINDS}


def of_tables(tasks: list[Row], schedules: Schedules) -> list[Draft]:
    """The drafts of its periodic tasks."""
    return of_rows(tasks, schedules, _key_of)


def _key_of(row: Row) -> tuple[str, Any]:
    found = [(kind, id_) for kind in KINDS if (id_ := row.get(f"{kind}_id")) is not None]
    if len(found) != 1:
        kinds = ", ".join(kind for kind, _ in found) or "none"
        raise InvalidJob("schedule", kinds, f"one of {', '.join(KINDS)}")
    return found[0]
