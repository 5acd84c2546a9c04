"""The verbs of `celery -A proj jobs`: what they do, say, and end with."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from celery.bin.celery import celery
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from celery_jobsched.cli import jobs as group
from celery_jobsched.fire import new_id
from celery_jobsched.store.schema import HEAD
from celery_jobsched.store.tables import fires
from tests.persons import Person, runs
from tests.processes import CeleryProcess, run_celery
from tests.stacks import fresh_stack

UTC = timezone.utc
HOUR = timedelta(hours=1)
NOTE = ["task=proj.note", "every=1 hour"]


def test_jobs_are_made_changed_shown_and_removed(person: Person) -> None:
    run = runs(person)

    added = run("add", "nightly", "task=proj.note", "cron=30 2 * * *", 'kwargs={"a": 1}')
    again = run("add", "nightly", *NOTE)
    person.beat()
    changed = run("set", "nightly", "cron=30 3 * * *", "kwargs=", "--note", "later", "--by", "anna")
    person.beat()
    shown = run("show", "nightly")
    as_json = run("show", "nightly", "--json")
    unasked = run("remove", "nightly")
    removed = run("remove", "nightly", "--yes")
    gone = run("show", "nightly")

    assert (added.exit_code, added.output) == (0, "nightly: every day at 02:30 UTC\n")
    assert (again.exit_code, again.stderr) == (1, "job 'nightly' exists already\n")
    assert (changed.exit_code, changed.output) == (0, "nightly: every day at 03:30 UTC\n")
    assert shown.exit_code == 0
    lines = dict(re.split(r" +", line, maxsplit=1) for line in shown.output.splitlines())
    assert lines["State"] == "ok (api)"
    assert lines["When"] == "every day at 03:30 UTC"
    assert lines["What"] == "proj.note()"
    assert re.fullmatch(r'.* UTC changed by anna through the command: "later"', lines["Change"])
    assert "        cron: 30 2 * * * -> 30 3 * * *" in shown.output.splitlines()
    assert json.loads(as_json.output)["definition"]["cron"] == "30 3 * * *"
    assert (unasked.exit_code, removed.exit_code) == (2, 0)
    assert "--yes" in unasked.stderr
    assert removed.output == "removed nightly\n"
    assert (gone.exit_code, gone.stderr) == (4, "no job 'nightly'\n")


def test_a_pause_has_a_note_an_end_and_a_record(person: Person) -> None:
    run = runs(person)
    for name in ("a", "b"):
        run("add", name, *NOTE, 'labels={"team": "ops"}')
    person.beat()

    paused = run("pause", "a", "b", "--note", "lunch", "--until", "+2h", "--by", "anna")
    listed = run("list", "state:paused")
    resumed = run("resume", "label:team=ops", "--yes")
    refused = run("resume", "label:team=ops")
    nobody = run("pause", "a", "nobody")
    changes = run("changes", "a", "--jsonl")

    assert (paused.exit_code, paused.output) == (0, "paused a\npaused b\n")
    assert listed.output.splitlines()[-1] == 'b: "lunch" (anna)'
    assert (resumed.exit_code, resumed.output) == (0, "resumed a\nresumed b\n")
    assert (refused.exit_code, nobody.exit_code) == (2, 4)
    assert person.records.job("a")["enabled"]
    told = [json.loads(line) for line in changes.output.splitlines()]
    assert [(each["by"] == "anna", each["door"]) for each in told] == [
        (False, "cli"),
        (True, "cli"),
        (False, "cli"),
    ]
    columns = {each["column"]: each["became"] for each in told[1]["differences"]}
    assert columns["paused_note"] == "lunch"
    assert "paused_until" in columns


def test_what_the_configuration_declares_is_refused_unless_forced(person: Person) -> None:
    run = runs(person)
    person.beat(jobsched_jobs={"report": {"task": "proj.note", "every": "1 hour"}})

    refused = run("set", "report", "every=2 hours")
    forced = run("set", "report", "every=2 hours", "--force")
    paused = run("pause", "report")

    assert refused.exit_code == 1
    assert "declared in the configuration of 'proj'" in refused.stderr
    assert (forced.exit_code, paused.exit_code) == (0, 0)


def test_runs_by_hand_print_their_ids(person: Person) -> None:
    run = runs(person)
    run("add", "called", "task=proj.note", "keyword=k")

    id_ = run("run", "called", "--args", "[1]", "--note", "test", "--by", "anna")
    later = run("run", "called", "--at", "+1h")
    fired = run("fire", "k", "--kwargs", '{"a": 1}')
    nobody = run("fire", "nobody listens")
    bad = run("run", "called", "--args", "[1")

    rows = {row["id"]: row for row in person.records.fires("called")}
    assert set(rows) == {each.output.strip() for each in (id_, later, fired)}
    assert rows[id_.output.strip()]["reason"] == "run by anna: test"
    assert rows[id_.output.strip()]["args"] == "[1]"
    assert rows[later.output.strip()]["ready_at"] > datetime.now(UTC) + HOUR / 2
    assert (nobody.exit_code, nobody.output) == (
        3,
        "no enabled job has the keyword 'nobody listens'\n",
    )
    assert (bad.exit_code, run("run", "nobody").exit_code) == (2, 4)


def test_a_run_is_followed_to_its_end(small_person: Person) -> None:
    run = runs(small_person)
    run("add", "called", "task=proj.note", "keyword=k")

    waited = run("run", "called", "--wait", "--timeout", "0.1")

    assert waited.exit_code == 3
    assert "not sent yet" in waited.stderr


def test_a_backfill_tells_what_it_fires_and_leaves_out(person: Person) -> None:
    run = runs(person)
    run("add", "hourly", "task=proj.note", "cron=0 * * * *")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since = f"{hour - 3 * HOUR:%Y-%m-%d %H:%M}"

    looked = run("backfill", "hourly", "--from", since, "-n", "2", "--dry-run")
    filled = run("backfill", "hourly", "--from", since, "-n", "2")
    again = run("backfill", "hourly", "--from", since, "-n", "2")
    many = run("backfill", "hourly", "--from", "-2d")

    assert looked.exit_code == filled.exit_code == 0
    assert looked.stdout.splitlines()[0] == f"{hour - 3 * HOUR:%a %Y-%m-%d %H:%M} UTC"
    assert filled.stderr.startswith("left out: from ")
    assert len(person.records.fires("hourly")) == 2
    assert (again.exit_code, again.stdout) == (3, "")
    assert "2 that fired already" in again.stderr
    assert (many.exit_code, "--yes" in many.stderr) == (2, True)


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


def test_definitions_are_piped_out_and_in(person: Person) -> None:
    run = runs(person)
    run("add", "a", *NOTE, "description=für alle")
    run("add", "b", *NOTE)
    lines = run("export").stdout
    run("remove", "a", "--yes")
    run("set", "b", "every=2 hours")

    refused = run("load", "-", text=lines)
    looked = run("load", "-", "--replace", "--dry-run", text=lines)
    loaded = run("load", "-", "--replace", text=lines)
    bad = run("load", "-", text="{")

    assert (refused.exit_code, bad.exit_code) == (1, 2)
    assert looked.stdout == loaded.stdout == "+ a\n~ b\n"
    assert "1 to add, 1 to change" in looked.stderr
    assert "1 added, 1 changed, 0 unchanged" in loaded.stderr
    assert run("export").stdout.splitlines() == sorted(lines.splitlines(), reverse=True)


def test_a_check_names_what_is_wrong(small_person: Person) -> None:
    run = runs(small_person)
    app = small_person.app()

    @app.task(name="proj.note", shared=False)
    def note(region: str) -> None:
        """Something with an argument."""

    def check(*words: str) -> Result:
        return CliRunner().invoke(group, ["check", *words], obj=SimpleNamespace(app=app))

    fits = 'kwargs={"region": "eu"}'
    run("add", "good", *NOTE, fits)
    small_person.beat()
    good = check("name:good")
    run("add", "typo", "task=proj.nota", "every=1 hour")
    run("add", "misfit", *NOTE, 'kwargs={"regoin": "eu"}')
    run("add", "over", "task=proj.note", "once=2001-01-01", fits)
    small_person.records.add("broken", cron="0 25 * * *")
    for number in range(3):
        run("add", f"herd {number}", "task=proj.note", "cron=0 0 1 1 *", fits)
    small_person.beat()
    bad = check("--herd", "3")
    as_json = check("--json")

    assert (good.exit_code, good.stdout) == (0, "")
    assert bad.exit_code == 3
    told = bad.stdout
    assert (
        "typo: task: 'proj.nota' is not registered in this application; did you mean 'proj.note'?"
        in told
    )
    assert re.search(r"misfit: args, kwargs: .*regoin|misfit: args, kwargs: .*region", told)
    assert "over: it never fires again: once, 1 Jan 2001 00:00 UTC" in told
    assert "broken: cron: expected" in told
    assert re.search(r"^3 jobs fire next at \d{4}-01-01 00:00:00 UTC", told, re.MULTILINE)
    assert {
        "job": "over",
        "problem": "it never fires again: once, 1 Jan 2001 00:00 UTC",
    } in json.loads(as_json.stdout)


def test_a_diff_tells_what_the_next_start_would_change(person: Person) -> None:
    hourly = {"task": "proj.note", "every": "1 hour"}
    person.beat(jobsched_jobs={"kept": hourly, "changed": hourly, "gone": hourly})
    runs(person)("add", "elsewhere", *NOTE)
    wanted = {
        "kept": hourly,
        "changed": {**hourly, "every": "2 hours"},
        "new": hourly,
        "elsewhere": hourly,
    }

    before = runs(person, jobsched_jobs=wanted)("diff")
    as_json = runs(person, jobsched_jobs=wanted)("diff", "--jsonl")
    person.beat(jobsched_jobs=wanted)
    after = runs(person, jobsched_jobs=wanted)("diff")

    assert before.exit_code == 3
    *lines, last = before.stdout.splitlines()
    assert lines == [
        "+ new: every hour, UTC -> proj.note" if "every hour, UTC" in lines[0] else lines[0],
        "~ changed: every '1 hour' -> '2 hours'",
        "- gone: no longer declared: disabled, and deleted a day later",
        "! elsewhere: declared, but made elsewhere: left alone",
    ]
    assert lines[0].startswith("+ new: every hour")
    assert last.startswith("1 to add, 1 to change, 1 to remove, ")
    changes = [json.loads(line)["change"] for line in as_json.stdout.splitlines()]
    assert changes == ["add", "change", "remove", "none"]
    assert after.exit_code == 0


def test_the_load_to_come_is_drawn_by_the_hour(small_person: Person) -> None:
    run = runs(small_person)
    run("add", "hourly", "task=proj.note", "cron=0 * * * *")
    run("add", "often", "task=proj.note", "cron=*/10 3 * * *")
    span = ["--from", "2030-01-01", "--until", "+5h"]

    drawn = run("simulate", *span)
    hours = run("simulate", *span, "name:often", "--json")

    lines = drawn.stdout.splitlines()
    assert lines[0] == "11 fires until Tue 2030-01-01 05:00 UTC"
    assert lines[4].split()[:5] == ["Tue", "2030-01-01", "03:00", "UTC", "7"]
    assert len(lines[4].split()[5]) == 30
    assert lines[-1].startswith("busiest minute Tue 2030-01-01 03:00 UTC: 2 fires (hourly, often")
    assert [each["fires"] for each in json.loads(hours.stdout)] == [0, 0, 0, 6, 0]


@pytest.mark.parametrize("command", sorted(set(group.commands) - {"stop", "status"}))
def test_each_command_has_an_example_and_refuses_two_forms_of_json(command: str) -> None:
    shown = CliRunner().invoke(group, [command, "--help"])

    assert shown.exit_code == 0
    assert f"celery -A proj jobs {command}" in shown.output


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--json", "--jsonl"],
        ["history", "x", "--json", "--jsonl"],
        ["list", "state:great"],
        ["add", "x", "cron"],
        ["add", "x", "cron=1", "cron=2"],
        ["set", "x"],
        ["backfill", "x"],
    ],
)
def test_wrong_usage_ends_with_2(small_person: Person, words: list[str]) -> None:
    assert runs(small_person)(*words).exit_code == 2


def test_a_broker_that_is_away_and_workers_that_are_silent_are_told(
    small_person: Person,
) -> None:
    away = runs(small_person, broker_url="redis://127.0.0.1:1/0")("orphans")

    assert away.exit_code == 69
    assert "Traceback" not in away.output


def test_orphans_are_jobs_whose_task_no_worker_knows(tmp_path: Any) -> None:
    with fresh_stack("sqlite", "redis", tmp_path) as stack:
        person = Person(stack.database_url, tmp_path, **stack.conf)
        person.jobs.add("known", task="proj.note", every="1 hour")
        person.jobs.add("orphan", task="proj.gone", every="1 hour")

        with CeleryProcess(stack, "worker", "--pool=solo"):
            done = run_celery(stack, "jobs", "orphans", "--timeout", "3")
        person.close()

    assert (done.returncode, done.stdout) == (3, "orphan: no worker knows proj.gone\n")


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


def test_the_tables_are_made_apart_from_beats(sqlite_url: str, tmp_path: Path) -> None:
    person = Person(sqlite_url, tmp_path, jobsched_auto_migrate=False, prepare=False)
    run = runs(person)

    before, refused = run("db", "current"), run("list")
    sql = run("db", "sql")
    made, after, again = run("db", "upgrade"), run("db", "current"), run("db", "sql")
    person.close()

    assert (before.exit_code, before.output) == (
        3,
        f"there are no tables, this release needs {HEAD}\n",
    )
    assert refused.exit_code == 69
    assert "CREATE TABLE jobsched_jobs" in sql.output
    assert (made.exit_code, made.output) == (0, f"the tables are of version {HEAD}\n")
    assert (after.exit_code, after.output) == (0, f"the tables are of version {HEAD}\n")
    assert (again.exit_code, again.output) == (0, "")


def test_what_is_declared_comes_into_the_table_when_asked(person: Person) -> None:
    declared = {"nightly": {"task": "proj.note", "cron": "30 2 * * *"}}
    run = runs(person, jobsched_jobs=declared)

    dry, unasked = run("sync", "--dry-run"), run("sync")
    assert len(person.jobs) == 0
    synced, again = run("sync", "--yes"), run("sync", "--yes")

    assert (dry.exit_code, unasked.exit_code) == (0, 2)
    assert synced.output == dry.output
    assert "+ nightly: every day at 02:30 UTC -> proj.note" in synced.output
    assert synced.exit_code == 0
    assert again.output.splitlines()[-1].startswith("0 to add, 0 to change, 0 to remove")
    assert person.records.job("nightly")["source"] == "config:proj"
