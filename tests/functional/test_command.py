"""`celery -A proj jobs list`, as a process, against rows that a beat planned and fired."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from celery_jobsched.views import JobState
from tests.processes import run_celery
from tests.records import Records, settle, ticking
from tests.services import DATABASES, fresh_database
from tests.stacks import Stack

UTC = timezone.utc
HOUR = timedelta(hours=1)
STATES = {
    "b yearly": "ok",
    "a hourly": "ok",
    "broken": "error",
    "of long ago": "done",
    "paused": "paused",
    "unplanned": "new",
    "of a keyword": "waiting",
    "of a keyword of long ago": "done",
    "of an unknown trigger": "late",
}
NOWHERE = {
    "sqlite": "sqlite:////no/such/folder/jobs.db",
    "postgresql": "postgresql+psycopg://nobody:secret@127.0.0.1:1/none",
    "mysql": "mysql+pymysql://nobody:secret@127.0.0.1:1/none",
}
#: What each database's driver says of a server or a folder that is not there.
AWAY = {
    "sqlite": "unable to open database file",
    "postgresql": 'connection to server at "127.0.0.1", port 1 failed: Connection refused',
    "mysql": "Can't connect to MySQL server on '127.0.0.1'",
}


@dataclass(frozen=True)
class Shown:
    """Three calls of the command, and the rows that they are about."""

    table: subprocess.CompletedProcess[str]
    as_json: subprocess.CompletedProcess[str]
    limited: subprocess.CompletedProcess[str]
    rows: dict[str, Any]


def stack_on(url: str, folder: Path) -> Stack:
    return Stack("-", "memory", folder, {"jobsched_database_url": url, "broker_url": "memory://"})


@pytest.fixture(scope="module", params=DATABASES)
def shown(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("command")
    with fresh_database(request.param, folder) as url, Records(url) as records:
        stack = stack_on(url, folder)
        fill(stack, records)
        yield Shown(
            run_celery(stack, "jobs", "list"),
            run_celery(stack, "jobs", "list", "--json"),
            run_celery(stack, "jobs", "list", "--limit", "2"),
            records.jobs(),
        )


def fill(stack: Stack, records: Records) -> None:
    """A row in each state; the hourly one has fired, the last one no beat has seen."""
    with ticking(stack) as scheduler:
        settle(scheduler)
        records.add("a hourly", every="1 hour", at=":30", timezone="Europe/Paris")
        records.edit("a hourly", created_at=datetime.now(UTC) - HOUR, misfire="once")
        records.add("b yearly", cron="0 5 1 1 *")
        records.add("broken", task="proj.fail", cron="0 25 * * *")
        records.add("of long ago", once="2001-01-01T00:00:00Z")
        records.add("paused", every="1 minute", enabled=False)
        records.add("of a keyword", keyword="stock arrived")
        long_ago, hour_ago = datetime(2001, 1, 1, tzinfo=UTC), datetime.now(UTC) - HOUR
        records.add("of a keyword of long ago", keyword="k", ends_at=long_ago)
        records.add("of an unknown trigger", custom="unknown 5", keyword="k", created_at=hour_ago)
        settle(scheduler)
        records.add("unplanned", celery="schedule 30")


def columns(line: str) -> list[str]:
    return [part.strip() for part in line.split("  ") if part.strip()]


def test_the_table_has_a_line_a_job_with_its_state_and_times(shown: Shown) -> None:
    heading, *lines = shown.table.stdout.splitlines()

    assert (shown.table.returncode, shown.table.stderr) == (0, "")
    assert columns(heading) == [
        "STATE", "NAME", "SCHEDULE", "NEXT", "IN", "LAST", "TOOK", "RECENT",
    ]  # fmt: skip
    assert {columns(line)[1]: columns(line)[0] for line in lines[:-1] if "  " in line} == {
        **STATES,
        "celery.backend_cleanup": "ok",
    }
    hourly = next(columns(line) for line in lines if "a hourly" in line)
    at = shown.rows["a hourly"]["next_fire_at"].astimezone(ZoneInfo("Europe/Paris"))
    assert hourly[:3] == ["ok", "a hourly", "every hour at :30, Europe/Paris"]
    assert hourly[3] == f"{at:%a %H:%M %Z}"
    assert hourly[-1] == "."


def test_a_keyword_and_a_trigger_of_the_applications_stand_in_the_schedule(shown: Shown) -> None:
    schedules = {row["name"]: row["schedule"] for row in json.loads(shown.as_json.stdout)}

    assert schedules["of a keyword"] == "keyword stock arrived"
    assert schedules["of an unknown trigger"] == "custom unknown 5; keyword k"


def test_what_is_wrong_stands_below_the_table_in_words(shown: Shown) -> None:
    last = shown.table.stdout.splitlines()[-1]

    assert last == f"broken: {shown.rows['broken']['error']}"
    assert last.startswith("broken: cron: expected ")


def test_as_json_it_is_one_array_with_the_worst_first(shown: Shown) -> None:
    listed = json.loads(shown.as_json.stdout)

    by_name = {row["name"]: row for row in listed}
    states = [row["state"] for row in listed]
    assert states == sorted(states, key=[each.value for each in JobState].index)
    waiting = [row["next_fire_at"] for row in listed if row["state"] == "ok"]
    assert waiting == sorted(waiting)
    assert {name: by_name[name]["state"] for name in STATES} == STATES
    broken = by_name["broken"]
    assert (broken["words"], broken["schedule"]) == (None, "cron 0 25 * * *")
    assert (broken["task"], broken["error"]) == ("proj.fail", shown.rows["broken"]["error"])
    assert by_name["b yearly"]["words"] == "on the 1st of January at 05:00 UTC"
    assert by_name["a hourly"]["last"]["state"] == "sent"
    assert by_name["a hourly"]["next_fire_at"] == shown.rows["a hourly"]["next_fire_at"].isoformat()


def test_a_limit_shows_so_many_and_says_how_many_there_are(shown: Shown) -> None:
    done = shown.limited

    _, *lines = done.stdout.splitlines()
    assert [columns(line)[:2] for line in lines[:2]] == [
        ["error", "broken"],
        ["late", "of an unknown trigger"],
    ]
    assert len(lines) == 3
    assert (
        done.stderr
        == "2 of 10 jobs shown: 1 error, 1 late, 3 ok, 1 new, 1 waiting, 1 paused, 2 done.\n"
    )
    assert done.returncode == 0


def test_jobs_alone_lists_them(tmp_path: Path, sqlite_url: str) -> None:
    stack = stack_on(sqlite_url, tmp_path)
    with Records(sqlite_url) as records:
        fill(stack, records)

    alone, listed = run_celery(stack, "jobs"), run_celery(stack, "jobs", "list")

    assert alone.returncode == 0
    assert [line[:30] for line in alone.stdout.splitlines()] == [
        line[:30] for line in listed.stdout.splitlines()
    ]


@pytest.mark.parametrize("limit", ["0", "many"])
def test_a_limit_that_is_none_is_refused_before_anything_is_read(
    limit: str, tmp_path: Path
) -> None:
    done = run_celery(stack_on(NOWHERE["sqlite"], tmp_path), "jobs", "list", "--limit", limit)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--limit" in done.stderr


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_that_is_away_is_told_in_words(kind: str, tmp_path: Path) -> None:
    done = run_celery(stack_on(NOWHERE[kind], tmp_path), "jobs", "list")

    assert (done.returncode, done.stdout) == (69, "")
    assert AWAY[kind] in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("oracle://x:secret@localhost/jobs", "got: oracle"),
        ("secret, no URL", "got: no URL"),
        ("mysql+cymysql://x:secret@localhost/jobs", "No module named 'cymysql'"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_by_its_option(
    url: str, told: str, tmp_path: Path
) -> None:
    stack = stack_on(url, tmp_path)

    listed, beat = run_celery(stack, "jobs"), run_celery(stack, "beat", "-S", "jobsched")

    assert (listed.returncode, beat.returncode) == (69, 1)
    assert listed.stderr.startswith("jobsched_database_url: expected a URL of sqlite, postgresql")
    assert told in listed.stderr
    assert beat.stderr.endswith(f"InvalidSetting: {listed.stderr}")
    assert "secret" not in listed.stderr + beat.stderr


def test_a_database_without_tables_is_told_in_words(database_url: str, tmp_path: Path) -> None:
    done = run_celery(stack_on(database_url, tmp_path), "jobs", "list")

    assert (done.returncode, done.stdout) == (69, "")
    assert "no tables" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["worker", "--help"], ["jobs", "--help"]])
def test_the_help_of_celery_and_of_its_commands_is_shown(
    arguments: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "celery", *arguments], cwd=tmp_path, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
    assert arguments != ["--help"] or "jobs" in done.stdout


def test_the_command_imports_nothing_heavy_before_it_is_used(tmp_path: Path) -> None:
    code = "import celery_jobsched.cli, sys, json; print(json.dumps(sorted(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )

    imported = set(json.loads(done.stdout))
    assert imported & {"sqlalchemy", "celery_jobsched.store", "celery_jobsched.job"} == set()
    assert {"celery_jobsched", "celery_jobsched.cli", "click"} <= imported
