"""Several beats and one queue: nobody's turn is given twice, and nobody is overtaken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from celery_jobsched import Jobs, Scheduler
from celery_jobsched.limits import Rights
from celery_jobsched.locks import Hold
from celery_jobsched.store import tables
from tests.processes import wait_until
from tests.records import Records, settle, ticking
from tests.services import fresh_database
from tests.stacks import Stack

pytestmark = pytest.mark.alone

FIRES = tables.fires
BEATS, COUNT, LIMIT = 3, 30, 2


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_beats_together_keep_the_order_and_the_limit(kind: str, tmp_path: Path) -> None:
    conf = {"broker_url": "memory://", "jobsched_lock_backend": "database"}
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(kind, tmp_path))
        records = stack.enter_context(Records(url))
        conf["jobsched_database_url"] = url
        here = Stack(kind, "memory", tmp_path, conf)
        beats = [stack.enter_context(ticking(here)) for _ in range(BEATS)]
        settle(beats[0])
        records.add("job", keyword="go", max_concurrency=LIMIT)
        jobs = Jobs(here.app())
        for _ in range(COUNT):
            jobs.fire("go")
        settle(beats[0])
        order = [row["id"] for row in sorted(records.fires("job"), key=lambda row: row["id"])]
        most = 0

        with ticked(beats):
            for n in range(COUNT):
                turn = order[: n + LIMIT]
                wait_until(lambda: sent(records) == set(turn), 10, lambda: records.fires())  # noqa: B023
                holders = beats[0]._upkeep.locks.holders(["job job"])["job job"]
                most = max(most, len(holders))
                release(beats[0], records, order[n])

        assert most == LIMIT
        assert {row["publishes"] for row in records.fires("job")} == {1}


def sent(records: Records) -> set[str]:
    """All that were sent so far."""
    return {row["id"] for row in records.fires("job") if row["sent_at"]}


def release(beat: Scheduler, records: Records, fire: str) -> None:
    """A run ends, as its worker says it to the locks."""
    (row,) = [row for row in records.fires("job") if row["id"] == fire]
    rights = Rights.from_text(row["rights"])
    beat._upkeep.locks.release([Hold(fire, rights.limits, rights.lease)])
    over = sa.update(FIRES).where(FIRES.c.id == fire)
    records.run(over.values(state="succeeded", check_at=None))


@contextmanager
def ticked(beats: list[Scheduler]) -> Iterator[None]:
    """All of them tick, each in a thread of its own."""
    over = threading.Event()

    def work(beat: Scheduler) -> None:
        while not over.is_set():
            over.wait(min(beat.tick(), 0.01))

    threads = [threading.Thread(target=work, args=(beat,)) for beat in beats]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
