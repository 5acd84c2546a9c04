"""What is refused when a job is made, column by column, and in which words: by every door.

A refusal names the job, the field, what was expected and what came, cut to a bounded length.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched import Jobs
from celery_jobsched.declare import declared_jobs
from celery_jobsched.errors import InvalidJob, NextFireTimeError
from celery_jobsched.job import Job
from tests.records import Records, settle, ticking
from tests.services import fresh_database
from tests.stacks import Stack
from tests.wrong_definitions import CASES, DAILY


@pytest.mark.parametrize(
    ("field", "definition", "expected"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)]
)
def test_a_refusal_names_job_field_and_value(
    field: str, definition: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidJob) as refused:
        Job.from_dict("the job", {"task": "t", **definition}, calendars={})

    error = refused.value
    assert (error.job, error.field) == ("the job", field)
    assert error.expected.startswith(expected)
    assert str(error).startswith(f"job 'the job': {field}: expected {expected}")
    assert ", got: " in str(error)
    assert len(str(error)) < 700


def test_what_could_fail_to_advance_is_refused_by_an_error_of_its_own() -> None:
    kinds = {}
    for _, definition, expected in CASES:
        with pytest.raises(InvalidJob) as refused:
            Job.from_dict("j", {"task": "t", **definition}, calendars={})
        kinds[expected] = type(refused.value)

    advance = {words for words, kind in kinds.items() if kind is NextFireTimeError}
    assert all("finer than" in words or "a day that one of" in words for words in advance)
    assert len(advance) == 4


def test_the_configuration_refuses_the_same_in_the_same_words() -> None:
    for field, definition, expected in CASES:
        with pytest.raises(InvalidJob) as refused:
            declared_jobs({"the job": {"task": "t", **definition}}, {}, "UTC", {})

        assert str(refused.value).startswith(f"job 'the job': {field}: expected {expected}")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with fresh_database("sqlite", tmp_path) as url:
        yield url


def test_the_facade_refuses_the_same_and_writes_nothing(url: str) -> None:
    jobs = Jobs(Celery(set_as_current=False, jobsched_database_url=url))
    jobs.prepare()
    jobs.add("kept", task="t", **DAILY)

    for field, definition, expected in CASES:
        with pytest.raises(InvalidJob) as refused:
            jobs.add("the job", **{"task": "t", **definition})
        assert str(refused.value).startswith(f"job 'the job': {field}: expected {expected}")

    with pytest.raises(InvalidJob, match="job 'kept': cron: expected 5 fields"):
        jobs.modify("kept", cron="every day")
    assert list(jobs) == ["kept"]
    assert jobs.get("kept").every == "1 day"


def test_a_row_of_the_table_gets_the_same_as_its_error(url: str, tmp_path: Path) -> None:
    """All of them at once, in the types that a person can write in SQL."""
    settings = {"jobsched_database_url": url, "broker_url": "memory://"}
    rows = {str(n): case for n, case in enumerate(CASES) if is_sql(case[1])}

    with Records(url) as records, ticking(Stack("-", "memory", tmp_path, settings)) as scheduler:
        settle(scheduler)
        for name, (_, definition, _) in rows.items():
            row = {"name": name, "task": "t", **definition}
            columns, values = ", ".join(row), ", ".join(f":{column}" for column in row)
            insert = sa.text(f"INSERT INTO jobsched_jobs ({columns}) VALUES ({values})")
            records.run(insert.bindparams(**row))
        settle(scheduler)
        errors = {name: row["error"] for name, row in records.jobs().items()}

    assert len(rows) > 100
    for name, (field, _, expected) in rows.items():
        assert str(errors[name]).startswith(f"{field}: expected {expected}"), rows[name]


def is_sql(definition: dict[str, Any]) -> bool:
    """Whether a row of SQLite can hold it as it stands; a time without a zone means another."""
    given = definition.keys() - {
        "schedule",
        "once",
        "starts_at",
        "ends_at",
        "enabled",
        "description",
    }
    plain = all(isinstance(value, str) for value in definition.values())
    return plain and given == definition.keys() and "\0" not in "".join(definition.values())
