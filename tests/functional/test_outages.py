"""Outages under a running beat: it says so once, comes back by itself and loses nothing.

Two jobs fire each second: `patient` by the defaults (5 s of grace), `hasty` with a grace of 1 s
and no mercy, so that an outage shows in its record as missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from kombu import Connection, Queue

from celery_jobsched.store import tables
from tests.collector import Collector, Message
from tests.processes import Beat, wait_until
from tests.proxy import Proxy
from tests.records import Records, unaccounted
from tests.servers import RedisServer
from tests.stacks import Stack, fresh_stack

JOBS = {
    "patient": {"task": "proj.note", "every": "1 second"},
    "hasty": {
        "task": "proj.note",
        "every": "1 second",
        "misfire": "skip",
        "misfire_grace_time": 1,
    },
}
IMPATIENT = {"jobsched_socket_timeout": 1.0, "jobsched_jobs": JOBS}
DATABASE_TROUBLE, DATABASE_BACK = "tick failed, trying again", "ticking again"
BROKER_TROUBLE, BROKER_BACK = "the broker took none of", "the broker takes fires again"
TROUBLES: dict[str, Callable[[Proxy], None]] = {
    "cut": Proxy.cut,
    "stalled": Proxy.stall,
}


@pytest.fixture(params=["postgresql", "mysql"])
def database_line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stack, Proxy]]:
    with (
        fresh_stack(request.param, "redis", tmp_path, **IMPATIENT) as stack,
        proxy_of(stack.database_url) as proxy,
    ):
        yield stack, proxy


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stack, Proxy]]:
    with (
        fresh_stack("sqlite", request.param, tmp_path, **IMPATIENT) as stack,
        proxy_of(stack.broker_url) as proxy,
    ):
        yield stack, proxy


def test_a_beat_survives_every_outage_of_its_database(database_line: tuple[Stack, Proxy]) -> None:
    stack, proxy = database_line
    through = {"jobsched_database_url": via(stack.database_url, proxy)}

    with Records(stack.database_url) as records, Collector(stack) as collector:
        with Beat(stack, conf=through) as beat:
            troubles = suffer(beat, proxy, records, DATABASE_TROUBLE, DATABASE_BACK)
            beat.stop()
        messages = all_messages(stack, collector)

        assert troubles == dict.fromkeys(TROUBLES, "ERROR")
        check_records(records, messages)


def test_a_beat_survives_every_outage_of_its_broker(broker_line: tuple[Stack, Proxy]) -> None:
    stack, proxy = broker_line
    through = {"broker_url": via(stack.broker_url, proxy)}

    with Records(stack.database_url) as records, ExitStack() as on_end:
        collector = None
        if stack.broker == "redis":
            collector = on_end.enter_context(Collector(stack))
        with Beat(stack, conf=through) as beat:
            troubles = suffer(beat, proxy, records, BROKER_TROUBLE, BROKER_BACK)
            beat.stop()
        messages = all_messages(stack, collector)

        assert troubles == dict.fromkeys(TROUBLES, "ERROR")
        check_records(records, messages)


def test_a_dropped_connection_to_the_broker_costs_a_moment_and_no_fire(
    broker_line: tuple[Stack, Proxy],
) -> None:
    stack, proxy = broker_line
    through = {"broker_url": via(stack.broker_url, proxy)}

    with Records(stack.database_url) as records:
        with Beat(stack, conf=through) as beat:
            wait_for_more(records, beat)
            proxy.drop()
            sent = len(records.fires(None, "sent"))
            wait_until(lambda: len(records.fires(None, "sent")) >= sent + 6, 10, beat.log)
            beat.stop()

        assert records.fires(None, "missed", "failed", "pending") == []
        check_records(records, all_messages(stack, None))


def test_a_beat_survives_that_another_process_holds_the_sqlite_file(tmp_path: Path) -> None:
    with (
        fresh_stack("sqlite", "redis", tmp_path, **IMPATIENT) as stack,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
    ):
        with Beat(stack) as beat:
            wait_for_more(records, beat)
            with records.engine.begin():
                wait_until(lambda: DATABASE_TROUBLE in beat.log(), 10, beat.log)
                wait_until(outlasts(2.5), 10)
            wait_until(lambda: DATABASE_BACK in beat.log(), 10, beat.log)
            wait_for_more(records, beat)
            beat.stop()

        assert levels(beat.log(), DATABASE_TROUBLE) == ["ERROR"]
        check_records(records, all_messages(stack, collector))


def test_a_beat_survives_a_restart_of_its_redis(tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path) as server,
        fresh_stack("sqlite", "filesystem", tmp_path, **IMPATIENT) as stack,
        Records(stack.database_url) as records,
    ):
        stack.conf |= {"broker_url": server.url, "broker_transport_options": {}}
        with Beat(stack) as beat:
            wait_for_more(records, beat)
            server.stop(empty=False)
            wait_until(lambda: BROKER_TROUBLE in beat.log(), 10, beat.log)
            server.start()
            wait_until(lambda: BROKER_BACK in beat.log(), 10, beat.log)
            wait_for_more(records, beat)
            beat.stop()

        assert levels(beat.log(), BROKER_TROUBLE) == ["ERROR"]
        check_records(records, all_messages(stack, None))


def test_a_beat_that_starts_without_database_and_broker_comes_up_when_they_come(
    tmp_path: Path,
) -> None:
    with (
        fresh_stack("postgresql", "redis", tmp_path, **IMPATIENT) as stack,
        proxy_of(stack.database_url) as database,
        proxy_of(stack.broker_url) as broker,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
    ):
        database.cut()
        broker.cut()
        through = {
            "jobsched_database_url": via(stack.database_url, database),
            "broker_url": via(stack.broker_url, broker),
        }

        with Beat(stack, conf=through) as beat:
            wait_until(lambda: DATABASE_TROUBLE in beat.log(), 10, beat.log)
            assert not records.has_tables()
            database.heal()
            wait_until(lambda: BROKER_TROUBLE in beat.log(), 10, beat.log)
            broker.heal()
            wait_for_more(records, beat)
            beat.stop()

        check_records(records, all_messages(stack, collector))


def test_a_message_that_rabbitmq_refuses_fails_alone(tmp_path: Path) -> None:
    with (
        fresh_stack("sqlite", "rabbitmq", tmp_path, **IMPATIENT) as stack,
        Records(stack.database_url) as records,
    ):
        with Beat(stack) as beat:
            wait_for_more(records, beat)
            nowhere = '{"exchange": "jobsched_nowhere", "routing_key": "x"}'
            once = datetime.now().astimezone().isoformat()
            jobs = {**{f"good {n}": None for n in range(10)}, "poison": nowhere}
            rows = [{"name": n, "task": "t", "once": once, "options": o} for n, o in jobs.items()]
            records.run(sa.insert(tables.jobs), rows)
            wait_until(lambda: records.fires("poison", "failed"), 30, beat.log)
            wait_for_more(records, beat)
            beat.stop()

        assert "NOT_FOUND" in records.fires("poison")[0]["error"]
        assert records.fires(None, "failed") == records.fires("poison")
        check_records(records, all_messages(stack, None))


def suffer(beat: Beat, proxy: Proxy, records: Records, trouble: str, back: str) -> dict[str, str]:
    """Each of the troubles in its turn, healed when it was told; the level it was told at."""
    told = {}
    for name, begin in TROUBLES.items():
        wait_for_more(records, beat)
        before = len(beat.log())
        begin(proxy)
        wait_until(lambda: trouble in beat.log()[before:], 10, beat.log)  # noqa: B023
        wait_until(outlasts(2), 10)
        proxy.heal()
        wait_until(lambda: back in beat.log()[before:], 15, beat.log)  # noqa: B023
        wait_for_more(records, beat)
        (told[name],) = levels(beat.log()[before:], trouble)
    assert beat.alive()
    return told


def wait_for_more(records: Records, beat: Beat) -> None:
    """Until a fire was sent that is younger than this call, and all older ones are settled."""
    since = datetime.now().astimezone()
    wait_until(lambda: records.has_tables(), 15, beat.log)
    wait_until(
        lambda: (
            any(row["fire_at"] > since for row in records.fires("hasty", "sent"))
            and any(row["fire_at"] > since for row in records.fires("patient", "sent"))
            and not any(row["fire_at"] < since for row in records.fires(None, "pending"))
        ),
        15,
        lambda: f"{records.fires(None, 'pending')}\n{beat.log()}",
    )


def check_records(records: Records, messages: list[Message]) -> None:
    """Each instant was sent once or is recorded as missed, and each message is one of a fire."""
    for job in JOBS:
        fires = records.fires(job)
        assert unaccounted(fires) == []
        assert {row["state"] for row in fires} <= {"sent", "missed"}
    ids = {row["id"] for row in records.fires(None, "sent")}
    assert ids == {message.id for message in messages}
    assert len({(m.job, m.fire_at) for m in messages}) == len(ids)


def all_messages(stack: Stack, collector: Collector | None) -> list[Message]:
    """What reached the broker, once all that lay in it was taken."""
    if collector is not None:
        wait_until(lambda: not collector.client.exists(*collector.lists), 5)
        return collector.messages()
    found = []
    with Connection(stack.broker_url) as connection:
        queue = Queue(stack.queue)(connection.default_channel)
        while message := queue.get(no_ack=True):
            args, kwargs, _ = message.decode()
            sent = message.headers
            found.append(Message(0, sent["task"], sent["id"], args, kwargs, sent, {}))
    return found


def proxy_of(url: str) -> Proxy:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Proxy(parts.hostname, parts.port)


def via(url: str, proxy: Proxy) -> str:
    return url.replace(f":{urlsplit(url).port}/", f":{proxy.port}/")


def levels(log: str, said: str) -> list[str]:
    """The level of each line that says it."""
    words = ("ERROR", "WARNING", "INFO", "DEBUG")
    lines = [line for line in log.splitlines() if said in line]
    return [next((word for word in words if word in line), "") for line in lines]


def outlasts(seconds: float) -> Callable[[], bool]:
    """Whether the outage has taken that long: it is what is tested, nothing is raced."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
