"""The verbs of `celery -A proj jobs`: what they do, say, and end with."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone

import pytest

from tests.persons import Person, runs

UTC = timezone.utc
HOUR = timedelta(hours=1)
NOTE = ["task=proj.note", "every=1 hour"]
#: What no JSON decoder of Python's follows to its end.
DEEP = 100_000 * "["
#: What the façade takes beside the fields of a job.
NONE_OF_A_JOB = ("name", "replace", "by", "note", "force", "version", "connection")


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


def test_instants_may_count_from_now_wherever_one_is_typed(person: Person) -> None:
    run = runs(person)
    before = datetime.now(UTC).replace(microsecond=0)

    added = run("add", "soon", "task=proj.note", "once=now, +10m, 2030-01-01 00:00")
    changed = run("set", "soon", "starts_at=-1d", "ends_at=+52w")
    now, past = (run("explain", "soon", when, "--json") for when in ("now", "-3d"))

    took = datetime.now(UTC) + timedelta(seconds=1) - before
    assert (added.exit_code, changed.exit_code) == (0, 0), added.stderr + changed.stderr
    row = person.records.job("soon")
    once = [datetime.fromisoformat(each) for each in row["once"].split(", ")]
    assert before <= once[0] <= before + took
    assert timedelta(minutes=10) - took <= once[1] - once[0] <= timedelta(minutes=10)
    assert once[2] == datetime(2030, 1, 1, tzinfo=UTC)
    assert timedelta(days=-1) <= row["starts_at"] - before <= timedelta(days=-1) + took
    assert row["ends_at"] - row["starts_at"] >= timedelta(weeks=52, days=1)
    assert (now.exit_code, past.exit_code) == (3, 3)
    for told, since in ((now, timedelta(0)), (past, timedelta(days=-3))):
        at = datetime.fromisoformat(json.loads(told.output)["at"])
        assert since <= at - before <= since + took


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
    assert "(--force)" in refused.stderr
    assert (forced.exit_code, paused.exit_code) == (0, 0)


def test_runs_by_hand_print_their_ids(person: Person) -> None:
    run = runs(person)
    run("add", "called", "task=proj.note", "keyword=k")

    id_ = run("run", "called", "--args", "[1]", "--note", "test", "--by", "anna")
    later = run("run", "called", "--at", "+1h")
    fired = run("fire", "k", "--kwargs", '{"a": 1}')
    nobody = run("fire", "nobody listens")
    bad = [run("run", "called", "--args", text).exit_code for text in ("[1", DEEP)]

    rows = {row["id"]: row for row in person.records.fires("called")}
    assert set(rows) == {each.output.strip() for each in (id_, later, fired)}
    assert rows[id_.output.strip()]["reason"] == "run by anna: test"
    assert rows[id_.output.strip()]["args"] == "[1]"
    assert rows[later.output.strip()]["ready_at"] > datetime.now(UTC) + HOUR / 2
    assert (nobody.exit_code, nobody.output) == (
        3,
        "no enabled job has the keyword 'nobody listens'\n",
    )
    assert (bad, run("run", "nobody").exit_code) == ([2, 2], 4)


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
    bad = [run("load", "-", text=text) for text in ("{", DEEP, '{"name": "ü"}'.encode("latin-1"))]

    assert (refused.exit_code, [each.exit_code for each in bad]) == (1, [2, 2, 2])
    assert looked.stdout == loaded.stdout == "+ a\n~ b\n"
    assert "1 to add, 1 to change" in looked.stderr
    assert "1 added, 1 changed, 0 unchanged" in loaded.stderr
    assert run("export").stdout.splitlines() == sorted(lines.splitlines(), reverse=True)


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
        *(["add", "x", *NOTE, f"{name}=1"] for name in NONE_OF_A_JOB),
        *(["set", "x", f"{name}=1"] for name in NONE_OF_A_JOB),
        ["list", "-n", "1" + 20 * "0"],
        ["history", "x", "-n", "1" + 20 * "0"],
        ["simulate", "--until", "9999-12-31 23:30"],
        ["status", "--max-lag", "1e300"],
    ],
)
def test_wrong_usage_ends_with_2(small_person: Person, words: list[str]) -> None:
    assert runs(small_person)(*words).exit_code == 2


def test_a_load_to_come_may_end_with_the_last_hour_there_is(small_person: Person) -> None:
    span = ["--from", "9999-12-31", "--until", "9999-12-31 23:30"]

    drawn = runs(small_person)("simulate", *span, "--jsonl")

    assert (drawn.exit_code, len(drawn.stdout.splitlines())) == (0, 24)
