"""What `celery -A proj jobs` shows to people: tables, help, and what a shell completes."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from celery.bin.celery import celery
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from celery_jobsched.cli import jobs as group
from celery_jobsched.fire import new_id
from celery_jobsched.store.tables import fires
from tests.persons import Person, runs

UTC = timezone.utc
HOUR = timedelta(hours=1)
NOTE = ["task=proj.note", "every=1 hour"]


def fill(person: Person) -> str:
    """An hourly job with a run and a skip; the id of the run."""
    run = runs(person)
    run("add", "hourly", "task=proj.note", "cron=0 * * * *")
    person.beat()
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - HOUR
    row = {
        "job_id": person.records.job("hourly")["id"],
        "job_name": "hourly",
        "origin": "schedule",
    }
    ids = [new_id(at), new_id(at + HOUR)]
    person.records.run(
        sa.insert(fires),
        [
            row
            | {"id": ids[0], "key": "1", "fire_at": at, "state": "failed", "worker": "celery@w1"}
            | {"sent_at": at, "started_at": at, "finished_at": at + HOUR, "error": "boom"},
        ],
    )
    person.records.run(
        sa.insert(fires),
        [
            row
            | {"id": ids[1], "key": "2", "fire_at": at + HOUR, "state": "skipped"}
            | {"reason": "overlap = skip: it is full"},
        ],
    )
    return ids[0]


def test_the_history_has_reasons_and_ids_that_explain_takes(person: Person) -> None:
    id_, run = fill(person), runs(person)

    table = run("history", "hourly")
    lines = run("history", "hourly", "--state", "failed", "--since", "-1d", "--jsonl")
    none = run("history", "hourly", "--state", "lost")
    ran = run("explain", "hourly", id_[-8:])
    skipped = run("explain", "hourly")
    as_json = run("explain", "hourly", "--json")
    nothing = run("explain", "hourly", "2035-01-01 00:30")

    heading, first, second = table.stdout.splitlines()
    assert re.split(r" {2,}", heading)[-3:] == ["WORKER", "WHY / ERROR", "FIRE"]
    assert re.split(r" {2,}", first)[2] == "skipped"
    assert re.split(r" {2,}", first)[-2] == "overlap = skip: it is full"
    assert re.split(r" {2,}", second)[2:] == [
        "failed", re.split(r" {2,}", second)[3], "0s", "0s", "1h 0m", "celery@w1", "boom", id_[-8:],
    ]  # fmt: skip
    assert [json.loads(line)["id"] for line in lines.stdout.splitlines()] == [id_]
    assert (none.exit_code, none.stdout) == (3, "")
    assert (ran.exit_code, skipped.exit_code, nothing.exit_code) == (0, 3, 3)
    assert "failed in 1h 0m." in ran.stdout
    assert [each["code"] for each in json.loads(as_json.stdout)["steps"]][-2:] == ["slot", "hint"]
    assert "nothing is owed then" in nothing.stdout


@pytest.mark.parametrize("width", [80, 200])
def test_tables_fit_the_width(small_person: Person, width: int) -> None:
    fill(small_person)
    run = runs(small_person)
    long = "a name that is long enough to be cut where there is no room for all of it"
    run("add", long, "task=proj.note", "cron=0 9 * * mon-fri", "timezone=Europe/Paris")
    small_person.records.add("broken", cron="0 25 * * *")
    small_person.beat()

    for words in (["list"], ["history", "hourly"]):
        lines = run(*words, COLUMNS=str(width)).stdout.splitlines()
        assert max(map(len, lines)) <= width
        assert "\x1b" not in "".join(lines)
    wide = run("list", COLUMNS="200").stdout
    narrow = run("list", COLUMNS="80").stdout
    assert "RECENT" in wide
    assert "RECENT" not in narrow
    assert long in wide
    assert long not in narrow


@pytest.mark.parametrize("command", sorted(set(group.commands) - {"stop", "status"}))
def test_each_command_has_an_example_and_refuses_two_forms_of_json(command: str) -> None:
    shown = CliRunner().invoke(group, [command, "--help"])

    assert shown.exit_code == 0
    assert f"celery -A proj jobs {command}" in shown.output


def test_a_shell_completes_commands_and_the_names_of_jobs(
    small_person: Person, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = small_person.conf["jobsched_database_url"]
    code = "from celery import Celery\napp = Celery('p', set_as_current=False)\n"
    (tmp_path / "completed.py").write_text(f"{code}app.conf.jobsched_database_url = {url!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("nightly", "newsletter", "other"):
        runs(small_person)("add", name, *NOTE)

    completion = ShellComplete(celery, {}, "celery", "_CELERY_COMPLETE")
    given = ["-A", "completed", "jobs"]
    commands = [each.value for each in completion.get_completions(given, "hi")]
    names = [each.value for each in completion.get_completions([*given, "show"], "n")]
    nowhere = completion.get_completions(["-A", "nowhere", "jobs", "show"], "n")

    assert commands == ["history"]
    assert sorted(names) == ["newsletter", "nightly"]
    assert nowhere == []
