"""``celery -A proj jobs next --all``: the fires of all jobs in one table, as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple

from .columns import table

if TYPE_CHECKING:
    from ..jobs import Jobs
    from ..preview import Occurrence


class Coming(NamedTuple):
    """A fire to come, or one that a calendar or the clocks leave out."""

    at: datetime
    job: str
    zone_name: str
    occurrence: Occurrence


class Timetable(NamedTuple):
    """What comes, in its order, and the jobs whose rows cannot be read."""

    coming: Sequence[Coming]
    left_out: Sequence[str]


def of_all(jobs: Jobs, first: datetime, last: datetime | None, count: int) -> Timetable:
    """The next *count* fires from *first* on of all enabled jobs; keeps no more of them."""
    left_out: list[str] = []
    found = _coming(jobs, first, last, count, left_out)
    return Timetable(nsmallest(count, found, key=lambda each: (each.at, each.job)), left_out)


def _coming(
    jobs: Jobs, first: datetime, last: datetime | None, count: int, left_out: list[str]
) -> Iterator[Coming]:
    from ..clock import TICK
    from ..errors import InvalidJob
    from ..plan import is_spent
    from ..preview import occurrences

    for name, job in jobs.each():
        try:
            if isinstance(job, InvalidJob) or job.lacks:
                left_out.append(name)
            elif job.enabled and not is_spent(job):
                for each in occurrences(job, first - TICK, count, last):
                    yield Coming(each.at, name, job.zone_name, each)
        except InvalidJob:  # a calendar that is no more
            left_out.append(name)


def lines_of(found: Sequence[Coming], now: datetime, width: int | None) -> Iterator[str]:
    """A heading and a line a fire, each by the clocks of its own job."""
    rows = [_cells(each, now) for each in found]
    headings = ["FIRE", "FROM NOW", "JOB", "NOTE"]
    if not any(row[-1] for row in rows):
        headings.pop()
        rows = [row[:-1] for row in rows]
    return table(headings, rows, width, flexible=("NOTE", "JOB"))


def _cells(each: Coming, now: datetime) -> tuple[str, ...]:
    from ..views import moment
    from .table import from_now

    mark = each.occurrence.mark
    ahead = from_now(each.at, now) if each.occurrence.fires else "-"
    return moment(each.at, each.zone_name), ahead, each.job, f"! {mark.text}" if mark else ""
