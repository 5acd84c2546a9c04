"""What a job was at a past instant, where the record of its changes says that it was another one.

Pure: see ``explaining``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from ..clock import UTC
from ..definition import calendar_names, checked
from ..errors import InvalidJob
from ..job import Job
from ..store.changes import Change
from ..store.planned import RULES, SCHEDULE
from .facts import Facts

_INSTANTS = frozenset(name for name, kind in (SCHEDULE | RULES).items() if kind == "instant")
_PLANNED = frozenset({*SCHEDULE, *RULES} - {"paused_until"})
#: How PostgreSQL writes an instant there: in seconds since 1970.
_SECONDS = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Former:
    """A job as it was, None where this process cannot tell; and the change that ended that."""

    job: Job | None
    change: Change
    #: Why its row could not be read.
    trouble: str | None = None

    def said(self, facts: Facts) -> str:
        """The change in words."""
        who = f" by {self.change.by}" if self.change.by else ""
        found = self.change.differences
        told = [f"{it.column} {it.was} -> {it.became}" for it in found if it.column in SCHEDULE]
        text = "; ".join(told) or ", ".join(it.column for it in found)
        return f"changed{who} {facts.said(self.change.at)}: {text}"


def former_of(facts: Facts, job: Job, at: datetime) -> Former | None:
    """What *job* was at *at*; None where its schedule was today's, and could be read."""
    later = [each for each in facts.changes if each.at > at and each.was is not None]
    if not later:
        return None
    first = later[-1]
    try:
        then = _read(first, job)
    except InvalidJob as error:
        return Former(None, first, error.sentence)
    if first.was_in_error:
        return Former(None, first, "a column of it held what it must not")
    for change in reversed(later):
        if any(each.column in SCHEDULE for each in change.differences):
            return Former(then, change)
    return None


def _read(change: Change, job: Job) -> Job | None:
    """What the row said before *change*; None where this process cannot tell when that fired.

    Raises:
        InvalidJob: it could not be read.
    """
    rules = {name: _value(name, each) for name, each in change.before.items() if name in _PLANNED}
    if not calendar_names(rules) <= calendar_names(vars(job)):
        return None
    then = Job(
        name=job.name,
        task=job.task,
        created_at=job.created_at,
        default_timezone=job.default_timezone,
        calendars=job.calendars,
        **checked(rules, job.default_timezone),
    )
    then.check()
    return None if then.lacks else then


def _value(name: str, text: str) -> str | datetime:
    if name in _INSTANTS and _SECONDS.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    return text
