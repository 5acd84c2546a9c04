"""Definitions as lines: out of one table, into the other."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from celery_jobsched import InvalidJob, JobExistError, JobOwned
from tests.persons import Person, runs

UTC = timezone.utc
HOUR = timedelta(hours=1)


def test_definitions_go_out_as_lines_and_come_back(person: Person, tmp_path: Any) -> None:
    jobs = person.jobs
    jobs.add(
        "a", task="proj.note", cron="0 9 * * *", args=[1], description="für alle\n2",
        starts_at="2030-01-01", enabled=False,
    )  # fmt: skip
    jobs.add("b", task="proj.other", every="1 hour", labels={"team": "ops"})
    person.records.add("bad", cron="0 25 * * *")

    lines = [json.dumps(each) for each in jobs.export()]
    bad = lines.pop()
    jobs.remove("a")
    jobs.modify("b", every="2 hours")
    with pytest.raises(JobExistError, match="'b'"):
        jobs.load(lines)
    absent = "a" not in jobs
    looked = jobs.load(lines, replace=True, dry_run=True)
    loaded = jobs.load([*lines, ""], replace=True)
    again = jobs.load(lines)

    assert absent
    assert json.loads(bad) == {
        "name": "bad",
        "task": "proj.note",
        "cron": "0 25 * * *",
        "enabled": True,
    }
    assert vars(loaded) == vars(looked) == {"added": ["a"], "changed": ["b"], "unchanged": []}
    assert vars(again) == {"added": [], "changed": [], "unchanged": ["a", "b"]}
    assert [json.dumps(each) for each in jobs.export("für")] == lines[:1]
    assert jobs["b"].every == "1 hour"


def test_what_json_lacks_goes_out_and_comes_back(person: Person) -> None:
    at = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
    args = [at, Decimal("1.50"), UUID(int=7), b"\x00\xff", {"deep": [at.date()]}]
    jobs = person.jobs
    jobs.add("a", task="proj.note", every="1 hour", args=args, kwargs={"at": at}, labels={"at": at})

    lines = runs(person)("export", "name:a").stdout.splitlines()
    again = jobs.load(lines)
    jobs.remove("a")
    loaded = jobs.load(lines)

    assert (again.unchanged, loaded.added) == (["a"], ["a"])
    assert (jobs["a"].args, jobs["a"].kwargs, jobs["a"].labels) == (args, {"at": at}, {"at": at})
    for words in (["show", "a", "--json"], ["list", "--json"]):
        assert runs(person)(*words).exit_code == 0


@pytest.mark.parametrize("line", ["{", "[]", '{"task": "x"}', '{"name": "x", "evry": 1}'])
def test_a_line_that_cannot_be_read_loads_nothing(small_person: Person, line: str) -> None:
    good = {"name": "good", "task": "proj.note", "every": "1 hour"}

    with pytest.raises(InvalidJob):
        small_person.jobs.load([good, line])

    assert list(small_person.jobs) == []


def test_what_the_configuration_declares_is_not_loaded_over(small_person: Person) -> None:
    small_person.beat(jobsched_jobs={"a": {"task": "proj.note", "every": "1 hour"}})
    line = {"name": "a", "task": "proj.note", "every": "2 hours"}

    with pytest.raises(JobOwned):
        small_person.jobs.load([line], replace=True)
