"""`celery -A proj jobs import` shows what would come of it, and writes it when told to."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from celery.schedules import crontab, schedule

from celery_jobsched import InvalidSource, JobExistError, JobOwned, Jobs
from tests.persons import Person, runs
from tests.services import address, require, unique_name

ENTRIES: dict[str, Any] = {
    "nightly": {"task": "proj.note", "schedule": crontab("30", "2"), "args": (1,)},
    "often": {"task": "proj.note", "schedule": 600, "options": {"queue": "q"}},
}
WRONG = {"task": "proj.note", "schedule": 600, "options": {"countdown": 3}}


def test_nothing_is_written_before_it_is_asked_for(person: Person) -> None:
    looked = person.jobs.import_from("beat_schedule", ENTRIES)
    before = list(person.jobs)
    done = person.jobs.import_from("beat_schedule", ENTRIES, apply=True, by="anna", note="moved")
    again = person.jobs.import_from("beat_schedule", ENTRIES, apply=True)
    person.beat()

    assert looked.added == done.added == again.unchanged == ["nightly", "often"]
    assert (before, {*person.jobs} >= {*ENTRIES}) == ([], True)
    assert person.jobs["nightly"].args == [1]
    assert person.changes("often")[-1].by == "anna"
    row = person.records.job("often")
    assert row["next_fire_at"] - row["created_at"] > timedelta(seconds=590)


def test_names_that_are_there_are_refused_unless_they_are_to_be_replaced(
    small_person: Person,
) -> None:
    jobs = small_person.jobs
    jobs.add("often", task="proj.other", every="1 hour")

    looked = jobs.import_from("beat_schedule", ENTRIES)
    with pytest.raises(JobExistError, match="'often'"):
        jobs.import_from("beat_schedule", ENTRIES, apply=True)
    refused = list(jobs)
    done = jobs.import_from("beat_schedule", ENTRIES, apply=True, replace=True)

    assert (looked.existing, looked.added, refused) == (["often"], ["nightly"], ["often"])
    assert (done.changed, jobs["often"].task) == (["often"], "proj.note")


def test_what_the_configuration_declares_is_not_replaced_and_said(small_person: Person) -> None:
    declared = {"often": {"task": "proj.note", "every": "1 hour"}}
    small_person.beat(jobsched_jobs=declared)
    jobs = Jobs(small_person.app(jobsched_jobs=declared))

    with pytest.raises(JobOwned):
        jobs.import_from("beat_schedule", ENTRIES, apply=True, replace=True)
    looked = jobs.import_from("beat_schedule", ENTRIES, replace=True)
    jobs.runtime.close()

    assert [note.field for note in looked.notes] == ["name"]
    assert list(small_person.jobs) == ["celery.backend_cleanup", "often"]


def test_the_command_tells_what_comes_and_what_does_not(small_person: Person) -> None:
    entries = {**ENTRIES, "odd": WRONG, "moon": {"task": "x", "schedule": schedule}}
    run = runs(small_person, beat_schedule=entries)

    looked = run("import", "beat_schedule")
    as_json = run("import", "beat_schedule", "--json")
    written = list(small_person.jobs)
    done = run("import", "beat_schedule", "--yes", "--note", "moved")

    assert (looked.exit_code, done.exit_code, written) == (3, 3, [])
    lines = looked.stdout.splitlines()
    assert lines[0].startswith("+ nightly: every day at 02:30 UTC; first 20")
    assert [line for line in lines if line.startswith("-")] == [
        "- odd: left out: options: expected no countdown (the schedule says when), "
        "got: {'countdown': 3}",
        next(line for line in lines if line.startswith("- moon: left out: schedule: ")),
    ]
    assert looked.stderr == (
        "2 to add, 0 to change, 0 unchanged, 0 exist, 2 left out. "
        "Nothing is written without --yes.\n"
    )
    assert done.stderr == "2 added, 0 changed, 0 unchanged, 0 exist, 2 left out.\n"
    records = {(each["job"], each["what"]): each for each in json.loads(as_json.stdout)}
    assert records["nightly", "added"]["task"] == "proj.note"
    assert records["odd", "left out"]["field"] == "options"
    assert list(small_person.jobs) == ["nightly", "often"]


def test_a_module_a_file_and_the_application_itself_are_places(
    small_person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "beat_schedule = {'a': {'task': 'proj.note', 'schedule': 60}}\n"
    (tmp_path / "their_settings.py").write_text(settings)
    monkeypatch.syspath_prepend(str(tmp_path))
    pykit = {"b": {"func": "proj.note", "every": [1, "hour"]}}
    (tmp_path / "jobs.json").write_text(json.dumps(pykit))
    aps = [{"id": "c", "func": "proj:note", "trigger": "cron", "hour": 3}]
    (tmp_path / "aps.json").write_text(json.dumps(aps))
    theirs = SimpleNamespace(conf=SimpleNamespace(beat_schedule=ENTRIES))

    jobs = small_person.jobs
    found = [
        jobs.import_from("beat_schedule", "their_settings:beat_schedule").added,
        jobs.import_from("pykit", str(tmp_path / "jobs.json")).added,
        jobs.import_from("apscheduler", str(tmp_path / "aps.json")).added,
        jobs.import_from("beat_schedule", theirs).added,
    ]

    assert found == [["a"], ["b"], ["c"], ["nightly", "often"]]


@pytest.mark.parametrize(
    ("source", "place", "said"),
    [
        ("cron", None, "expected one of beat_schedule"),
        ("beat_schedule", "no_such_module:x", "no_such_module"),
        ("beat_schedule", "json:nothing", "nothing"),
        ("beat_schedule", "json", "module:attribute"),
        ("beat_schedule", [1], "a mapping"),
        ("pykit", None, "a file of JSON"),
        ("pykit", "/no/such.json", "/no/such.json"),
        ("apscheduler", 1, "a list of jobs"),
        ("django-celery-beat", "no url", "a URL of a database"),
        ("django-celery-beat", "sqlite:////no/such.db", "no such file"),
        ("django-celery-beat", None, "django_celery_beat_periodictask"),
        ("redbeat", "http://x", "a URL of Redis"),
        ("celerybeat-schedule", "/no/such", "/no/such"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_in_words(
    small_person: Person, source: str, place: Any, said: str
) -> None:
    with pytest.raises(InvalidSource, match=said):
        small_person.jobs.import_from(source, place)


def test_a_source_that_does_not_answer_ends_the_command_as_such(small_person: Person) -> None:
    away = runs(small_person)("import", "redbeat", "redis://:secret@127.0.0.1:1/0")
    wrong = runs(small_person)("import", "cron")

    assert (away.exit_code, wrong.exit_code) == (69, 2)
    assert "secret" not in away.output


def test_keys_as_redbeat_writes_them_are_found(small_person: Person) -> None:
    require("redis")
    prefix = f"{unique_name()}:"
    jobs = Jobs(small_person.app(redbeat_key_prefix=prefix, redbeat_redis_url=address("redis")))
    every = {"__type__": "interval", "every": 60.0, "relative": False}
    definition = {"name": "a", "task": "proj.note", "schedule": every, "enabled": True}
    with redis.Redis.from_url(address("redis")) as client:
        client.hset(f"{prefix}a", "definition", json.dumps(definition))
        client.zadd(f"{prefix}:schedule", {f"{prefix}a": 1, f"{prefix}gone": 2})

        found = jobs.import_from("redbeat")

        client.delete(f"{prefix}a", f"{prefix}:schedule")
    assert found.added == ["a"]
    assert [(note.job, note.field) for note in found.left_out] == [("gone", "definition")]
    with pytest.raises(InvalidSource, match="expected keys"):
        jobs.import_from("redbeat")
    jobs.runtime.close()


def test_tables_beside_our_own_are_found(person: Person) -> None:
    text = sa.Text()
    engine, metadata = person.records.engine, sa.MetaData()
    for kind in ("interval", "crontab", "solar", "clocked"):
        sa.Table(
            f"django_celery_beat_{kind}schedule", metadata,
            sa.Column("id", sa.Integer, primary_key=True), sa.Column("every", sa.Integer),
            sa.Column("period", sa.String(24)),
        )  # fmt: skip
    names = ("name", "task", "args", "kwargs")
    tasks = sa.Table(
        "django_celery_beat_periodictask", metadata,
        sa.Column("id", sa.Integer, primary_key=True), *(sa.Column(name, text) for name in names),
        sa.Column("interval_id", sa.Integer), sa.Column("enabled", sa.Boolean),
        sa.Column("last_run_at", sa.DateTime),
    )  # fmt: skip
    metadata.create_all(engine)
    with engine.begin() as conn:
        every = metadata.tables["django_celery_beat_intervalschedule"]
        conn.execute(sa.insert(every).values(id=7, every=5, period="minutes"))
        row = {"name": "a", "task": "proj.note", "args": "[]", "kwargs": "{}", "enabled": True}
        conn.execute(sa.insert(tasks).values(id=1, interval_id=7, **row))

    found = person.jobs.import_from("django-celery-beat")

    assert (found.added, found.jobs["a"].celery) == (["a"], "schedule 300.0")


def test_a_job_with_no_fire_left_is_told(small_person: Person) -> None:
    past = [{"id": "a", "func": "proj:note", "trigger": "date", "run_date": "2020-01-01"}]

    found = small_person.jobs.import_from("apscheduler", past)

    assert [note.text for note in found.notes if note.field == "schedule"] == ["no fire is left"]


def test_celerys_own_clean_up_is_left_to_the_beat(small_person: Person) -> None:
    entries = {"celery.backend_cleanup": {"task": "x", "schedule": 60}}

    found = small_person.jobs.import_from("beat_schedule", entries)

    assert (found.jobs, found.left_out) == ({}, [])
    assert [note.field for note in found.notes] == ["name"]
