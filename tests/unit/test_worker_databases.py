"""A worker whose fires come from several databases, each of which has locks of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celery_jobsched.fire import new_id
from celery_jobsched.limits import Limit
from celery_jobsched.runtime import Runtime
from celery_jobsched.store import meta, schema
from celery_jobsched.ticket import Ticket
from celery_jobsched.worker.copies import copy_of
from celery_jobsched.worker.places import Places
from celery_jobsched.worker.runs import Run, Runs

#: Of one of them the file cannot be made.
ALIASES = ("here", "there", "away")


class Request:
    """What is asked of Celery's: one for a fire that holds the one slot of `one`."""

    def __init__(self, database: str) -> None:
        now = datetime.now(timezone.utc)
        limits = (Limit("one", 1),)
        lease = timedelta(seconds=30)
        ticket = Ticket(f"of {database}", "database", limits, lease, now, now, database)
        header = {"job": "j", "token": "T", "n": 1, **ticket.to_header()}
        self.id = new_id(now)
        self.request_dict: dict[str, Any] = {"retries": 0, "jobsched": header}
        self.delivery_info: dict[str, Any] = {}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Celery]:
    urls = {alias: f"sqlite:///{tmp_path / alias}.db" for alias in ALIASES}
    urls["away"] = f"sqlite:///{tmp_path / 'no' / 'such.db'}"
    conf = {"jobsched_database_url": urls, "jobsched_lock_backend": "database"}
    app = Celery("proj", set_as_current=False, config_source=conf)
    for alias in ALIASES[:2]:
        runtime = Runtime(app, database=alias)
        schema.prepare(runtime.engine, True)
        with runtime.engine.begin() as conn:
            meta.remember(conn, "installation", f"of {alias}")
        runtime.locks(f"of {alias}").open(first=True)
        runtime.close()
    yield app
    app.close()


def admitted(runs: Runs, request: Request) -> Run | None:
    asked = copy_of(request, runs.new_name)
    assert asked is not None
    return runs.admit(request, asked)


def test_limits_are_each_databases_own_and_hold_while_the_locks_of_another_are_away(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs(Places(Runtime(app)), "w@here")
    requests = [Request(alias) for alias in ("here", "away", "there", "here", "there")]

    found = [admitted(runs, request) for request in requests]

    # What is away is not asked: a first copy runs.
    assert [run is not None for run in found] == [True, True, True, False, False]
    assert caplog.text.count("the locks are away") == 1
    for run in found:
        if run is not None:
            runs.hand_over(run)


def test_an_alias_that_the_worker_lacks_is_told_of(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs(Places(Runtime(app)), "w@here")
    request = Request("elsewhere")

    assert admitted(runs, request) is not None
    assert "expected an alias of jobsched_database_url (here, there, away)" in caplog.text
