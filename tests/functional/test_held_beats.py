"""Real beats that hang in somebody's receiver, or are stopped as a whole, behind their claim.

Both are told, another beat takes over what they had claimed, and neither sends it afterwards.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.collector import Collector
from tests.processes import Beat, run_celery, wait_until
from tests.records import Records, unaccounted
from tests.stacks import Stack, fresh_stack

JOBS = {
    f"job {n}": {"task": "proj.note", "every": "1 second", "misfire": "all"} for n in range(5)
} | {"paused": {"task": "proj.note", "every": "1 second"}}


def states(stack: Stack) -> dict[str, str]:
    """What the command says of each beat, by its process."""
    said = json.loads(run_celery(stack, "jobs", "beats", "--json").stdout)
    return {each["name"].rpartition(":")[2]: each["state"] for each in said}


def holdable(stack: Stack, name: str, **environ: str) -> tuple[Beat, Path]:
    pipe = stack.folder / f"{name}.pipe"
    return Beat(stack, app="held", environ={"JOBSCHED_TEST_HOLD": str(pipe), **environ}), pipe


def sent(collector: Collector) -> Counter[Any]:
    return Counter((message.job, message.fire_at) for message in collector.messages())


def test_one_that_hangs_and_one_that_is_stopped_are_told_and_send_nothing_twice(
    tmp_path: Path,
) -> None:
    with (
        fresh_stack("postgresql", "redis", tmp_path, jobsched_jobs=JOBS) as stack,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
    ):
        hanging, pipe = holdable(stack, "hanging")
        stopped, mark = holdable(stack, "stopped", JOBSCHED_TEST_STOP="1")
        with hanging, stopped:
            wait_until(lambda: {*states(stack).values()} == {"ticking"}, 30, hanging.log)
            os.mkfifo(pipe)
            wait_until(lambda: "held up" in hanging.log(), 30, hanging.log)
            mark.touch()
            wait_until(lambda: "held up" in stopped.log(), 30, stopped.log)
            with Beat(stack) as other:
                records.edit("paused", enabled=False)
                paused_at = datetime.now(timezone.utc)
                told = {str(hanging.pid): "hanging", str(stopped.pid): "gone"}
                wait_until(lambda: states(stack) == {**told, str(other.pid): "ticking"}, 40)
                wait_until(lambda: "a tick has not returned" in hanging.log(), 40, hanging.log)
                held = hanging.log().partition("a tick has not returned")[2]
                pipe.write_text("go on\n")
                os.kill(stopped.pid, signal.SIGCONT)
                wait_until(lambda: {*states(stack).values()} == {"ticking"}, 40)
                back = datetime.now(timezone.utc)
                wait_until(lambda: _goes_on(records, back), 30, hanging.log)
                logs = [each.log() for each in (hanging, stopped, other)]
                assert [each.stop().exit_code for each in (hanging, stopped, other)] == [0, 0, 0]
        # Whatever a beat had in hand when it was stopped has come by now.
        wait_until(lambda: not collector.client.exists(*collector.lists), 5)
        fires, found = records.fires(), sent(collector)

    assert "in hold\n    PIPE.read_text()" in held
    assert [log for log in logs if "tick failed" in log] == []
    assert set(found.values()) == {1}
    assert {fire["state"] for fire in fires} <= {"sent", "missed", "cancelled"}
    assert len(found) == len([fire for fire in fires if fire["state"] == "sent"])
    for name in JOBS:
        assert unaccounted([fire for fire in fires if fire["job_name"] == name]) == []
    late = [fire for fire in fires if fire["job_name"] == "paused" and fire["fire_at"] > paused_at]
    assert late == []


def _goes_on(records: Records, since: datetime) -> bool:
    """Whether each of the three beats has fired something since."""
    rows = [row for row in records.fires(None, "sent") if row["fire_at"] > since]
    return len({row["beat"] for row in rows}) == 3
