"""Declaring jobs beside their tasks: ``@jobs.every("1 hour")`` above ``@app.task``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from ..declare import Declaration
from .bound import Bound

_T = TypeVar("_T")


class Declares(Bound):
    """Decorators of tasks. What they declare is read when a beat starts, as ``jobsched_jobs`` is.

    The job has the task's name, or *name*; the other fields are the table's columns. Of several
    for one task all but one need a name. Usable before the application is bound.
    """

    def every(
        self, interval: Any, at: Any = None, *, name: str | None = None, **fields: Any
    ) -> Callable[[_T], _T]:
        """Fire the task every so often: ``@jobs.every("1 hour", at=":30")``."""
        return self._declaring(name, {"every": interval, "at": at, **fields})

    def cron(
        self, expression: str, *, name: str | None = None, **fields: Any
    ) -> Callable[[_T], _T]:
        """Fire the task by an expression: ``@jobs.cron("0 9 * * mon-fri")``."""
        return self._declaring(name, {"cron": expression, **fields})

    def once(
        self,
        instants: datetime | str | Sequence[datetime | str],
        *,
        name: str | None = None,
        **fields: Any,
    ) -> Callable[[_T], _T]:
        """Fire the task at one or more instants: ``@jobs.once("2035-01-31 09:00")``."""
        return self._declaring(name, {"once": instants, **fields})

    def _declaring(self, name: str | None, fields: dict[str, Any]) -> Callable[[_T], _T]:
        def declare(task: _T) -> _T:
            self._declared.append(Declaration(task, name, fields))
            return task

        return declare
