"""Which fire a task is running for, asked from within the task.

Read from the task's own message. Celery keeps it over retries and hands it on to no other task: a
task that is sent from within a task, or linked to it, runs for no fire.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["CurrentFire", "current_fire"]


@dataclass(frozen=True)
class CurrentFire:
    """The fire that this task runs for; instants are aware UTC.

    ``local`` is the job's own local time (naive) that the fire stands for: 02:30 even in the night
    that has none. ``previous_fire_at`` is the instant before this one by the job's schedule, None
    where there is none. ``attempt`` counts from 1; a retry of Celery's is another. ``database`` is
    the alias of the job's database, None where the beat has but one.
    """

    id: str
    job: str
    fire_at: datetime
    local: datetime
    previous_fire_at: datetime | None
    origin: str
    attempt: int
    database: str | None = None


def current_fire() -> CurrentFire | None:
    """The fire that the running task was sent for; None outside a task, or for another's task."""
    from celery import current_task

    request = getattr(current_task, "request", None)
    header = getattr(request, "jobsched", None)
    try:
        return _read(header, request)
    except (KeyError, TypeError, ValueError):
        return None  # no header, or one that no beat wrote


def _read(header: Any, request: Any) -> CurrentFire:
    fire_at = datetime.fromisoformat(header["fire_at"])
    local, previous = header.get("local"), header.get("previous_fire_at")
    return CurrentFire(
        id=request.id,
        job=header["job"],
        fire_at=fire_at,
        local=datetime.fromisoformat(local) if local else fire_at.replace(tzinfo=None),
        previous_fire_at=datetime.fromisoformat(previous) if previous else None,
        origin=header["origin"],
        attempt=request.retries + 1,
        database=header.get("database"),
    )
