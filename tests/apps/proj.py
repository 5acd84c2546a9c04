"""The application that real beats and workers of the tests run.

Its configuration is the JSON in JOBSCHED_TEST_CONF. It says that it is ready by making
the file JOBSCHED_TEST_READY, and its tasks write what they did to JOBSCHED_TEST_RUNS. With
JOBSCHED_TEST_TRIGGERS set it has a trigger of its own, `each`, without it has not. Its
filter allows the jobs of the role JOBSCHED_TEST_ROLE. Where the file JOBSCHED_TEST_BOMB names a
database, what serves it exits once.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.signals import beat_init, worker_ready

from celery_jobsched import current_fire, register_trigger
from celery_jobsched.events import fire_sent

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

app = Celery("proj")
app.config_from_object(json.loads(os.environ["JOBSCHED_TEST_CONF"]))


class Each:
    """Each so many seconds of the argument, counted from the beginning of 1970."""

    def __init__(self, argument: str, zone: tzinfo, anchor: datetime) -> None:
        self.step = timedelta(seconds=float(argument))

    def next_after(self, instant: datetime) -> datetime:
        return EPOCH + ((instant - EPOCH) // self.step + 1) * self.step

    def previous_before(self, instant: datetime) -> datetime:
        return EPOCH - ((EPOCH - instant) // self.step + 1) * self.step


if "JOBSCHED_TEST_TRIGGERS" in os.environ:
    register_trigger("each")(Each)


def may_fire(job: dict[str, Any]) -> bool:
    """A filter: the jobs of this process's role."""
    return bool(job["labels"].get("role") == os.environ["JOBSCHED_TEST_ROLE"])


@beat_init.connect
@worker_ready.connect
def say_ready(**_: Any) -> None:
    if "JOBSCHED_TEST_READY" in os.environ:
        Path(os.environ["JOBSCHED_TEST_READY"]).touch()


@fire_sent.connect
def explode(database: str | None = None, **_: Any) -> None:
    bomb = Path(os.environ.get("JOBSCHED_TEST_BOMB", "/none"))
    if bomb.exists() and bomb.read_text() == database:
        bomb.unlink()
        raise SystemExit("as it was asked to")


@app.task(bind=True, name="proj.note")
def note(self: Task, *args: Any, **kwargs: Any) -> None:
    """Write one line about this run."""
    write_run(self, args, kwargs)


@app.task(bind=True, name="proj.fail")
def fail(self: Task, *args: Any, **kwargs: Any) -> None:
    """Write one line about this run, and raise."""
    write_run(self, args, kwargs)
    raise RuntimeError("proj.fail was asked to fail")


@app.task(bind=True, name="proj.ask", max_retries=1)
def ask(self: Task, *args: Any, **kwargs: Any) -> None:
    """Write which fire this is, have another task do so, and do it all once more in a retry."""
    write_run(self, args, kwargs)
    note.delay("sent by a task")
    if not self.request.retries:
        raise self.retry(countdown=0)


def write_run(task: Task, args: Any, kwargs: Any) -> None:
    sent, current = fire_header(task), current_fire()
    run = {
        "job": sent.get("job"),
        "fire_at": sent.get("fire_at"),
        "origin": sent.get("origin"),
        "id": task.request.id,
        "args": list(args),
        "kwargs": dict(kwargs),
        "at": time.time(),
        "pid": os.getpid(),
        "task": task.name,
        "current": current and asdict(current),
    }
    line = json.dumps(run, default=str).encode() + b"\n"
    file = os.open(os.environ["JOBSCHED_TEST_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def fire_header(task: Task) -> dict[str, Any]:
    """What the beat says about the fire: Celery gives custom headers in one of two places."""
    headers = task.request.headers or {}
    found = headers.get("jobsched") or getattr(task.request, "jobsched", None)
    return found if isinstance(found, dict) else {}
