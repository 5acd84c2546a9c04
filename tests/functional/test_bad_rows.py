"""Definitions that nobody can read: in rows written by SQL, and in the configuration.

One beat a database, which all tests of this file share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta, timezone
from itertools import pairwise
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
PAST = "'2026-01-01 00:00:00'"
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
    "a day that no month has": Bad(
        "rrule",
        {"rrule": "'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30'"},
        "rrule = 'FREQ=SECONDLY'",
    ),
    "nothing that says when": Bad("every", {}, "every = '1 second'"),
    "at alone": Bad("at", {"cron": "'* * * * *'", "at": "'15:30'"}, "at = NULL, every = 'second'"),
    "at not finer": Bad(
        "at", {"every": "'1 hour'", "at": "'15:30'"}, "at = NULL, every = 'second'"
    ),
    "unknown zone": Bad("timezone", {**EVERY, "timezone": "'Mars/Olympus'"}, "timezone = NULL"),
    "ends first": Bad("ends_at", {**EVERY, "starts_at": FAR, "ends_at": NEAR}, "starts_at = NULL"),
    "bad word": Bad("misfire", {**EVERY, "misfire": "'maybe'"}, "misfire = 'skip'"),
    "below zero": Bad("jitter", {**EVERY, "jitter": "-1"}, "jitter = 0"),
    "no fire at all": Bad("max_fires", {**EVERY, "max_fires": "0"}, "max_fires = 99"),
    "limit of runs": Bad(
        "max_concurrency", {**EVERY, "max_concurrency": "0"}, "max_concurrency = NULL"
    ),
    "args no list": Bad("args", {**EVERY, "args": "'{\"a\": 1}'"}, "args = '[1]'"),
    "kwargs no object": Bad("kwargs", {**EVERY, "kwargs": "'[1]'"}, "kwargs = NULL"),
    "eta is ours": Bad("options", {**EVERY, "options": "'{\"eta\": 1}'"}, "options = '{}'"),
    "broken JSON": Bad("args", {**EVERY, "args": "'[1,'"}, "args = '[1]'", SQLITE),
    "text in Latin-1": Bad(
        "args", {**EVERY, "args": "CAST(x'5b22e9225d' AS TEXT)"}, "args = '[1]'", SQLITE
    ),
    "bytes for a text": Bad("every", {"every": "x'ff31'"}, "every = '1 second'", SQLITE),
    "text for a number": Bad(
        "max_fires", {**EVERY, "max_fires": "'many'"}, "max_fires = 9", SQLITE
    ),
    "text for seconds": Bad("jitter", {**EVERY, "jitter": "'soon'"}, "jitter = 0", SQLITE),
    "text for an instant": Bad(
        "ends_at", {**EVERY, "ends_at": "'never'"}, "ends_at = NULL", SQLITE
    ),
    "text for the past": Bad(
        "created_at",
        {**EVERY, "created_at": "'long ago'"},
        f"created_at = {PAST}",
        SQLITE,
    ),
    "text for the count": Bad(
        "fire_count",
        {**EVERY, "fire_count": "'many'"},
        "fire_count = 0",
        SQLITE,
    ),
    "bytes for an instant": Bad(
        "starts_at", {**EVERY, "starts_at": "x'ff00'"}, "starts_at = NULL", SQLITE
    ),
    "before the first year": Bad(
        "ends_at", {**EVERY, "ends_at": "'0001-01-01T00:00:00+14:00'"}, "ends_at = NULL", SQLITE
    ),
    "made in the first year": Bad(
        "definition", {**EVERY, "created_at": "'0001-01-01 00:00:00'"}, f"created_at = {PAST}"
    ),
    "a decimal of JSON that is none": Bad(
        "args",
        {**EVERY, "args": """'[{"__type__": "decimal", "__value__": "many"}]'"""},
        "args = '[1]'",
    ),
    "a header of Celery": Bad(
        "options",
        {**EVERY, "options": """'{"headers": {"task": "proj.other"}}'"""},
        "options = NULL",
    ),
}

#: A column and its value, and the databases that refuse it by a type or a constraint.
REFUSED = {
    ("args", "'[1,'"): ("postgresql", "mysql"),
    ("max_fires", "'many'"): ("postgresql", "mysql"),
    ("jitter", "'soon'"): ("postgresql", "mysql"),
    ("ends_at", "'never'"): ("postgresql", "mysql"),
    ("ends_at", "'infinity'"): ("postgresql", "mysql"),
    ("created_at", "'12026-01-01'"): ("postgresql", "mysql"),
    ("enabled", "'true'"): ("sqlite", "mysql"),
    ("enabled", "NULL"): DATABASES,
    ("task", "NULL"): DATABASES,
}


@dataclass(frozen=True)
class Desk:
    kind: str
    beat: Beat
    run: Callable[[str], str]
    tables: Tables

    def taken(self) -> dict[str, Bad]:
        """The bad rows that this database takes."""
        return {name: bad for name, bad in BAD.items() if self.kind in bad.at}

    def insert(self, name: str, columns: dict[str, str]) -> None:
        given = {"name": f"'{name}'", "task": "'proj.note'", **columns}
        names, values = ", ".join(given), ", ".join(given.values())
        self.run(f"INSERT INTO jobsched_jobs ({names}) VALUES ({values})")

    def errors(self) -> dict[str, str]:
        """What is written in the column `error`, by job."""
        return {name: row.error for name, row in self.tables.jobs().items() if row.error}

    def fired(self) -> set[str]:
        return {fire.job_name for fire in self.tables.fires()}

    def wait_for_steady(self, count: int) -> None:
        """Wait for so many more fires of the job that is well."""
        wanted = len(self.tables.fires("steady")) + count
        wait_until(lambda: len(self.tables.fires("steady")) >= wanted, count + 3, self.beat.log)


@pytest.fixture(scope="module", params=DATABASES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("bad")
    with fresh_stack(request.param, "redis", folder) as stack:
        conf = {"jobsched_jobs": {"steady": {"task": "proj.note", "every": "second"}}}
        with Beat(stack, conf=conf) as beat:
            tables = Tables(stack)
            wait_until(lambda: tables.has_any() and tables.jobs(), 10, beat.log)
            desk = Desk(request.param, beat, sql_client(stack.database_url), tables)
            for name, bad in desk.taken().items():
                desk.insert(name, bad.columns)
            yield desk


def test_the_error_of_a_row_names_the_column(desk: Desk) -> None:
    wait_until(lambda: desk.errors().keys() >= desk.taken().keys(), 5, desk.errors)

    said = {name: error.partition(":")[0] for name, error in desk.errors().items()}
    assert said == {name: bad.field for name, bad in desk.taken().items()}
    assert all(": expected " in error and ", got: " in error for error in desk.errors().values())


def test_it_is_logged_once_and_nothing_of_it_fires(desk: Desk) -> None:
    desk.wait_for_steady(2)

    logged = {name: desk.beat.log().count(f"job '{name}': ") for name in desk.taken()}
    assert logged == dict.fromkeys(desk.taken(), 1)
    assert {fire.job_name for fire in desk.tables.fires()} == {"steady"}
    assert all(desk.tables.job(name).next_fire_at is None for name in desk.taken())


def test_a_bad_row_fires_once_it_is_mended(desk: Desk) -> None:
    for name, bad in desk.taken().items():
        desk.run(f"UPDATE jobsched_jobs SET {bad.mended} WHERE name = '{name}'")

    wait_until(lambda: not desk.errors(), 5, desk.errors)
    wait_until(
        lambda: desk.fired() >= desk.taken().keys(), 5, lambda: desk.taken().keys() - desk.fired()
    )


def test_a_row_that_is_spoilt_again_stops_again(desk: Desk) -> None:
    desk.run("UPDATE jobsched_jobs SET every = '15' WHERE name = 'no unit'")

    wait_until(lambda: "no unit" in desk.errors(), 5)
    count = len(desk.tables.fires("no unit"))
    desk.wait_for_steady(2)
    assert len(desk.tables.fires("no unit")) == count


def test_the_other_jobs_went_on(desk: Desk) -> None:
    instants = [fire.fire_at for fire in desk.tables.fires("steady")]

    assert {b - a for a, b in pairwise(instants)} == {SECOND}
    assert "tick failed" not in desk.beat.log()


def test_what_a_database_refuses_by_itself_never_gets_in(desk: Desk) -> None:
    for column, value in [each for each, by in REFUSED.items() if desk.kind in by]:
        columns = {"task": "'proj.note'", **EVERY, column: value}
        names, values = ", ".join(columns), ", ".join(columns.values())

        with pytest.raises(ClientError):
            desk.run(f"INSERT INTO jobsched_jobs (name, {names}) VALUES ('refused', {values})")

    assert "refused" not in desk.tables.jobs()


#: InvalidJob, or the kind of it that ends an interval which could fail to advance.
ERRORS = re.compile(r"celery_jobsched\.errors\.(InvalidJob|NextFireTimeError)")
DECLARED = {
    "bad cron": ("cron", {"cron": "61 * * * *"}),
    "no unit": ("every", {"every": "15"}),
    "not finer": ("at", {"every": "hour", "at": {"hour": 3}}),
    "unknown zone": ("timezone", {"every": "hour", "timezone": "Mars/Olympus"}),
    "nothing that says when": ("every", {"args": [1]}),
    "limit of runs": ("max_concurrency", {"every": "hour", "max_concurrency": 0}),
    "misspelt": ("evry", {"evry": "hour"}),
}


@pytest.mark.parametrize("name", DECLARED)
def test_a_bad_declaration_ends_the_beat_before_anything_fires(name: str, tmp_path: Path) -> None:
    field, definition = DECLARED[name]
    good = {"task": "proj.note", "every": "second"}
    bad = {"task": "proj.note", **definition}
    command = ("beat", "-S", "celery_jobsched.Scheduler", "--pidfile=")

    with fresh_stack("sqlite", "filesystem", tmp_path) as stack:
        ended = run_celery(stack, *command, conf={"jobsched_jobs": {"good": good, name: bad}})
        tables = Tables(stack)

        assert ended.returncode != 0
        assert f"job {name!r}: {field}: expected " in ended.stderr, ended.stderr
        assert ERRORS.search(ended.stderr), ended.stderr
        assert not tables.has_any()
