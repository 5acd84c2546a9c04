"""The façade: an application's jobs from Python, as the table has them.

Each call is one transaction; a running beat sees its effect with the next poll.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any

from . import fields as read
from .definition import by_column
from .job import Job
from .runtime import Runtime, now
from .store import jobs, keywords, schema

_SOURCE = "api"


class Jobs:
    """The jobs of a Celery application: ``Jobs(app)``, or ``Jobs()`` and ``init_app`` later."""

    def __init__(self, app: Any = None) -> None:
        self._runtime: Runtime | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Bind to *app*, and prepare its workers; opens nothing."""
        self._runtime = Runtime(app)
        import_module(".worker", __package__)

    def add(self, name: str, replace: bool = False, **definition: Any) -> Job:
        """Make a job of a definition: the table's columns as keys.

        Raises:
            InvalidJob: names the field, what was expected and what came.
            JobExistError: there is one of that name, and *replace* is not set.
        """
        job = Job.from_dict(name, definition, self.runtime.zone_name)
        with self.runtime.engine.begin() as conn:
            if replace and jobs.has(conn, name):
                jobs.replace(conn, job)
            else:
                jobs.insert(conn, job, _SOURCE)
        return job

    def modify(self, name: str, **changes: Any) -> Job:
        """Set fields of a job, None for a field's default; its state stays. Mends a broken row.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: the definition that would come of it cannot be read.
        """
        with self.runtime.engine.begin() as conn:
            definition = jobs.definition_of(conn, name) | by_column(changes)
            job = Job.from_dict(name, definition, self.runtime.zone_name)
            jobs.replace(conn, job)
        return job

    def remove(self, name: str) -> None:
        """Delete a job; the records of its fires stay.

        Raises:
            JobNotFound: there is no job of that name.
        """
        with self.runtime.engine.begin() as conn:
            jobs.delete(conn, name)

    def get(self, name: str) -> Job:
        """The job of that name, with its state.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read.
        """
        with self.runtime.reading() as conn:
            return jobs.find(conn, name, self.runtime.zone_name)

    def upcoming(self, name: str, count: int = 10, after: datetime | None = None) -> list[datetime]:
        """The next *count* instants of a job strictly after *after* (now), in UTC, oldest first.

        By its schedule and bounds; that it is disabled or has no fires left is not asked.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read.
        """
        return self.get(name).upcoming(after or now(), count)

    def previous(
        self, name: str, count: int = 10, before: datetime | None = None
    ) -> list[datetime]:
        """The last *count* instants of a job strictly before *before* (now), newest first.

        What its schedule says, whatever became of it.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read.
        """
        return self.get(name).previous(before or now(), count)

    def fire(
        self,
        keyword: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Fire each enabled job of *keyword* once, now; the ids of the fires: their tasks' ids.

        *args* and *kwargs* are these fires' own, None for the jobs'. Empty when there is no such
        job. Beats deliver what is written; none has to live just now.

        Raises:
            InvalidJob: names the argument that cannot be used.
        """
        read.keyword("keyword", keyword)
        own_args = None if args is None else read.json_list("args", args)
        own_kwargs = None if kwargs is None else read.json_object("kwargs", kwargs)
        with self.runtime.engine.begin() as conn:
            call = keywords.new_call(conn, keyword, own_args, own_kwargs)
            return keywords.fire_jobs(conn, call, self.runtime.zone_name)

    def timetable(self, limit: int = 50) -> Sequence[Mapping[Any, Any]]:
        """What, next and last fire of *limit* jobs, those that fire soonest first."""
        with self.runtime.reading() as conn:
            schema.require_tables(conn)
            return jobs.timetable(conn, limit)

    def prepare(self) -> None:
        """Make or migrate the tables, as a beat does when it starts."""
        schema.prepare(self.runtime.engine, self.runtime.settings.auto_migrate)

    @property
    def runtime(self) -> Runtime:
        """The wiring of the bound application.

        Raises:
            RuntimeError: none is bound yet.
        """
        if self._runtime is None:
            raise RuntimeError("Jobs: expected an application, call init_app(app) first")
        return self._runtime

    __getitem__ = get
    __delitem__ = remove

    def __contains__(self, name: object) -> bool:
        with self.runtime.reading() as conn:
            return isinstance(name, str) and jobs.has(conn, name)

    def __iter__(self) -> Iterator[str]:
        with self.runtime.reading() as conn:
            return iter(jobs.names(conn))

    def __len__(self) -> int:
        with self.runtime.reading() as conn:
            return jobs.count(conn)
