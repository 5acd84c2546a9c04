"""Firing by keyword: the contract of the table and the façade, the same on every database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched import InvalidJob, Jobs
from celery_jobsched.store import claims, fires, keywords, pages, planning, tables
from celery_jobsched.store.pages import Claimant
from tests.records import Records
from tests.services import DATABASES, fresh_database

BEAT = Claimant("a beat")
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
MICROSECOND = datetime.resolution


@pytest.fixture
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Jobs]:
    """Jobs of a fresh database: of SQLite, unless the test is run on all three."""
    with fresh_database(getattr(request, "param", "sqlite"), tmp_path) as url:
        conf = {"jobsched_database_url": url, "broker_url": "memory://"}
        jobs = Jobs(Celery("proj", set_as_current=False, config_source=conf))
        jobs.prepare()
        yield jobs
        jobs.runtime.close()


@pytest.fixture
def records(jobs: Jobs) -> Iterator[Records]:
    with Records(jobs.runtime.settings.database_url) as records:
        yield records


on_each_database = pytest.mark.parametrize("jobs", DATABASES, indirect=True)


def now_of(records: Records) -> datetime:
    with records.engine.connect() as conn:
        return pages.poll(conn).now


def work(records: Records, at: datetime | None = None) -> pages.Claimed:
    """Plan what was edited and claim what is due, as a beat does."""
    now = now_of(records)
    with records.engine.begin() as conn:
        planning.plan_edited(conn, now, now, 100, BEAT)
    with records.engine.begin() as conn:
        return claims.claim_due(conn, at or now, 100, BEAT)


def take(records: Records) -> list[fires.Delivery]:
    with records.engine.begin() as conn:
        return fires.take_ready(conn, pages.poll(conn).now, 100, "UTC")


@on_each_database
def test_each_enabled_job_of_the_keyword_gets_one_fire_that_is_ready(
    jobs: Jobs, records: Records
) -> None:
    for name in ("a", "b"):
        jobs.add(name, task="proj.note", keyword="stock arrived")
    jobs.add("paused", task="proj.note", keyword="stock arrived", enabled=False)
    jobs.add("other", task="proj.note", keyword="Stock arrived")
    before = now_of(records)

    ids = jobs.fire("stock arrived")

    rows = records.fires()
    assert [row["id"] for row in sorted(rows, key=lambda row: row["job_name"])] == ids
    assert sorted(row["job_name"] for row in rows) == ["a", "b"]
    assert {(row["origin"], row["state"], row["publishes"]) for row in rows} == {
        ("keyword", "pending", 0)
    }
    assert len({row["key"] for row in rows}) == 1
    assert all(before <= row["ready_at"] == row["fire_at"] <= now_of(records) for row in rows)
    assert [records.job(name)["fire_count"] for name in ("a", "paused")] == [1, 0]


@on_each_database
def test_any_beat_delivers_it_as_its_first_copy(jobs: Jobs, records: Records) -> None:
    jobs.add("a", task="proj.note", keyword="k", args=[1], kwargs={"who": "the job"})
    (plain,) = jobs.fire("k")
    (own,) = jobs.fire("k", args=["ü", None], kwargs={})

    taken = {each.fire.id: each for each in take(records)}

    assert [taken[id_].fire.publishes for id_ in (plain, own)] == [1, 1]
    assert (taken[plain].fire.args, taken[plain].fire.kwargs) == (None, None)
    assert (taken[own].fire.args, taken[own].fire.kwargs) == (["ü", None], {})
    job = taken[plain].job
    assert job is not None
    assert (job.args, job.kwargs) == ([1], {"who": "the job"})
    assert take(records) == []


def test_a_keyword_that_no_job_has_fires_nothing(jobs: Jobs, records: Records) -> None:
    jobs.add("a", task="proj.note", keyword="k")

    assert jobs.fire("K") == []
    assert records.fires() == []


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"keyword": ""}, "keyword"),
        ({"keyword": " k"}, "keyword"),
        ({"keyword": None}, "keyword"),
        ({"keyword": "k" * 256}, "keyword"),
        ({"keyword": "k", "args": {"a": 1}}, "args"),
        ({"keyword": "k", "args": [object()]}, "args"),
        ({"keyword": "k", "kwargs": [1]}, "kwargs"),
    ],
)
def test_what_cannot_be_fired_is_refused(call: dict[str, Any], field: str) -> None:
    jobs = Jobs(Celery(set_as_current=False))

    with pytest.raises(InvalidJob) as error:
        jobs.fire(**call)

    assert error.value.field == field


def test_a_job_without_a_clock_waits_and_is_no_error(jobs: Jobs, records: Records) -> None:
    jobs.add("a", task="proj.note", keyword="k")

    claimed = work(records, at=now_of(records) + HOUR)

    row = records.job("a")
    assert (claimed.rows, row["error"]) == (0, None)
    assert (row["next_fire_at"], row["due_at"], row["wake_at"]) == (None, None, None)
    assert row["planned"]


def test_a_clock_goes_its_way_beside_the_keyword(jobs: Jobs, records: Records) -> None:
    made_at = now_of(records).replace(microsecond=0) - SECOND
    records.add("a", keyword="k", every="1 hour", created_at=made_at)

    early = jobs.fire("k")
    work(records)
    late = jobs.fire("k")
    work(records)

    row = records.job("a")
    assert sorted(fire["origin"] for fire in records.fires()) == ["keyword", "keyword", "schedule"]
    assert len({*early, *late}) == 2
    assert (row["last_fire_at"], row["next_fire_at"]) == (made_at, made_at + HOUR)
    assert row["fire_count"] == 3


def test_a_keyword_takes_nothing_from_an_instant_that_is_owed(jobs: Jobs, records: Records) -> None:
    made_at = now_of(records).replace(microsecond=0) - SECOND
    records.add("a", keyword="k", every="1 hour", created_at=made_at)
    work(records, at=made_at - HOUR)

    jobs.fire("k")
    work(records)

    owed = [row["fire_at"] for row in records.fires() if row["origin"] == "schedule"]
    assert owed == [made_at]


@on_each_database
def test_max_fires_is_the_end_of_the_keyword_as_well(jobs: Jobs, records: Records) -> None:
    jobs.add("a", task="proj.note", keyword="k", max_fires=2)
    jobs.add("both", task="proj.note", keyword="k", every="1 hour", max_fires=1)
    work(records, at=now_of(records) - HOUR)

    counts = [len(jobs.fire("k")) for _ in range(4)]

    work(records, at=now_of(records) + HOUR)
    assert counts == [2, 1, 0, 0]
    assert {name: row["fire_count"] for name, row in records.jobs().items()} == {"a": 2, "both": 1}
    assert records.job("both")["next_fire_at"] is None
    assert len(records.fires()) == 3


@pytest.mark.parametrize(
    ("bounds", "count"),
    [
        ({"starts_at": HOUR}, 0),
        ({"starts_at": -HOUR, "ends_at": HOUR}, 1),
        ({"starts_at": -2 * HOUR, "ends_at": -HOUR}, 0),
    ],
)
def test_nothing_fires_before_its_start_or_after_its_end(
    jobs: Jobs, records: Records, bounds: dict[str, timedelta], count: int
) -> None:
    now = now_of(records)
    jobs.add("a", task="t", keyword="k", **{name: now + span for name, span in bounds.items()})

    assert len(jobs.fire("k")) == count


def test_a_job_that_deletes_itself_waits_for_its_last_keyword(jobs: Jobs, records: Records) -> None:
    jobs.add("counted", task="proj.note", keyword="k", max_fires=1, on_end="delete")
    jobs.add("endless", task="proj.note", keyword="k", on_end="delete")
    ends_at = now_of(records) + HOUR
    jobs.add("dated", task="proj.note", keyword="k", ends_at=ends_at, on_end="delete")
    work(records, at=ends_at - 30 * SECOND)
    assert len(jobs.fire("k")) == 3
    work(records, at=ends_at - 20 * SECOND)
    assert "counted" in jobs
    assert records.job("endless")["due_at"] is None
    assert records.job("dated")["due_at"] == ends_at + MICROSECOND

    delivered = [row["id"] for row in records.fires()]
    with records.engine.begin() as conn:
        fires.mark_sent(conn, delivered)
    work(records, at=ends_at - 10 * SECOND)
    assert sorted(jobs) == ["dated", "endless"]

    work(records, at=ends_at + SECOND)
    assert sorted(jobs) == ["endless"]


def test_a_row_that_cannot_be_read_spoils_no_other(jobs: Jobs, records: Records) -> None:
    records.add("bad cron", keyword="k", cron="61 * * * *")
    records.add("bad args", keyword="k", args="{}")
    records.add("at alone", keyword="k", at="15:30")
    records.add("good", keyword="k")

    assert len(jobs.fire("k")) == 1

    work(records)
    errors = {name: row["error"] for name, row in records.jobs().items() if row["error"]}
    assert sorted(errors) == ["at alone", "bad args", "bad cron"]
    assert len(jobs.fire("k")) == 1
    assert {row["job_name"] for row in records.fires()} == {"good"}


def test_a_trigger_that_this_process_lacks_is_no_matter_to_the_keyword(
    jobs: Jobs, records: Records
) -> None:
    jobs.add("a", task="proj.note", keyword="k", custom="elsewhere")

    (id_,) = jobs.fire("k")

    assert [each.fire.id for each in take(records) if each.job] == [id_]


@on_each_database
def test_one_call_fires_each_job_once_however_often_it_is_written(
    jobs: Jobs, records: Records
) -> None:
    for name in ("a", "b"):
        jobs.add(name, task="proj.note", keyword="k")
    call = keywords.Call("k", "the fire that calls", now_of(records))

    with records.engine.begin() as conn:
        first = keywords.fire_jobs(conn, [call], "UTC")
        again = keywords.fire_jobs(conn, [call], "UTC")

    assert (len(first), again) == (2, [])
    assert {row["fire_count"] for row in records.jobs().values()} == {1}


@on_each_database
def test_more_jobs_than_a_page_are_fired_in_one_call(jobs: Jobs, records: Records) -> None:
    rows = [{"name": f"j{n:04}", "task": "t", "keyword": "k"} for n in range(1100)]
    records.run(sa.insert(tables.jobs), rows)

    ids = jobs.fire("k", args=[1])

    assert len(set(ids)) == 1100
    assert {row["fire_count"] for row in records.jobs().values()} == {1}
    assert {json.dumps(json.loads(row["args"])) for row in records.fires()} == {"[1]"}


@on_each_database
def test_calls_and_claims_at_once_are_all_counted(jobs: Jobs, records: Records) -> None:
    made_at = now_of(records).replace(microsecond=0) - 20 * HOUR
    grace = {"misfire_grace_time": 100 * 3600}
    for n in range(20):
        records.add(f"j{n}", keyword="k", every="1 hour", created_at=made_at, **grace)
    work(records, at=made_at - HOUR)

    def claim(k: int) -> int:
        with records.engine.begin() as conn:
            return len(claims.claim_due(conn, made_at + k * HOUR, 100, BEAT).deliveries)

    with ThreadPoolExecutor(2) as pool:
        calling = [pool.submit(jobs.fire, "k") for _ in range(10)]
        claiming = [pool.submit(claim, k) for k in range(20)]
    called = [len(each.result()) for each in calling]
    while claim(20):
        pass

    assert called == [20] * 10
    assert [each.exception() for each in claiming] == [None] * 20
    counts = {row["fire_count"] for row in records.jobs().values()}
    assert counts == {10 + 21}
    assert len(records.fires()) == 20 * 31


def test_a_keyword_is_found_without_reading_the_other_jobs(postgresql_url: str) -> None:
    jobs = Jobs(
        Celery(set_as_current=False, config_source={"jobsched_database_url": postgresql_url})
    )
    jobs.prepare()
    with Records(postgresql_url) as records:
        rows = [{"name": f"j{n}", "task": "t", "keyword": f"k{n % 999}"} for n in range(5000)]
        records.run(sa.insert(tables.jobs), rows)
        records.run(sa.text("ANALYZE jobsched_jobs"))
        with records.engine.connect() as conn:
            plan = conn.execute(
                sa.text("EXPLAIN SELECT id FROM jobsched_jobs WHERE keyword = 'k7' AND enabled")
            ).scalars()
            shown = "\n".join(plan)

    assert "jobsched_jobs_keyword" in shown
    jobs.runtime.close()
