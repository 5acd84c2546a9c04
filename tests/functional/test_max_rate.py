"""`jobsched_max_rate`: the end of an outage is no flood, and what is urgent goes out first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched import Jobs
from celery_jobsched.store import tables
from celery_jobsched.testing import Beat, Clock
from tests.collector import Collector
from tests.processes import Beat as RealBeat
from tests.processes import wait_until
from tests.records import Records
from tests.stacks import fresh_stack

START = datetime(2030, 1, 1, 8, 59, 30, tzinfo=timezone.utc)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
RATE = 10


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    with Records(database_url) as records:
        yield records


@pytest.fixture
def beat(database_url: str) -> Iterator[Beat]:
    with Beat(app_on(database_url), Clock(START)) as beat:
        beat.settle()
        yield beat


def app_on(url: str, **conf: Any) -> Celery:
    conf = {"broker_url": "memory://", "jobsched_max_rate": RATE, **conf}
    conf = {"jobsched_database_url": url, **conf}
    return Celery("proj", set_as_current=False, config_source=conf)


def add(records: Records, count: int, name: str = "j", **columns: Any) -> None:
    """So many jobs that are due one second after the other, from a minute after the start on."""
    due = [(START + MINUTE + n * SECOND / 100).isoformat() for n in range(count)]
    all_ = {"task": "proj.note", "misfire": "all", "created_at": START, "updated_at": START}
    rows = [{"name": f"{name} {n}", "once": at, **all_, **columns} for n, at in enumerate(due)]
    records.run(sa.insert(tables.jobs), rows)


def sent_in(beat: Beat, seconds: float) -> list[str]:
    """The jobs of which something went out in that time; in steps of a poll, none of them waits."""
    before = {fire.id for fire in beat.fires() if fire.state == "sent"}
    for _ in range(round(seconds * 5)):
        beat.clock.advance(seconds=0.2)
        beat.settle()
    found = [fire for fire in beat.fires() if fire.state == "sent" and fire.id not in before]
    return [fire.job for fire in sorted(found, key=lambda each: each.id)]


def test_what_is_over_the_rate_stays_due_and_goes_out_later_in_its_order(
    beat: Beat, records: Records
) -> None:
    add(records, 45)
    beat.settle()
    beat.clock.advance(MINUTE + SECOND)

    beat.settle()
    at_once = [fire.job for fire in beat.fires()]
    still_due = [row["name"] for row in records.jobs().values() if row["due_at"] is not None]
    later = [sent_in(beat, 1) for _ in range(4)]

    assert at_once == [f"j {n}" for n in range(RATE)]
    assert len(still_due) == 45 - RATE + len(INTERNAL & records.jobs().keys())
    assert [len(each) for each in later] == [RATE, RATE, RATE, 5]
    assert [*chain(*later)] == [f"j {n}" for n in range(RATE, 45)]


def test_a_tick_with_nothing_left_of_the_rate_sleeps_as_long_as_any(
    beat: Beat, records: Records
) -> None:
    add(records, 30)
    beat.settle()
    beat.clock.advance(MINUTE + SECOND)
    beat.settle()

    assert beat.tick() == pytest.approx(0.2)


def test_what_a_job_owes_at_once_is_held_to_the_rate_as_well(beat: Beat, records: Records) -> None:
    jobs = Jobs(beat.scheduler.app)
    jobs.add("j", task="t", cron="* * * * *", misfire="all", misfire_grace_time=1)
    beat.settle()

    beat.clock.advance(25 * MINUTE)
    beat.settle()
    states = [fire.state for fire in beat.fires("j")]
    sent_in(beat, 3)

    assert states.count("sent") == RATE
    assert states.count("pending") == 15
    fires = [(row["fire_at"], row["sent_at"], row["publishes"]) for row in records.fires("j")]
    assert [at for at, _, _ in fires] == [START + MINUTE / 2 + n * MINUTE for n in range(25)]
    assert all(one[1] <= other[1] for one, other in pairwise(fires))
    assert {publishes for _, _, publishes in fires} == {1}
    jobs.runtime.close()


def test_what_stays_due_too_long_is_missed_by_its_own_rule(beat: Beat, records: Records) -> None:
    add(records, 2 * RATE, misfire="skip", misfire_grace_time=1)
    beat.settle()
    beat.clock.advance(MINUTE + SECOND / 2)
    beat.settle()

    beat.clock.advance(seconds=2)
    beat.settle()

    states = [fire.state for fire in beat.fires()]
    assert (states.count("sent"), states.count("missed")) == (RATE, RATE)


def test_what_is_urgent_goes_out_first(beat: Beat, records: Records) -> None:
    add(records, 30)
    add(records, 5, "urgent", options='{"priority": 9}')
    add(records, 5, "idle", options='{"priority": -1}')
    beat.settle()
    beat.clock.advance(MINUTE + SECOND)

    beat.settle()
    at_once = [fire.job.split()[0] for fire in beat.fires()]
    later = sent_in(beat, 4)

    assert sorted(at_once) == ["j"] * 5 + ["urgent"] * 5
    assert [name.split()[0] for name in later] == ["j"] * 25 + ["idle"] * 5


def test_a_filter_is_asked_about_no_more_than_there_is_room_for(
    database_url: str, records: Records
) -> None:
    asked: list[str] = []

    def allows(job: dict[str, Any]) -> bool:
        asked.append(job["name"])
        return not job["name"].startswith("odd")

    with Beat(app_on(database_url, jobsched_filter=allows), Clock(START)) as beat:
        beat.settle()
        add(records, 5, "odd")
        add(records, 20)
        beat.settle()
        beat.clock.advance(MINUTE + SECOND)
        beat.settle()
        sent_in(beat, 3)

        sent = [fire.job for fire in beat.fires() if fire.state == "sent"]
        assert sorted(sent) == sorted(f"j {n}" for n in range(20))
        assert {name for name in asked if name.startswith("odd")} == {f"odd {n}" for n in range(5)}
        assert len(asked) < 60


def test_neither_a_backlog_of_runs_nor_one_of_jobs_holds_up_the_other(
    beat: Beat, records: Records
) -> None:
    jobs = Jobs(beat.scheduler.app)
    jobs.add("by hand", task="proj.note", keyword="go")
    beat.settle()
    for _ in range(30):
        jobs.run("by hand")
    add(records, 30)
    beat.settle()
    beat.clock.advance(MINUTE + SECOND)

    sent = sent_in(beat, 2)

    assert {name.split()[0] for name in sent} == {"j", "by"}
    assert sum(name == "by hand" for name in sent) >= 5
    jobs.runtime.close()


def test_a_real_beat_keeps_to_its_rate_after_an_outage(tmp_path: Path) -> None:
    rate, count = 20, 80
    with (
        fresh_stack("sqlite", "redis", tmp_path, jobsched_max_rate=rate) as stack,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
    ):
        with RealBeat(stack) as beat:
            wait_until(records.has_tables, 30, beat.log)
            beat.stop()
        # While no beat is up, all of these become due.
        at = datetime.now(timezone.utc).isoformat()
        rows = [{"name": f"j {n}", "task": "proj.note", "once": at} for n in range(count)]
        records.run(sa.insert(tables.jobs), rows)
        with RealBeat(stack) as beat:
            wait_until(lambda: collector.count >= count, 60, beat.log)
            beat.stop()
        arrived = sorted(message.at for message in collector.messages())

    assert len(arrived) == count
    for first, at in enumerate(arrived):
        within = sum(at <= other < at + 1 for other in arrived[first:])
        assert within <= 2 * rate + 2
    assert arrived[-1] - arrived[0] >= (count - rate) / rate - 0.5


#: What a beat declares of its own accord.
INTERNAL = {"celery.backend_cleanup"}
