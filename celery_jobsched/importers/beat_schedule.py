"""Celery's ``beat_schedule``: names to entries, mappings or ``ScheduleEntry``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..errors import InvalidJob
from .draft import Draft, drafted

_ENTRY = ("task", "schedule", "args", "kwargs", "options", "relative")


def of_entries(entries: Mapping[Any, Any]) -> list[Draft]:
    """The drafts of a ``beat_schedule``, in its order."""
    return [drafted(name, _fill, entry) for name, entry in entries.items()]


def _fill(draft: Draft, entry: Any) -> None:
    from celery.beat import ScheduleEntry
    from celery.schedules import maybe_schedule

    if isinstance(entry, ScheduleEntry):
        given = {name: getattr(entry, name, None) for name in _ENTRY}
    elif isinstance(entry, Mapping):
        given = dict(entry)
    else:
        raise InvalidJob("entry", entry, "a mapping with task and schedule")
    if unknown := [name for name in given if name not in _ENTRY]:
        raise InvalidJob(str(unknown[0]), given[unknown[0]], f"one of {', '.join(_ENTRY)}")
    draft.definition["task"] = given.get("task")
    schedule: Any = given.get("schedule")
    # Of what is neither an interval nor a schedule it raises anything.
    is_interval = isinstance(schedule, int | float | timedelta)
    relative = bool(given.get("relative"))
    draft.set_schedule(maybe_schedule(schedule, relative) if is_interval else schedule)
    draft.set_call(given.get("args"), given.get("kwargs"), given.get("options"))
