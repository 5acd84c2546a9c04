"""Texts that SQL wrote to deceive who reads them: they move no terminal, and hurt no other row."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from celery_jobsched.errors import InvalidJob, JobNotFound
from tests.persons import Person, runs

#: Clears the screen; a window's title; an eight-bit escape; text from right to left; a zero width.
HOSTILE = {
    "escape": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "eight bits": "\x9b2J",
    "direction": "\u202egpj.exe",
    "joined": "a\u200bb",
    "return": "paid\rnot",
}
FORBIDDEN = frozenset("\x1b\x07\x9b\u202e\u200b\r\x00")


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_moves_a_terminal_is_shown_as_a_sign(
    person: Person, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    text, records, run = HOSTILE[kind], person.records, runs(person)
    records.add(f"bad {text}", every="1 hour")
    records.add("task", task=f"proj.{text}", every="1 hour")
    records.add("word", keyword=text)
    records.add("good", every="1 hour", description=text, paused_note=text, paused_by=text)
    records.edit("good", labels=json.dumps({"team": text}), args=json.dumps([text]), enabled=False)
    records.add("other", every="1 hour")

    person.beat()
    answers = [
        run("list"),
        run("list", "--wide"),
        run("show", "good"),
        run("show", "task"),
        run("show", f"bad {text}"),
        run("explain", f"bad {text}"),
        run("history", f"bad {text}"),
        run("pause", f"bad {text}", "--note", text),
        run("pause", f"nobody {text}"),
        run("next", "word"),
        run("check"),
    ]

    assert FORBIDDEN & set(text)
    assert [each.output for each in answers if FORBIDDEN & set(each.output)] == []
    assert FORBIDDEN & set(caplog.text) == set()
    assert "\ufffd" in answers[0].output
    # Programs get it as it is.
    assert f"bad {text}" in {each["name"] for each in json.loads(run("list", "--json").output)}
    refused = {name for name, row in records.jobs().items() if row["error"]}
    assert refused == {f"bad {text}", "task", "word"}
    assert records.fires("other", "sent")


@pytest.mark.parametrize("by", ["x" * 256, "a\0b", "a\u202eb", "a\nb"])
def test_who_changes_a_job_is_a_name(person: Person, by: str) -> None:
    jobs = person.jobs
    jobs.add("mine", task="proj.note", every="1 hour")

    for verb in (jobs.pause, jobs.resume, jobs.stop, jobs.run, jobs.remove):
        with pytest.raises(InvalidJob, match="expected a text of 1 to 255 printable"):
            verb("mine", by=by)
    assert jobs["mine"].enabled


def test_why_is_a_text_that_every_database_takes(person: Person) -> None:
    jobs = person.jobs
    jobs.add("mine", task="proj.note", every="1 hour", note="two\nlines")

    for verb in (jobs.pause, jobs.resume, jobs.stop, jobs.run, jobs.remove):
        with pytest.raises(InvalidJob, match="expected a text of whole characters"):
            verb("mine", note="a\0b")


@pytest.mark.parametrize("name", ["a\0b", "\udce6"], ids=["NUL", "half"])
def test_a_name_that_no_database_takes_is_no_jobs(person: Person, name: str) -> None:
    jobs = person.jobs
    jobs.add("a\ufffdb", task="proj.note", every="1 hour")

    asked: list[Callable[[str], Any]] = [
        jobs.get, jobs.view, jobs.remove, jobs.modify, jobs.pause, jobs.resume, jobs.run, jobs.stop,
        jobs.history, jobs.changes, jobs.explain, jobs.upcoming, jobs.previous,
        lambda name: jobs.backfill(name, "2030-01-01"), jobs.__getitem__, jobs.__delitem__,
    ]  # fmt: skip
    for call in asked:
        with pytest.raises(JobNotFound, match=r"^no job "):
            call(name)
    for refused in (jobs.find, lambda name: jobs.find(task=name), jobs.fire, jobs.drain):
        with pytest.raises(InvalidJob):
            refused(name)
    assert name not in jobs
    assert name not in jobs.calendars
    with pytest.raises(KeyError):
        del jobs.calendars[name]
    assert runs(person)("show", name).exit_code == runs(person)("next", name).exit_code == 4
    assert list(jobs) == ["a\ufffdb"]
