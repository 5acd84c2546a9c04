"""Passwords are in nothing that anybody reads, whatever is away and however loud the log."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Beat, Worker, run_celery, wait_until
from tests.records import Records
from tests.services import address, require, unique_name
from tests.stacks import Stack, fresh_stack

SECRET = "s3cr3t"
NOWHERE = "127.0.0.1:1"
AWAY: dict[str, dict[str, Any]] = {
    "rabbitmq": {
        "broker_url": f"amqp://me:{SECRET}@{NOWHERE}//",
        "result_backend": f"redis://me:{SECRET}@{NOWHERE}/1",
        "jobsched_lock_backend": f"redis://me:{SECRET}@{NOWHERE}/2?password={SECRET}",
    },
    "redis": {
        "broker_url": f"redis://me:{SECRET}@{NOWHERE}/0",
        "result_backend": f"redis://:{SECRET}@{NOWHERE}/1",
    },
}
CONF = {
    "broker_transport_options": {},
    "broker_connection_timeout": 1,
    "broker_connection_retry_on_startup": True,
    "jobsched_socket_timeout": 1.0,
    "jobsched_jobs": {
        "free": {"task": "proj.note", "every": "second"},
        "limited": {"task": "proj.note", "every": "second", "max_concurrency": 1},
    },
    "imports": ["celery_jobsched.worker"],
}
LOUD = ("-l", "DEBUG")


@pytest.mark.parametrize("away", AWAY)
def test_broker_and_locks_that_are_away_are_told_without_passwords(
    tmp_path: Path, away: str
) -> None:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        stack.conf |= CONF | AWAY[away]
        with Records(stack.database_url) as records:
            worker, beat = Worker(stack, *LOUD).start(), Beat(stack, *LOUD).start()
            wait_until(records.has_tables, 20, beat.log)
            wait_until(lambda: "DEBUG" in beat.log() and records.fires("free"), 10, beat.log)
            wait_until(lambda: "Connection refused" in worker.log(), 20, worker.log)
            wait_until(lambda: "ERROR" in beat.log() or "WARNING" in beat.log(), 20, beat.log)
            told = [run_celery(stack, "jobs", *words) for words in COMMANDS]
            beat.stop()
            rows = f"{records.fires()}{list(records.jobs().values())}{records.meta()}"

        log = beat.log()
        assert "Connection refused" in told[0].stdout
        texts = (log, worker.log(), rows, *(f"{each.stdout}{each.stderr}" for each in told))
        assert [text for text in texts if SECRET in text] == []


#: What asks the broker and the locks, as well.
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("show", "limited"),
    ("explain", "limited"),
    ("stop", "limited"),
    ("history", "free"),
)


def on(url: str, folder: Path) -> Stack:
    conf = {"jobsched_database_url": url, "broker_url": "memory://", "jobsched_socket_timeout": 2}
    return Stack("-", "memory", folder, conf)


def refused_urls(kind: str) -> list[str]:
    """A server that is not there, one that knows no such user, and what only looks like a URL."""
    scheme = address(kind).partition("://")[0]
    where = address(kind).rpartition("@")[2].partition("/")[0]
    return [
        f"{scheme}://me:{SECRET}@{NOWHERE}/none",
        f"{scheme}://{unique_name()}:{SECRET}@{where}/none",
        f"{scheme}://me:half@{SECRET}@{where}/none",
        f"{scheme}://me:half@x:{SECRET}@{where}/none",
    ]


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_database_that_is_away_or_refuses_is_told_without_its_password(
    tmp_path: Path, kind: str
) -> None:
    require(kind)
    for url in refused_urls(kind):
        stack = on(url, tmp_path)
        with stack.on_end:
            beat = Beat(stack, *LOUD).start()
            told = [run_celery(stack, *words) for words in (("jobs", "list"), ("report",))]
            wait_until(partial(is_told, beat), 20, beat.log)
            beat.kill()

        assert told[0].returncode == 69, told[0].stderr
        texts = (beat.log(), *(f"{each.stdout}{each.stderr}" for each in told))
        assert [text for text in texts if SECRET in text] == [], url


def is_told(beat: Beat) -> bool:
    """Whether it says what is wrong: again and again, or once, at its end."""
    return "trying again" in beat.log() or "jobsched_database_url: expected" in beat.log()
