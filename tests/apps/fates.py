"""Tasks that end in each way a task can, on the application of `proj`.

A task that waits does so until the file that it is given exists.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject
from celery.worker.request import Request
from proj import app, write_run

LONGEST_S = 30
NEVER = "/does/not/exist"


@app.task(bind=True, name="fates.succeed")
def succeed(self: Task, result: Any = None, wait_for: str | None = None) -> Any:
    write_run(self, [result], {})
    wait(wait_for)
    return result


@app.task(bind=True, name="fates.fail")
def fail(self: Task, said: str = "as it was asked to", wait_for: str | None = None) -> None:
    write_run(self, [said], {})
    wait(wait_for)
    raise RuntimeError(said)


@app.task(bind=True, name="fates.take")
def take(self: Task, seconds: float) -> None:
    """Take its time."""
    write_run(self, [seconds], {})
    wait(NEVER, seconds)


class Odd(Exception):
    """Can be neither pickled nor told."""

    def __init__(self, one: object, two: object) -> None:
        super().__init__()
        self.generator = (each for each in (one, two))

    def __str__(self) -> str:
        raise ValueError("no text")


@app.task(bind=True, name="fates.fail_oddly")
def fail_oddly(self: Task) -> None:
    write_run(self, [], {})
    raise Odd(1, 2)


@app.task(bind=True, name="fates.retry", max_retries=5)
def retry(self: Task, countdown: float, times: int = 1) -> str:
    """Fail and retry *times*, then succeed."""
    write_run(self, [self.request.retries], {})
    if self.request.retries < times:
        try:
            raise RuntimeError("not yet")
        except RuntimeError as error:
            raise self.retry(exc=error, countdown=countdown) from error
    return f"after {self.request.retries}"


@app.task(bind=True, name="fates.raise_ignore")
def raise_ignore(self: Task) -> None:
    write_run(self, [], {})
    raise Ignore("nothing to do")


@app.task(bind=True, name="fates.raise_reject", acks_late=True)
def raise_reject(self: Task, requeue: bool) -> str:
    """Reject the message; requeued, it succeeds when it comes again."""
    write_run(self, [requeue], {})
    if not self.request.delivery_info["redelivered"]:
        raise Reject("not here", requeue=requeue)
    return "here"


@app.task(bind=True, name="fates.leave")
def leave(self: Task) -> None:
    """End the child by sys.exit."""
    write_run(self, [], {})
    sys.exit(3)


class Noted(Request):
    """In the worker's main process: leaves a file once the pool has heard that the task began."""

    def on_accepted(self, pid: Any, time_accepted: float) -> None:
        super().on_accepted(pid, time_accepted)
        begun(self.id).touch()


class Dies(Task):
    Request = Noted


def begun(task_id: str) -> Path:
    return Path(os.environ["JOBSCHED_TEST_RUNS"]).with_name(f"{task_id}.begun")


@app.task(bind=True, name="fates.die", base=Dies)
def die(self: Task) -> None:
    """End the child as the kernel does that is out of memory."""
    write_run(self, [], {})
    kill_child(self)


@app.task(bind=True, name="fates.die_once", base=Dies, acks_late=True, reject_on_worker_lost=True)
def die_once(self: Task) -> str:
    write_run(self, [], {})
    if not self.request.delivery_info["redelivered"]:
        kill_child(self)
    return "the second time"


class DiesAfterwards(Task):
    def on_success(self, *args: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, name="fates.succeed_and_die", base=DiesAfterwards)
def succeed_and_die(self: Task) -> str:
    """Succeed, and be killed before the pool can say so."""
    write_run(self, [], {})
    return "done"


@app.task(
    bind=True,
    name="fates.die_and_retry",
    base=Dies,
    retry_on_worker_lost=True,
    default_retry_delay=0,
)
def die_and_retry(self: Task) -> str:
    """Be killed once, and retried by Celery (5.7)."""
    write_run(self, [], {})
    if not self.request.retries:
        kill_child(self)
    return "again"


@app.task(bind=True, name="fates.late", acks_late=True)
def late(self: Task, wait_for: str) -> str:
    """Acknowledged when it has ended."""
    write_run(self, [], {})
    wait(wait_for)
    return "late"


@app.task(bind=True, name="fates.hang")
def hang(self: Task) -> None:
    write_run(self, [], {})
    wait(NEVER)


@app.task(bind=True, name="fates.follow")
def follow(self: Task, **told: Any) -> None:
    """What a job's on_success or on_failure may name."""
    write_run(self, [], told)


def kill_child(task: Task) -> None:
    """Kill this process, once the pool has heard that the task began.

    Of a child that died before, Celery's pool thinks that it had begun nothing: it gives the task
    to another one, by itself and without a word, and it runs once more.
    """
    wait(str(begun(task.request.id)))
    os.kill(os.getpid(), signal.SIGKILL)


def wait(path: str | None, longest_s: float = LONGEST_S) -> None:
    """Until there is such a file, but no longer than so many seconds."""
    end, pause = time.monotonic() + longest_s, threading.Event()
    while path is not None and not Path(path).exists() and time.monotonic() < end:
        pause.wait(0.01)
