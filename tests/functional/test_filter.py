"""A beat with a filter: schedulers of this process on a real database, ticked by hand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched import Scheduler, events, rounds
from celery_jobsched.store import pages, planning, tables
from celery_jobsched.store.pages import Claimant
from tests.pace import paced
from tests.processes import wait_until
from tests.records import Records, settle, ticking
from tests.services import DATABASES, fresh_database
from tests.stacks import Stack

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)

Filter = Callable[[dict[str, Any]], Any]


@dataclass
class Role:
    """A filter that allows the jobs of a role, and notes whom it was asked about."""

    role: str
    asked: list[str] = field(default_factory=list)

    def __call__(self, job: dict[str, Any]) -> bool:
        self.asked.append(job["name"])
        return bool(job["labels"].get("role") == self.role)


ROLES = {role: Role(role) for role in "ab"}


def of_role_a(job: dict[str, Any]) -> bool:
    return ROLES["a"](job)


@dataclass
class House:
    """A database, and beats on it that each have a filter."""

    records: Records
    stack: Stack
    on_end: ExitStack

    def beat(self, by: Any, **conf: Any) -> Scheduler:
        conf = {**self.stack.conf, "jobsched_filter": by, **conf}
        app = Celery("proj", set_as_current=False, config_source=conf)
        scheduler = self.on_end.enter_context(ticking(self.stack, app))
        settle(scheduler)
        return scheduler

    def add(self, name: str, role: str | None = None, **columns: Any) -> None:
        labels = f'{{"role": "{role}"}}' if role else None
        self.records.add(name, **{"every": "1 hour", "labels": labels, **columns})

    def add_due(self, role: str, count: int) -> None:
        """That many jobs that are planned and due."""
        now = self.now()
        self.add(f"{role} 0", role, starts_at=now + HOUR)
        with self.records.engine.begin() as conn:
            planning.plan_edited(conn, now, now, 1, Claimant("-"))
        due = {"due_at": now - SECOND, "next_fire_at": now - SECOND}
        self.records.copy(f"{role} 0", role, count - 1, **due)
        self.records.edit(f"{role} 0", **due)

    def now(self) -> datetime:
        with self.records.engine.connect() as conn:
            return pages.poll(conn).now

    def sent(self) -> dict[str, str]:
        """Which beat sent the fire of each job; each job has one."""
        rows = self.records.fires(None, "sent")
        found = {row["job_name"]: row["beat"] for row in rows}
        assert len(found) == len(rows)
        return found


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On SQLite, unless the test is run on all three databases."""
    for role in ROLES.values():
        role.asked.clear()
    kind = getattr(request, "param", "sqlite")
    with fresh_database(kind, tmp_path) as url, ExitStack() as on_end:
        conf = {"jobsched_database_url": url, "broker_url": "memory://"}
        records = on_end.enter_context(Records(url))
        house = House(records, Stack("-", "memory", tmp_path, conf), on_end)
        with ticking(house.stack) as scheduler:
            settle(scheduler)
        yield house


on_each_database = pytest.mark.parametrize("house", DATABASES, indirect=True)


def leaves(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """What was said of jobs that were left, with its level."""
    found = [each for each in caplog.records if getattr(each, "action", "") == "leave"]
    return [(each.levelno, each.getMessage()) for each in found]


@on_each_database
def test_each_job_is_fired_by_the_beat_that_may(house: House) -> None:
    one, other = house.beat(Role("a")), house.beat(Role("b"))
    for role in "abc":
        house.add_due(role, 400)

    for _ in range(4):
        one.tick()
        other.tick()
    settle(one)
    settle(other)

    ids = {"a": one.id, "b": other.id}
    assert house.sent() == {f"{role} {n}": ids[role] for role in "ab" for n in range(400)}
    left = [row for name, row in house.records.jobs().items() if name.startswith("c ")]
    assert {(row["error"], row["version"]) for row in left} == {(None, 0)}
    assert one.refusals["filtered"] >= 400


@on_each_database
def test_an_edit_that_wakes_no_row_counts_within_a_second_and_a_bit(house: House) -> None:
    beat = house.beat(Role("a"))
    for n in range(5):
        house.add(f"b {n}", "b")
    settle(beat)

    house.records.edit("b 3", labels='{"role": "a"}')
    begun = time.monotonic()
    wait_until(lambda: beat.tick() and house.sent(), 20)
    took = time.monotonic() - begun

    assert house.sent() == {"b 3": beat.id}
    assert took < paced(5)


@pytest.mark.parametrize("path", [f"{__name__}.of_role_a", f"{__name__}:of_role_a"])
def test_a_filter_can_be_named(house: House, path: str) -> None:
    beat = house.beat(path)
    house.add("mine", "a")
    house.add("other", "b")

    settle(beat)

    assert house.sent() == {"mine": beat.id}
    assert sorted(ROLES["a"].asked) == ["mine", "other"]


def test_a_filter_stands_in_a_configuration_of_any_style(house: House) -> None:
    class Config:
        CELERY_JOBSCHED_FILTER = of_role_a
        CELERY_JOBSCHED_DATABASE_URL = house.stack.database_url
        CELERY_BROKER_URL = "memory://"

    app = Celery("proj", set_as_current=False)
    app.config_from_object(Config, namespace="CELERY")
    house.add("mine", "a")
    house.add("other", "b")

    with ticking(house.stack, app) as beat:
        settle(beat)
        assert house.sent() == {"mine": beat.id}


def test_a_newly_due_job_goes_out_beside_ten_thousand_refused_ones_that_nobody_asks_about(
    house: House,
) -> None:
    by = Role("a")
    beat = house.beat(by)
    house.add_due("b", 10_000)
    settle(beat)
    house.add("new", "a")
    asked = len(by.asked)

    beat.tick()  # plans it
    # One tick more, where the filter's thread has its turn within 0.2 s.
    wait_until(lambda: beat.tick() and house.sent(), 5)

    assert house.sent() == {"new": beat.id}
    assert (asked, len(set(by.asked)), by.asked[asked:]) == (10_000, 10_001, ["new"])
    assert beat.refusals == {"filtered": 10_000}
    assert beat.tick() > 0.1
    settle(beat)
    assert len(by.asked) == 10_001


def test_a_filter_that_raises_refuses_that_job_alone_and_says_so_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def role_of(job: dict[str, Any]) -> bool:
        return bool(job["labels"]["role"] == "a")

    beat = house.beat(role_of)
    for name, role in (("plain", None), ("bare", None), ("mine", "a"), ("other", "b")):
        house.add(name, role)

    settle(beat)

    place = f"test_filter.py:{role_of.__code__.co_firstlineno + 1}"
    assert house.sent() == {"mine": beat.id}
    assert beat.refusals == {"raised": 2, "filtered": 1}
    assert sorted(leaves(caplog)) == [
        (
            logging.INFO,
            "job 'other' is left to other beats, as are all like it: jobsched_filter says no here",
        ),
        (
            logging.ERROR,
            "job 'plain' is left to other beats, as are all like it: "
            f"jobsched_filter raised KeyError at {place}",
        ),
    ]
    assert "KeyError: 'role'" in caplog.text


def test_a_filter_that_forgot_its_answer_fires_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    beat = house.beat(lambda job: None)
    house.add("a")

    settle(beat)

    assert house.sent() == {}
    assert beat.refusals == {"wrong answer": 1}
    ((level, said),) = leaves(caplog)
    assert (level, said.partition(": ")[2]) == (
        logging.ERROR,
        "jobsched_filter answered None, not True or False",
    )


def test_a_filter_that_hangs_refuses_that_job_and_the_others_go_out(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    door, asked = threading.Event(), []

    def waiting(job: dict[str, Any]) -> bool:
        asked.append(job["name"])
        return door.wait() if job["name"] == "stuck" else True

    house.on_end.callback(door.set)
    beat = house.beat(waiting, jobsched_filter_timeout=0.1)
    house.add("stuck")
    settle(beat)
    house.add("later")

    settle(beat)

    assert house.sent() == {"later": beat.id}
    assert beat.refusals == {"no answer": 1}
    assert asked == ["stuck", "later"]
    ((level, said),) = leaves(caplog)
    assert (level, said.partition(": ")[2]) == (
        logging.ERROR,
        "jobsched_filter gave no answer within 0.1 s",
    )


def test_a_slow_filter_stops_no_tick_and_all_is_fired_in_the_end(house: House) -> None:
    after_a_tick = threading.Semaphore(0)

    def slow(job: dict[str, Any]) -> bool:
        return after_a_tick.acquire(timeout=30)

    beat, longest = house.beat(slow), 0.0
    for n in range(4):
        house.add(f"slow {n}")

    for _ in range(100):
        begun = time.monotonic()
        pause = beat.tick()
        longest = max(longest, time.monotonic() - begun)
        after_a_tick.release()
        if pause > 0:
            break

    assert set(house.sent()) == {f"slow {n}" for n in range(4)}
    assert longest < 5
    assert beat.refusals == {}


def test_a_slow_answer_waits_for_no_round(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    after_a_tick = threading.Event()

    def slow(job: dict[str, Any]) -> bool:
        if job["name"] == "slow":
            after_a_tick.wait(10)
        return bool(job["name"] != "other")

    monkeypatch.setattr(rounds, "_SHORTEST_REST_S", 600.0)
    beat = house.beat(slow)
    house.add("other")
    settle(beat)
    house.add("slow")

    beat.tick()
    after_a_tick.set()
    settle(beat)

    assert house.sent() == {"slow": beat.id}


@on_each_database
def test_a_job_that_lies_there_is_asked_about_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SHORTEST_REST_S", 0.0)
    monkeypatch.setattr(rounds, "_REST_A_ROW_S", 0.0)
    by = Role("a")
    beat = house.beat(by)
    house.add("other", "b")
    house.add("plain")

    for _ in range(20):
        beat.tick()

    assert sorted(by.asked) == ["other", "plain"]
    assert beat.refusals == {"filtered": 2}


def test_a_filter_may_change_its_mind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_SHORTEST_MEMORY_S", 0.0)
    monkeypatch.setattr(rounds, "_MEMORY_A_ROW_S", 0.0)
    monkeypatch.setattr(rounds, "_SHORTEST_REST_S", 0.0)
    monkeypatch.setattr(rounds, "_REST_A_ROW_S", 0.0)
    minds = [False, False, True]
    beat = house.beat(lambda job: minds.pop(0))
    house.add("a")

    wait_until(lambda: (beat.tick(), house.sent())[1], 10)

    assert (minds, beat.refusals) == ([], {"filtered": 2})


def test_what_changed_after_the_answer_is_asked_about_anew(house: House) -> None:
    """An edit between the question and the claim: the answer was about another job."""
    asked = []

    def edited_meanwhile(job: dict[str, Any]) -> bool:
        asked.append(job["labels"]["role"])
        if len(asked) == 1:
            house.records.edit("a", labels='{"role": "second"}')
        return bool(job["labels"]["role"] == "first")

    beat = house.beat(edited_meanwhile)
    house.add("a", "first")

    settle(beat)

    assert asked == ["first", "second"]
    assert house.sent() == {}


def test_what_a_filter_does_to_a_definition_harms_nothing(house: House) -> None:
    def spoiling(job: dict[str, Any]) -> bool:
        job["args"].append("spoilt")
        job["labels"].clear()
        job.clear()
        return True

    beat = house.beat(spoiling)
    house.add("a", "a", args="[1]")

    settle(beat)

    assert house.sent() == {"a": beat.id}
    assert house.records.job("a")["args"] == "[1]"


def test_what_nobody_can_read_is_no_question(house: House) -> None:
    by = Role("a")
    beat = house.beat(by)
    house.add("bad", "a")
    house.add("lacking", "a", every=None, custom="unknown")
    settle(beat)
    house.records.edit("bad", due_at=house.now() - HOUR, next_fire_at=house.now() - HOUR, args="[")
    house.add("paused", "b", enabled=False, paused_until=house.now() - SECOND)

    wait_until(lambda: beat.tick() and house.records.job("paused")["enabled"], 10)
    settle(beat)

    assert by.asked == ["bad"], "when it could be read"
    assert beat.refusals == {"lacking": 1}
    assert house.records.job("bad")["error"].startswith("args: expected JSON")


def test_a_row_that_goes_bad_while_it_lies_there_spoils_no_page(house: House) -> None:
    beat = house.beat(Role("a"))
    for n in range(3):
        house.add(f"b {n}", "b")
    settle(beat)

    garbage = "UPDATE jobsched_jobs SET labels = CAST(X'7B22FF' AS TEXT) WHERE name = 'b 1'"
    house.records.run(sa.text(garbage))
    wait_until(lambda: beat.tick() and house.records.job("b 1")["error"], 10)

    house.add("mine", "a")
    settle(beat)
    assert house.sent() == {"mine": beat.id}
    assert house.records.job("b 1")["error"].startswith("labels: expected JSON")


def test_a_signal_tells_each_refusal(house: House) -> None:
    told: list[dict[str, Any]] = []

    def note(**arguments: Any) -> None:
        told.append({name: arguments[name] for name in ("job", "reason", "cause")})
        raise RuntimeError("a bad listener")

    beat = house.beat(Role("a"))
    house.add("other", "b")
    events.job_refused.connect(note)
    try:
        settle(beat)
    finally:
        events.job_refused.disconnect(note)

    assert told == [{"job": "other", "reason": "jobsched_filter says no here", "cause": "filtered"}]


def test_a_pending_fire_is_delivered_by_any_beat(house: House) -> None:
    """Who claimed it has decided; its delivery asks nobody."""
    one = house.beat(Role("a"))
    house.add("a", "a")
    settle(one)
    pending = {"state": "pending", "ready_at": house.now(), "sent_at": None}
    house.records.run(sa.update(tables.fires).values(pending))
    by = Role("b")

    settle(house.beat(by))

    assert list(house.sent()) == ["a"]
    assert by.asked == []


def test_without_a_filter_there_is_no_thread(house: House) -> None:
    before = set(threading.enumerate())
    beat = house.beat(None)
    house.add("a")

    settle(beat)

    assert house.sent() == {"a": beat.id}
    begun = {each.name for each in set(threading.enumerate()) - before}
    assert begun == {"jobsched-overdue"}  # which minds the tick
