"""Signals of the scheduler's own, sent in the process where something happened.

Those of a fire come with ``job`` (its name), ``fire_id`` and ``fire_at``, and with what is named
here. Where a beat serves several databases, all come with ``database``, its alias, as well. A
receiver that raises is logged and harms nobody: Celery's signals see to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from celery.utils.dispatch import Signal

#: The alias of the database that is being served; None where there is but one.
database: ContextVar[str | None] = ContextVar("jobsched_database", default=None)


@contextmanager
def of_database(alias: str | None) -> Iterator[None]:
    """Let what is told within be told of that database."""
    token = database.set(alias)
    try:
        yield
    finally:
        database.reset(token)


class _Told(Signal):
    """A signal that says of which database it is, where there are several."""

    def send(self, sender: Any, **named: Any) -> Any:
        alias = database.get()
        return super().send(sender, **(named if alias is None else {**named, "database": alias}))


def _of_fire(name: str, *more: str) -> Signal:
    return _Told(name=name, providing_args=["job", "fire_id", "fire_at", "origin", *more])


#: A beat claimed an instant that a job's schedule owes, and is about to deliver it.
fire_claimed = _of_fire("fire_claimed")

#: A fire reached the broker.
fire_sent = _of_fire("fire_sent")

#: A fire waits for a slot.
fire_waiting = _of_fire("fire_waiting")

#: A fire found no slot and will not run; of those that follow each other, for the same reason, the
#: first is told. ``reason``.
fire_skipped = _of_fire("fire_skipped", "reason")

#: A fire was not sent, for its job was paused or deleted. ``reason``.
fire_cancelled = _of_fire("fire_cancelled", "reason")

#: A worker runs a fire. ``worker``.
fire_started = _of_fire("fire_started", "worker")

#: An attempt failed, and another one will be made. ``worker``, ``error``.
fire_retried = _of_fire("fire_retried", "worker", "error")

#: A run ended well. ``worker``, ``result`` (a bounded text).
fire_succeeded = _of_fire("fire_succeeded", "worker", "result")

#: A run failed, or a fire can never be published: then ``worker`` is empty. ``worker``, ``error``.
fire_failed = _of_fire("fire_failed", "worker", "error")

#: A run was ended from outside, or its message refused for that. ``worker``, ``error``.
fire_revoked = _of_fire("fire_revoked", "worker", "error")

#: A message was older than its ``expires`` when a worker took it. ``worker``, ``error``.
fire_expired = _of_fire("fire_expired", "worker", "error")

#: A run began and nobody can say how it ended. ``error``.
fire_lost = _of_fire("fire_lost", "error")

#: A run goes on three times as long as those of its job usually take, or longer; told once.
#: ``usual`` (a timedelta).
fire_overrun = _of_fire("fire_overrun", "usual")

#: Instants went by unfired. Arguments: ``job``, ``fire_at``, ``until_at``, ``count`` (or None).
fire_missed = _Told(name="fire_missed", providing_args=["job", "fire_at", "until_at", "count"])

#: A shadow tells what it would fire. Arguments: ``job``, ``fire_at``, ``origin``.
job_would_fire = _Told(name="job_would_fire", providing_args=["job", "fire_at", "origin"])

#: A job was paused by its failures. Arguments: ``job``, ``note``.
job_paused = _Told(name="job_paused", providing_args=["job", "note"])

#: This beat leaves a due job to others, and will ask again after a while. Arguments: ``job``,
#: ``reason``, ``cause`` (lacking, filtered, raised, wrong answer, no answer).
job_refused = _Told(name="job_refused", providing_args=["job", "reason", "cause"])

#: A job's row cannot be read. Arguments: ``job``, ``error``.
job_error = _Told(name="job_error", providing_args=["job", "error"])
