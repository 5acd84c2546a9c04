"""A person at the façade of jobs, with a beat that is ticked when asked, on any database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery import Celery
from click.testing import CliRunner, Result

from celery_jobsched import Jobs
from celery_jobsched.cli import jobs as group
from celery_jobsched.store import changes
from tests.records import Records, settle, ticking
from tests.stacks import Stack

#: Words of `celery -A proj jobs` that are run in this process.
Run = Callable[..., Result]


class Person:
    """The façade, a beat that starts when asked, and the tables."""

    def __init__(self, url: str, folder: Path, prepare: bool = True, **conf: Any) -> None:
        self.conf = {"jobsched_database_url": url, "broker_url": "memory://", **conf}
        self.stack = Stack("-", "memory", folder, self.conf)
        self.jobs = Jobs(self.app())
        if prepare:
            self.jobs.prepare()
        self.records = Records(url)

    def app(self, **conf: Any) -> Celery:
        return Celery("proj", set_as_current=False, config_source={**self.conf, **conf})

    def beat(self, **conf: Any) -> None:
        """A beat starts, does all there is to do, and ends."""
        with ticking(self.stack, self.app(**conf)) as scheduler:
            settle(scheduler)

    def changes(self, name: str) -> list[changes.Change]:
        with self.records.engine.connect() as conn:
            return changes.of_job(conn, self.records.job(name)["id"], 10)

    def told(self, name: str) -> list[tuple[str, str | None, list[changes.Difference]]]:
        return [(each.door, each.by, each.differences) for each in self.changes(name)]

    def close(self) -> None:
        self.jobs.runtime.close()
        self.records.engine.dispose()


def runs(person: Person, **conf: Any) -> Run:
    """The commands in this process, on a person's tables."""

    def run(*words: str, text: str | bytes | None = None, **env: str) -> Result:
        found = SimpleNamespace(app=person.app(**conf))
        return CliRunner().invoke(group, list(words), obj=found, input=text, env=env)

    return run
