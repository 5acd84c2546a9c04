"""Users with few rights, made by the SQL of the page about security: what each can do, and cannot.

Beats, commands, workers and editors of this test run as these users, on real servers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from celery_jobsched.store import tables
from celery_jobsched.store.engine import is_denied, make_engine
from tests.clients import ClientError, sql_client
from tests.functional.test_docs import OF_USERS, statements
from tests.persons import Person, Run, runs
from tests.processes import Worker, wait_until
from tests.records import Records, settle, ticking
from tests.services import drop_users, fresh_database
from tests.stacks import Stack, fresh_broker

UTC = timezone.utc
SERVERS = ("postgresql", "mysql")
PASSWORD = re.compile(r"CREATE (?:ROLE|USER) jobs_(\w+).* '([^'%]+)';")
NAME = re.compile(r"\bjobs_(beat|editor|reader|worker)\b")
#: What of a job's row an editor must not change: the scheduler's, and whose the row is.
NOT_EDITED = {
    "id", "source", "created_at", "anchor_at", "next_fire_at", "due_at", "last_fire_at",
    "fire_count", "failure_count", "planned", "error", "wake_at",
}  # fmt: skip
LOCK_TABLES = {"jobsched_slot_keys", "jobsched_slots", "jobsched_admissions", "jobsched_reports"}


@dataclass
class Shop:
    """A database with its tables, made by its owner, and the users of the page."""

    kind: str
    owner_url: str
    folder: Path

    @cached_property
    def statements(self) -> list[str]:
        return statements(OF_USERS, self.kind)

    @cached_property
    def passwords(self) -> dict[str, str]:
        return dict(PASSWORD.findall("".join(self.statements)))

    @property
    def name(self) -> str:
        return str(make_url(self.owner_url).database)

    @property
    def users(self) -> list[str]:
        return [f"{self.name}_{user}" for user in self.passwords]

    def url(self, user: str) -> str:
        found = make_url(self.owner_url).set(
            username=f"{self.name}_{user}", password=self.passwords[user]
        )
        return found.render_as_string(hide_password=False)

    def make_users(self) -> None:
        for statement in self.statements:
            local = NAME.sub(rf"{self.name}_\1", statement).replace("shop.", f"{self.name}.")
            sql_client(self.owner_url)(local)

    def conf(self, user: str) -> dict[str, Any]:
        """The settings of a process that is this user to the database."""
        return {
            "jobsched_database_url": self.url(user),
            "jobsched_lock_backend": "database",
            "jobsched_auto_migrate": False,
        }

    @contextmanager
    def person(self, user: str) -> Iterator[Person]:
        found = Person(self.url(user), self.folder, prepare=False, **self.conf(user))
        try:
            yield found
        finally:
            found.close()

    @contextmanager
    def commands(self, user: str) -> Iterator[Run]:
        with self.person(user) as person:
            yield runs(person)

    def refuses(self, user: str, statement: str) -> bool:
        """Whether the database does not let *user* do that; what it lets is undone."""
        engine = make_engine(self.url(user), 10)
        try:
            with engine.connect() as conn:
                conn.execute(sa.text(statement))
        except DBAPIError as error:
            return is_denied(error)
        finally:
            engine.dispose()
        return False


@pytest.fixture(scope="module", params=SERVERS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    users: list[str] = []
    try:
        with fresh_database(request.param, folder) as url:
            owner = Person(url, folder, prepare=False)
            made = runs(owner)("db", "upgrade")
            assert made.exit_code == 0, made.output
            found = Shop(request.param, url, folder)
            users += found.users
            found.make_users()
            with ticking(owner.stack) as beat:
                settle(beat)
            owner.jobs.add("kept", task="proj.note", every="1 hour")
            yield found
            owner.close()
    finally:
        drop_users(request.param, users)


def test_the_page_has_four_users_and_a_beat_has_every_table(shop: Shop) -> None:
    of_beats = " ".join(each for each in shop.statements if "jobs_beat" in each)

    assert set(shop.passwords) == {"beat", "editor", "reader", "worker"}
    assert [name for name in tables.metadata.tables if name not in of_beats] == []


def test_beats_workers_and_editors_do_their_work_with_the_rights_of_the_page(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    declared = {"declared": {"task": "proj.note", "every": "hour", "only_during": "office"}}
    conf = {
        **shop.conf("beat"),
        "imports": ["celery_jobsched.worker"],
        "jobsched_jobs": declared,
        "jobsched_calendars": {"office": "mon-fri 09:00-17:00"},
    }
    edit = sql_client(shop.url("editor"))
    with fresh_broker("filesystem", tmp_path) as broker, Records(shop.owner_url) as records:
        stack = Stack(shop.kind, "filesystem", tmp_path, {**conf, **broker})
        worker = Worker(stack, conf=shop.conf("worker"))
        with stack.on_end, ticking(stack) as beat, worker:
            settle(beat)
            edit(
                "INSERT INTO jobsched_jobs (name, task, every, max_concurrency, overlap, "
                "on_success)"
                " VALUES ('limited', 'proj.note', '1 second', 1, 'wait', 'proj.note');"
                "INSERT INTO jobsched_jobs (name, task, every, max_failures)"
                " VALUES ('fails', 'proj.fail', '1 second', 1);"
                "INSERT INTO jobsched_jobs (name, task, once, on_end)"
                f" VALUES ('goes', 'proj.note', '{datetime.now(UTC).isoformat()}', 'delete');"
                "INSERT INTO jobsched_jobs (name, task, keyword) VALUES ('bad', '', 'k');"
                "INSERT INTO jobsched_calendars (name, definition) VALUES ('free', 'sat, sun');"
            )

            def is_done() -> bool:
                beat.tick()
                ended = records.fires("limited", "succeeded")
                followed = [row for row in ended if row["origin"] == "follow-up"]
                jobs = records.jobs()
                is_left = "goes" in jobs or jobs["fails"]["enabled"]
                return len(ended) >= 3 and bool(followed) and not is_left

            wait_until(is_done, 30, lambda: f"{worker.log()}\n{records.fires()}\n{caplog.text}")
            edit("UPDATE jobsched_jobs SET enabled = false WHERE name = 'limited';")
            edit("UPDATE jobsched_calendars SET definition = 'sun' WHERE name = 'free';")
            edit("DELETE FROM jobsched_jobs WHERE name = 'bad';")
            settle(beat)
            later = datetime.now(UTC) + timedelta(days=60)
            beat._upkeep._pruning.prune(beat._upkeep.locks, later)

            assert records.fires("limited", "succeeded") == []
            assert not any(is_a_refusal(text) for text in (worker.log(), caplog.text))
        assert records.beats() == []


def is_a_refusal(log: str) -> bool:
    return "denied" in log


@pytest.mark.parametrize("user", ["beat", "editor", "reader", "worker"])
def test_none_of_them_can_make_or_change_tables(shop: Shop, user: str) -> None:
    for statement in (
        "CREATE TABLE mine (id INTEGER)",
        "ALTER TABLE jobsched_jobs ADD COLUMN mine INTEGER",
        "DROP TABLE jobsched_fires",
        "TRUNCATE TABLE jobsched_fires",
        "UPDATE jobsched_version SET version_num = '9'",
    ):
        with pytest.raises(ClientError, match=r"denied|must be owner"):
            sql_client(shop.url(user))(f"{statement};")


def test_a_beat_without_the_right_says_what_it_lacks(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    older = "UPDATE jobsched_version SET version_num = '{}'"
    owner = sql_client(shop.owner_url)
    current = owner("SELECT version_num FROM jobsched_version")
    owner(older.format("0005"))
    try:
        with shop.person("beat") as person, shop.commands("beat") as run:
            upgraded = run("db", "upgrade")
            with ticking(person.stack) as beat:
                beat.tick()
            apart = caplog.text
            with ticking(person.stack, person.app(jobsched_auto_migrate=True)) as beat:
                beat.tick()
    finally:
        owner(older.format(current))

    assert upgraded.exit_code == 1
    assert re.search(r"^the database does not allow that: .*(denied|owner)", upgraded.stderr)
    assert "the tables are of version 0005, this release needs" in apart
    assert re.search(r"tick failed, trying again: .*(denied|owner)", caplog.text)


def test_an_editor_writes_definitions_and_no_state(shop: Shop) -> None:
    change = "UPDATE jobsched_jobs SET {0} = {0} WHERE name = 'kept'"
    names = {column.name for column in tables.jobs.c}

    refused = {name for name in names - {"wake_at"} if shop.refuses("editor", change.format(name))}

    assert refused == NOT_EDITED - {"wake_at"}
    for statement in (
        "INSERT INTO jobsched_jobs (name, task, every, fire_count) VALUES ('a', 'b', 'day', 5)",
        "INSERT INTO jobsched_fires (id) VALUES ('a')",
        "DELETE FROM jobsched_changes",
        "SELECT * FROM jobsched_meta",
        "UPDATE jobsched_slots SET released = true",
    ):
        assert shop.refuses("editor", statement), statement


def test_an_editor_has_the_commands_that_write_definitions(shop: Shop) -> None:
    with shop.commands("editor") as run:
        allowed = [
            run("add", "mine", "task=proj.note", "every=hour"),
            run("set", "mine", "cron=0 9 * * *", "every="),
            run("pause", "mine", "--note", "a while"),
            run("remove", "mine", "--yes"),
        ]
        refused = [run("run", "kept"), run("freeze", "--yes")]

    assert [each.output for each in allowed if each.exit_code] == []
    for each in refused:
        assert each.exit_code == 1, each.output
        assert re.match(r"the database does not allow that: .*denied", each.stderr)


def test_a_reader_looks_and_changes_nothing(shop: Shop) -> None:
    with shop.commands("reader") as run:
        looks = [
            run("list"),
            run("show", "kept"),
            run("next", "kept"),
            run("history", "kept"),
            run("explain", "kept"),
            run("status"),
        ]
        edits = [
            run("pause", "kept"),
            run("set", "kept", "every=day"),
            run("add", "mine", "task=proj.note", "every=hour"),
            run("remove", "kept", "--yes"),
            run("run", "kept"),
        ]

    # 3: it was looked, and the answer is no.
    assert [each.output for each in looks if each.exit_code not in {0, 3}] == []
    assert not any(is_a_refusal(each.output) for each in looks)
    assert [each.exit_code for each in edits] == [1] * len(edits), [e.output for e in edits]
    for table in tables.metadata.tables:
        assert shop.refuses("reader", f"DELETE FROM {table}"), table


def test_a_worker_has_the_tables_of_the_locks_alone(shop: Shop) -> None:
    others = set(tables.metadata.tables) - LOCK_TABLES - {"jobsched_meta"}

    for table in others:
        assert shop.refuses("worker", f"SELECT * FROM {table}"), table
        assert shop.refuses("worker", f"DELETE FROM {table}"), table
    assert not any(shop.refuses("worker", f"SELECT * FROM {table}") for table in LOCK_TABLES)
