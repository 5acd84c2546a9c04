"""Inside a worker: which copy of a fire runs, how it goes, and how it ends.

Loaded by ``Jobs(app)``, or by ``imports = ["celery_jobsched.worker"]`` in Celery's configuration.
Nothing happens at import but that a signal is connected: in a beat, in a web process, in a pool's
children it stays at that. Everything is done in the worker's main process.

    a message ──▶ request ──▶ runs ──admit──▶ the locks            one round trip, before it starts
                     │          └──▶ channel ──accept, end──▶      by a thread, in order, in batches
              Celery's own Request
              of each task, with ``FireRequest`` before it; what gets no request is ``discarded``

Messages of other senders pass untouched.
"""

from __future__ import annotations

from typing import Any

from celery.signals import worker_init

#: How many seconds a worker waits for a database that holds the locks.
_PATIENCE_S = 2.0


@worker_init.connect
def install(sender: Any, **_: Any) -> None:
    """Prepare a worker that is about to start: its tasks are known, and consume nothing yet."""
    from ..runtime import Runtime
    from . import discarded  # noqa: F401 - it hears what Celery discards
    from .places import Places
    from .request import compose
    from .runs import Runs
    from .step import FireStep

    sender.jobsched_runs = runs = Runs(Places(Runtime(sender.app, _PATIENCE_S)), sender.hostname)
    compose(sender.app, runs)
    sender.app.steps["consumer"].add(FireStep)
