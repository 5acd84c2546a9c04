"""Calendars edited by psql, mariadb and sqlite3 beside a running beat: each edit counts in time.

One beat a database, which all tests of this file share; each has calendars and jobs of its own. The
seconds from before the client was started to when the effect was seen are in the report as
the property ``pickup_seconds``.
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
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.services import DATABASES
from tests.stacks import fresh_stack
from tests.tables import Tables

UTC = timezone.utc
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
#: What is promised is a second after the commit; the rest is room for a machine that is busy.
PICKUP = 4.0
DECLARED = {"weekends": "sat, sun"}


@dataclass
class Desk:
    """Where the edits are made and their effects seen."""

    run: Callable[[str], str]
    tables: Tables
    report: Callable[[str, object], None] = print

    def edit(self, sql: str, seen: Callable[[], Any]) -> None:
        """Commit *sql*; return when *seen* is true, and report the seconds that it took."""
        began = time.monotonic()
        self.run(sql)
        wait_until(seen, PICKUP, sql)
        self.report("pickup_seconds", round(time.monotonic() - began, 3))

    def put(self, name: str, definition: str) -> str:
        """The SQL that makes a calendar."""
        into = "INSERT INTO jobsched_calendars (name, definition) VALUES"
        return f"{into} ('{name}', '{definition}');"

    def change(self, name: str, definition: str) -> str:
        change = f"UPDATE jobsched_calendars SET definition = '{definition}'"
        return f"{change} WHERE name = '{name}';"

    def add(self, name: str, when: str, not_during: str) -> str:
        into = "INSERT INTO jobsched_jobs (name, task, cron, not_during) VALUES"
        return f"{into} ('{name}', 'proj.note', '{when}', '{not_during}');"

    def job(self, name: str) -> Any:
        return self.tables.job(name)

    def instants(self, name: str) -> list[datetime]:
        return [fire.fire_at for fire in self.tables.fires(name)]

    def calendar(self, name: str) -> Any:
        query = "SELECT * FROM jobsched_calendars WHERE name = :name"
        return (self.tables.rows(query, name=name) or [None])[0]


@pytest.fixture(scope="module", params=DATABASES)
def shared_desk(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("calendars")
    with fresh_stack(request.param, "redis", folder) as stack:
        jobs = {
            "steady": {"task": "proj.note", "every": "second"},
            "declared": {"task": "proj.note", "cron": "0 0 * * *", "not_during": "weekends"},
        }
        conf = {"jobsched_jobs": jobs, "jobsched_calendars": DECLARED}
        with Beat(stack, conf=conf) as beat:
            tables = Tables(stack)
            wait_until(lambda: tables.has_any() and tables.fires("steady"), 15, beat.log)
            yield Desk(sql_client(stack.database_url), tables)
            known = "calendar 'holidays'", "job 'names what is missing'"
            errors = [line for line in beat.log().splitlines() if "ERROR" in line]
            assert [line for line in errors if not any(each in line for each in known)] == []


@pytest.fixture
def desk(shared_desk: Desk, record_property: Callable[[str, object], None]) -> Desk:
    shared_desk.report = record_property
    return shared_desk


def midnight() -> datetime:
    """The next but one, in UTC."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + 2 * DAY


def test_calendars_of_the_configuration_are_rows_like_others(desk: Desk) -> None:
    assert desk.calendar("weekends").definition == "sat, sun"
    assert desk.calendar("weekends").source == "config:proj"
    wait_until(lambda: desk.calendar("weekends").planned, PICKUP)
    assert desk.job("declared").next_fire_at.weekday() < 5


def test_an_edited_calendar_moves_the_jobs_that_name_it(desk: Desk) -> None:
    day = midnight()
    every_day = ", ".join(f"{day - k * DAY:%F}" for k in range(3))
    desk.edit(
        desk.put("closed", every_day) + desk.add("moves", "0 0 * * *", "closed; 2001-01-01"),
        lambda: desk.job("moves").next_fire_at == day + DAY,
    )

    wider = f"{every_day}, {day + DAY:%F}"
    desk.edit(desk.change("closed", wider), lambda: desk.job("moves").next_fire_at == day + 2 * DAY)

    desk.edit(desk.change("closed", every_day), lambda: desk.job("moves").next_fire_at == day + DAY)
    assert desk.job("moves").error is None
    assert desk.instants("moves") == []


def test_a_job_stops_within_a_calendar_and_goes_on_behind_it(desk: Desk) -> None:
    desk.run(desk.put("stop", "2001-01-01") + desk.add("stops", "* * * * * *", "stop"))
    wait_until(lambda: len(desk.instants("stops")) >= 2, PICKUP + 2)

    days = f"{midnight() - 3 * DAY:%F}..{midnight():%F}"
    desk.edit(desk.change("stop", days), lambda: desk.job("stops").next_fire_at > midnight())
    stopped = desk.instants("stops")
    seconds = len(desk.instants("steady"))
    wait_until(lambda: len(desk.instants("steady")) >= seconds + 2, 5)
    assert desk.instants("stops") == stopped

    began = datetime.now(UTC)
    desk.edit(desk.change("stop", "2001-01-01"), lambda: len(desk.instants("stops")) > len(stopped))
    assert all(at > began - SECOND for at in desk.instants("stops")[len(stopped) :])


def test_what_is_missing_or_wrong_is_told_and_heals_by_itself(desk: Desk) -> None:
    desk.edit(
        desk.add("names what is missing", "0 0 * * *", "holidays"),
        lambda: "none named holidays" in (desk.job("names what is missing").error or ""),
    )

    desk.edit(desk.put("holidays", "12-25"), lambda: desk.job("names what is missing").next_fire_at)
    assert desk.job("names what is missing").error is None

    desk.edit(
        desk.change("holidays", "12-32"),
        lambda: "in the calendar holidays" in (desk.job("names what is missing").error or ""),
    )
    assert "not '12-32'" in desk.calendar("holidays").error

    desk.edit(
        desk.change("holidays", "12-26"),
        lambda: desk.job("names what is missing").error is None,
    )
    assert desk.calendar("holidays").error is None


def test_many_jobs_are_woken_beside_others_that_fire(desk: Desk) -> None:
    day, count = midnight(), 3000
    desk.run(desk.put("shared", "2001-01-01"))
    rows = ", ".join(f"('shares {n}', 'proj.note', '0 0 * * *', 'shared')" for n in range(count))
    desk.run(f"INSERT INTO jobsched_jobs (name, task, cron, not_during) VALUES {rows};")
    query = "SELECT count(*) AS n FROM jobsched_jobs WHERE not_during = 'shared'"

    def planned_to(at: datetime) -> bool:
        found = desk.tables.rows(f"{query} AND next_fire_at = '{at:%F %T.000000}'")
        return bool(found[0].n == count)

    wait_until(lambda: planned_to(day - DAY), 20)
    began = len(desk.instants("steady"))
    closed = f"{day - 2 * DAY:%F}..{day:%F}"
    desk.run(desk.change("shared", closed))

    wait_until(lambda: planned_to(day + DAY), 20)
    wait_until(lambda: len(desk.instants("steady")) > began + 1, 5)
    assert {b - a for a, b in pairwise(desk.instants("steady"))} == {SECOND}
    sent = [fire for fire in desk.tables.fires("steady") if fire.sent_at]
    lags = [(fire.sent_at - fire.fire_at).total_seconds() for fire in sent[began:]]
    desk.report("greatest_lag", round(max(lags), 3))
    assert max(lags) < paced(2)
