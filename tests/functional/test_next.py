"""`celery -A proj jobs next`, as a process in a pipe, of expressions and of a table's jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from click.testing import CliRunner, Result

from celery_jobsched import Jobs
from celery_jobsched.cli import jobs
from tests.processes import run_celery
from tests.records import Records
from tests.stacks import Stack

UTC = timezone.utc
NOWHERE = "sqlite:////no/such/folder/jobs.db"
NIGHTLY = {"cron": "30 2 * * *", "timezone": "Europe/Paris"}
NIGHTLY_OPTIONS = ["--cron", "30 2 * * *", "--tz", "Europe/Paris"]


def conf_on(url: str) -> dict[str, Any]:
    return {"jobsched_database_url": url, "broker_url": "memory://", "timezone": "Europe/Paris"}


def stack_on(url: str, folder: Path) -> Stack:
    return Stack("-", "memory", folder, conf_on(url))


def run(*arguments: str, url: str = NOWHERE) -> Result:
    """The command in this process, where one of its own would tell nothing else."""
    app = Celery("proj", set_as_current=False)
    app.conf.update(conf_on(url))
    return CliRunner().invoke(jobs, ["next", *arguments], obj=SimpleNamespace(app=app))


@pytest.fixture
def records(sqlite_url: str) -> Iterator[Records]:
    made = Jobs(Celery("proj", set_as_current=False, config_source=conf_on(sqlite_url)))
    made.prepare()
    made.runtime.close()
    with Records(sqlite_url) as records:
        yield records


def columns(line: str) -> list[str]:
    """The parts of a line; how far away it is differs from day to day."""
    first, second, _, *rest = re.split(r" {2,}", line)
    return [first, second, *rest]


def test_an_expression_is_shown_without_any_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    options = [*NIGHTLY_OPTIONS, "--at", "2027-03-27", "-n", "3"]

    done = run_celery(stack_on(NOWHERE, tmp_path), "jobs", "next", *options)

    assert (done.returncode, done.stderr) == (0, "")
    words, *lines = done.stdout.splitlines()
    assert words == "every day at 02:30 Europe/Paris"
    assert [columns(line) for line in lines] == [
        ["FIRE (Europe/Paris)", "UTC"],
        ["Sat 2027-03-27 02:30 CET +01", "2027-03-27 01:30"],
        [
            "Sun 2027-03-28 03:00 CEST +02",
            "2027-03-28 01:00",
            "! 02:30 does not exist this day (clocks go 02:00 -> 03:00): "
            "fires at the first instant after",
        ],
        ["Mon 2027-03-29 02:30 CEST +02", "2027-03-29 00:30"],
    ]


def test_a_recurrence_rule_is_shown_from_the_first_moment_on() -> None:
    done = run("--rrule", "FREQ=HOURLY;INTERVAL=12", "--at", "2027-03-27 09:30", "-n", "2")

    assert done.exit_code == 0
    words, _, *lines = done.output.splitlines()
    assert words == ("rrule FREQ=HOURLY;INTERVAL=12, counted from 27 Mar 2027 09:30 Europe/Paris")
    assert [columns(line)[1] for line in lines] == ["2027-03-27 08:30", "2027-03-27 20:30"]


def test_jobs_of_the_table_are_shown_with_what_is_wrong_below(
    records: Records, sqlite_url: str, tmp_path: Path
) -> None:
    records.add("nightly", **NIGHTLY)
    records.add("paused", every="1 day", at="09:00", enabled=False)
    records.add("broken", cron="0 25 * * *")
    names = ["nightly", "paused", "broken", "nobody"]

    done = run_celery(
        stack_on(sqlite_url, tmp_path), "jobs", "next", *names, "--from=2027-10-31", "-n1"
    )

    assert done.returncode == 4
    first, second = done.stdout.split("\n\n")
    assert first.splitlines()[0] == "nightly: every day at 02:30 Europe/Paris"
    assert columns(first.splitlines()[2]) == [
        "Sun 2027-10-31 02:30 CEST +02",
        "2027-10-31 00:30",
        "! 02:30 comes twice this day: fires the first time only (not at 01:30 UTC)",
    ]
    assert second.startswith("paused (paused): every day at 09:00 Europe/Paris\n")
    assert done.stderr.splitlines() == [
        "broken: cron: expected hour from 0 to 23, not '25', got: '0 25 * * *'",
        "no job 'nobody'",
    ]


def test_a_bad_expression_is_one_line_of_words(tmp_path: Path) -> None:
    done = run_celery(stack_on(NOWHERE, tmp_path), "jobs", "next", "--cron", "0 25 * * *")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cron: expected hour from 0 to 23, not '25', got: '0 25 * * *'\n"


def test_of_a_database_that_is_away_no_job_is_shown(tmp_path: Path) -> None:
    done = run_celery(stack_on(NOWHERE, tmp_path), "jobs", "next", "nightly")

    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == "unable to open database file\n"


def test_as_json_a_fire_has_its_instants_and_its_mark() -> None:
    done = run(*NIGHTLY_OPTIONS, "--from", "2027-03-28", "-n", "2", "--json")

    moved, after = json.loads(done.stdout)
    assert moved == {
        "job": None,
        "at": "2027-03-28T01:00:00+00:00",
        "local": "2027-03-28T03:00:00+02:00",
        "nominal": "2027-03-28T02:30:00",
        "timezone": "Europe/Paris",
        "abbreviation": "CEST",
        "fires": True,
        "mark": {
            "code": "moved",
            "text": "02:30 does not exist this day (clocks go 02:00 -> 03:00): "
            "fires at the first instant after",
        },
    }
    assert (after["at"], after["mark"]) == ("2027-03-29T00:30:00+00:00", None)


def test_as_jsonl_each_fire_is_a_line_of_its_job(records: Records, sqlite_url: str) -> None:
    records.add("one", **NIGHTLY)
    records.add("two", **NIGHTLY)

    done = run("two", "one", "-n", "2", "--jsonl", url=sqlite_url)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["job"] for line in lines] == ["two", "two", "one", "one"]


def test_what_does_not_fire_has_neither_an_instant_nor_a_distance(
    records: Records, sqlite_url: str
) -> None:
    records.add("nightly", **NIGHTLY, dst_gap="skip")

    done = run("nightly", "--from", "2027-03-28", "-n", "1", url=sqlite_url)

    _, _, dropped, _ = done.stdout.splitlines()
    assert re.split(r" {2,}", dropped) == [
        "Sun 2027-03-28 02:30",
        "-",
        "-",
        "! 02:30 does not exist this day (clocks go 02:00 -> 03:00): does not fire",
    ]


def test_a_job_that_never_fires_again_is_told_so(records: Records, sqlite_url: str) -> None:
    records.add("past", once="2001-01-01 09:00")

    done = run("past", url=sqlite_url)

    assert (done.exit_code, done.stderr) == (3, "past does not fire any more\n")
    assert done.stdout == "past: once, 1 Jan 2001 09:00 Europe/Paris\n"


def test_a_job_without_a_clock_fires_by_its_keyword(records: Records, sqlite_url: str) -> None:
    records.add("called", keyword="deployed")

    done = run("called", url=sqlite_url)

    assert (done.exit_code, done.stdout) == (3, "called: when the keyword 'deployed' is fired\n")
    assert done.stderr == "called has no clock: it fires when its keyword is called (deployed)\n"


def test_a_rule_that_ended_is_refused_as_the_table_does() -> None:
    done = run("--rrule", "FREQ=DAILY;UNTIL=20200101T000000Z")

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("rrule: expected ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cron", "0 9 * * *", "--every", "1 day"], "one of --cron and --every"),
        (["--cron", "0 9 * * *", "--json", "--jsonl"], "--json or --jsonl, not both"),
        (["--cron", "0 9 * * *", "--at", "09:00"], "for a time of day --cron"),
        (["--every", "1 day", "--at", "09:00"], "--every with --at-time 09:00"),
        (["--cron", "0 9 * * *", "--at-time", "09:00"], "--at-time refines --every"),
        (["report", "--cron", "0 9 * * *"], "names of jobs or an expression, not both"),
        (["--tz", "Europe/Paris"], "expected names of jobs, --all, or --cron"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(
    arguments: list[str], said: str
) -> None:
    done = run(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


def test_a_trigger_that_is_not_registered_here_cannot_be_asked(
    records: Records, sqlite_url: str
) -> None:
    records.add("moon", custom="full-moon")

    done = run("moon", url=sqlite_url)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "moon: no trigger full-moon is registered\n"


def test_the_calendars_that_a_job_names_are_looked_up(records: Records, sqlite_url: str) -> None:
    writer = Jobs(Celery("proj", set_as_current=False, config_source=conf_on(sqlite_url)))
    writer.calendars["holidays"] = "12-25"
    writer.runtime.close()
    records.add("daily", cron="0 9 * * *", not_during="holidays")

    done = run("daily", "--from", "2026-12-24", "-n", "2", url=sqlite_url)

    words, _, *lines = done.stdout.splitlines()
    assert words == "daily: every day at 09:00 Europe/Paris, not in the calendar holidays"
    assert [columns(line)[1] for line in lines] == ["2026-12-24 08:00", "2026-12-26 08:00"]


def test_a_calendar_that_is_not_there_is_told_as_the_rows_error(
    records: Records, sqlite_url: str
) -> None:
    records.add("daily", cron="0 9 * * *", not_during="holidays")

    done = run("daily", url=sqlite_url)

    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == (
        "daily: not_during: expected calendars that exist: there is none named holidays, "
        "got: 'holidays'\n"
    )


@pytest.mark.parametrize("until", ["2027-01-01 12:00", "2027-01-01T11:00:00Z", "+12h"])
def test_the_end_may_be_a_moment_or_so_far_ahead(until: str) -> None:
    some = run("--cron", "0 * * * *", "--from", "2027-01-01", "--until", until)
    none = run("--cron", "0 13 * * *", "--from", "2027-01-01", "--until", until)

    assert len(some.stdout.splitlines()) == 2 + 13  # from 00:00 to 12:00
    assert (none.exit_code, none.stderr) == (3, "it does not fire then\n")


def test_the_first_moment_may_count_from_now() -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    done = run("--every", "1 day", "--from", "-2d", "-n", "1", "--json")

    first = datetime.fromisoformat(json.loads(done.stdout)[0]["at"])
    assert timedelta(days=-2) <= first - before <= datetime.now(UTC) - before - timedelta(days=1)


def test_an_interval_counts_from_the_first_moment_in_the_zone_of_the_application() -> None:
    done = run("--every", "2 days", "--at-time", "09:00", "--from", "2027-01-01", "-n", "2")

    words, _, *lines = done.stdout.splitlines()
    assert words == "every 2 days at 09:00, counted from 1 Jan 2027 00:00 Europe/Paris"
    assert [columns(line)[1] for line in lines] == ["2027-01-01 08:00", "2027-01-03 08:00"]


def test_without_a_first_moment_it_is_now() -> None:
    now = datetime.now(UTC)

    done = run("--cron", "* * * * *", "-n", "1", "--json")

    (fire,) = json.loads(done.stdout)
    assert now <= datetime.fromisoformat(fire["at"]) <= now + timedelta(minutes=2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Error: expected names of jobs, --all, or --cron, --every or --rrule."),
        (
            ["x", "--cron", "0 9 * * *"],
            "Error: expected names of jobs or an expression, not both.",
        ),
        (["--tz", "UTC"], "Error: expected names of jobs, --all, or --cron, --every or --rrule."),
        (["--every", "2 fortnights"], "every: expected a number and a unit"),
        (["--cron", "0 9 * * *", "--tz", "Mars"], "timezone: expected the name of a time zone"),
        (["--cron", "0 9 * * *", "--from", "soon"], "--from: expected a date and time"),
        (["--cron", "0 9 * * *", "--until", "+1y"], "--until: expected a date and time"),
        (["--cron", "0 9 * * *", "--from", "9999-01-01"], "--from: expected a year from 1900"),
        (["--cron", "0 9 * * *", "-n", "0"], "Error: Invalid value for '-n'"),
    ],
)
def test_wrong_usage_is_told_in_words(arguments: list[str], told: str) -> None:
    done = run(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)
