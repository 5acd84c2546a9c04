"""`Jobs(app)` on each database: what it writes, what it refuses, and that a beat takes it up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celery_jobsched import InvalidJob, Job, JobExistError, JobNotFound, Jobs
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.records import Records, settle, ticking
from tests.services import DATABASES
from tests.stacks import Stack, fresh_stack
from tests.tables import Tables

UTC = timezone.utc
#: One value for each field, in the form that it is read back in.
WHOLE: dict[str, Any] = {
    "task": "proj.note",
    "args": [1, "zwei", None],
    "kwargs": {"drei": [3.5, {"vier": True}]},
    "options": {"queue": "slow", "priority": 3},
    "labels": {"owner": "Zoë"},
    "description": "Grüße, 'quoted' \\ and %s",
    "every": "2 hours",
    "at": ":15",
    "timezone": "Europe/Paris",
    "starts_at": datetime(2030, 1, 1, 12, 30, 15, 250000, tzinfo=UTC),
    "ends_at": datetime(2031, 1, 1, tzinfo=UTC),
    "max_fires": 7,
    "jitter": 2.5,
    "misfire": "all",
    "misfire_grace_time": 12.5,
    "month_end": "skip",
    "dst_gap": "skip",
    "dst_fold": "both",
    "on_end": "delete",
    "enabled": False,
}


@pytest.fixture
def app(database_url: str) -> Celery:
    conf = {"jobsched_database_url": database_url, "broker_url": "memory://"}
    return Celery("proj", set_as_current=False, config_source=conf)


@pytest.fixture
def jobs(app: Celery) -> Iterator[Jobs]:
    jobs = Jobs(app)
    jobs.prepare()
    yield jobs
    jobs.runtime.close()


def test_an_added_job_is_read_back_as_it_was_given(jobs: Jobs) -> None:
    added = jobs.add("whole", **WHOLE)

    assert jobs.get("whole") == jobs["whole"] == added == Job.from_dict("whole", WHOLE)
    assert jobs["whole"].to_dict() == WHOLE


def test_the_jobs_are_a_collection_of_names(jobs: Jobs) -> None:
    for name in ("b", "c", "a"):
        jobs.add(name, task="proj.note", every="1 hour")

    del jobs["b"]
    jobs.remove("c")

    assert (list(jobs), len(jobs)) == (["a"], 1)
    assert "a" in jobs
    assert "b" not in jobs
    assert 1 not in jobs


def test_names_are_told_apart_to_the_letter(jobs: Jobs) -> None:
    names = ["Rates", "rates", "ratés"]

    for name in names:
        jobs.add(name, task=f"proj.{name}", every="1 hour")

    assert sorted(jobs) == sorted(names)
    assert [jobs[name].task for name in names] == [f"proj.{name}" for name in names]


def test_a_name_is_given_once_unless_the_job_is_to_be_replaced(jobs: Jobs) -> None:
    jobs.add("rates", task="proj.note", every="1 hour", args=[1])
    first_id = jobs["rates"].id

    with pytest.raises(JobExistError, match="'rates'"):
        jobs.add("rates", task="proj.fail", every="1 minute")
    unchanged = jobs["rates"]
    jobs.add("rates", replace=True, task="proj.fail", cron="0 5 * * *")
    jobs.add("other", replace=True, task="proj.note", every="1 day")

    assert (unchanged.task, unchanged.every, unchanged.args) == ("proj.note", "1 hour", [1])
    assert jobs["rates"].to_dict() == {"task": "proj.fail", "cron": "0 5 * * *"}
    assert jobs["rates"].id == first_id
    assert len(jobs) == 2


def test_a_change_sets_what_it_names_and_keeps_the_rest(jobs: Jobs) -> None:
    before = jobs.add("whole", **WHOLE)

    changed = jobs.modify("whole", every=None, at=None, cron="0 5 * * *", args=[2], enabled=True)

    left = {key: value for key, value in WHOLE.items() if key not in {"every", "at", "enabled"}}
    assert changed.to_dict() == left | {"cron": "0 5 * * *", "args": [2]}
    assert jobs["whole"] == changed != before


def test_a_change_keeps_what_the_job_remembers(jobs: Jobs, app: Celery, tmp_path: Path) -> None:
    jobs.add("rates", task="proj.note", every="1 hour")
    with ticking(Stack("-", "memory", tmp_path, {}), app) as scheduler:
        settle(scheduler)
        fired = jobs["rates"]
        jobs.modify("rates", args=[1])
        jobs.add("rates", replace=True, task="proj.note", every="1 hour", args=[2])
        settle(scheduler)

    after = jobs["rates"]
    assert after.args == [2]
    assert after.fire_count == fired.fire_count == 1
    assert (after.next_fire_at, after.last_fire_at) == (fired.next_fire_at, fired.last_fire_at)
    assert after.created_at == fired.created_at


def test_a_job_that_is_not_there_is_named(jobs: Jobs) -> None:
    for call in (jobs.get, jobs.remove, jobs.modify, jobs.__getitem__, jobs.__delitem__):
        with pytest.raises(JobNotFound, match=r"^no job 'nobody'$"):
            call("nobody")


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({"task": "proj.note"}, "every"),
        ({"every": "1 hour"}, "task"),
        ({"task": "proj.note", "every": "15"}, "every"),
        ({"task": "proj.note", "every": "1 hour", "at": "99:00"}, "at"),
        ({"task": "proj.note", "cron": "0 25 * * *"}, "cron"),
        ({"task": "proj.note", "every": "1 hour", "args": {"a": 1}}, "args"),
        ({"task": "proj.note", "every": "1 hour", "options": {"eta": 1}}, "options"),
        ({"task": "proj.note", "every": "1 hour", "timezone": "Europe/Pariss"}, "timezone"),
        ({"task": "proj.note", "evry": "1 hour"}, "evry"),
        ({"task": "proj.note", "every": "1 hour", "max_concurrency": 0}, "max_concurrency"),
    ],
)
def test_a_refusal_names_the_job_and_the_field_and_changes_nothing(
    definition: dict[str, Any], field: str, tmp_path: Path
) -> None:
    conf = {"jobsched_database_url": f"sqlite:///{tmp_path / 'jobs.db'}"}
    jobs = Jobs(Celery("proj", set_as_current=False, config_source=conf))
    jobs.prepare()
    jobs.add("rates", task="proj.note", every="1 hour")

    with pytest.raises(InvalidJob) as added:
        jobs.add("bad", **definition)
    with pytest.raises(InvalidJob) as replaced:
        jobs.add("rates", replace=True, **definition)

    assert [(e.value.job, e.value.field) for e in (added, replaced)] == [
        ("bad", field),
        ("rates", field),
    ]
    assert str(added.value).startswith(f"job 'bad': {field}: expected ")
    assert list(jobs) == ["rates"]
    assert jobs["rates"].every == "1 hour"


def test_a_change_that_cannot_be_read_is_refused_and_changes_nothing(jobs: Jobs) -> None:
    before = jobs.add("rates", task="proj.note", every="1 hour")

    with pytest.raises(InvalidJob, match=r"^job 'rates': cron: expected .* got: '0 25 \* \* \*'$"):
        jobs.modify("rates", cron="0 25 * * *")

    assert jobs["rates"] == before


def test_a_row_that_cannot_be_read_is_named_and_spoils_no_other(
    jobs: Jobs, database_url: str
) -> None:
    jobs.add("good", task="proj.note", every="1 hour")
    with Records(database_url) as records:
        records.add("bad", every="soon")

    with pytest.raises(InvalidJob, match=r"^job 'bad': every: expected "):
        jobs.get("bad")

    assert list(jobs) == ["bad", "good"]
    assert jobs["good"].every == "1 hour"
    jobs.add("bad", replace=True, task="proj.note", every="1 minute")
    assert jobs["bad"].every == "1 minute"


def test_a_row_that_cannot_be_read_is_mended_by_a_change(jobs: Jobs, database_url: str) -> None:
    with Records(database_url) as records:
        records.add("bad", every="soon")

    mended = jobs.modify("bad", every="1 minute")

    assert jobs["bad"] == mended


def test_an_application_may_come_later(app: Celery) -> None:
    jobs = Jobs()
    with pytest.raises(RuntimeError, match="init_app"):
        len(jobs)

    jobs.init_app(app)
    jobs.prepare()

    assert len(jobs) == 0
    jobs.runtime.close()


def test_making_it_opens_nothing() -> None:
    conf = {"jobsched_database_url": "sqlite:////no/such/folder/jobs.db"}

    jobs = Jobs(Celery("proj", set_as_current=False, config_source=conf))

    assert jobs.runtime.urls["database"].startswith("sqlite:")


def test_the_instants_of_a_job_are_told_in_both_directions(jobs: Jobs) -> None:
    jobs.add("daily", task="proj.note", cron="0 9 * * *", timezone="Europe/Berlin")
    noon = datetime(2030, 1, 15, 12, tzinfo=UTC)

    assert jobs.upcoming("daily", 2, noon) == [noon.replace(day=day, hour=8) for day in (16, 17)]
    assert jobs.previous("daily", 2, noon) == [noon.replace(day=day, hour=8) for day in (15, 14)]
    now = datetime.now(UTC)
    assert jobs.previous("daily")[0] <= now < jobs.upcoming("daily")[0]
    with pytest.raises(JobNotFound):
        jobs.upcoming("daly")


@pytest.mark.parametrize("database", DATABASES)
def test_a_running_beat_fires_an_added_job_within_two_seconds(
    database: str, tmp_path: Path
) -> None:
    with fresh_stack(database, "redis", tmp_path) as stack, Beat(stack) as beat:
        tables, jobs = Tables(stack), Jobs(stack.app())
        jobs.prepare()
        wait_until(lambda: Records(stack.database_url).beats(), 10, beat.log)

        began = time.monotonic()
        jobs.add("added", task="proj.note", every="1 second")
        wait_until(lambda: any(f.state == "sent" for f in tables.fires("added")), 10, beat.log)
        took = time.monotonic() - began

        jobs.remove("added")
        assert took < paced(2)
        assert "added" not in jobs
        assert "ERROR" not in beat.log()
        jobs.runtime.close()
