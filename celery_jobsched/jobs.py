"""The façade: an application's jobs from Python, as the table has them.

Each call is one transaction; a running beat sees its effect with the next poll.
"""

from __future__ import annotations

from collections.abc import Iterator

from .calendars import Calendars
from .job import Job
from .store import jobs, schema
from .verbs.checks import Checks
from .verbs.declares import Declares
from .verbs.drains import Drains
from .verbs.freezes import Freezes
from .verbs.imports import Imports
from .verbs.looks import Looks
from .verbs.runs import Runs
from .verbs.status import Standing
from .verbs.stops import Stops

_SOURCE = "api"


class Jobs(Imports, Runs, Stops, Freezes, Drains, Looks, Checks, Standing, Declares):
    """The jobs of a Celery application: ``Jobs(app)``, or ``Jobs()`` and ``init_app`` later.

    Where there are several databases it is about the one that ``database=`` names, or the first.
    """

    def prepare(self) -> None:
        """Make or migrate the tables, as a beat does when it starts."""
        schema.prepare(self.runtime.engine, self.runtime.settings.auto_migrate)

    @property
    def calendars(self) -> Calendars:
        """The calendars that jobs may name: a mapping of names to definitions."""
        return Calendars(self.runtime, _SOURCE)

    def __getitem__(self, name: str) -> Job:
        return self.get(name)

    def __delitem__(self, name: str) -> None:
        self.remove(name)

    def __contains__(self, name: object) -> bool:
        with self.runtime.reading() as conn:
            return isinstance(name, str) and jobs.has(conn, name)

    def __iter__(self) -> Iterator[str]:
        with self.runtime.reading() as conn:
            return iter(jobs.names(conn))

    def __len__(self) -> int:
        with self.runtime.reading() as conn:
            return jobs.count(conn)
