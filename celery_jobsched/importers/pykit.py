"""pykit's dictionary of jobs: ``func``, ``every``, ``at``, ``timezone``, ``concurrence_n``, ….

Whatever else a job has there is for filters to read, and becomes a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..job import Job
from .draft import Draft, drafted, mapping

_KNOWN = ("func", "args", "kwargs", "every", "at", "timezone", "concurrence_n")


def of_jobs(jobs: Mapping[Any, Any], zone_name: str, now: datetime) -> list[Draft]:
    """The drafts of its jobs; those without a zone are in *zone_name*, and begin after *now*."""
    return [drafted(name, _fill, each, zone_name, now) for name, each in jobs.items()]


def _fill(draft: Draft, value: Any, zone_name: str, now: datetime) -> None:
    given = dict(mapping("job", value, "a mapping of func, every and others"))
    func = given.get("func")
    draft.definition = {
        "task": f"{func.__module__}.{func.__qualname__}" if callable(func) else func,
        "every": given.get("every"),
        "at": given.get("at") or None,
        "timezone": given.get("timezone"),
        "max_concurrency": given.get("concurrence_n", 1),
        "labels": {name: each for name, each in given.items() if name not in _KNOWN},
    }
    draft.set_call(given.get("args"), given.get("kwargs"), None)
    job = Job.from_dict(draft.name, draft.definition, zone_name)
    if job.at is None:
        # There the first run is at once, and each later one an interval after it.
        draft.definition["starts_at"] = job.upcoming(now.replace(microsecond=0), 1)[0]
    elif job.timezone is None:
        draft.say("timezone", f"{zone_name}, the application's; there it was each machine's own")
    if str(job.every).split()[-1].startswith("month"):
        draft.say("every", "calendar months; there a month was 31 days")
