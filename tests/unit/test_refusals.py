"""What one beat lacks does not stop a row for the others: the contract on every database.

Two schedulers of this process take turns; what each of them knows is set for its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import Scheduler
from celery_jobsched.clock import UTC
from celery_jobsched.store import keywords, pages, tables
from celery_jobsched.triggers import custom
from tests.records import Records, settle, ticking
from tests.services import DATABASES, fresh_database
from tests.stacks import Stack

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Hourly:
    """Each hour from the anchor."""

    argument: str
    zone: tzinfo
    anchor: datetime

    def next_after(self, instant: datetime) -> datetime | None:
        return self.anchor + max(0, (instant - self.anchor) // HOUR + 1) * HOUR

    def previous_before(self, instant: datetime) -> datetime | None:
        k = -((self.anchor - instant) // HOUR) - 1
        return self.anchor + k * HOUR if k >= 0 else None


@dataclass(frozen=True)
class Turn:
    """One beat, which knows the triggers of these names."""

    scheduler: Scheduler
    known: dict[str, Any]

    def settle(self) -> None:
        with _knowing(self.known):
            settle(self.scheduler)

    def tick(self) -> float:
        with _knowing(self.known):
            return self.scheduler.tick()


@contextmanager
def _knowing(known: dict[str, Any]) -> Iterator[None]:
    before = custom._factories
    custom._factories = known
    try:
        yield
    finally:
        custom._factories = before


@dataclass(frozen=True)
class House:
    """Two beats on one database: one has the trigger, the other lacks it."""

    records: Records
    lacking: Turn
    having: Turn

    def add(self, name: str, **columns: Any) -> None:
        self.records.add(name, custom="hourly", **columns)

    def now(self) -> datetime:
        with self.records.engine.connect() as conn:
            return pages.poll(conn).now


@contextmanager
def house_on(url: str, folder: Path) -> Iterator[House]:
    conf = {"jobsched_database_url": url, "broker_url": "memory://"}
    stack = Stack("-", "memory", folder, conf)
    with Records(url) as records, ticking(stack) as one, ticking(stack) as other:
        house = House(records, Turn(one, {}), Turn(other, {"hourly": Hourly}))
        for turn in (house.lacking, house.having):
            turn.settle()
        yield house


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On SQLite, unless the test is run on all three databases."""
    kind = getattr(request, "param", "sqlite")
    with fresh_database(kind, tmp_path) as url, house_on(url, tmp_path) as house:
        yield house


on_each_database = pytest.mark.parametrize("house", DATABASES, indirect=True)


@on_each_database
def test_a_beat_that_lacks_a_trigger_leaves_the_row_due_for_one_that_has_it(house: House) -> None:
    made_at = house.now().replace(microsecond=0)
    house.add("a", created_at=made_at)

    house.lacking.settle()
    left = house.records.job("a")
    house.having.settle()

    assert (left["error"], left["next_fire_at"], left["due_at"]) == (None, None, made_at)
    assert left["planned"]
    assert [row["fire_at"] for row in house.records.fires("a", "sent")] == [made_at]
    assert house.records.job("a")["next_fire_at"] == made_at + HOUR


def test_a_row_that_another_beat_planned_is_left_due_as_well(house: House) -> None:
    made_at = house.now().replace(microsecond=0) - 10 * MINUTE
    house.add("a", created_at=made_at)
    house.having.settle()
    due = made_at + 9 * MINUTE
    house.records.edit("a", next_fire_at=due, due_at=due)

    house.lacking.settle()

    row = house.records.job("a")
    assert (row["error"], row["next_fire_at"], row["due_at"]) == (None, due, due)
    assert row["last_fire_at"] == made_at


@on_each_database
def test_refused_rows_hold_up_nothing_and_let_the_beat_sleep(house: House) -> None:
    rows = [{"name": f"left {n}", "task": "t", "custom": "hourly"} for n in range(1200)]
    house.records.run(sa.insert(tables.jobs), rows)
    house.lacking.settle()
    house.records.add("new", every="1 hour")

    house.lacking.settle()

    assert [row["job_name"] for row in house.records.fires(None, "sent")] == ["new"]
    assert house.lacking.tick() == pytest.approx(0.2, abs=0.05)
    house.having.settle()
    assert len(house.records.fires(None, "sent")) == 1201


def test_rows_among_refused_ones_are_fired_by_each_beat_that_may(house: House) -> None:
    rows = [
        {"name": f"{name} {n}", "task": "t", "custom": name}
        for n in range(700)
        for name in ("hourly", "other")
    ]
    house.records.run(sa.insert(tables.jobs), rows)
    other = Turn(house.lacking.scheduler, {"other": Hourly})

    for _ in range(10):
        other.tick()
        house.having.tick()
    other.settle()
    house.having.settle()

    fires = house.records.fires(None, "sent")
    ids = {row["job_name"].split()[0]: row["beat"] for row in fires}
    assert len(fires) == 1400
    assert {(row["job_name"].split()[0], row["beat"]) for row in fires} == set(ids.items())
    assert ids["hourly"] == house.having.scheduler.id != ids["other"]


def test_a_job_that_owes_more_than_a_page_goes_on_at_once(house: House) -> None:
    house.add("left")
    house.lacking.settle()
    made_at = house.now().replace(microsecond=0) - 150 * SECOND
    grace = {"misfire_grace_time": 3600}
    house.records.add("many", every="1 second", ends_at=made_at + MINUTE * 2, created_at=made_at)
    house.records.edit("many", **grace)

    house.lacking.settle()

    assert len(house.records.fires("many", "sent")) == 121


def test_it_is_said_once_what_is_left_and_why(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        house.add(name)
    house.records.add("d", custom="yearly at noon")

    for _ in range(3):
        house.lacking.settle()

    told = [record for record in caplog.records if getattr(record, "action", "") == "leave"]
    assert sorted(record.getMessage() for record in told) == [
        "job 'a' is left to other beats, as are all like it: no trigger hourly is registered here",
        "job 'd' is left to other beats, as are all like it: no trigger yearly is registered here",
    ]


def test_a_refused_row_that_is_edited_counts_at_once(house: House) -> None:
    house.add("a")
    house.lacking.settle()

    house.records.edit("a", custom=None, once=house.now().isoformat())
    house.lacking.settle()

    assert len(house.records.fires("a", "sent")) == 1


def test_a_row_that_is_disabled_needs_no_trigger(house: House) -> None:
    house.add("a", enabled=False)
    house.lacking.settle()
    planned = house.records.job("a")
    until = house.now() - SECOND
    house.add("paused", enabled=False, paused_until=until)

    house.lacking.settle()

    assert (planned["due_at"], planned["error"]) == (None, None)
    assert house.records.job("paused")["enabled"]
    assert house.records.job("paused")["due_at"] is not None


@on_each_database
def test_what_a_lacking_beat_planned_keeps_its_past(house: House) -> None:
    """An instant between the edit and its discovery by one who knows is owed."""
    made_at = house.now().replace(microsecond=0) - 30 * MINUTE
    house.add("new", created_at=made_at - HOUR, misfire="all")
    house.records.add("edited", every="1 hour", created_at=made_at)
    house.lacking.settle()
    assert len(house.records.fires("edited", "sent")) == 1

    house.records.edit("edited", every=None, custom="hourly", misfire="all")
    house.lacking.settle()
    since = house.records.job("edited")["due_at"]
    house.records.edit("edited", misfire="skip")
    house.lacking.settle()
    assert house.records.job("edited")["due_at"] == since
    house.having.settle()

    new = [row["fire_at"] for row in house.records.fires("new", "sent")]
    assert new == [made_at - HOUR, made_at]
    assert house.records.job("edited")["next_fire_at"] == made_at + HOUR
    assert len(house.records.fires("edited", "sent")) == 1


def test_a_rule_that_is_edited_keeps_what_is_due(house: House) -> None:
    made_at = house.now().replace(microsecond=0) - MINUTE
    house.add("a", created_at=made_at, misfire_grace_time=3600)
    house.having.settle()
    due = made_at + HOUR
    assert house.records.job("a")["next_fire_at"] == due

    house.records.edit("a", misfire="skip")
    house.lacking.settle()

    row = house.records.job("a")
    assert (row["next_fire_at"], row["due_at"], row["error"]) == (due, due, None)


def test_what_is_to_be_delivered_is_delivered_by_any_beat(house: House) -> None:
    house.add("a", keyword="k", starts_at=house.now() + HOUR)
    house.lacking.settle()
    with house.records.engine.begin() as conn:
        now = pages.poll(conn).now
        called = keywords.Call("k", "a call", now + 2 * HOUR)
        (id_,) = keywords.fire_jobs(conn, [called], "UTC")
        conn.execute(sa.update(tables.fires).values(ready_at=now))

    house.lacking.settle()

    assert [row["id"] for row in house.records.fires("a", "sent")] == [id_]


class Bad:
    """Answers what its argument says."""

    def __init__(self, argument: str, zone: tzinfo, anchor: datetime) -> None:
        self.argument = argument

    def next_after(self, instant: datetime) -> Any:
        answers = {
            "naive": datetime(2099, 1, 1),  # noqa: DTZ001
            "same": instant,
            "earlier": instant - HOUR,
            "text": "tomorrow",
            "none": None,
        }
        return answers[self.argument]

    previous_before = next_after


@pytest.mark.parametrize("column", ["every", "keyword", None])
def test_a_bad_trigger_hurts_its_own_row_alone(house: House, column: str | None) -> None:
    bad = Turn(house.having.scheduler, {"bad": Bad, "hourly": Hourly})
    more = {column: "1 hour"} if column else {}
    for answer in ("naive", "same", "earlier", "text", "raises", "none"):
        house.records.add(answer, custom=f"bad {answer}", **more)
    house.add("good", created_at=house.now().astimezone(UTC))

    bad.settle()

    # What waits for a keyword has not ended, though its trigger has.
    house.records.add("kept", custom="bad none", keyword="k", on_end="delete")
    Turn(house.lacking.scheduler, {}).settle()
    bad.settle()
    assert house.records.job("kept")["due_at"] is None
    errors = {name: row["error"] for name, row in house.records.jobs().items() if row["error"]}
    assert sorted(errors) == ["earlier", "naive", "raises", "same", "text"]
    assert all(error.startswith("custom: expected ") for error in errors.values())
    assert all("of the trigger bad" in error for error in errors.values())
    fired = {row["job_name"] for row in house.records.fires(None, "sent")}
    assert fired == ({"good", "none"} if column == "every" else {"good"})
    assert house.records.job("none")["error"] is None
