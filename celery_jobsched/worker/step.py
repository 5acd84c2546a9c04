"""Where a worker connects anew, and where it ends: a step of its consumer."""

from __future__ import annotations

from typing import Any

from celery.bootsteps import StartStopStep


class FireStep(StartStopStep):
    """Gives back in time what this worker reserved and will not run."""

    # Started behind it, and so ended before it: the broker has no message back yet.
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Give back what prefork's pool forgot, if the connection was lost.

        It drops what no child has begun, for the broker delivers that again; other pools go on.
        """
        if parent.restart_count > 0 and parent.pool.flush:
            parent.controller.jobsched_runs.give_back_reserved()

    def shutdown(self, parent: Any) -> None:
        """Give back what the pool has left: the broker's connection is still open."""
        parent.controller.jobsched_runs.close()
