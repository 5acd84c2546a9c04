"""Tasks of the storm: each run is noted when it begins and when it has ended, by whom and of what.

What the broker took is noted, too, by the beat that sent it.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from celery import Task
from proj import app

from celery_jobsched import current_fire
from celery_jobsched.events import fire_sent


@app.task(bind=True, name="stormy.run")
def run(self: Task, seconds: float) -> None:
    """Acknowledged as it begins."""
    _run(self, seconds)


@app.task(bind=True, name="stormy.run_late", acks_late=True)
def run_late(self: Task, seconds: float) -> None:
    """Acknowledged when it has ended: a worker that dies leaves it to another one."""
    _run(self, seconds)


@fire_sent.connect
def note_sent(job: str, fire_id: str, **_: Any) -> None:
    note(what="sent", fire=fire_id, job=job)


def _run(task: Task, seconds: float) -> None:
    fire = current_fire()
    assert fire is not None
    said = {
        "fire": fire.id,
        "job": fire.job,
        "run": secrets.token_hex(8),
        "worker": str(task.request.hostname).partition("@")[0],
        "late": task.acks_late,
    }
    note(what="begun", **said)
    time.sleep(seconds)
    note(what="ended", **said)


def note(**said: Any) -> None:
    """Append a line: in one write, so that those of many processes do not mix."""
    line = json.dumps({**said, "at": time.time()}).encode() + b"\n"
    path = Path(os.environ["JOBSCHED_TEST_RUNS"])
    with path.open("ab", buffering=0) as file:
        file.write(line)
