"""Edits by psql, mariadb and sqlite3 beside a running beat: each counts with the next poll.

One beat a database, which all tests of this file share; each has jobs of its own. The seconds of
each pickup go from before the client was started to when the effect was seen, so they tell too
much rather than too little; they are in the report as the property ``pickup_seconds``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.clients import sql_client
from tests.collector import Collector
from tests.processes import Beat, wait_until
from tests.services import DATABASES
from tests.stacks import fresh_stack
from tests.tables import Tables

UTC = timezone.utc
SECOND = timedelta(seconds=1)
#: What is promised is 0.5 s after the commit; the rest is room for a machine that is busy.
PICKUP = 2.0


@dataclass
class Desk:
    """Where the edits are made and their effects seen."""

    run: Callable[[str], str]
    tables: Tables
    collector: Collector
    report: Callable[[str, object], None] = print

    def edit(self, sql: str, seen: Callable[[], Any]) -> None:
        """Commit *sql*; return when *seen* is true, and report the seconds that it took."""
        began = time.monotonic()
        self.run(sql)
        wait_until(seen, PICKUP, sql)
        self.report("pickup_seconds", round(time.monotonic() - began, 3))

    def insert(self, name: str, when: str, **columns: str) -> None:
        """A new row, planned."""
        named = "".join(f", {column}" for column in columns)
        values = "".join(f", {value}" for value in columns.values())
        sql = f"INSERT INTO jobsched_jobs (name, task, every{named}) VALUES "
        sql += f"('{name}', 'proj.note', '{when}'{values})"
        self.edit(sql, lambda: self.tables.job(name).planned)

    def update(self, name: str, change: str, seen: Callable[[], Any]) -> None:
        self.edit(f"UPDATE jobsched_jobs SET {change} WHERE name = '{name}'", seen)

    def instants(self, name: str) -> list[datetime]:
        return [fire.fire_at for fire in self.tables.fires(name)]

    def sent(self, name: str) -> list[datetime]:
        return [fire.fire_at for fire in self.tables.fires(name) if fire.state == "sent"]

    def wait_for_fires(self, name: str, count: int) -> list[datetime]:
        """The instants of the job, once there are *count* more than now."""
        wanted = count + len(self.instants(name))
        wait_until(lambda: len(self.instants(name)) >= wanted, count + 3, name)
        return self.instants(name)

    def next_fire_at(self, name: str) -> datetime:
        return self.tables.job(name).next_fire_at


@pytest.fixture(scope="module", params=DATABASES)
def shared_desk(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("edits")
    with fresh_stack(request.param, "redis", folder) as stack:
        conf = {"jobsched_jobs": {"steady": {"task": "proj.note", "every": "second"}}}
        with Beat(stack, conf=conf) as beat, Collector(stack) as collector:
            wait_until(lambda: collector.count, 10, beat.log)
            yield Desk(sql_client(stack.database_url), Tables(stack), collector)
            assert "ERROR" not in beat.log(), beat.log()


@pytest.fixture
def desk(shared_desk: Desk, record_property: Callable[[str, object], None]) -> Desk:
    shared_desk.report = record_property
    return shared_desk


def test_an_inserted_row_fires_in_the_second_it_was_made_in(desk: Desk) -> None:
    desk.insert("inserted", "1 second")

    created_at = desk.tables.job("inserted").created_at
    wait_until(lambda: desk.instants("inserted"), PICKUP)
    assert desk.instants("inserted")[0] == created_at.replace(microsecond=0)


def test_an_updated_schedule_counts_from_now(desk: Desk) -> None:
    desk.insert("slow", "1 hour", created_at=f"'{_ago(minutes=30)}'")
    before = desk.next_fire_at("slow")
    edited_at = datetime.now(UTC)

    desk.update("slow", "every = '1 second'", lambda: desk.next_fire_at("slow") != before)

    instants = desk.wait_for_fires("slow", 2)
    first = [at for at in instants if at > edited_at - SECOND]
    assert first[0] - edited_at < 2 * SECOND
    assert instants[-len(first) :] == [first[0] + k * SECOND for k in range(len(first))]


def test_once_set_to_now_by_an_edit_fires_once(desk: Desk) -> None:
    past = f"'{_ago(days=30)}'"
    desk.insert("again", "1 day", created_at=past, once="'2030-01-01T00:00:00Z'", misfire="'skip'")
    desk.update("again", "every = NULL", lambda: desk.next_fire_at("again").year == 2030)

    for fires in (1, 2):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        desk.run(f"UPDATE jobsched_jobs SET once = '{now}' WHERE name = 'again'")
        wait_until(lambda: len(desk.sent("again")) == fires, PICKUP + 1)  # noqa: B023
        wait_until(lambda: datetime.now(UTC) > datetime.fromisoformat(now) + SECOND, 3)  # noqa: B023


def test_a_disabled_row_fires_no_more(desk: Desk) -> None:
    desk.insert("disabled", "1 second")
    desk.wait_for_fires("disabled", 1)

    desk.update("disabled", "enabled = false", lambda: desk.next_fire_at("disabled") is None)

    disabled_at = datetime.now(UTC)
    desk.wait_for_fires("steady", 2)
    assert desk.instants("disabled")[-1] <= disabled_at


def test_a_month_old_row_that_is_enabled_again_fires_nothing_for_the_past(desk: Desk) -> None:
    month_ago = f"'{_ago(days=30)}'"
    columns = {"created_at": month_ago, "last_fire_at": month_ago, "misfire": "'all'"}
    desk.insert("month old", "1 second", enabled="false", **columns)
    edited_at = datetime.now(UTC)

    desk.update("month old", "enabled = true", lambda: desk.next_fire_at("month old"))

    desk.wait_for_fires("month old", 2)
    fires = desk.tables.fires("month old")
    assert {fire.state for fire in fires} <= {"pending", "sent"}
    assert {fire.origin for fire in fires} == {"schedule"}
    assert edited_at < fires[0].fire_at < edited_at + 2 * SECOND


def test_a_deleted_row_fires_no_more(desk: Desk) -> None:
    desk.insert("deleted", "1 second")
    desk.wait_for_fires("deleted", 1)

    desk.run("DELETE FROM jobsched_jobs WHERE name = 'deleted'")

    deleted_at = datetime.now(UTC)
    desk.wait_for_fires("steady", 2)
    assert desk.instants("deleted")[-1] <= deleted_at


def test_jobs_that_nobody_touched_keep_their_next_instant(desk: Desk) -> None:
    desk.insert("untouched", "1 hour", created_at=f"'{_ago(minutes=7)}'")
    desk.insert("neighbour", "1 hour", created_at=f"'{_ago(minutes=9)}'")
    for name in ("untouched", "neighbour"):
        wait_until(lambda: desk.next_fire_at(name) > datetime.now(UTC), PICKUP, name)  # noqa: B023
    before = desk.tables.job("untouched")

    edit = "every = '2 hours'"
    known = desk.next_fire_at("neighbour")
    desk.update("neighbour", edit, lambda: desk.next_fire_at("neighbour") != known)

    assert desk.tables.job("untouched") == before
    assert desk.next_fire_at("neighbour") == known + timedelta(hours=1)


def test_the_next_fire_has_the_new_arguments_at_the_same_instant(desk: Desk) -> None:
    desk.insert("argued", "3 seconds", created_at=f"'{_ago(seconds=1)}'", args="'[1]'")
    wait_until(lambda: _messages(desk, "argued"), PICKUP)
    before = desk.next_fire_at("argued")

    change = """args = '[2]', kwargs = '{"a": "b"}', description = 'of tomorrow'"""
    desk.run(f"UPDATE jobsched_jobs SET {change} WHERE name = 'argued'")

    assert desk.next_fire_at("argued") == before
    second = wait_until(lambda: _messages(desk, "argued")[1:], 5)[0]
    assert [(m.args, m.kwargs) for m in _messages(desk, "argued")] == [([1], {}), ([2], {"a": "b"})]
    assert datetime.fromisoformat(second.fire_at.replace("Z", "+00:00")) == before


def test_a_paused_row_wakes_by_itself(desk: Desk) -> None:
    until = datetime.now(UTC) + timedelta(seconds=1.5)
    paused = {"enabled": "false", "paused_by": "'a person'", "paused_until": f"'{until:%F %T.%f}'"}

    desk.insert("paused", "1 second", **paused)

    assert not desk.tables.job("paused").enabled
    first = desk.wait_for_fires("paused", 1)[0]
    assert until < first < until + 2 * SECOND
    row = desk.tables.job("paused")
    assert row.enabled
    assert (row.paused_by, row.paused_until) == (None, None)


def test_nothing_of_all_that_disturbed_the_others(desk: Desk) -> None:
    instants = desk.instants("steady")

    assert {b - a for a, b in pairwise(instants)} == {SECOND}


def _messages(desk: Desk, job: str) -> list[Any]:
    return [message for message in desk.collector.messages() if message.job == job]


def _ago(**span: float) -> str:
    return f"{datetime.now(UTC) - timedelta(**span):%F %T.%f}"
