"""A job as a value: read from a definition, refused in words, asked when it fires."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.errors import InvalidJob, NextFireTimeError
from celery_jobsched.job import DEFINITION, Job

MOMENT = datetime(2030, 1, 1, 12, 0, tzinfo=timezone.utc)
EARLY, MICROSECOND = MOMENT - timedelta(days=3653), timedelta(microseconds=1)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
instants = st.integers(0, 15 * 365 * 86_400_000_000).map(lambda n: EARLY + n * MICROSECOND)
triggers = st.sampled_from(
    [
        {"every": [3, "hours"], "at": {"minute": 5}},
        {"every": "1 month", "at": "31 03:00", "month_end": "skip"},
        {"every": timedelta(minutes=90)},
        {"cron": "*/5 9-17 * * mon-fri", "dst_gap": "skip", "dst_fold": "both"},
        {"once": ["2030-12-24 18:00", MOMENT]},
        {"rrule": "DTSTART:20300101T090000 rrule:freq=weekly;byday=mo,fr"},
        {"celery": "crontab 30 7 * * 1"},
        {"schedule": 30.0},
        {"schedule": 1 / 3},
        {"every": [1 / 3, "second"]},
        {"every": "week", "at": MappingProxyType({"weekday": "mon", "hour": 9})},
        {"cron": "0 0 * * *", "once": "2031-01-01"},
        {"keyword": "stock arrived"},
    ]
)
elsewhere = st.just({"custom": "known-elsewhere 1st  of the month", "keyword": "Bestände"})
rules = st.fixed_dictionaries(
    {},
    optional={
        "args": st.lists(json, max_size=3),
        "kwargs": st.dictionaries(texts, json, max_size=3),
        "options": st.fixed_dictionaries({}, optional={"queue": texts, "priority": st.just(3)}),
        "labels": st.dictionaries(texts, json, max_size=2),
        "description": texts,
        "timezone": st.sampled_from(["Europe/Berlin", "UTC", "Asia/Kolkata"]),
        "starts_at": instants,
        "max_fires": st.integers(1, 2**31 - 1),
        "jitter": st.floats(0, 1e6),
        "misfire": st.sampled_from(["skip", "once", "all", "ALL"]),
        "misfire_grace_time": st.floats(0.001, 1e6),
        "on_end": st.sampled_from(["keep", "delete"]),
        "enabled": st.booleans() | st.sampled_from(["true", "0"]),
    },
)


@given(texts.filter(lambda name: len(name) <= 255), triggers | elsewhere, rules)
def test_a_definition_goes_round(name: str, when: dict[str, Any], more: dict[str, Any]) -> None:
    job = Job.from_dict(name, {"task": "t", **when, **more})

    again = Job.from_dict(name, job.to_dict())

    assert again == job
    assert again.to_dict() == job.to_dict()
    assert set(job.to_dict()) <= set(DEFINITION)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"every": [3, "hour"]}, {"every": "3 hours"}),
        ({"every": "1 hours"}, {"every": " 1  hour "}),
        ({"func": "t", "every": "1 day"}, {"task": "t", "every": "1 day"}),
        ({"every": "1 day", "args": (1, 2)}, {"every": "1 day", "args": "[1, 2]"}),
        ({"every": "1 day", "enabled": True}, {"every": "1 day"}),
        ({"every": "1 day", "jitter": None}, {"every": "1 day"}),
        ({"every": "1 day", "max_fires": "3"}, {"every": "1 day", "max_fires": 3}),
        ({"every": "1 day", "jitter": MINUTE}, {"every": "1 day", "jitter": 60}),
        ({"schedule": 30}, {"celery": "schedule 30.0"}),
        (
            {"once": "2030-01-01 13:00", "timezone": "Europe/Berlin"},
            {"once": MOMENT, "timezone": "Europe/Berlin"},
        ),
    ],
)
def test_python_values_and_the_tables_texts_are_the_same_job(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert Job.from_dict("j", {"task": "t"} | one if "func" not in one else one) == Job.from_dict(
        "j", {"task": "t"} | other
    )


@pytest.mark.parametrize(
    ("field", "definition"),
    [
        ("every", {}),
        ("every", {"every": "often"}),
        ("every", {"every": 5}),
        ("at", {"cron": "* * * * *", "at": "09:00"}),
        ("at", {"every": "1 hour", "at": "25:00"}),
        ("cron", {"cron": "61 * * * *"}),
        ("cron", {"cron": "* * *"}),
        ("once", {"once": "tomorrow"}),
        ("timezone", {"every": "1 day", "timezone": "Mars/Olympus"}),
        ("args", {"every": "1 day", "args": "[1,"}),
        ("args", {"every": "1 day", "args": {"a": 1}}),
        ("kwargs", {"every": "1 day", "kwargs": [1]}),
        ("kwargs", {"every": "1 day", "kwargs": {"x": object()}}),
        ("args", {"every": "1 day", "args": [float("nan")]}),
        ("options", {"every": "1 day", "options": {"task_id": "x"}}),
        ("options", {"every": "1 day", "options": {"eta": "2030-01-01"}}),
        ("options", {"every": "1 day", "options": {"serializer": "pickle"}}),
        ("options", {"every": "1 day", "options": {"headers": [1]}}),
        ("max_fires", {"every": "1 day", "max_fires": 0}),
        ("max_fires", {"every": "1 day", "max_fires": 1.5}),
        ("max_fires", {"every": "1 day", "max_fires": True}),
        ("jitter", {"every": "1 day", "jitter": -1}),
        ("jitter", {"every": "1 day", "jitter": "soon"}),
        ("misfire", {"every": "1 day", "misfire": "maybe"}),
        ("schedule", {"schedule": 10**400}),
        ("args", {"every": "1 day", "args": '[{"__type__": "uuid", "__value__": 1}]'}),
        ("options", {"every": "1 day", "options": {"chain": []}}),
        ("options", {"every": "1 day", "options": {"headers": {"id": "x"}}}),
        ("enabled", {"every": "1 day", "enabled": "perhaps"}),
        ("enabled", {"every": "1 day", "enabled": 10**5000}),
        ("enabled", {"every": "1 day", "enabled": 0.5}),
        ("description", {"every": "1 day", "description": "half of one: \ud83d"}),
        ("args", {"every": "1 day", "args": [0] * 100_000}),
        ("celery", {"celery": "crontab " + "0," * 200 + "0 * * * *"}),
        ("starts_at", {"every": "1 day", "starts_at": "soon"}),
        ("ends_at", {"every": "1 day", "starts_at": MOMENT, "ends_at": MOMENT - DAY}),
        ("max_concurrency", {"every": "1 day", "max_concurrency": 0}),
        ("concurrency_key", {"every": "1 day", "concurrency_key": " disk"}),
        ("max_failures", {"every": "1 day", "max_failures": 0}),
        ("on_success", {"every": "1 day", "on_success": ""}),
        ("lease", {"every": "1 day", "lease": 0.5}),
        ("only_during", {"every": "1 day", "only_during": "mon-fri 9-17"}),
        ("not_during", {"every": "1 day", "not_during": "mon-sun"}),
        ("keyword", {"keyword": " closed"}),
        ("keyword", {"keyword": ""}),
        ("keyword", {"keyword": "stock\n"}),
        ("keyword", {"keyword": 5}),
        ("keyword", {"keyword": "x" * 256}),
    ],
)
def test_what_cannot_be_read_names_job_field_and_value(
    field: str, definition: dict[str, Any]
) -> None:
    with pytest.raises(InvalidJob) as refused:
        Job.from_dict("the job", {"task": "t", **definition})

    error = refused.value
    assert (error.job, error.field) == ("the job", field)
    assert str(error).startswith(f"job 'the job': {field}: expected ")
    assert ", got: " in str(error)
    if field in definition and field != "ends_at":
        assert error.value == definition[field]


def test_an_unknown_field_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InvalidJob, match="did you mean timezone") as refused:
        Job.from_dict("j", {"task": "t", "every": "1 day", "time_zone": "UTC"})

    assert "time_zone" in refused.value.field


def test_one_field_under_two_spellings_is_refused() -> None:
    with pytest.raises(InvalidJob, match="one value, not one as 'task' and one as 'func'"):
        Job.from_dict("j", {"task": "t", "func": "u", "every": "1 day"})


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 256, 3, None])
def test_a_name_is_a_line_of_text(name: Any) -> None:
    with pytest.raises(InvalidJob) as refused:
        Job.from_dict(name, {"task": "t", "every": "1 day"})

    assert refused.value.field == "name"


@pytest.mark.parametrize("task", [None, "", 7])
def test_a_job_without_a_task_is_refused(task: Any) -> None:
    with pytest.raises(InvalidJob) as refused:
        Job.from_dict("j", {"task": task, "every": "1 day"})

    assert refused.value.field == "task"


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(InvalidJob) as refused:
        Job.from_dict("j", {"task": "t", "cron": "x" * 100_000})

    assert len(str(refused.value)) < 1000
    assert repr(refused.value) == f"InvalidJob({str(refused.value)!r})"


@pytest.mark.parametrize("key", ["x" * 1_000_000, 10**5000, ("every",)], ids=["long", "", "pair"])
def test_a_key_that_is_no_field_is_shown_shortened(key: Any) -> None:
    with pytest.raises(InvalidJob, match="a field that jobs have") as refused:
        Job.from_dict("j", {"task": "t", key: 1})

    assert len(str(refused.value)) < 1000


def test_as_many_instants_as_a_job_may_name_can_be_read_again() -> None:
    instants = [EARLY + each * DAY + MICROSECOND for each in range(2000)]

    job = Job.from_dict("j", {"task": "t", "once": instants})

    assert Job.from_dict("j", job.to_dict()).upcoming(EARLY, 3000) == instants


@pytest.mark.parametrize("at", ["31 09:00", '{"day": 30}'])
def test_what_would_never_come_were_it_made_in_some_month_is_refused(at: str) -> None:
    yearly = {"every": "12 months", "at": at, "month_end": "skip"}

    with pytest.raises(NextFireTimeError, match="a day that one of these months has") as refused:
        Job.from_dict("j", {"task": "t", **yearly})

    assert refused.value.value == at


def test_what_comes_in_its_own_month_alone_is_read_with_a_start_in_it() -> None:
    in_january = {"every": "12 months", "at": "31 09:00", "month_end": "skip"}

    job = Job.from_dict("j", {"task": "t", **in_january, "starts_at": "2031-01-01"})

    assert [at.isoformat()[:10] for at in job.upcoming(MOMENT, 2)] == ["2031-01-31", "2032-01-31"]


def test_upcoming_of_an_unsaved_job_is_as_though_made_then() -> None:
    job = Job.from_dict("j", {"task": "t", "every": "20 minutes"})

    assert job.upcoming(MOMENT, 3) == [MOMENT + k * 20 * MINUTE for k in (1, 2, 3)]


def test_upcoming_stays_within_the_bounds_of_the_job() -> None:
    bounds = {"starts_at": MOMENT + HOUR, "ends_at": MOMENT + 3 * HOUR}
    job = Job.from_dict("j", {"task": "t", "every": "1 hour", **bounds})

    inside = [MOMENT + k * HOUR for k in (1, 2, 3)]
    assert job.upcoming(MOMENT - DAY, 9) == inside
    assert job.previous(MOMENT + DAY, 9) == inside[::-1]
    assert job.upcoming(MOMENT + 3 * HOUR, 9) == job.previous(MOMENT + HOUR, 9) == []


@given(triggers, instants, st.integers(1, 5))
def test_previous_mirrors_upcoming(when: dict[str, Any], after: datetime, count: int) -> None:
    job = Job.from_dict("j", {"task": "t", "starts_at": "2020-01-01", **when})

    ahead = job.upcoming(after, count)

    assert ahead == sorted(set(ahead))
    assert all(each > after and each.utcoffset() == timedelta(0) for each in ahead)
    if ahead:
        back = job.previous(ahead[-1] + MICROSECOND, len(ahead))
        assert back == ahead[::-1]


def test_several_triggers_fire_when_any_does_and_once_together() -> None:
    both = {"cron": "0 * * * *", "once": "2030-01-01 12:30, 2030-01-01 13:00"}
    job = Job.from_dict("j", {"task": "t", **both})

    assert job.upcoming(MOMENT, 3) == [MOMENT + k * MINUTE for k in (30, 60, 120)]


def test_local_times_are_those_of_the_jobs_zone_else_of_the_application() -> None:
    nine = {"task": "t", "cron": "0 9 * * *"}
    of_the_app = Job.from_dict("j", nine, "Asia/Kolkata")
    its_own = Job.from_dict("j", nine | {"timezone": "America/New_York"}, "Asia/Kolkata")

    assert of_the_app.upcoming(MOMENT, 1) == [datetime(2030, 1, 2, 3, 30, tzinfo=timezone.utc)]
    assert its_own.upcoming(MOMENT, 1) == [datetime(2030, 1, 1, 14, 0, tzinfo=timezone.utc)]


def test_a_job_of_values_is_the_one_that_is_made_with_them() -> None:
    given: dict[str, Any] = {"args": [1], "kwargs": {}, "options": {}, "labels": {}}
    given |= {"name": "j", "task": "t", "every": "1 hour", "created_at": MOMENT, "fire_count": 3}

    made = Job.of_values(**given)

    assert vars(made) == vars(Job(**given))
    assert made.upcoming(MOMENT, 1) == [MOMENT + HOUR]
