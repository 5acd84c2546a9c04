"""The application of `proj`, whose beat is held up between a claim and its publish.

Once a pipe lies at JOBSCHED_TEST_HOLD, the next claim waits until somebody writes to it; and with
JOBSCHED_TEST_STOP set, the whole process is stopped, as by a machine that sleeps.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

from celery_jobsched import events
from tests.apps.proj import app as app

PIPE = Path(os.environ["JOBSCHED_TEST_HOLD"])


@events.fire_claimed.connect(weak=False)
def hold(job: str, **_: Any) -> None:
    if not PIPE.exists():
        return
    logging.getLogger(__name__).warning("held up with %s", job)
    if "JOBSCHED_TEST_STOP" in os.environ:
        PIPE.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        PIPE.read_text()
        PIPE.unlink()
