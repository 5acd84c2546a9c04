"""Where a worker connects anew, and where it ends: a step of its consumer."""

from __future__ import annotations

from typing import Any

from celery.bootsteps import StartStopStep
from celery.concurrency.base import BasePool


class FireStep(StartStopStep):
    """Gives back in time what this worker reserved and will not run."""

    # Started behind it, and so ended before it: the broker has no message back yet.
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Give back what prefork's pool forgot, if the connection was lost.

        It drops what no child has begun, for the broker delivers that again; other pools go on.
        """
        if parent.restart_count > 0 and _forgets(parent.pool):
            parent.controller.jobsched_runs.give_back_reserved()

    def shutdown(self, parent: Any) -> None:
        """Give back what the pool has left: the broker's connection is still open."""
        parent.controller.jobsched_runs.close()


def _forgets(pool: Any) -> bool:
    """Whether it drops what it has not begun: every pool has a ``flush``, most do nothing in it."""
    return pool.flush is not None and getattr(pool.flush, "__func__", None) is not BasePool.flush
