"""A beat's hand: publishes copies of fires one by one, and reads what workers report of them.

with fresh_sender("postgresql", "rabbitmq", tmp_path) as sender, Worker(sender.stack, …):
    fire = sender.send("fates.succeed", 7)
    sender.wait_for(fire, "succeeded")
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from celery_jobsched.fire import new_id
from celery_jobsched.limits import Limit
from celery_jobsched.locks import Admission, Report
from celery_jobsched.runtime import Runtime
from celery_jobsched.store import meta, schema
from celery_jobsched.ticket import Ticket
from tests.processes import Worker, runs, wait_until
from tests.stacks import Stack, fresh_stack

LEASE = timedelta(seconds=30)
UTC = timezone.utc


class Sender:
    """Publishes on a stack, in the name of an installation of its own."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.app = stack.app()
        self.runtime = Runtime(self.app)
        self.installation = secrets.token_hex(8)
        schema.prepare(self.runtime.engine, may_change=True)
        with self.runtime.engine.begin() as conn:
            meta.remember(conn, "installation", self.installation)
        self.locks = self.runtime.locks(self.installation)
        self.locks.open(first=True)
        self._reports: list[Report] = []

    def ticket(
        self,
        limits: Sequence[tuple[str, int]] = (),
        lease: timedelta = LEASE,
        made_at: datetime | None = None,
        published_at: datetime | None = None,
    ) -> Ticket:
        now = datetime.now(UTC)
        return Ticket(
            installation=self.installation,
            place=self.runtime.urls["locks"],
            limits=tuple(Limit(*limit) for limit in limits),
            lease=lease,
            made_at=made_at or now,
            published_at=published_at or now,
        )

    def send(
        self,
        task: str,
        *args: Any,
        fire: str | None = None,
        token: str | None = None,
        n: int = 1,
        ticket: Ticket | None = None,
        **options: Any,
    ) -> str:
        """Publish a copy of *fire*, or the first one of a new fire; its id."""
        now = datetime.now(UTC)
        fire = fire or new_id(now)
        header = {
            "job": "job",
            "fire_at": now.isoformat(),
            "origin": "schedule",
            "token": token or secrets.token_hex(8),
            "n": n,
            **(ticket or self.ticket()).to_header(),
        }
        self.app.send_task(task, args, task_id=fire, headers={"jobsched": header}, **options)
        return fire

    def reports(self, fire: str) -> list[Report]:
        """What was reported of *fire* so far, in its order."""
        found = self.locks.reports(1000)
        self._reports += [each.report for each in found if each.report]
        self.locks.acknowledge([each.id for each in found])
        return [report for report in self._reports if report.fire == fire]

    def states(self, fire: str) -> list[str]:
        return [report.state.value for report in self.reports(fire)]

    def wait_for(self, fire: str, *states: str, seconds: float = 15) -> Report:
        """The last report of *fire*, once the last of them are in these states."""
        wait_until(
            lambda: tuple(self.states(fire)[-len(states) :]) == states,
            seconds,
            lambda: f"expected {states}, got {self.reports(fire)}",
        )
        return self.reports(fire)[-1]

    def admission(self, fire: str) -> Admission | None:
        return self.locks.admissions([fire]).get(fire)

    def runs(self, fire: str) -> list[dict[str, Any]]:
        """What the tasks wrote of *fire*."""
        return [run for run in runs(self.stack.runs_file) if run["id"] == fire]

    def result(self, fire: str) -> tuple[str, Any]:
        """State and result of *fire* in the result backend."""
        found = self.app.AsyncResult(fire)
        return found.state, found.result

    def close(self) -> None:
        self.locks.close()
        self.runtime.close()
        self.app.close()


@contextmanager
def fresh_sender(database: str, broker: str, folder: Path, **conf: Any) -> Iterator[Sender]:
    results = folder / "results"
    results.mkdir(parents=True)
    conf = {
        "result_backend": f"file://{results}",
        "imports": ["celery_jobsched.worker"],
        **conf,
    }
    with fresh_stack(database, broker, folder, **conf) as stack:
        sender = Sender(stack)
        try:
            yield sender
        finally:
            sender.close()


def worker(sender: Sender, *options: str, **more: Any) -> Worker:
    """A worker of `tests/apps/fates.py`."""
    return Worker(sender.stack, *options, app="fates", **more)
