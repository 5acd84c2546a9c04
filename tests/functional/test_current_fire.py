"""What a task can ask about the fire it runs for, in a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_jobsched import current_fire
from tests.clients import sql_client
from tests.processes import Beat, Worker, runs, wait_until
from tests.stacks import fresh_stack
from tests.tables import Tables

#: Two instants of long ago, of which the misfire rule fires the newer: nothing hinges on today.
JOB = """
    INSERT INTO jobsched_jobs (name, task, cron, timezone, created_at, args, kwargs, options)
    VALUES (
        'asker', 'proj.ask', '0 30 2 28-29 3 * 2026', 'Europe/Berlin', '2026-01-01',
        '["{fire_date}", "since {previous_fire_at}"]', '{"who": "{job}"}',
        '{"link": {"task": "proj.note", "args": ["linked"], "immutable": true}}'
    )
"""


@pytest.fixture(scope="module", params=["prefork", "threads"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[list[dict[str, Any]]]:
    """What a worker wrote of a task that retries once, sends another each time, and has a link."""
    folder: Path = tmp_path_factory.mktemp("current")
    with fresh_stack("sqlite", "filesystem", folder) as stack:
        tables = Tables(stack)
        with Worker(stack, pool=request.param) as worker, Beat(stack) as beat:
            wait_until(tables.has_any, 10, beat.log)
            sql_client(stack.database_url)(JOB)
            wait_until(lambda: len(runs(stack.runs_file)) >= 5, 20, worker.log)
            yield runs(stack.runs_file)


def of_task(ran: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [run for run in ran if run["task"] == name]


def test_a_task_knows_its_fire_and_each_attempt_at_it(ran: list[dict[str, Any]]) -> None:
    asked = of_task(ran, "proj.ask")

    assert [run["current"].pop("attempt") for run in asked] == [1, 2]
    assert asked[0]["current"] == asked[1]["current"]
    assert asked[0]["current"] == {
        "id": asked[0]["id"],
        "job": "asker",
        "fire_at": "2026-03-29 01:00:00+00:00",
        "local": "2026-03-29 02:30:00",
        "previous_fire_at": "2026-03-28 01:30:00+00:00",
        "origin": "catchup",
        "database": None,
    }


def test_its_arguments_were_filled_in(ran: list[dict[str, Any]]) -> None:
    asked = of_task(ran, "proj.ask")

    assert asked[0]["args"] == ["2026-03-29", "since 2026-03-28T01:30:00+00:00"]
    assert asked[0]["kwargs"] == {"who": "asker"}


def test_what_a_task_sends_or_links_to_runs_for_no_fire(ran: list[dict[str, Any]]) -> None:
    others = of_task(ran, "proj.note")

    assert sorted(run["args"][0] for run in others) == [
        "linked",
        "sent by a task",
        "sent by a task",
    ]
    assert [run["current"] for run in others] == [None, None, None]


def test_outside_a_task_there_is_no_fire() -> None:
    assert current_fire() is None
