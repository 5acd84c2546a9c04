# ruff: noqa: E501 - a sentence is told in one line
"""Schedules in words: what is said, and that nothing is said where no words are exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from celery_jobsched import Job

MADE_AT = datetime(2026, 11, 21, 2, 52, 22, 500000, tzinfo=timezone.utc)


def words(zone: str = "UTC", **definition: Any) -> str:
    return Job.from_dict("-", {"task": "-", **definition}, zone).describe()


def words_of_saved(**definition: Any) -> str:
    job = Job.from_dict("-", {"task": "-", **definition}, "Europe/Berlin")
    return replace(job, created_at=MADE_AT).describe()


CRON = [
    # times of a day
    ("0 9 * * *", "every day at 09:00 UTC"),
    ("@daily", "every day at 00:00 UTC"),
    ("0 9 * * 1-5", "every weekday at 09:00 UTC"),
    ("0 9 * * mon-thu", "every Monday to Thursday at 09:00 UTC"),
    ("30 17 * * FRI", "every Friday at 17:30 UTC"),
    ("0 9,17 * * 6,0", "every Saturday and Sunday at 09:00 and 17:00 UTC"),
    ("0 8-10 * * 7", "every Sunday at 08:00, 09:00 and 10:00 UTC"),
    ("0 9 * 6 *", "every day in June at 09:00 UTC"),
    ("0 9 * apr-sep mon", "every Monday from April to September at 09:00 UTC"),
    ("0 9 * 1,4,7,10 mon", "every Monday in January, April, July and October at 09:00 UTC"),
    # days of the month
    ("@monthly", "on the 1st of each month at 00:00 UTC"),
    ("@yearly", "on the 1st of January at 00:00 UTC"),
    ("0 6 1,15 * *", "on the 1st and 15th of each month at 06:00 UTC"),
    ("0 6 1-7,22 * *", "on the 1st to 7th and 22nd of each month at 06:00 UTC"),
    ("0 6 3,11,12,13,21 2,3 *", "on the 3rd, 11th to 13th and 21st of February and March at 06:00 UTC"),
    ("0 6 1 6-8 *", "on the 1st of each month from June to August at 06:00 UTC"),
    ("0 6 */2 * *", "on odd days of each month at 06:00 UTC"),
    ("0 6 2/2 * *", "on even days of each month at 06:00 UTC"),
    # Vixie's rule: either, where both fields are restricted; both, where one begins with a star
    ("0 9 13 * 5", "at 09:00 on the 13th of the month or on Friday, UTC"),
    ("0 9 1,15 * mon,fri", "at 09:00 on the 1st or 15th of the month or on Monday or Friday, UTC"),
    ("0 9 13 * 1-5", "at 09:00 on the 13th of the month or on a weekday, UTC"),
    ("0 9 13 6 5", "at 09:00 on the 13th of the month or on Friday, in June, UTC"),
    ("*/20 * 13 * 5", "every 20 minutes by the clock on the 13th of the month or on Friday, UTC"),
    ("0 9 1-31 * 5", "every day at 09:00 UTC"),
    ("0 9 13 * 0-6", "every day at 09:00 UTC"),
    ("0 9 */2 * 5", "on Fridays that fall on odd days of each month at 09:00 UTC"),
    ("0 9 13 * */2", "on Tuesdays, Thursdays, Saturdays and Sundays that fall on the 13th "
                     "of each month at 09:00 UTC"),
    # several times an hour, by real time
    ("* * * * *", "every minute by the clock, UTC"),
    ("*/15 * * * *", "every 15 minutes by the clock, UTC"),
    ("0,15,30,45 * * * *", "every 15 minutes by the clock, UTC"),
    ("*/15 * * jun mon", "every 15 minutes by the clock on Mondays in June, UTC"),
    ("*/7 * * * *", "at :00, :07, :14, :21, :28, :35, :42, :49 and :56 past every hour, UTC"),
    ("@hourly", "at :00 past every hour, UTC"),
    ("30 * * * *", "at :30 past every hour, UTC"),
    ("5,25 * * * 1-5", "at :05 and :25 past every hour on weekdays, UTC"),
    ("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:45 UTC"),
    ("* 2 * * *", "every minute from 02:00 to 02:59 UTC"),
    ("*/30 8,12 * * *", "every 30 minutes of the hours 8 and 12, UTC"),
    ("*/30 */6 * * *", "every 30 minutes of every 6th hour from 0 to 18, UTC"),
    ("10 */2 * * *", "at :10 past every 2nd hour from 0 to 22, UTC"),
    ("10 */5 * * *", "at :10 past every 5th hour from 0 to 20, UTC"),
    # hours that are named
    ("30 9-17 * * mon-fri", "at :30 past every hour from 9 to 17 on weekdays, UTC"),
    ("0 0-23 * * *", "at :00 past every hour from 0 to 23, UTC"),
    ("0,30 0,6,12,18 * * *", "at :00 and :30 past the hours 0, 6, 12 and 18, UTC"),
    ("10 0-23/2 * * *", "at :10 past the hours 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 22, UTC"),
    # places in the month
    ("0 18 L * *", "on the last day of each month at 18:00 UTC"),
    ("0 18 L-3 * *", "on the 3rd day before the last of each month at 18:00 UTC"),
    ("0 18 LW 2 *", "on the last weekday of February at 18:00 UTC"),
    ("0 18 15W * *", "on the weekday nearest to the 15th of each month at 18:00 UTC"),
    ("0 18 L-3W * *", "on the weekday nearest to the 3rd day before the last of each month at 18:00 UTC"),
    ("0 18 1,15,L * *", "on the 1st, the 15th and the last day of each month at 18:00 UTC"),
    ("0 18 * * 5#2", "on the 2nd Friday of each month at 18:00 UTC"),
    ("0 18 * * sunL", "on the last Sunday of each month at 18:00 UTC"),
    ("0 18 * 3,10 5#1,5#3", "on the 1st Friday and the 3rd Friday of March and October at 18:00 UTC"),
    ("0 18 13 * 5L", "at 18:00 on the 13th of the month or on the last Friday of it, UTC"),
    ("*/30 * L * *", "every 30 minutes by the clock on the last day of each month, UTC"),
    ("0 18 L * */2", "on Tuesdays, Thursdays, Saturdays and Sundays that fall on the last day "
                     "of each month at 18:00 UTC"),
    # seconds and years
    ("30 0 9 * * *", "every day at 09:00:30 UTC"),
    ("*/10 * * * * *", "every 10 seconds by the clock, UTC"),
    ("* * * * * *", "every second by the clock, UTC"),
    ("15,45 * * * * *", "at second 15 and 45 of every minute, UTC"),
    ("15 30 * * * *", "at :30:15 past every hour, UTC"),
    ("0 0 9 * * 1 2027", "every Monday at 09:00, in 2027, UTC"),
    ("0 0 * * * * 2027-2029,2040", "at :00 past every hour, in 2027 to 2029 and 2040, UTC"),
    # fields by name
    ("hour=9 day_of_week=mon-fri", "every weekday at 09:00 UTC"),
    ("minute=30", "at :30 past every hour, UTC"),
    ("day=13 day_of_week=fri", "on Fridays that fall on the 13th of each month at 00:00 UTC"),
    ("day=2nd fri hour=18", "on the 2nd Friday of each month at 18:00 UTC"),
    ("week=20 day_of_week=mon", "every Monday at 00:00, in ISO week 20, UTC"),
    ("week=1-4,30 hour=6", "every day at 06:00, in ISO weeks 1 to 4 and 30, UTC"),
    # what has no exact words
    ("*/10 30 9 * * *", "cron */10 30 9 * * *, UTC"),
    ("0 18 * * 1,5#2", "cron 0 18 * * 1,5#2, UTC"),
    ("hour=9 minute=0-59", "cron hour=9 minute=0-59, UTC"),
    ("*/60 9 * * *", "cron */60 9 * * *, UTC"),
    ("0-59 9 * * *", "cron 0-59 9 * * *, UTC"),
    ("1-30 * * * *", "cron 1-30 * * * *, UTC"),
    ("*/2,3 5 * * *", "cron */2,3 5 * * *, UTC"),
    ("0 0 1/2,2,5 * *", "cron 0 0 1/2,2,5 * *, UTC"),
]  # fmt: skip


@pytest.mark.parametrize(("cron", "said"), CRON)
def test_an_expression_is_told_as_it_is_meant(cron: str, said: str) -> None:
    assert words(cron=cron) == said


def test_a_crontab_of_celerys_is_told_as_celery_means_it() -> None:
    assert words(celery="crontab 0 9 13 * 5") == (
        "on Fridays that fall on the 13th of each month at 09:00 UTC"
    )


EVERY = [
    ({"every": "1 hour"}, "every hour"),
    ({"every": "15 minutes"}, "every 15 minutes"),
    ({"every": "1.5 seconds"}, "every 1.5 seconds"),
    ({"every": "1 day"}, "every day, Europe/Berlin"),
    ({"every": "5 minutes", "at": ":15"}, "every 5 minutes at second 15"),
    ({"every": "1 hour", "at": ":30"}, "every hour at :30, Europe/Berlin"),
    ({"every": "3 hours", "at": {"minute": 5, "second": 9}}, "every 3 hours at :05:09, Europe/Berlin"),
    ({"every": "1 day", "at": "02:30"}, "every day at 02:30 Europe/Berlin"),
    ({"every": "1 day", "at": "02:30:15"}, "every day at 02:30:15 Europe/Berlin"),
    ({"every": "2 days", "at": "02:30"}, "every 2 days at 02:30 Europe/Berlin"),
    ({"every": "1 week", "at": "mon 09:00"}, "every Monday at 09:00 Europe/Berlin"),
    ({"every": "2 weeks", "at": "mon 09:00"}, "every 2 weeks on Monday at 09:00 Europe/Berlin"),
    ({"every": "1 month", "at": "15 03:00"}, "on the 15th of each month at 03:00 Europe/Berlin"),
    ({"every": "1 month", "at": "-1 23:30"}, "on the last day of each month at 23:30 Europe/Berlin"),
    ({"every": "1 month", "at": "31 23:30"}, "on the last day of each month at 23:30 Europe/Berlin"),
    (
        {"every": "1 month", "at": "31 23:30", "month_end": "skip"},
        "on the 31st of each month at 23:30 Europe/Berlin",
    ),
    (
        {"every": "1 month", "at": "30 23:30"},
        "on the 30th of each month (in a shorter one on its last day) at 23:30 Europe/Berlin",
    ),
    ({"every": "3 months", "at": "1 03:00"}, "every 3 months on the 1st at 03:00 Europe/Berlin"),
    ({"every": "1 year", "at": "12-24 18:00"}, "on the 24th of December at 18:00 Europe/Berlin"),
    ({"every": "2 years", "at": "may 1 18:00"}, "every 2 years on the 1st of May at 18:00 Europe/Berlin"),
    ({"every": "1 year", "at": "apr 31 18:00"}, "on the last day of April at 18:00 Europe/Berlin"),
    (
        {"every": "1 year", "at": "feb 29 18:00", "month_end": "skip"},
        "on the 29th of February at 18:00 Europe/Berlin",
    ),
    ({"every": "1 year", "at": "feb 29 18:00"}, "on the last day of February at 18:00 Europe/Berlin"),
    (
        {"every": "1 month", "month_end": "skip"},
        "every month (skipping those that lack the day), Europe/Berlin",
    ),
    # what has no exact words
    ({"every": "1 week", "at": "09:00"}, "every week at 09:00 Europe/Berlin"),
    ({"every": "1 day", "at": {"hour": 9}}, 'every day at {"hour": 9}, Europe/Berlin'),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "said"), EVERY)
def test_an_interval_is_told_as_it_is_meant(definition: Any, said: str) -> None:
    assert words("Europe/Berlin", **definition) == said


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"every": "15 minutes"}, "every 15 minutes, counted from 21 Nov 2026 03:52:22 Europe/Berlin"),
        (
            {"every": "2 days", "at": "02:30"},
            "every 2 days at 02:30, counted from 21 Nov 2026 03:52:22 Europe/Berlin",
        ),
        ({"every": "1 day", "at": "02:30"}, "every day at 02:30 Europe/Berlin"),
        (
            {"every": "15 minutes", "starts_at": "2026-12-01T08:00:00Z"},
            "every 15 minutes, from 1 Dec 2026 09:00 Europe/Berlin",
        ),
        (
            {"celery": "schedule 300.0"},  # Celery's first fire comes one interval later
            "every 5 minutes, counted from 21 Nov 2026 03:57:22 Europe/Berlin",
        ),
    ],
)  # fmt: skip
def test_of_a_saved_job_it_is_said_what_an_interval_counts_from(definition: Any, said: str) -> None:
    assert words_of_saved(**definition) == said


OTHERS = [
    ({"once": "2026-12-24 18:00"}, "once, 24 Dec 2026 18:00 Europe/Berlin"),
    (
        {"once": "2026-12-24 18:00, 2026-12-31 23:59:59.5"},
        "2 times, 24 Dec 2026 18:00 and 31 Dec 2026 23:59:59.5 Europe/Berlin",
    ),
    # a time that comes twice is told with its offset
    ({"once": "2026-10-25T01:30:00Z"}, "once, 25 Oct 2026 02:30 (+01), Europe/Berlin"),
    (
        {"once": ", ".join(f"2026-12-{day:02} 18:00" for day in range(1, 21))},
        "20 times from 1 Dec 2026 18:00 to 20 Dec 2026 18:00 Europe/Berlin",
    ),
    ({"celery": "schedule 90.0"}, "every 90 seconds"),
    ({"celery": "schedule 86400.0"}, "every 24 hours"),
    ({"celery": "solar sunset 52.5 13.4"}, "at sunset at latitude 52.5, longitude 13.4"),
    ({"celery": "solar dawn_civil 52.5 13.4"}, "at civil dawn at latitude 52.5, longitude 13.4"),
    ({"celery": "solar solar_noon 0 0"}, "at solar noon at latitude 0.0, longitude 0.0"),
]


@pytest.mark.parametrize(("definition", "said"), OTHERS)
def test_the_other_triggers_have_words_too(definition: Any, said: str) -> None:
    pytest.importorskip("ephem") if "solar" in str(definition) else None

    assert words("Europe/Berlin", **definition) == said


def test_several_triggers_are_joined_by_and() -> None:
    said = words(
        "Europe/Berlin", every="1 day", at="09:00", cron="0 17 * * fri", once="2026-12-24 18:00"
    )

    assert said == (
        "every day at 09:00, and every Friday at 17:00, and once, 24 Dec 2026 18:00, Europe/Berlin"
    )


LIMITS = [
    ({"starts_at": "2026-12-01T08:00Z"}, "from 1 Dec 2026 09:00"),
    ({"ends_at": "2026-12-31T08:00Z"}, "until 31 Dec 2026 09:00"),
    (
        {"starts_at": "2026-12-01T08:00Z", "ends_at": "2026-12-31T08:00Z"},
        "from 1 Dec 2026 09:00 until 31 Dec 2026 09:00",
    ),
    ({"max_fires": 1}, "at most 1 fire"),
    ({"max_fires": 10, "jitter": 2.5}, "at most 10 fires, jitter up to 2.5 s"),
    ({"dst_gap": "skip"}, "never at a time that the clocks skip"),
    ({"dst_fold": "both"}, "twice at a time that comes twice"),
    ({"dst_gap": "run", "dst_fold": "first"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "said"), LIMITS)
def test_limits_follow(rule: Any, said: str | None) -> None:
    found = words("Europe/Berlin", every="1 day", at="09:00", **rule)

    assert found == "every day at 09:00 Europe/Berlin" + (f", {said}" if said else "")


@pytest.mark.parametrize("schedule", [{"cron": "*/5 * * * *"}, {"every": "1 hour"}])
def test_of_dst_rules_nothing_is_said_where_they_have_no_effect(schedule: Any) -> None:
    plain = words("Europe/Berlin", **schedule)

    assert words("Europe/Berlin", dst_gap="skip", dst_fold="both", **schedule) == plain


def test_the_zone_of_an_interval_is_told_with_the_instants_that_bound_it() -> None:
    said = words("Europe/Berlin", every="15 minutes", ends_at="2026-12-31T08:00Z", max_fires=2)

    assert said == "every 15 minutes, until 31 Dec 2026 09:00 Europe/Berlin, at most 2 fires"


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"keyword": "stock arrived"}, "on the keyword 'stock arrived'"),
        ({"keyword": "k", "max_fires": 1}, "on the keyword 'k', at most 1 fire"),
        ({"cron": "0 9 * * *", "keyword": "k"}, "every day at 09:00, and on the keyword 'k', UTC"),
        ({"custom": "unknown-here of May"}, "custom unknown-here of May, UTC"),
    ],
)
def test_what_only_a_program_knows_is_shown_as_it_is_written(
    definition: dict[str, Any], expected: str
) -> None:
    assert words(**definition) == expected
