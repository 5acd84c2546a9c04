"""The main path on each stack: a real beat, a real worker, and jobs of each kind between them.

One run a stack, side by side, which all tests of this file look at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from statistics import median_high
from types import SimpleNamespace
from typing import Any

import pytest

from tests.beside import Plays, beside
from tests.clients import sql_client
from tests.pace import paced
from tests.processes import Beat, Worker, runs, wait_until
from tests.stacks import PAIRS, Stack, fresh_stack
from tests.tables import Tables

pytestmark = pytest.mark.alone

UTC = timezone.utc
SECOND = timedelta(seconds=1)
#: By when a beat and a worker have begun; else an instant of a minute passes unseen.
_TO_BEGIN = 12 * SECOND
#: The present instant as each database says it, in a column that holds text.
NOW = {"sqlite": "datetime('now')", "postgresql": "now()", "mysql": "now()"}
EACH_SECOND = ("declared every", "of Celery", "sql every")


@dataclass(frozen=True)
class Played:
    """What a run left behind: the worker's records, the tables, and when SQL was sent."""

    ran: list[dict[str, Any]]
    fires: list[SimpleNamespace]
    jobs: dict[str, SimpleNamespace]
    began_at: datetime
    long_past: datetime

    def instants(self, job: str) -> list[datetime]:
        return [fire.fire_at for fire in self.fires if fire.job_name == job]


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Plays[Played]:
    return beside(_on_a_stack, PAIRS, tmp_path_factory.mktemp("main"))


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def played(request: pytest.FixtureRequest, plays: Plays[Played]) -> Played:
    return plays[request.param].result()


def _on_a_stack(pair: tuple[str, str], folder: Path) -> Played:
    with fresh_stack(*pair, folder) as stack:
        return _play(stack)


def _play(stack: Stack) -> Played:
    began_at = datetime.now(UTC)
    long_past = began_at.replace(second=0, microsecond=0) - timedelta(minutes=2)
    tables = Tables(stack)
    with Worker(stack), Beat(stack, scheduler=_scheduler(stack), conf=_declared()) as beat:
        wait_until(lambda: tables.has_any() and tables.jobs(), 20, beat.log)
        _insert(stack, long_past)
        wait_until(lambda: _is_enough(stack), 80, lambda: beat.log() + str(runs(stack.runs_file)))
        assert beat.stop().exit_code == 0
        fires, jobs = tables.fires(), tables.jobs()
        wait_until(lambda: len(runs(stack.runs_file)) >= len(fires), 5, fires)
        return Played(runs(stack.runs_file), fires, jobs, began_at, long_past)


def _scheduler(stack: Stack) -> str:
    """SQLite is shown with the entry point's name, the others with the class's."""
    return "jobsched" if stack.database == "sqlite" else "celery_jobsched.Scheduler"


def _declared() -> dict[str, Any]:
    second = (datetime.now(UTC) + _TO_BEGIN).second
    jobs = {
        "declared every": {"task": "proj.note", "every": [1, "second"], "args": [1, "two"]},
        "declared at": {"task": "proj.note", "every": "minute", "at": {"second": second}},
        "declared cron": {"task": "proj.note", "cron": "30 4 1 1 *", "timezone": "Europe/Berlin"},
    }
    entries = {"of Celery": {"task": "proj.note", "schedule": 1.0, "kwargs": {"n": 3}}}
    return {"jobsched_jobs": jobs, "beat_schedule": entries}


def _insert(stack: Stack, long_past: datetime) -> None:
    """Rows with a name, a task and one column that says when; one was made long ago."""
    sql = sql_client(stack.database_url)
    hour_ago = long_past - timedelta(hours=1)
    for column, value in (
        ("every", "'1 second'"),
        ("cron", "'* * * * *'"),
        ("once", NOW[stack.database]),
    ):
        sql(
            f"INSERT INTO jobsched_jobs (name, task, {column}) "
            f"VALUES ('sql {column}', 'proj.note', {value})"
        )
    sql(
        "INSERT INTO jobsched_jobs (name, task, cron, created_at) VALUES "
        f"('sql cron of old', 'proj.note', '{long_past:%M %H} * * *', '{hour_ago:%F %T}')"
    )


def _is_enough(stack: Stack) -> bool:
    seen = Counter(run["job"] for run in runs(stack.runs_file))
    least = dict.fromkeys(EACH_SECOND, 4) | {"declared at": 1, "sql once": 1, "sql cron of old": 1}
    return all(seen[job] >= count for job, count in least.items())


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_each_fire_reaches_the_worker_exactly_once(played: Played) -> None:
    of_worker = Counter((run["job"], _instant(run["fire_at"])) for run in played.ran)
    of_table = Counter((fire.job_name, fire.fire_at) for fire in played.fires)

    assert set(of_worker.values()) == {1}
    assert of_worker == of_table
    assert sorted(run["id"] for run in played.ran) == sorted(fire.id for fire in played.fires)


@pytest.mark.parametrize("job", EACH_SECOND)
def test_a_job_of_each_second_leaves_out_none(played: Played, job: str) -> None:
    instants = played.instants(job)

    assert len(instants) >= 4
    assert {b - a for a, b in pairwise(instants)} == {SECOND}


def test_a_minute_with_a_second_fires_at_that_second(played: Played) -> None:
    row = played.jobs["declared at"]

    (instant,) = played.instants("declared at")

    assert row.at == f'{{"second": {instant.second}}}'
    assert played.began_at < instant < played.began_at + timedelta(seconds=20)
    assert row.next_fire_at == instant + timedelta(minutes=1)


def test_once_at_the_databases_present_fires(played: Played) -> None:
    (instant,) = played.instants("sql once")

    assert abs(instant - played.jobs["sql once"].created_at) < SECOND
    assert played.jobs["sql once"].next_fire_at is None


def test_cron_is_planned_for_the_full_minute(played: Played) -> None:
    row = played.jobs["sql cron"]
    last = played.instants("sql cron")[-1:]

    minute = row.created_at.replace(second=0, microsecond=0)
    expected = max([minute, *last]) + timedelta(minutes=1)
    assert row.next_fire_at == expected


def test_cron_of_a_declared_job_is_local_time(played: Played) -> None:
    expected = datetime(played.began_at.year, 1, 1, 3, 30, tzinfo=UTC)

    if expected <= played.began_at:
        expected = expected.replace(year=expected.year + 1)

    assert played.jobs["declared cron"].next_fire_at == expected


def test_the_newest_instant_that_cron_missed_is_made_up_for(played: Played) -> None:
    (fire,) = [each for each in played.fires if each.job_name == "sql cron of old"]

    (run,) = [each for each in played.ran if each["job"] == "sql cron of old"]

    assert fire.fire_at == _instant(run["fire_at"]) == played.long_past
    assert fire.origin == run["origin"] == "catchup"
    assert played.jobs["sql cron of old"].next_fire_at == played.long_past + timedelta(days=1)


def test_the_worker_sees_arguments_and_origin(played: Played) -> None:
    said = {run["job"]: (run["args"], run["kwargs"], run["origin"]) for run in played.ran}

    assert said["declared every"] == ([1, "two"], {}, "schedule")
    assert said["of Celery"] == ([], {"n": 3}, "schedule")
    assert said["sql every"] == ([], {}, "schedule")


def test_each_fire_is_marked_sent_close_to_its_instant(played: Played) -> None:
    late = {
        (fire.job_name, fire.fire_at): fire.sent_at
        - max(fire.fire_at, played.jobs[fire.job_name].created_at)
        for fire in played.fires
        if fire.origin == "schedule"
    }

    assert {fire.state for fire in played.fires} == {"sent"}
    assert all(timedelta(0) <= lag < paced(5) * SECOND for lag in late.values()), late
    assert median_high(late.values()) < paced(1) * SECOND


def test_each_fire_reaches_the_worker_in_time(played: Played) -> None:
    sent_at = {fire.id: fire.sent_at.timestamp() for fire in played.fires}

    late = [run["at"] - sent_at[run["id"]] for run in played.ran]

    assert max(late) < paced(1)
