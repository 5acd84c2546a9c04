"""A beat that looks after what it sent, on a clock that the test sets; workers are played by hand.

What a worker does to the locks is done here in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched.fire import FireState
from celery_jobsched.limits import Limit, Rights
from celery_jobsched.locks import Answer, Copy, Locks, Report, Step
from celery_jobsched.store import tables
from celery_jobsched.testing import Beat, Clock
from celery_jobsched.ticket import Ticket
from tests.records import Records
from tests.services import fresh_database

START = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
LEASE = 30 * SECOND
SLOT = Limit("job it", 1)
RIGHTS = Rights((SLOT,), LEASE)
PLUGIN = "celery_jobsched.worker"


@dataclass
class Scene:
    """A beat with its clock, and the tables and locks that it goes by."""

    beat: Beat
    records: Records
    locks: Locks
    last: Any = None

    @property
    def clock(self) -> Clock:
        return self.beat.clock

    @property
    def row(self) -> Any:
        """The one fire."""
        (row,) = self.rows
        return row

    @property
    def rows(self) -> list[Any]:
        """All fires, but what :meth:`was_heard` tells of."""
        return [row for row in self.records.fires() if row["id"] != "told"]

    @property
    def holders(self) -> list[str]:
        return [holder.fire for holder in self.locks.holders([SLOT.key])[SLOT.key]]

    def send(self, limited: bool = False) -> str:
        """Send one fire of a job, which may run once at a time if it is *limited*; its id."""
        most = 1 if limited else None
        created_at = START - HOUR
        self.records.add("it", once=START.isoformat(), created_at=created_at, max_concurrency=most)
        self.beat.settle()
        fire = str(self.row["id"])
        assert self.holders == ([fire] if limited else [])
        return fire

    def was_heard(self) -> None:
        """A worker told of an earlier fire of the job, which is over."""
        (job_id,) = {row["job_id"] for row in self.records.fires()}
        told = {"state": "succeeded", "worker": "w1", "origin": "manual"}
        what = {"id": "told", "key": "told", "job_id": job_id, "job_name": "it", "fire_at": START}
        self.records.run(sa.insert(tables.fires).values(**what, **told))

    def copy(self, rights: Rights = RIGHTS, **more: Any) -> Copy:
        """The copy of the fire that was published last, as a worker has it."""
        header = self._last_header()
        ticket = Ticket.from_header(header)
        known = {
            "token": header["token"],
            "number": header["n"],
            "retries": 0,
            "made_at": ticket.made_at,
            "published_at": ticket.published_at,
            "worker": "w1",
            **more,
        }
        return Copy(self.row["id"], rights.limits, rights.lease, **known)

    def _last_header(self) -> Any:
        """What the last message says; those that came before are gone."""
        app = self.beat.scheduler.app
        with app.connection_for_read() as connection:
            queue = connection.SimpleQueue(app.conf.task_default_queue)
            for _ in range(queue.qsize()):
                message = queue.get(block=False)
                message.ack()
                self.last = message.headers["jobsched"]
            queue.close()
        return self.last

    def run(self, copy: Copy) -> None:
        """Begin with it, and say so."""
        assert self.locks.admit(copy) in {Answer.FIRST, Answer.REPLACES}
        self.locks.accept([Step(copy, self.said(copy, FireState.STARTED))])

    def said(self, copy: Copy, state: FireState) -> Report:
        return Report(copy.fire, state, self.clock.now(), self.clock.now(), copy.token, worker="w1")

    def pass_by(self, seconds: float) -> None:
        self.beat.run(seconds=seconds)


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """On SQLite unless the test is run on all three; results as the test says."""
    database, conf = getattr(request, "param", ("sqlite", {}))
    with fresh_database(database, tmp_path) as url, Records(url) as records:
        settings = {
            "broker_url": "memory://",
            "jobsched_database_url": url,
            "jobsched_lock_backend": "database",
            "task_default_queue": tmp_path.name,
            **{name: str(value).format(tmp_path) for name, value in conf.items()},
        }
        app = Celery("proj", set_as_current=False, config_source=settings)
        clock = Clock(START)
        clock.lead(records.engine)
        with Beat(app, clock) as beat:
            beat.settle()
            yield Scene(beat, records, beat.scheduler.runtime.locks(records.meta()["installation"]))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have the plugin, as this application has."""
    monkeypatch.setitem(sys.modules, PLUGIN, sys)


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, PLUGIN, raising=False)
