"""What Celery discards before it makes a request of it: that is the fire's end, as on record.

task_unknown    no task of that name is known in this worker
task_rejected   the message cannot be read here
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from celery.signals import task_rejected, task_unknown

from ..fire import FireState
from .copies import copy_of
from .outcome import error_text
from .runs import End, Runs


@task_unknown.connect
def on_unknown_task(sender: Any, message: Any, name: str, id: str, **_: Any) -> None:  # noqa: A002
    """A task that runs elsewhere perhaps, and not here."""
    _fail(sender, message, id, f"no task of the name {name!r}")


@task_rejected.connect
def on_rejected_message(sender: Any, message: Any, exc: Any, **_: Any) -> None:
    """A message in a form that this worker does not take."""
    why = "cannot read its message"
    _fail(sender, message, None, why if exc is None else f"{why} ({error_text(exc)})")


def _fail(consumer: Any, message: Any, fire: str | None, why: str) -> None:
    runs: Runs | None = getattr(consumer.controller, "jobsched_runs", None)
    headers = message.headers
    if runs is None or not isinstance(headers, dict):
        return
    request = SimpleNamespace(
        id=headers.get("id", fire), request_dict=headers, delivery_info=message.delivery_info
    )
    asked = copy_of(request, runs.new_name)
    if asked is not None:
        runs.withdrawn(asked, End(FireState.FAILED, error=f"{why} in worker {runs.worker}"))
