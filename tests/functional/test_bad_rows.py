"""Definitions that nobody can read: in rows written by SQL, and in the configuration.

One beat a database, which all tests of this file share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.clients import ClientError, sql_client
from tests.processes import Beat, run_celery, wait_until
from tests.services import DATABASES
from tests.stacks import fresh_stack
from tests.tables import Tables

UTC = timezone.utc
SECOND = timedelta(seconds=1)
FAR = "'2099-01-01 00:00:00'"
NEAR = "'2098-01-01 00:00:00'"


@dataclass(frozen=True)
class Bad:
    """A row that cannot be read for its *field*, and the change that mends it.

    *at* are the databases that take it; the others refuse it themselves.
    """

    field: str
    columns: dict[str, str]
    mended: str
    at: tuple[str, ...] = DATABASES


SQLITE = ("sqlite",)
EVERY = {"every": "'1 second'"}
BAD = {
    "bad cron": Bad("cron", {"cron": "'61 * * * *'"}, "cron = NULL, every = 'second'"),
    "four fields": Bad("cron", {"cron": "'* * * *'"}, "cron = NULL, every = 'second'"),
    "no unit": Bad("every", {"every": "'15'"}, "every = '1 second'"),
    "no number": Bad("every", {"every": "'some seconds'"}, "every = '1 second'"),
    "part of an hour": Bad("every", {"every": "'1.5 hours'"}, "every = '1 second'"),
    "no instant": Bad("once", {"once": "'someday'"}, "once = NULL, every = 'second'"),
    "nothing that says when": Bad("every", {}, "every = '1 second'"),
    "at alone": Bad("at", {"cron": "'* * * * *'", "at": "'15:30'"}, "at = NULL, every = 'second'"),
    "at not finer": Bad("at", {"every": "'1 hour'", "at": "'15:30'"}, "at = NULL, every = 'second'"),
    "unknown zone": Bad("timezone", {**EVERY, "timezone": "'Mars/Olympus'"}, "timezone = NULL"),
    "ends first": Bad("ends_at", {**EVERY, "starts_at": FAR, "ends_at": NEAR}, "starts_at = NULL"),
    "bad word": Bad("misfire", {**EVERY, "misfire": "'maybe'"}, "misfire = 'skip'"),
    "below zero": Bad("jitter", {**EVERY, "jitter": "-1"}, "jitter = 0"),
    "no fire at all": Bad("max_fires", {**EVERY, "max_fires": "0"}, "max_fires = 99"),
    "limit of runs": Bad(
        "max_concurrency", {**EVERY, "max_concurrency": "2"}, "max_concurrency = NULL"
    ),
    "args no list": Bad("args", {**EVERY, "args": "'{\"a\": 1}'"}, "args = '[1]'"),
    "kwargs no object": Bad("kwargs", {**EVERY, "kwargs": "'[1]'"}, "kwargs = NULL"),
    "eta is ours": Bad("options", {**EVERY, "options": "'{\"eta\": 1}'"}, "options = '{}'"),
    "broken JSON": Bad("args", {**EVERY, "args": "'[1,'"}, "args = '[1]'", SQLITE),
    "text for a number": Bad("max_fires", {**EVERY, "max_fires": "'many'"}, "max_fires = 9", SQLITE),
    "text for seconds": Bad("jitter", {**EVERY, "jitter": "'soon'"}, "jitter = 0", SQLITE),
    "text for an instant": Bad("ends_at", {**EVERY, "ends_at": "'never'"}, "ends_at = NULL", SQLITE),
    "text for the past": Bad(
        "created_at", {**EVERY, "created_at": "'long ago'"}, f"created_at = {NEAR}", SQLITE
    ),
}


@dataclass(frozen=True)
class Desk:
    kind: str
    beat: Beat
    run: Callable[[str], str]
    tables: Tables

    def insert(self, name: str, columns: dict[str, str]) -> None:
        names, values = ("".join(f", {each}" for each in part) for part in zip(*columns.items()))
        self.run(
            f"INSERT INTO jobsched_jobs (name, task{names}) VALUES ('{name}', 'proj.note'{values})"
        )

    def wait_for_steady(self, count: int) -> None:
        """Wait for so many more fires of the job that is well."""
        wanted = len(self.tables.fires("steady")) + count
        wait_until(lambda: len(self.tables.fires("steady")) >= wanted, count + 3, self.beat.log)
