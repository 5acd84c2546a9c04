"""Whatever a column holds: it is read, or refused by InvalidJob, and both within 50 ms.

`JOBSCHED_EFFORT=100` searches longer, and elsewhere each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from celery_jobsched.store import jobs, tables
from tests.effort import examples, within
from tests.texts import TOKENS, VALUES, nested, of_column

UTC = timezone.utc
#: Seconds of the processor's time.
LONGEST = 0.05
#: What the column is tried in.
AROUND: dict[str, dict[str, Any]] = {
    "every": {},
    "cron": {},
    "once": {},
    "celery": {},
    "rrule": {},
    "keyword": {},
    "custom": {},
    "only_during": {"cron": "30 2 * * *"},
    "not_during": {"every": "day"},
    "on_excluded": {"every": "day", "only_during": "mon-fri 09:00-17:00"},
    "month_end": {"every": "month", "at": "31 03:00"},
}
#: The field that an error names for another column: what it depends on, or what Celery calls it.
NAMED_FOR = {"celery": "schedule", "month_end": "at"}
#: UTC, both ends of the day, and changes of the clocks within it.
ZONES = ["UTC", "Pacific/Kiritimati", "Pacific/Niue", "Europe/Berlin", "Australia/Lord_Howe"]
CALENDARS = {"holidays": "12-25; 2026-04-03", "nights": "22:00-06:00"}
NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
#: What asking may need beyond reading: a search of some years, here and there.
QUESTIONS: list[Callable[[Job], Any]] = [
    lambda job: job.upcoming(NOON, 3),
    lambda job: job.previous(NOON, 3),
    lambda job: job.describe(),
    lambda job: job.next_after(datetime(9999, 12, 31, 23, tzinfo=UTC)),
    lambda job: job.previous_before(datetime(1, 1, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("column", sorted(TOKENS))
@given(data=st.data(), zone=st.sampled_from(ZONES))
@examples(60)
def test_a_text_is_read_or_refused(column: str, data: st.DataObject, zone: str) -> None:
    text = data.draw(of_column(column))

    check(column, {"timezone": zone, **AROUND.get(column, {"every": "day"}), column: text})


@given(
    st.sampled_from(["second", "minute", "hour", "day", "week", "month", "year"]), of_column("at")
)
@examples(100)
def test_a_text_that_refines_an_interval_is_read_or_refused(unit: str, text: str) -> None:
    check("at", {"every": unit, "at": text, "month_end": "skip"})


@given(st.dictionaries(st.sampled_from(sorted(TOKENS)), st.data(), max_size=4), st.data())
@examples(150)
def test_several_texts_together_are_read_or_refused(
    columns: dict[str, Any], data: st.DataObject
) -> None:
    check(None, {name: data.draw(of_column(name)) for name in columns})


@given(of_column("only_during"), st.sampled_from(["mine", "mon-fri mine", "mine 09:00-17:00"]))
@examples(60)
def test_a_named_calendar_is_read_or_refused(text: str, limit: str) -> None:
    definition = {"task": "t", "cron": "*/30 2 * * *", "only_during": limit}

    job = in_time(lambda named: Job.from_dict("j", definition, calendars=named), {"mine": text})

    if isinstance(job, InvalidJob):
        assert job.field == "only_during"
        assert len(str(job)) < 1000
    else:
        in_time(QUESTIONS[0], job)


@pytest.mark.parametrize("column", sorted(TOKENS))
def test_a_value_of_python_is_read_or_refused(column: str) -> None:
    for value in VALUES:
        check(column, {**AROUND.get(column, {"every": "day"}), column: value})


@pytest.mark.parametrize("column", sorted(TOKENS))
@pytest.mark.parametrize("text", nested(10_000), ids=["open", "lists", "objects"])
def test_deep_nesting_is_refused(column: str, text: str) -> None:
    if column != "description":
        with pytest.raises(InvalidJob):
            read({**AROUND.get(column, {"every": "day"}), column: text})

    check(column, {**AROUND.get(column, {"every": "day"}), column: text})


def read(definition: dict[str, Any]) -> Job:
    name = definition.get("name", "j")
    given = {column: value for column, value in definition.items() if column != "name"}
    return Job.from_dict(name, {"task": "t", **given}, calendars=CALENDARS)


def read_row(definition: dict[str, Any]) -> Job:
    """As a beat reads it from the table."""
    row: dict[str, Any] = {"name": "j", "task": "t", "id": 1, "version": 1, "enabled": True}
    row |= {"created_at": NOON, "fire_count": 0}
    columns: Any = defaultdict(lambda: None, row | definition)
    job = jobs.read_row(columns, "UTC", CALENDARS)
    job.check()
    return job


def check(column: str | None, definition: dict[str, Any]) -> None:
    """Read *definition* by both doors; what can be read must answer, and be written again."""
    job = in_time(read, definition)
    if all(isinstance(each, str | int | float | bytes) for each in definition.values()):
        in_time(read_row, definition)
    if isinstance(job, InvalidJob):
        assert len(str(job)) < 1000
        assert str(job).isprintable() or "\n" in str(job)
        assert column is None or job.field in {column, NAMED_FOR.get(column, column)}
        return
    for question in QUESTIONS:
        in_time(question, job)
    assert read(job.to_dict() | {"name": job.name}) == job
    for name, value in jobs.columns_of(job).items():
        length = getattr(tables.jobs.c[name].type, "length", None)
        assert length is None or value is None or len(value) <= length


def in_time(call: Callable[[Any], Any], argument: Any) -> Any:
    """What *call* returns, or the InvalidJob that it raises."""

    def answer() -> Any:
        try:
            return call(argument)
        except InvalidJob as error:
            return error

    return within(LONGEST, answer)
