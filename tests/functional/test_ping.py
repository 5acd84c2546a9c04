"""`celery inspect ping` and a beat: Celery's own answer, as long as ticks return."""

from __future__ import annotations

import socket
from pathlib import Path

import celery
import pytest

from tests.processes import Beat, run_celery, wait_until
from tests.records import Records
from tests.stacks import fresh_stack

NODE = f"celerybeat@{socket.gethostname()}"


@pytest.mark.skipif(
    not hasattr(celery.beat, "BeatPidbox"), reason="beats answer from Celery 5.7 on"
)
@pytest.mark.parametrize("pair", [("sqlite", "redis"), ("postgresql", "rabbitmq")], ids="-".join)
def test_ping_reaches_a_beat_that_ticks_and_one_that_was_stopped_is_silent(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    job = {"tick": {"task": "proj.note", "every": "1 second"}}
    conf = {"beat_enable_remote_control": True, "jobsched_jobs": job}
    ping = ("inspect", "-d", NODE, "-t", "3", "ping")
    with fresh_stack(*pair, tmp_path, **conf) as stack, Records(stack.database_url) as records:
        with Beat(stack) as beat:
            wait_until(lambda: "beat pidbox: Connected" in beat.log(), 30, beat.log)
            wait_until(lambda: records.has_tables() and records.fires("tick", "sent"), 30, beat.log)
            there = run_celery(stack, *ping)
            stopped = beat.stop()
        gone = run_celery(stack, *ping)

    assert f"{NODE}: OK" in there.stdout, there.stdout + there.stderr
    assert (there.returncode, stopped.exit_code) == (0, 0)
    assert gone.returncode != 0
