"""The verbs that look over all jobs: the load to come, tasks that nobody knows, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..errors import InvalidJob, NoWorkers
from ..filters import Filter
from ..job import Job
from ..simulation import Simulation
from ..store import jobs, search
from .bound import Bound
from .looks import wanted_of

_DAY = timedelta(days=1)


class Checks(Bound):
    """Looking over all jobs, or over those of a filter; see ``find``."""

    def simulate(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        words: str | Filter = "",
    ) -> Simulation:
        """How many fires there will be in each hour from *start* (now) to *end* (a day later).

        Raises:
            InvalidJob: *end* is more than ten years after *start*.
        """
        begin = start or self.runtime.clock.now()
        found = Simulation(begin, end or begin + _DAY)
        for name, job in self.each(words):
            try:
                if isinstance(job, InvalidJob) or job.lacks:
                    found.left_out.append(name)
                else:
                    found.add(job)
            except InvalidJob:  # a calendar that is no more
                found.left_out.append(name)
        return found

    def orphans(self, timeout: float = 1.0) -> dict[str, str]:
        """The jobs whose task no worker knows, with that task; asks the workers for *timeout* s.

        Raises:
            NoWorkers: none has answered.
        """
        # An inspection leaves out Celery's own tasks, which jobs may name.
        answers = self.runtime.app.control.broadcast(
            "registered", arguments={"builtins": True}, reply=True, timeout=timeout
        )
        if not answers:
            raise NoWorkers(f"no worker answered within {timeout:g} s")
        told = [tasks for answer in answers for tasks in answer.values()]
        # Behind the name stands what the worker shows of the task, such as its rate limit.
        known = {each.split(" ", 1)[0] for tasks in told for each in tasks}
        with self.runtime.reading() as conn:
            return {name: task for name, task in jobs.tasks(conn) if task not in known}

    def each(self, words: str | Filter = "") -> Iterator[tuple[str, Job | InvalidJob]]:
        """The jobs with their names; for a row that cannot be read, why."""
        with self.runtime.reading() as conn:
            for page in search.ids(conn, wanted_of(words)):
                for job in jobs.by_id(conn, page, self.runtime.zone_name).values():
                    yield _checked(job)


def _checked(job: Job | InvalidJob) -> tuple[str, Job | InvalidJob]:
    if isinstance(job, Job):
        try:
            job.check()
        except InvalidJob as error:
            return job.name, error.of(job.name)
        return job.name, job
    return str(job.job), job
