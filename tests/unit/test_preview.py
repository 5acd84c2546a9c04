"""What comes next, and the marks of the nights when the clocks change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from celery_jobsched import Job
from celery_jobsched.preview import Occurrence, occurrences

UTC = timezone.utc


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)


def made(zone: str, **definition: Any) -> Job:
    return Job.from_dict("-", {"task": "-", **definition}, zone)


def day_of(zone: str, day: datetime, **definition: Any) -> list[tuple[str, str, str, str]]:
    """Instant, local time, code and text of what is marked on the day, and half a day around it."""
    half = timedelta(hours=12)
    found = occurrences(made(zone, **definition), day - half, 100, day + 3 * half)
    return [row for row in map(row_of, found) if row[2]]


def row_of(each: Occurrence) -> tuple[str, str, str, str]:
    code, text = each.mark or ("", "")
    return f"{each.at:%d %H:%M}", f"{each.local:%d %H:%M} {each.abbreviation}", code, text


GAPS = [
    # zone, the day, the time that it lacks, the instant, what the clocks show then, what they do
    ("Europe/Berlin", (2027, 3, 28), "02:30", "28 01:00", "28 03:00 CEST", "02:00 -> 03:00"),
    ("America/New_York", (2027, 3, 14), "02:30", "14 07:00", "14 03:00 EDT", "02:00 -> 03:00"),
    ("Australia/Sydney", (2027, 10, 3), "02:30", "02 16:00", "03 03:00 AEDT", "02:00 -> 03:00"),
    ("Australia/Lord_Howe", (2027, 10, 3), "02:15", "02 15:30", "03 02:30 +11", "02:00 -> 02:30"),
    ("America/Sao_Paulo", (2018, 11, 4), "00:15", "04 03:00", "04 01:00 -02", "00:00 -> 01:00"),
    ("Africa/Cairo", (2027, 4, 30), "00:00", "29 22:00", "30 01:00 EEST", "00:00 -> 01:00"),
]


@pytest.mark.parametrize(("zone", "day", "time", "at", "local", "jump"), GAPS)
def test_a_time_that_a_day_lacks_is_moved_to_the_jump(
    zone: str, day: Any, time: str, at: str, local: str, jump: str
) -> None:
    marked = day_of(zone, utc(*day), every="1 day", at=time)

    why = f"{time} does not exist this day (clocks go {jump})"
    assert marked == [(at, local, "moved", f"{why}: fires at the first instant after")]


@pytest.mark.parametrize(("zone", "day", "time", "at", "local", "jump"), GAPS)
def test_with_dst_gap_skip_it_is_a_line_that_does_not_fire(
    zone: str, day: Any, time: str, at: str, local: str, jump: str
) -> None:
    hour, minute = time.split(":")

    marked = day_of(zone, utc(*day), cron=f"{minute} {hour} * * *", dst_gap="skip")

    why = f"{time} does not exist this day (clocks go {jump})"
    assert marked == [(at, local, "dropped", f"{why}: does not fire")]


FOLDS = [
    # zone, the day, a time that it has twice, the two instants, what the clocks show at the first
    ("Europe/Berlin", (2027, 10, 31), "02:30", ("31 00:30", "31 01:30"), "31 02:30 CEST"),
    ("America/New_York", (2027, 11, 7), "01:30", ("07 05:30", "07 06:30"), "07 01:30 EDT"),
    ("Australia/Sydney", (2027, 4, 4), "02:30", ("03 15:30", "03 16:30"), "04 02:30 AEDT"),
    ("Australia/Lord_Howe", (2027, 4, 4), "01:45", ("03 14:45", "03 15:15"), "04 01:45 +11"),
    ("America/Sao_Paulo", (2018, 2, 17), "23:15", ("18 01:15", "18 02:15"), "17 23:15 -02"),
    ("Africa/Cairo", (2027, 10, 28), "23:30", ("28 20:30", "28 21:30"), "28 23:30 EEST"),
]


@pytest.mark.parametrize(("zone", "day", "time", "instants", "local"), FOLDS)
def test_a_time_that_comes_twice_fires_the_first_time_only(
    zone: str, day: Any, time: str, instants: tuple[str, str], local: str
) -> None:
    marked = day_of(zone, utc(*day), every="1 day", at=time)

    first, second = instants
    why = f"{time} comes twice this day: fires the first time only (not at {second[3:]} UTC)"
    assert marked == [(first, local, "first_only", why)]


@pytest.mark.parametrize(("zone", "day", "time", "instants", "local"), FOLDS)
def test_with_dst_fold_both_each_says_which_it_is(
    zone: str, day: Any, time: str, instants: tuple[str, str], local: str
) -> None:
    hour, minute = time.split(":")

    marked = day_of(zone, utc(*day), cron=f"{minute} {hour} * * *", dst_fold="both")

    assert [(at, code, text) for at, _, code, text in marked] == [
        (instants[0], "first", f"{time} comes twice this day: this is the first time"),
        (instants[1], "second", f"{time} comes twice this day: this is the second time"),
    ]


def test_several_times_of_one_gap_are_one_fire() -> None:
    ((at, local, code, text),) = day_of("Europe/Berlin", utc(2027, 3, 28), cron="0,20,40 2 * * *")

    assert (at, local, code) == ("28 01:00", "28 03:00 CEST", "merged")
    assert text == (
        "02:00, 02:20 and 02:40 do not exist this day (clocks go 02:00 -> 03:00): "
        "one fire at the first instant after"
    )


def test_a_time_of_the_gap_and_the_time_after_it_are_one_fire() -> None:
    ((at, _, code, text),) = day_of("Europe/Berlin", utc(2027, 3, 28), cron="0 2,3 * * *")

    assert (at, code) == ("28 01:00", "merged")
    assert text.endswith(
        "02:00 does not exist this day (clocks go 02:00 -> 03:00): one fire with 03:00"
    )


def test_of_many_times_of_a_gap_four_are_named() -> None:
    ((_, _, _, text),) = day_of("Europe/Berlin", utc(2027, 3, 28), cron="0-59 2 * * *")

    assert text.startswith("02:00, 02:01, 02:02, 02:03 and 56 more do not exist this day")


def test_a_day_that_a_zone_left_out_is_told_with_its_dates() -> None:
    marked = day_of("Pacific/Apia", utc(2011, 12, 30), every="1 day", at="12:00")

    assert marked == [
        (
            "30 10:00",
            "31 00:00 +14",
            "moved",
            "2011-12-30 12:00 does not exist (clocks go 2011-12-30 00:00 -> 2011-12-31 00:00): "
            "fires at the first instant after",
        )
    ]


def test_the_second_time_is_told_with_its_date_where_that_is_another() -> None:
    # Troll goes back by two hours.
    ((at, _, _, text),) = day_of("Antarctica/Troll", utc(2027, 10, 31), every="1 day", at="01:30")

    assert at == "30 23:30"
    assert text.endswith("(not at 2027-10-31 01:30 UTC)")


@pytest.mark.parametrize("day", [(2027, 3, 28), (2027, 10, 31)])
@pytest.mark.parametrize(
    "definition", [{"cron": "*/30 * * * *"}, {"every": "20 minutes"}, {"celery": "schedule 600"}]
)
def test_what_follows_real_time_has_no_mark(day: Any, definition: Any) -> None:
    assert day_of("Europe/Berlin", utc(*day), **definition) == []


def test_real_time_that_a_day_lacks_altogether_is_a_line_that_does_not_fire() -> None:
    ((at, _, code, text),) = day_of("Europe/Berlin", utc(2027, 3, 28), cron="*/30 2 * * *")

    assert (at, code) == ("28 01:00", "dropped")
    assert text == (
        "02:00 and 02:30 do not exist this day (clocks go 02:00 -> 03:00): "
        "do not fire, as it follows real time"
    )


@pytest.mark.parametrize(("calendar", "codes"), [("sun", ["moved"]), ("mon-sat", [])])
def test_what_a_calendar_excludes_has_no_mark(calendar: str, codes: list[str]) -> None:
    sunday = utc(2027, 3, 28)

    skipped = day_of(
        "Europe/Berlin", sunday, cron="30 2 * * *", only_during=calendar, dst_gap="skip"
    )
    fired = day_of("Europe/Berlin", sunday, cron="30 2 * * *", only_during=calendar)

    assert [code for _, _, code, _ in fired] == codes
    assert [code for _, _, code, _ in skipped] == ["dropped" for _ in codes]


def test_what_a_calendar_moves_stands_for_what_the_clocks_show() -> None:
    job = made("Europe/Berlin", cron="30 2 * * *", only_during="08:00-17:00", on_excluded="next")

    (moved,) = occurrences(job, utc(2027, 3, 28), 1)

    assert f"{moved.local:%H:%M}" == "08:00"
    assert (moved.nominal, moved.mark) == (moved.local, None)


def test_the_second_time_is_not_denied_where_another_trigger_fires_then() -> None:
    marked = day_of(
        "Europe/Berlin", utc(2027, 10, 31), cron="30 2 * * *", once="2027-10-31T01:30:00Z"
    )

    assert marked == []


def test_lines_come_in_order_and_only_fires_are_counted() -> None:
    job = made("Europe/Berlin", cron="30 2 * * *", dst_gap="skip")

    found = occurrences(job, utc(2027, 3, 27), 3)

    assert [(f"{each.nominal:%d %H:%M}", each.fires) for each in found] == [
        ("27 02:30", True),
        ("28 02:30", False),
        ("29 02:30", True),
        ("30 02:30", True),
    ]


def test_nothing_is_left_out_behind_the_last_line() -> None:
    job = made("Europe/Berlin", cron="30 2 * * *", dst_gap="skip")

    (last,) = occurrences(job, utc(2027, 3, 27), 1)

    assert (last.at, last.mark) == (utc(2027, 3, 27, 1, 30), None)


def test_each_has_its_offset_and_nominal_time() -> None:
    job = made("Europe/Berlin", every="1 day", at="02:30")

    before, moved = occurrences(job, utc(2027, 3, 27), 2)

    assert (before.offset, before.nominal) == (timedelta(hours=1), before.local)
    assert moved.offset == timedelta(hours=2)
    assert (f"{moved.local:%H:%M}", f"{moved.nominal:%H:%M}") == ("03:00", "02:30")


def test_the_bounds_of_the_job_and_of_the_question_hold() -> None:
    job = made("UTC", cron="0 * * * *", starts_at=utc(2027, 1, 1, 2), ends_at=utc(2027, 1, 1, 6))

    found = occurrences(job, utc(2027, 1, 1), 10, utc(2027, 1, 1, 4))

    assert [each.at.hour for each in found] == [2, 3, 4]


def test_what_fires_until_then_counts_for_the_limit_of_fires() -> None:
    job = made("UTC", cron="0 9 * * *", max_fires=3)
    saved = replace(job, created_at=utc(2027, 1, 1), next_fire_at=utc(2027, 1, 2, 9))

    found = occurrences(saved, utc(2027, 1, 3), 10)

    assert [each.at.day for each in found] == [3, 4]


def test_a_limit_that_is_reached_leaves_nothing() -> None:
    job = made("UTC", cron="0 9 * * *", max_fires=3)
    spent = replace(job, created_at=utc(2027, 1, 1), fire_count=3)

    assert occurrences(spent, utc(2027, 1, 3), 10) == []
