"""A worker's main process without its loop: it runs what lies in the queue, when it is told to.

The requests are Celery's own with the plugin before them, so that copies are admitted, runs are
reported, and slots released as in any worker; the pool is `solo`.
"""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from celery import Celery
from celery.concurrency.solo import TaskPool
from celery.exceptions import TaskRevokedError
from celery.worker.request import create_request_cls
from kombu.utils.imports import symbol_by_name

from celery_jobsched.worker import install


class Hand:
    """Runs the messages of *app*'s queue in this process, under the name of a worker."""

    def __init__(self, app: Celery, name: str = "hand@here", pool: Any = None) -> None:
        self.app, self.name = app, name
        controller: Any = SimpleNamespace(app=app, hostname=name)
        install(controller)
        self.runs = controller.jobsched_runs
        self.pool = pool or TaskPool(1, app=app)
        # Another worker of the application has its own ones there soon.
        self._bases = {name: task.Request for name, task in app.tasks.items()}
        self._classes: dict[str, Any] = {}
        #: The ids of the messages, in their order.
        self.received: list[str] = []

    def work(self, most: int = 1000) -> int:
        """Run what lies there, *most* messages at most; how many there were."""
        before = len(self.received)
        with self.app.connection_for_read() as connection:
            while len(self.received) < before + most and (message := self.next_on(connection)):
                self.run(message)
        self.runs.close()
        return len(self.received) - before

    def next_on(self, connection: Any) -> Any:
        """The next message of the queue; None where there is none."""
        bound = self.app.amqp.queues[self.app.conf.task_default_queue](connection.default_channel)
        bound.declare()
        return bound.get()

    def run(self, message: Any) -> None:
        """Do with it what a worker does."""
        task = self.app.tasks[message.headers["task"]]
        if task.name not in self._classes:
            base = symbol_by_name(self._bases[task.name])
            self._classes[task.name] = create_request_cls(base, task, self.pool, self.name, None)
        self.received.append(message.headers["id"])
        request = self._classes[task.name](
            message,
            on_ack=message.ack_log_error,
            on_reject=message.reject_log_error,
            app=self.app,
            hostname=self.name,
            task=task,
            decoded=False,
        )
        with suppress(TaskRevokedError):  # not admitted: dropped, as a worker does
            request.execute_using_pool(self.pool)
