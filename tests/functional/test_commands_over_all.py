"""The verbs of `celery -A proj jobs` that look over all jobs, and those of the tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from click.testing import CliRunner, Result

from celery_jobsched.cli import jobs as group
from celery_jobsched.store.schema import HEAD
from tests.persons import Person, runs
from tests.processes import CeleryProcess, run_celery
from tests.stacks import fresh_stack

NOTE = ["task=proj.note", "every=1 hour"]


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
        person.jobs.add("celery's own", task="celery.backend_cleanup", every="1 hour")

        with CeleryProcess(stack, "worker", "--pool=solo"):
            done = run_celery(stack, "jobs", "orphans", "--timeout", "3")
        person.close()

    assert (done.returncode, done.stdout) == (3, "orphan: no worker knows proj.gone\n")


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
