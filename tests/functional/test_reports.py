"""A beat that reads what workers report: from the locks, whatever they are, to the fires' rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery.utils.dispatch import Signal

from celery_jobsched import Jobs, Scheduler, events
from celery_jobsched.fire import FireState
from celery_jobsched.locks import Locks, Report
from celery_jobsched.store import tables
from tests.records import Records, settle, ticking
from tests.servers import RedisServer
from tests.stacks import Stack, fresh_stack

NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
STACKS = [("sqlite", "filesystem"), ("postgresql", "redis")]
S = FireState


@pytest.fixture(params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    with fresh_stack(*request.param, tmp_path) as stack:
        yield stack


@pytest.fixture
def beat(stack: Stack) -> Iterator[Scheduler]:
    with ticking(stack) as beat:
        beat.tick()
        yield beat


@pytest.fixture
def records(stack: Stack) -> Iterator[Records]:
    with Records(stack.database_url) as records:
        yield records


def sent(beat: Scheduler, records: Records, count: int = 1) -> list[str]:
    """The ids of fires that this beat has sent, one of each of so many jobs."""
    for n in range(count):
        records.add(f"job {n}", once="2020-01-01T00:00:00Z", created_at=LONG_AGO)
    settle(beat)
    rows = sorted(records.fires(None, "sent"), key=lambda row: str(row["job_name"]))
    assert len(rows) == count
    return [row["id"] for row in rows]


def locks_of(beat: Scheduler, records: Records) -> Locks:
    """The locks, as a worker opens them."""
    return beat.runtime.locks(records.meta()["installation"])


def report(fire: str, state: FireState, **more: Any) -> Report:
    return Report(fire, state, NOW, NOW, "T", worker="w", **more)


def states(records: Records) -> list[str]:
    return [row["state"] for row in sorted(records.fires(), key=lambda row: str(row["job_name"]))]


def test_what_a_worker_says_is_on_record_after_the_next_tick(
    beat: Scheduler, records: Records
) -> None:
    one, two = sent(beat, records, 2)
    locks = locks_of(beat, records)
    locks.report([report(one, S.STARTED), report(two, S.FAILED, error="boom")])

    beat.tick()

    assert states(records) == ["started", "failed"]
    assert locks.open().reports == 0
    assert "reported_at" in records.meta()


def test_a_beat_that_dies_before_it_acknowledges_counts_nothing_twice(
    stack: Stack, beat: Scheduler, records: Records
) -> None:
    (one,) = sent(beat, records)
    locks = locks_of(beat, records)
    locks.report([report(one, S.FAILED, error="boom")])
    beat.tick()
    records.run(sa.update(tables.fires).values(error="as it was"))

    locks.report([report(one, S.FAILED, error="boom")])
    with ticking(stack) as other:
        other.tick()

    assert locks.open().reports == 0
    (row,) = records.fires()
    assert (row["state"], row["error"]) == ("failed", "as it was")


def test_what_cannot_be_read_or_belongs_to_nobody_harms_nobody(
    beat: Scheduler, records: Records
) -> None:
    (one,) = sent(beat, records)
    locks = locks_of(beat, records)
    odd = report(one, S.SUCCEEDED)
    far = datetime.min.replace(tzinfo=timezone.utc)
    locks.report([report("nobody's", S.FAILED), report("\ud800", S.FAILED), odd])
    locks.report([Report(one, S.STARTED, far, far)])

    beat.tick()

    assert states(records) == ["succeeded"]
    assert locks.open().reports == 0


def test_there_is_more_to_do_while_a_page_is_full(beat: Scheduler, records: Records) -> None:
    (one,) = sent(beat, records)
    locks = locks_of(beat, records)
    locks.report([report("nobody's", S.FAILED)] * 600 + [report(one, S.SUCCEEDED)])

    first, second = beat.tick(), beat.tick()

    assert (first, second > 0) == (0, True)
    assert states(records) == ["succeeded"]


def test_what_is_handed_back_is_sent_again_at_once(beat: Scheduler, records: Records) -> None:
    (one,) = sent(beat, records)
    locks_of(beat, records).report([report(one, S.PENDING, error="the locks are away")])

    settle(beat)

    (row,) = records.fires()
    assert (row["state"], row["publishes"]) == ("sent", 2)


SIGNALS = {
    S.STARTED: (events.fire_started, {"worker": "w"}),
    S.RETRYING: (events.fire_retried, {"worker": "w", "error": "why"}),
    S.SUCCEEDED: (events.fire_succeeded, {"worker": "w", "result": "7"}),
    S.FAILED: (events.fire_failed, {"worker": "w", "error": "why"}),
    S.REVOKED: (events.fire_revoked, {"worker": "w", "error": "why"}),
    S.EXPIRED: (events.fire_expired, {"worker": "w", "error": "why"}),
    S.LOST: (events.fire_lost, {"error": "why"}),
}


def test_each_step_has_its_signal_and_a_listener_that_raises_harms_nobody(tmp_path: Path) -> None:
    told: list[tuple[Signal, dict[str, Any]]] = []

    def raises(**_: Any) -> None:
        raise RuntimeError("a listener of the application's")

    def listens(signal: Signal, sender: Any, **said: Any) -> None:
        told.append((signal, said))

    for signal, _ in SIGNALS.values():
        signal.connect(raises, weak=False)
        signal.connect(listens, weak=False)
    try:
        with fresh_stack("sqlite", "filesystem", tmp_path) as stack, ticking(stack) as beat:
            beat.tick()
            with Records(stack.database_url) as records:
                fires = dict(zip(SIGNALS, sent(beat, records, len(SIGNALS)), strict=True))
                words = {"error": "why", "result": "7"}
                reports = [report(fire, state, **words) for state, fire in fires.items()]
                locks_of(beat, records).report(reports)
                beat.tick()
                known = {row["id"]: row for row in records.fires()}
    finally:
        for signal, _ in SIGNALS.values():
            signal.disconnect(raises)
            signal.disconnect(listens)

    assert [signal for signal, _ in told] == [signal for signal, _ in SIGNALS.values()]
    for (_, said), (state, fire) in zip(told, fires.items(), strict=True):
        row = known[fire]
        usual = {"job": row["job_name"], "fire_id": fire, "fire_at": row["fire_at"]}
        assert said == {**usual, "origin": "catchup", **SIGNALS[state][1]}
        assert row["state"] == state.value


def test_reports_stay_until_the_database_has_them(tmp_path: Path) -> None:
    conf = {"jobsched_socket_timeout": 0.1}
    with fresh_stack("sqlite", "redis", tmp_path, **conf) as stack:
        with ticking(stack) as beat, Records(stack.database_url) as records:
            beat.tick()
            (one,) = sent(beat, records)
            locks = locks_of(beat, records)
            locks.report([report(one, S.SUCCEEDED)])

            with records.engine.begin():  # nobody else writes meanwhile
                beat.tick()
                assert locks.open().reports == 1

            beat.tick()

            assert states(records) == ["succeeded"]
            assert locks.open().reports == 0


def test_two_beats_read_each_report_once(stack: Stack, records: Records) -> None:
    told: list[str] = []

    def listens(fire_id: str, **_: Any) -> None:
        told.append(fire_id)

    events.fire_failed.connect(listens)
    with ticking(stack) as one, ticking(stack) as two:
        one.tick()
        ids = sent(one, records, 5)
        locks = locks_of(one, records)
        for each in ids:
            locks.report([report(each, S.FAILED, error="boom")])
            one.tick()
            two.tick()

    assert sorted(told) == sorted(ids)
    assert [records.job(f"job {n}")["failure_count"] for n in range(5)] == [1] * 5


def test_a_job_that_failed_too_often_is_told_of_once_and_fires_no_more(
    stack: Stack, beat: Scheduler, records: Records
) -> None:
    told: list[dict[str, Any]] = []

    def listens(signal: Any, sender: Any, **said: Any) -> None:
        told.append(said)

    events.job_paused.connect(listens)
    records.add("a", keyword="go", every="1 hour", max_failures=2, on_failure="proj.alarm")
    settle(beat)
    locks, jobs = locks_of(beat, records), Jobs(stack.app())
    for _ in range(3):
        fired = jobs.fire("go")
        settle(beat)
        locks.report([report(fire, S.FAILED, error="boom") for fire in fired])
        settle(beat)

    row = records.job("a")
    assert told == [{"job": "a", "note": row["paused_note"]}]
    assert (row["enabled"], row["paused_by"], row["failure_count"]) == (False, "max_failures", 2)
    assert row["next_fire_at"] is None
    alarms = [each for each in records.fires("a") if each["origin"] == "follow-up"]
    assert [each["state"] for each in alarms] == ["sent", "sent"]


def test_a_beat_goes_on_while_the_locks_are_away_and_reads_when_they_are_back(
    tmp_path: Path,
) -> None:
    with RedisServer(tmp_path) as server:
        conf = {"jobsched_lock_backend": server.url}
        with fresh_stack("sqlite", "filesystem", tmp_path, **conf) as stack:
            with ticking(stack) as beat, Records(stack.database_url) as records:
                beat.tick()
                server.stop()
                (one,) = sent(beat, records)
                server.start()
                locks_of(beat, records).report([report(one, S.SUCCEEDED)])
                beat._reports._away_until = 0

                beat.tick()

                assert states(records) == ["succeeded"]
