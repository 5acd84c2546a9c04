"""What rows, keys and entries of other schedulers become, as those write them."""

# ruff: noqa: DTZ001 - tables have instants without a zone
from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery.schedules import crontab, schedule, solar

from celery_jobsched.clock import UTC
from celery_jobsched.importers import (
    beat_schedule,
    django_celery_beat,
    pykit,
    redbeat,
    sqlalchemy_celery_beat,
)
from celery_jobsched.importers.draft import Draft
from celery_jobsched.job import Job
from celery_jobsched.placeholders import PLACEHOLDERS, filled, unfilled

NOW = datetime(2026, 11, 20, 22, 45, 10, tzinfo=UTC)
LAST = datetime(2026, 11, 20, 22, 0, 7, 250_000, tzinfo=UTC)
HOUR = timedelta(hours=1)

#: A row of periodic tasks as Django writes it.
TASK: dict[str, Any] = {
    "id": 1, "name": "a", "task": "proj.note", "args": "[]", "kwargs": "{}", "queue": None,
    "exchange": None, "routing_key": None, "headers": "{}", "priority": None, "expires": None,
    "expire_seconds": None, "one_off": False, "start_time": None, "enabled": True,
    "last_run_at": None, "total_run_count": 0, "date_changed": LAST, "description": "",
    "interval_id": None, "crontab_id": None, "solar_id": None, "clocked_id": None,
}  # fmt: skip
SCHEDULES: dict[str, Any] = {
    "interval": {1: {"id": 1, "every": 2, "period": "hours"}},
    "crontab": {
        1: {
            "id": 1, "minute": "30", "hour": "2, 14", "day_of_week": "mon-fri",
            "day_of_month": "*", "month_of_year": "*", "timezone": "Europe/Paris",
        }
    },
    "solar": {1: {"id": 1, "event": "sunset", "latitude": 51.5, "longitude": "-0.120000"}},
    "clocked": {1: {"id": 1, "clocked_time": datetime(2026, 12, 24, 17)}},
}  # fmt: skip


def of_row(**values: Any) -> Draft:
    (draft,) = django_celery_beat.of_tables([TASK | values], SCHEDULES)
    return draft


def of_entry(**entry: Any) -> Draft:
    (draft,) = beat_schedule.of_entries({"a": {"task": "proj.note", **entry}})
    return draft


def of_hash(meta: Any = None, **definition: Any) -> Draft:
    given = {"name": "a", "task": "proj.note", "args": [], "kwargs": {}, "options": {}}
    text = json.dumps(given | {"enabled": True} | definition)
    (draft,) = redbeat.of_hashes([("redbeat:a", text, meta and json.dumps(meta))], "redbeat:")
    return draft


def job_of(draft: Draft) -> Job:
    assert draft.refusal is None
    return Job.from_dict(draft.name, draft.definition)


def first_of(draft: Draft) -> datetime:
    return job_of(draft).upcoming(NOW, 1)[0]


def said(draft: Draft) -> list[str]:
    return [note.field for note in draft.notes]


def refused(draft: Draft) -> str | None:
    return draft.refusal and draft.refusal.field


def test_an_entry_of_a_beat_schedule_keeps_its_schedule_and_its_call() -> None:
    draft = of_entry(
        schedule=crontab("30", "2"), args=(1, "x"), kwargs={"b": 2},
        options={"queue": "q", "expires": 60},
    )  # fmt: skip

    job = job_of(draft)

    assert (job.celery, job.args, job.kwargs) == ("crontab 30 2 * * *", [1, "x"], {"b": 2})
    assert (job.options, draft.notes) == ({"queue": "q", "expires": 60}, [])


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"schedule": 10, "evry": 1}, "evry"),
        ({"schedule": "hourly"}, "schedule"),
        ({}, "schedule"),
        ({"schedule": 10, "args": (object(),)}, "args"),
    ],
)
def test_an_entry_that_cannot_be_carried_over_is_left_out(entry: Any, field: str) -> None:
    assert refused(of_entry(**entry)) == field


def test_what_is_no_entry_is_left_out() -> None:
    (draft,) = beat_schedule.of_entries({"a": 1})

    assert refused(draft) == "entry"


def test_what_an_entry_does_not_bring_along_is_said() -> None:
    until = datetime(2026, 12, 1, tzinfo=UTC)
    own_now = of_entry(schedule=schedule(10, nowfun=datetime.now))
    ending = of_entry(schedule=10, options={"expires": until})

    assert (said(own_now), said(ending)) == (["nowfun"], ["expires"])
    assert (job_of(ending).ends_at, job_of(ending).options) == (until, {})


@pytest.mark.parametrize("text", ["{fire_at}", "at {job}: {{fire_at}}", "{{{job}}}", "{x}", "{"])
def test_arguments_that_look_like_placeholders_stay_what_they_are(text: str) -> None:
    draft = of_entry(schedule=10, args=[text, [text]], kwargs={"job": text})

    values = dict.fromkeys(PLACEHOLDERS, "filled in")
    job = job_of(draft)

    assert filled(job.args, values) == [text, [text]]
    assert filled(job.kwargs, values) == {"job": text}
    assert filled(unfilled(text), values) == text


def test_an_interval_goes_on_in_step_with_its_last_run() -> None:
    draft = of_row(interval_id=1, last_run_at=LAST)

    assert first_of(draft) == LAST.replace(microsecond=0) + 2 * HOUR
    assert draft.notes == []


def test_an_overdue_interval_fires_at_its_next_turn_not_for_the_past() -> None:
    draft = of_row(interval_id=1, last_run_at=LAST - 5 * HOUR)

    assert first_of(draft) == LAST.replace(microsecond=0) + HOUR


def test_an_interval_that_never_ran_counts_from_its_last_change_or_begins_at_its_start() -> None:
    start = NOW + 10 * HOUR

    assert first_of(of_row(interval_id=1)) == LAST.replace(microsecond=0) + 2 * HOUR
    assert first_of(of_row(interval_id=1, start_time=start)) == start
    assert first_of(of_row(interval_id=1, start_time=start, last_run_at=LAST)) == start


def test_a_crontab_keeps_its_zone_and_says_that_it_does_not_run_at_its_start() -> None:
    draft = of_row(crontab_id=1, start_time=datetime(2026, 11, 23))

    assert job_of(draft).celery == "crontab 30 2,14 * * mon-fri"
    assert first_of(draft) == datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
    assert said(draft) == ["start_time"]
    assert said(of_row(crontab_id=1, start_time=NOW, last_run_at=LAST)) == []


def test_the_sun_and_the_clock_are_carried_over() -> None:
    pytest.importorskip("ephem")

    assert job_of(of_row(solar_id=1)).celery == "solar sunset 51.5 -0.12"
    assert first_of(of_row(clocked_id=1, one_off=True)) == datetime(2026, 12, 24, 17, tzinfo=UTC)


def test_one_off_is_one_fire_and_none_after_it_has_run() -> None:
    fresh = of_row(crontab_id=1, one_off=1)
    spent = of_row(crontab_id=1, one_off=1, total_run_count=1)

    assert (job_of(fresh).max_fires, job_of(fresh).enabled, fresh.notes) == (1, True, [])
    assert (job_of(spent).enabled, said(spent)) == (False, ["one_off"])


def test_how_a_row_is_sent_becomes_options() -> None:
    draft = of_row(
        crontab_id=1, queue="q", exchange="", routing_key="r", priority=0, expire_seconds=30,
        headers='{"team": "fin"}', args='[1, "{job}"]', description="für alle", enabled=0,
    )  # fmt: skip

    job = job_of(draft)

    assert job.options == {
        "queue": "q",
        "routing_key": "r",
        "priority": 0,
        "expires": 30,
        "headers": {"team": "fin"},
    }
    assert (job.args, job.description, job.enabled) == ([1, "{{job}}"], "für alle", False)
    assert draft.notes == []


def test_a_row_that_expires_ends() -> None:
    draft = of_row(crontab_id=1, expires=datetime(2026, 12, 1))

    assert job_of(draft).ends_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert (said(draft), "expires" in job_of(draft).options) == (["expires"], False)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "schedule"),
        ({"interval_id": 1, "crontab_id": 1}, "schedule"),
        ({"interval_id": 9}, "schedule"),
        ({"crontab_id": 1, "args": "[1,"}, "args"),
        ({"crontab_id": 1, "kwargs": "[]"}, "kwargs"),
        ({"crontab_id": 1, "headers": "x"}, "headers"),
        ({"clocked_id": 1, "expires": "never"}, "expires"),
    ],
)
def test_a_row_that_cannot_be_carried_over_is_left_out(values: Any, field: str) -> None:
    assert refused(of_row(**values)) == field


@pytest.mark.parametrize("period", ["years", None])
def test_an_interval_of_another_unit_is_left_out(period: Any) -> None:
    schedules = {"interval": {1: {"id": 1, "every": 2, "period": period}}}

    (draft,) = django_celery_beat.of_tables([TASK | {"interval_id": 1}], schedules)

    assert refused(draft) == "interval"


def test_a_discriminator_names_the_kind_of_a_schedule() -> None:
    row = {name: value for name, value in TASK.items() if not name.endswith("_id")}
    rows = [
        row | {"name": "a", "discriminator": "crontabschedule", "schedule_id": 1},
        row | {"name": "b", "discriminator": "moonschedule", "schedule_id": 1},
    ]

    good, bad = sqlalchemy_celery_beat.of_tables(rows, SCHEDULES)

    assert job_of(good).timezone == "Europe/Paris"
    assert refused(bad) == "discriminator"


def stored(at: datetime, **zone: Any) -> dict[str, Any]:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__type__": "datetime", **{name: getattr(at, name) for name in names}, **zone}


def test_an_interval_of_redbeat_goes_on_in_step() -> None:
    every = {"__type__": "interval", "every": 7200.0, "relative": False}

    in_utc = of_hash({"last_run_at": stored(LAST), "total_run_count": 3}, schedule=every)
    local = stored(LAST + HOUR, timezone="Europe/Paris")
    in_paris = of_hash({"last_run_at": local}, schedule=every)
    offset = of_hash({"last_run_at": stored(LAST + HOUR, timezone=3600.0)}, schedule=every)

    assert {first_of(each) for each in (in_utc, in_paris, offset)} == {
        LAST.replace(microsecond=0) + 2 * HOUR
    }
    assert first_of(of_hash(schedule=every)) == NOW + 2 * HOUR


def test_a_crontab_of_redbeat_is_in_the_zone_of_the_application() -> None:
    fields = {"minute": "30", "hour": 2, "day_of_week": "*", "day_of_month": "*"}
    draft = of_hash(schedule={"__type__": "crontab", **fields, "month_of_year": "*"}, enabled=False)

    assert (job_of(draft).celery, job_of(draft).timezone) == ("crontab 30 2 * * *", None)
    assert not job_of(draft).enabled


def test_a_rule_of_redbeat_starts_where_it_did() -> None:
    rule = {
        "__type__": "rrule", "freq": 2, "interval": 1, "wkst": None, "count": None,
        "bysetpos": None, "byeaster": None, "bymonth": None, "byweekday": [0, {"wkday": 4}],
        "byhour": 9, "byminute": 0, "bysecond": [0],
        "dtstart": datetime(2026, 11, 2, 8, tzinfo=UTC).timestamp(), "dtstart_tz": 60.0,
        "until": datetime(2026, 12, 31, tzinfo=UTC).timestamp(), "until_tz": 0,
    }  # fmt: skip

    job = job_of(of_hash(schedule=rule))

    assert job.timezone == "Etc/GMT-1"
    assert job.upcoming(NOW, 2) == [
        datetime(2026, 11, 23, 8, tzinfo=UTC),
        datetime(2026, 11, 27, 8, tzinfo=UTC),
    ]
    assert refused(of_hash(schedule=rule | {"byeaster": 1})) == "byeaster"
    assert refused(of_hash(schedule=rule | {"dtstart_tz": 330})) == "dtstart"


EVERY = {"__type__": "interval", "every": 60.0, "relative": False}
#: How a pickled ``BeatLazyFunc`` stands in redbeat's JSON.
LAZY = "gASVIgAAAAAAAACMC2NlbGVyeS5iZWF0lIwMQmVhdExhenlGdW5jlJOULg=="


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({"schedule": {"__type__": "moon"}}, "schedule"),
        ({"schedule": None}, "schedule"),
        ({"schedule": EVERY | {"every": "x"}}, "schedule"),
        ({"schedule": EVERY, "args": [{"__type__": "object"}]}, "args"),
        ({"schedule": EVERY, "kwargs": {"x": LAZY}}, "kwargs"),
    ],
)
def test_a_key_that_cannot_be_carried_over_is_left_out(definition: Any, field: str) -> None:
    assert refused(of_hash(**definition)) == field


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_a_key_without_a_definition_is_left_out(text: str | None) -> None:
    (draft,) = redbeat.of_hashes([("redbeat:a", text, None)], "redbeat:")

    assert (draft.name, refused(draft)) == ("a", "definition")


def test_a_job_of_pykit_keeps_its_limit_and_what_filters_read() -> None:
    given = {
        "func": "proj.note", "args": [1], "kwargs": {}, "every": [1, "day"],
        "at": {"hour": 12, "minute": 0, "second": 0}, "timezone": "Asia/Shanghai",
        "concurrence_n": 3, "roles": ["front"],
    }  # fmt: skip

    (draft,) = pykit.of_jobs({"a": given}, "UTC", NOW)
    job = job_of(draft)

    assert first_of(draft) == datetime(2026, 11, 21, 4, tzinfo=UTC)
    assert (job.task, job.max_concurrency, job.labels) == ("proj.note", 3, {"roles": ["front"]})
    assert draft.notes == []


def test_a_job_of_pykit_first_fires_an_interval_from_now_and_says_what_is_other() -> None:
    plain = {"func": "proj.note", "every": [3, "hour"]}
    monthly = {"func": "proj.note", "every": [1, "month"], "at": {"day": 5, "hour": 3}}

    first, second, third = pykit.of_jobs(
        {"a": plain, "b": monthly, "c": plain | {"at": {"day": 1}}}, "Europe/Paris", NOW
    )

    assert first_of(first) == NOW + 3 * HOUR
    assert (job_of(first).max_concurrency, said(second)) == (1, ["timezone", "every"])
    assert refused(third) == "at"


def test_the_sun_of_a_beat_schedule_is_carried_over() -> None:
    pytest.importorskip("ephem")

    draft = of_entry(schedule=solar("sunset", -37.8, 144.9))

    assert job_of(draft).celery == "solar sunset -37.8 144.9"
