"""What `celery -A proj jobs` shows to people: tables, help, and what a shell completes."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from celery.bin.celery import celery
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from celery_jobsched.cli import jobs as group
from celery_jobsched.cli.columns import room
from celery_jobsched.fire import new_id
from celery_jobsched.store.tables import fires
from tests.persons import Person, runs

UTC = timezone.utc
HOUR = timedelta(hours=1)
#: The verbs that take names of jobs.
OF_NAMES = (
    "show", "next", "history", "explain", "changes", "set", "remove", "pause", "resume", "run",
    "backfill", "stop",
)  # fmt: skip
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
    names = {
        verb: sorted(each.value for each in completion.get_completions([*given, verb], "n"))
        for verb in OF_NAMES
    }
    nowhere = completion.get_completions(["-A", "nowhere", "jobs", "show"], "n")

    assert commands == ["history"]
    assert names == {verb: ["newsletter", "nightly"] for verb in OF_NAMES}
    assert nowhere == []


@pytest.mark.parametrize("command", ["", *sorted(group.commands)])
def test_the_help_tells_each_command_in_a_line_that_is_not_cut(command: str) -> None:
    shown = CliRunner().invoke(group, [*command.split(), "--help"], terminal_width=80).output

    assert "Example:\n    celery -A proj jobs " in shown
    assert "..." not in shown.partition("Commands:")[2]


def test_a_wide_sign_takes_two_places(small_person: Person) -> None:
    run = runs(small_person)
    for name in ("日本語のジョブ", "e\u0301te\u0301", "plain", "長" * 60):
        run("add", name, "task=proj.note", "cron=0 9 * * *")
    small_person.beat()

    heading, *lines = run("list", "task:proj.note", COLUMNS="80").stdout.splitlines()

    places = [room(line[: line.index("every day")]) for line in lines]
    assert places == [heading.index("SCHEDULE")] * 4
    assert max(map(room, lines)) <= 80


def test_a_list_leaves_out_from_when_an_interval_counts(small_person: Person) -> None:
    run = runs(small_person)
    run("add", "hourly", *NOTE, "timezone=Europe/Paris")
    small_person.beat()

    listed, shown = run("list", "name:hourly").stdout, run("show", "hourly").stdout
    (as_json,) = json.loads(run("list", "name:hourly", "--json").stdout)

    assert re.split(r" {2,}", listed.splitlines()[1])[2] == "every hour"
    assert "every hour, counted from " in shown
    assert as_json["words"] in shown
    assert "brief" not in as_json


def test_sentences_are_broken_between_words(small_person: Person) -> None:
    run = runs(small_person, jobsched_jobs={"ours": {"task": "proj.note", "every": "1 hour"}})
    long = "the storage is moved, and whoever looks at this should read the mails about it"
    run("add", "noted", *NOTE, f"description={long}")
    run("pause", "noted", "--note", long)
    small_person.records.add("broken", cron="0 25 * * *")
    small_person.beat()

    told = [
        run(*words, COLUMNS="80").output
        for words in (
            ["list"], ["show", "noted"], ["changes", "noted"], ["check"], ["explain", "noted"],
            ["add", "x", "task=proj.note", "cron=0 0 31 2 *"], ["diff"], ["status"],
            ["freeze", "--yes", "--note", long], ["next", "--every", "1 month", "--tz", "US/Samoa"],
        )
    ]  # fmt: skip

    words = set(long.split())
    for text in told:
        assert max(map(len, text.splitlines())) <= 80
    assert all(words <= set(text.replace('"', " ").split()) for text in told[:3])


def test_a_record_of_several_tells_why_before_how_many(small_person: Person) -> None:
    fill(small_person)
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 3 * HOUR
    several = sa.update(fires).where(fires.c.state == "skipped")
    small_person.records.run(several.values(until_at=until, count=4))

    line = runs(small_person)("history", "hourly").stdout.splitlines()[1]

    why = re.split(r" {2,}", line)[-2]
    assert why == f"overlap = skip: it is full (4 until {until:%a %H:%M} UTC)"


@pytest.mark.parametrize("alphabet", ["latin-1", "cp1252"])
def test_no_sign_is_too_much_for_the_alphabet(small_person: Person, alphabet: str) -> None:
    small_person.jobs.add("Größe", task="proj.note", every="1 hour", description="日本語")
    runner = CliRunner(charset=alphabet)

    def run(*words: str) -> Result:
        return runner.invoke(group, words, obj=SimpleNamespace(app=small_person.app()))

    listed, shown, drawn = run("list"), run("show", "Größe"), run("simulate")
    as_json = [run("export"), run("show", "Größe", "--jsonl")]

    assert {each.exit_code for each in (listed, shown, drawn)} == {0}
    assert "Größe" in listed.stdout
    assert "About   ???" in shown.stdout
    assert "  #" in drawn.stdout
    assert [json.loads(each.stdout)["description"] for each in as_json] == ["日本語", "日本語"]


def test_the_fires_of_all_jobs_come_in_one_table(small_person: Person) -> None:
    run = runs(small_person)
    night = ["task=proj.note", "cron=30 2 * * *", "timezone=Europe/Paris"]
    run("add", "night", *night)
    run("add", "left out", *night, "dst_gap=skip")
    run("add", "paused", *night, "enabled=false")
    run("add", "hourly", "task=proj.note", "cron=0 * * * *")
    small_person.records.add("broken", cron="0 25 * * *")
    small_person.beat()
    span = ["next", "--all", "--from", "2030-03-31 00:00", "--until", "+2h"]

    whole, first = run(*span), run(*span, "-n", "2")
    lines = run(*span, "--jsonl").stdout.splitlines()
    nothing = run("next", "--all", "--from", "2030-03-31 00:10", "--until", "+1m")

    rows = [re.split(r" {2,}", line) for line in whole.stdout.splitlines()]
    assert [(row[0], row[2]) for row in rows] == [
        ("FIRE", "JOB"),
        ("Sun 2030-03-31 00:00 UTC", "hourly"),
        ("Sun 2030-03-31 01:00 UTC", "hourly"),
        ("Sun 2030-03-31 03:00 CEST", "left out"),
        ("Sun 2030-03-31 03:00 CEST", "night"),
        ("Sun 2030-03-31 02:00 UTC", "hourly"),
    ]
    assert rows[3][3].startswith("! 02:30 does not exist this day")
    assert (rows[3][1], rows[4][1][:3]) == ("-", "in ")
    assert "left out, for they cannot be read: broken" in whole.stderr
    assert "the first 2 alone" in first.stderr
    assert [json.loads(line)["job"] for line in lines] == [row[2] for row in rows[1:]]
    assert (nothing.exit_code, run("next", "--all", "night").exit_code) == (3, 2)
