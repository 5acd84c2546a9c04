"""Jobs with calendars: what is read and refused, what fires, and what is owed after an outage."""
# ruff: noqa: DTZ001, E501 - a sentence is told in one line

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from celery_jobsched.clock import UTC
from celery_jobsched.definition import calendar_names
from celery_jobsched.entries import celery_schedule
from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from celery_jobsched.plan import decide, plan_from, plan_new
from tests.calendars import calendars as calendar_texts
from tests.effort import examples
from tests.laws import check_laws, lines_run

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = timedelta(days=1)
#: A Wednesday; Christmas is a Friday.
NOW = datetime(2026, 12, 23, 12, tzinfo=UTC)


def job(made_at: datetime | None = None, **definition: Any) -> Job:
    known = definition.pop("calendars", None)
    made = Job.from_dict("a job", {"task": "t", **definition}, "Europe/Berlin", known)
    return replace(made, id=1, created_at=made_at)


def days(found: list[datetime]) -> list[str]:
    return [f"{at:%a %d %H:%M:%S}" for at in found]


def test_a_job_fires_within_its_calendars_in_its_own_zone() -> None:
    report = job(cron="30 8 * * *", only_during="mon-fri 08:00-09:00", not_during="12-25, 12-26")

    assert days(report.upcoming(NOW, 3)) == [
        "Thu 24 07:30:00",
        "Mon 28 07:30:00",
        "Tue 29 07:30:00",
    ]
    assert days(report.previous(NOW + 6 * DAY, 3)) == [
        "Tue 29 07:30:00", "Mon 28 07:30:00", "Thu 24 07:30:00",
    ]  # fmt: skip
    assert report.to_dict() == {
        "task": "t",
        "cron": "30 8 * * *",
        "only_during": "mon-fri 08:00-09:00",
        "not_during": "12-25, 12-26",
    }


@pytest.mark.parametrize(
    ("on_excluded", "fires"),
    [
        (None, ["Thu 24 08:00:00", "Mon 28 08:00:00"]),
        ("skip", ["Thu 24 08:00:00", "Mon 28 08:00:00"]),
        ("next", ["Thu 24 08:00:00", "Sun 27 23:00:00", "Mon 28 08:00:00"]),
        ("previous", ["Thu 24 08:00:00", "Thu 24 22:59:59", "Mon 28 08:00:00"]),
    ],
)
def test_what_falls_on_a_holiday_is_moved_as_the_job_says(
    on_excluded: str | None, fires: list[str]
) -> None:
    report = job(
        every="1 day", at="09:00", not_during="holidays; sat, sun", on_excluded=on_excluded,
        calendars={"holidays": "12-25, 12-26, 01-01"},
    )  # fmt: skip

    assert days(report.upcoming(NOW, len(fires))) == fires


def test_all_of_several_triggers_are_kept_within_the_calendar() -> None:
    both = job(cron="0 9 * * *", once="2026-12-25 10:00, 2026-12-26 10:00", not_during="12-25")

    assert days(both.upcoming(NOW, 3)) == ["Thu 24 08:00:00", "Sat 26 08:00:00", "Sat 26 09:00:00"]


def test_nothing_is_moved_beyond_the_bounds_nor_from_beyond_them() -> None:
    bounds = {"starts_at": "2026-12-25 06:00", "ends_at": "2026-12-27 12:00"}
    at_noon = {"cron": "0 12 * * *", "not_during": "12-25; 12-27", **bounds}

    assert days(job(**at_noon).upcoming(NOW, 5)) == ["Sat 26 11:00:00"]
    assert days(job(**at_noon, on_excluded="next").upcoming(NOW, 5)) == [
        "Fri 25 23:00:00", "Sat 26 11:00:00",
    ]  # fmt: skip
    assert days(job(**at_noon, on_excluded="previous").upcoming(NOW, 5)) == [
        "Sat 26 11:00:00", "Sat 26 22:59:59",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("definition", "field", "said"),
    [
        ({"only_during": "mon-"}, "only_during", "'mon-' is none of them"),
        ({"not_during": "25:00-26:00"}, "not_during", "windows such as"),
        ({"not_during": ["sat"]}, "not_during", "a text"),
        ({"on_excluded": "later"}, "on_excluded", "one of skip, next, previous"),
        ({"not_during": "mon-sun"}, "not_during", "a calendar that leaves some time"),
        ({"only_during": "sat", "not_during": "sat, sun"}, "not_during", "leaves some time"),
        ({"only_during": "sat"}, "only_during", "some of the times of the job's fires"),
        ({"only_during": "18:00-08:00"}, "only_during", "some of the times of the job's fires"),
        ({"not_during": "mon"}, "not_during", "to leave times of the job's fires"),
        ({"only_during": "2020-01-01..2026-01-01", "starts_at": "2026-06-01"}, "only_during",
         "some of the times"),
        ({"only_during": "holidays", "calendars": {}}, "only_during", "none named holidays"),
        ({"not_during": "holidays", "calendars": {"holidays": "12-32"}}, "not_during",
         "in the calendar holidays: dates that exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_or_never_meets_is_refused_when_the_job_is_made(
    definition: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidJob) as raised:
        job(cron="0 9 * * mon", **definition)

    assert (raised.value.job, raised.value.field) == ("a job", field)
    assert said in raised.value.expected


def test_what_never_meets_is_known_once_it_is_known_what_it_counts_from() -> None:
    daily = job(every="1 day", only_during="09:00-17:00")

    daily.check()
    replace(daily, created_at=NOW).check()
    with pytest.raises(InvalidJob, match="only_during: expected some of the times"):
        replace(daily, created_at=NOW + 8 * HOUR).check()
    with pytest.raises(InvalidJob, match="only_during: expected some of the times"):
        job(every="1 day", only_during="09:00-17:00", starts_at="2026-12-24 20:00")


def test_a_job_that_is_over_is_not_refused() -> None:
    job(once="2020-01-01 12:00", only_during="2020-01-01")
    job(cron="0 9 * * *", only_during="2020-01-01..2020-12-31")
    replace(job(once="2020-01-01 12:00", not_during="sat"), created_at=NOW).check()


def test_names_that_are_not_known_are_asked_for_when_it_is_asked_when_it_fires() -> None:
    declared = job(cron="0 9 * * *", not_during="holidays; sat")

    assert calendar_names(vars(declared)) == {"holidays"}
    assert declared.describe().endswith("not in the calendar holidays or on Saturdays")
    with pytest.raises(InvalidJob, match="there is none named holidays"):
        declared.upcoming(NOW, 1)


def test_names_are_found_in_what_can_be_read() -> None:
    assert calendar_names({"only_during": "work 09:00-17:00", "not_during": "a; b, c"}) == {
        "work", "a", "b", "c",
    }  # fmt: skip
    assert calendar_names({"only_during": "no calendar at all", "not_during": 5}) == {
        "no", "calendar", "at", "all",
    }  # fmt: skip
    assert calendar_names({"only_during": "25:00", "cron": "* * * * *"}) == frozenset()


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"cron": "0 9 * * *", "only_during": "mon-fri"}, "every day at 09:00 Europe/Berlin, only on weekdays"),
        ({"every": "10 seconds", "not_during": "sat,\n sun"},
         "every 10 seconds, not on Saturdays and Sundays, Europe/Berlin"),
        ({"every": "10 seconds", "not_during": "22:00-06:00"},
         "every 10 seconds, not from 22:00 to before 06:00 of the next day, Europe/Berlin"),
        ({"cron": "0 9 * * *", "only_during": "mon-fri", "not_during": "holidays", "on_excluded": "next"},
         "every day at 09:00 Europe/Berlin, only on weekdays, not in the calendar holidays, "
         "else at the first allowed instant after"),
        ({"cron": "0 9 * * *", "not_during": "2026-12-24; " * 30 + "2026-12-24", "on_excluded": "previous"},
         "every day at 09:00 Europe/Berlin, not during " + ("2026-12-24; " * 17)[:200]
         + "... (370 characters), else in the last second before"),
    ],
)  # fmt: skip
def test_calendars_are_told_in_words(definition: dict[str, Any], said: str) -> None:
    assert job(**definition).describe() == said


def test_no_schedule_of_celerys_tells_of_calendars() -> None:
    assert celery_schedule(job(cron="0 9 * * *")) is not None
    assert celery_schedule(job(cron="0 9 * * *", not_during="12-25")) is None
    assert celery_schedule(job(every="90 minutes", only_during="mon-fri")) is None


def test_what_is_due_and_now_excluded_is_not_owed() -> None:
    made = job(NOW - DAY, every="1 hour", not_during="holidays", calendars={"holidays": "12-25"})
    due = replace(made, next_fire_at=NOW)

    allowed = decide(due, NOW + SECOND)
    excluded = decide(replace(due, calendars={"holidays": "12-23"}), NOW + SECOND)

    assert [owed.fire_at for owed in allowed.fires] == [NOW]
    assert (excluded.fires, excluded.missed) == ((), None)
    assert excluded.next_fire_at == datetime(2026, 12, 23, 23, tzinfo=UTC)


def test_what_was_excluded_while_nobody_looked_is_not_missed() -> None:
    hourly = job(NOW, every="1 hour", only_during="mon-fri 09:00-17:00", misfire="skip")
    woken_at = datetime(2026, 12, 28, 9, 30, tzinfo=UTC)

    plan = decide(replace(hourly, next_fire_at=NOW), woken_at)

    # Four on Wednesday, eight each on Thursday and Friday; the weekend is nobody's.
    assert plan.missed is not None
    assert plan.missed.count == 4 + 8 + 8 + 2
    assert plan.next_fire_at == woken_at + HOUR / 2


def test_a_new_job_and_an_edited_one_begin_with_what_is_allowed() -> None:
    hourly = job(NOW, every="1 hour", not_during="2026-12-23")

    first = datetime(2026, 12, 23, 23, tzinfo=UTC)
    assert plan_new(hourly).next_fire_at == first
    assert plan_from(hourly, NOW + HOUR).next_fire_at == first


@pytest.mark.parametrize("misfire", ["once", "skip", "all"])
@pytest.mark.parametrize("on_excluded", ["skip", "next", "previous"])
def test_a_year_of_excluded_seconds_is_bounded_work(misfire: str, on_excluded: str) -> None:
    each_second = job(
        NOW, every="1 second", misfire=misfire, on_excluded=on_excluded,
        only_during="mon-fri 08:00-18:00; 2026-12-24..2027-01-06", not_during="holidays",
        calendars={"holidays": "12-25, 01-01, 2027-04-05"},
    )  # fmt: skip
    slept = replace(each_second, next_fire_at=NOW)
    decide(slept, NOW + 366 * DAY)

    assert lines_run(decide, slept, NOW + 366 * DAY) < 100_000


@given(
    calendar_texts().map(lambda drawn: drawn[0]),
    st.sampled_from(["skip", "next", "previous"]),
    st.sampled_from(["Europe/Berlin", "Pacific/Auckland", "Australia/Lord_Howe", "America/Santiago"]),
    st.sampled_from([
        {"every": "7 minutes"}, {"every": "1 day", "at": "02:30"}, {"every": "0.4 seconds"},
        {"cron": "*/20 * * * *"}, {"cron": "30 0-3 * * *"}, {"cron": "0 12 1 * *"},
    ]),
    st.datetimes(datetime(2026, 1, 1), datetime(2029, 12, 31), timezones=st.just(UTC)),
)  # fmt: skip
@examples(60)
def test_the_laws_of_triggers_hold_within_calendars(
    text: str, on_excluded: str, zone: str, when: dict[str, str], instant: datetime
) -> None:
    definition = {"only_during": text, "on_excluded": on_excluded, "timezone": zone, **when}
    try:
        made = job(starts_at="2020-01-01 00:00:01", **definition)
    except InvalidJob:
        assume(False)

    check_laws(made.trigger, instant)
