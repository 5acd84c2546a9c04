from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from celery import Celery

from celery_jobsched import Job
from celery_jobsched.entries import FireEntry, entry_for
from celery_jobsched.fire import Fire, Origin
from celery_jobsched.limits import Rights
from celery_jobsched.placeholders import PLACEHOLDERS, filled
from celery_jobsched.ticket import Ticket

UTC = timezone.utc
VALUES = {
    "fire_at": "2027-03-28T01:00:00+00:00",
    "fire_date": "2027-03-28",
    "previous_fire_at": None,
    "job": "nightly",
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{fire_date}", "2027-03-28"),
        ("report-{fire_date}.csv", "report-2027-03-28.csv"),
        ("{job}/{fire_date}/{job}", "nightly/2027-03-28/nightly"),
        ("{previous_fire_at}", None),
        ("since {previous_fire_at}", "since "),
        ("{{fire_date}}", "{fire_date}"),
        ("{fire_date", "{fire_date"),
        ("{FIRE_DATE}", "{FIRE_DATE}"),
        ("{fire_at.year}", "{fire_at.year}"),
        ("{fire_at!r:>99999999}", "{fire_at!r:>99999999}"),
        ("{0} {} %(job)s ${job}", "{0} {} %(job)s $nightly"),
        (7, 7),
        (None, None),
        (["{job}", {"{job}": ["{job}", 1.5]}], ["nightly", {"{job}": ["nightly", 1.5]}]),
    ],
)
def test_placeholders_are_filled_and_nothing_else_is_touched(given: Any, expected: Any) -> None:
    assert filled(given, VALUES) == expected


def test_what_was_filled_in_is_not_read_again() -> None:
    values = dict.fromkeys(PLACEHOLDERS, "{fire_at}")

    assert filled("{job} {fire_date}", values) == "{fire_at} {fire_at}"


def test_a_fire_tells_its_nominal_local_time_and_the_instant_before_it() -> None:
    gap_night = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)  # 02:30 in Berlin, which that night lacks
    entry = entry_of({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, gap_night)

    header = entry.options["headers"]["jobsched"]

    assert (header["fire_at"], header["local"], header["previous_fire_at"]) == (
        "2027-03-28T01:00:00+00:00",
        "2027-03-28T02:30:00",
        "2027-03-27T01:30:00+00:00",
    )


def test_the_date_of_a_fire_is_the_jobs_own() -> None:
    entry = entry_of(
        {"once": "2027-01-01 05:00:00Z", "timezone": "America/New_York", "args": ["{fire_date}"]},
        datetime(2027, 1, 1, 4, 59, tzinfo=UTC),
    )

    assert entry.args == ("2026-12-31",)


@pytest.mark.parametrize(
    "lacking", [{"custom": "of-another-beat"}, {"cron": "0 9 * * *", "not_during": "holidays"}]
)
def test_a_beat_that_lacks_what_made_a_fire_publishes_it_with_less(lacking: dict[str, str]) -> None:
    given = {"name": "j", "task": "t", "timezone": "Asia/Tokyo", "args": ["{previous_fire_at}"]}
    job = Job(**given, **lacking)  # as a row is read: what it names is looked for when it is asked
    at = datetime(2027, 1, 1, tzinfo=UTC)

    fire = Fire("id", 1, job.name, "key", at, at, Origin.SCHEDULE)
    entry = entry_for(Celery(set_as_current=False), fire, job, ticket(fire), False, "test")

    assert entry.args == (None,)
    assert entry.options["headers"]["jobsched"]["local"] == "2027-01-01T09:00:00"


def test_a_manual_runs_own_arguments_are_filled_too() -> None:
    entry = entry_of(
        {"every": "1 hour", "args": ["{job}"]},
        datetime(2027, 1, 1, tzinfo=UTC),
        args=["by hand: {job}"],
        kwargs={"at": "{fire_at}"},
    )

    assert entry.args == ("by hand: nightly",)
    assert entry.kwargs == {"at": "2027-01-01T00:00:00+00:00"}
    assert "by hand: nightly" in entry.options["argsrepr"]


def test_a_follow_up_gets_what_it_is_told_and_nothing_of_the_jobs_own() -> None:
    told = {"error": "of {job}", "state": "failed"}
    options = {"queue": "slow", "expires": 5, "link": {"task": "proj.next"}, "headers": {"x": 1}}
    definition = {"cron": "0 6 * * *", "args": [1], "kwargs": {"own": 1}, "options": options}

    entry = entry_of(
        definition, datetime(2027, 1, 1, tzinfo=UTC), task="proj.alarm", args=[], kwargs=told
    )

    assert (entry.task, entry.args, entry.kwargs) == ("proj.alarm", (), told)
    assert entry.schedule is None
    assert not {"queue", "expires", "link"} & set(entry.options)
    assert set(entry.options["headers"]) == {"celery_beat_task", "periodic_task_name", "jobsched"}
    assert entry_of(definition, datetime(2027, 1, 1, tzinfo=UTC)).options["queue"] == "slow"


def entry_of(definition: dict[str, Any], fire_at: datetime, **own: Any) -> FireEntry:
    job = Job.from_dict("nightly", {"task": "proj.note", **definition})
    job = replace(job, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    fire = Fire("id", 1, job.name, "key", fire_at, fire_at, Origin.SCHEDULE, **own)
    return entry_for(Celery(set_as_current=False), fire, job, ticket(fire), False, "test")


def ticket(fire: Fire) -> Ticket:
    return Ticket.of(fire, Rights(), "here", "database", fire.due_at)
