"""Fires that need a slot while the locks cannot say whether there is one, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from sqlalchemy import event

from celery_jobsched.fire import new_id
from celery_jobsched.store import tables
from tests.hands import START, Hands, by_hand
from tests.servers import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@contextmanager
def on(server: RedisServer, folder: Path, **conf: Any) -> Iterator[Hands]:
    with by_hand("sqlite", folder, jobsched_lock_backend=server.url, **conf) as hands:
        yield hands


def calls(server: RedisServer) -> int:
    """How many scripts the server ran so far: one a call of the locks."""
    with redis.Redis.from_url(server.url) as client:
        stats = client.info("commandstats")
    return sum(int(each["calls"]) for name, each in stats.items() if "eval" in name)


@contextmanager
def counted(hands: Hands) -> Iterator[list[str]]:
    """The statements that the beat sends to its database meanwhile."""
    engine, sent = hands.beat.scheduler.runtime.engine, list[str]()

    def note(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def test_without_the_locks_jobs_with_a_limit_wait_and_others_go_on(
    server: RedisServer, tmp_path: Path
) -> None:
    with on(server, tmp_path) as hands:
        hands.write("free", keyword="go")
        hands.write("limited", keyword="go", max_concurrency=1, overlap="wait")
        hands.beat.settle()
        server.stop()

        for _ in range(3):
            hands.call("go")
            hands.pass_time(2)
        away = (hands.states("free"), hands.states("limited"))
        server.start()
        hands.locks.open(first=True)
        hands.pass_time(10)

        assert away == (["sent"] * 3, ["pending"] * 3)
        assert hands.states("limited") == ["sent", "waiting", "waiting"]
        assert [row["publishes"] for row in hands.records.fires("limited")] == [1, 0, 0]


def test_a_memory_that_was_lost_skips_nothing_and_grants_nothing_for_a_while(
    server: RedisServer, tmp_path: Path
) -> None:
    with on(server, tmp_path) as hands:
        hands.add("limited", keyword="go", max_concurrency=1)
        server.restart(empty=True)

        hands.call("go")
        silent = hands.states("limited")
        hands.locks.open(first=True)
        hands.pass_time(5)

        assert silent == ["pending"]
        assert hands.states("limited") == ["sent"]


def test_a_batch_of_five_hundred_limits_is_one_round_trip(
    server: RedisServer, tmp_path: Path
) -> None:
    with on(server, tmp_path) as hands:
        for n in range(500):
            hands.write(f"job {n}", keyword="go", max_concurrency=1)
        hands.beat.settle()
        hands.jobs.fire("go")

        before = calls(server)
        hands.beat.tick()
        made = calls(server) - before

        # Reading the workers' reports is the other one.
        assert (made, set(hands.states())) == (2, {"sent"})


def test_a_batch_without_limits_asks_neither_locks_nor_database_for_them(
    server: RedisServer, tmp_path: Path
) -> None:
    with on(server, tmp_path) as hands:
        for n in range(50):
            hands.write(f"job {n}", keyword="go")
        hands.beat.settle()
        hands.jobs.fire("go")
        before = calls(server)

        with counted(hands) as statements:
            hands.beat.tick()
        made = calls(server) - before
        with counted(hands) as idle:
            hands.beat.tick()

        assert made == 1
        of_fires = [one for one in statements if "jobsched_fires" in one]
        # Look, take over, and mark what was sent.
        assert len(of_fires) - sum("jobsched_fires" in one for one in idle) == 3
        assert not any("waiting_for IN" in one or "concurrency_key IN" in one for one in statements)


def test_a_thousand_that_wait_cost_no_more_than_one(server: RedisServer, tmp_path: Path) -> None:
    with on(server, tmp_path, jobsched_max_waiting=2000) as hands:
        hands.write("other", keyword="other")
        hands.add("job", keyword="go", max_concurrency=1)
        hands.call("go")
        hands.call("go")
        with counted(hands) as with_one:
            hands.call("other")
        (one,) = hands.records.fires("job", "waiting")
        more = [{**one, "id": new_id(START, n), "key": f"{n}"} for n in range(1000)]
        hands.records.run(sa.insert(tables.fires), more)

        with counted(hands) as with_many:
            hands.call("other")

        assert hands.states("other") == ["sent", "sent"]
        assert len(with_many) == len(with_one)
        assert hands.beat.tick() > 0  # and nothing is done in vain
