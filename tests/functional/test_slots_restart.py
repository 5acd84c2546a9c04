"""A Redis that comes back empty in the middle of a run: nothing runs beyond its limit."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.processes import Beat, Worker, runs, wait_until
from tests.records import Records
from tests.servers import RedisServer
from tests.stacks import Stack, fresh_stack

RUN_S = 1.5
#: For so long a memory that was lost grants nothing.
SILENT_S = 10


def test_after_a_restart_runs_go_on_one_at_a_time(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        conf = {"imports": ["celery_jobsched.worker"], "jobsched_lock_backend": server.url}
        with fresh_stack("postgresql", "rabbitmq", tmp_path, **conf) as stack:
            with Records(stack.database_url) as records:
                restarted_at = _play(stack, records, server)
                began = [run["at"] for run in runs(stack.runs_file)]
                ids = [run["id"] for run in runs(stack.runs_file)]
                order = [row["id"] for row in records.fires("job")]

    assert all(b - a > RUN_S for a, b in pairwise(began))
    # The run that was under way ends, and none begins while the memory is silent.
    (first_after, *_) = [at for at in began if at > restarted_at]
    assert first_after > restarted_at + SILENT_S - 1
    assert ids == order[: len(ids)]


def _play(stack: Stack, records: Records, server: RedisServer) -> float:
    """When Redis was started again; then it is waited for two more runs."""
    worker: Any = Worker(stack, pool="threads", concurrency=4, app="fates").start()
    with Beat(stack, app="fates") as beat:
        worker.wait_ready()
        wait_until(records.has_tables, 10, beat.log)
        records.add(
            "job",
            task="fates.take",
            args=f"[{RUN_S}]",
            every="1 second",
            max_concurrency=1,
            overlap="wait",
        )
        wait_until(lambda: len(runs(stack.runs_file)) == 2, 20, beat.log)
        server.restart(empty=True)
        restarted_at = time.time()
        wait_until(lambda: len(runs(stack.runs_file)) == 4, 30, beat.log)
        assert not records.fires("job", "skipped", "lost", "failed")
        assert beat.stop().exit_code == 0
    return restarted_at
