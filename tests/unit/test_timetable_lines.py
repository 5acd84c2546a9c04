"""The lines of `jobs next`: how far away, how narrow, how fine."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from celery_jobsched import Job
from celery_jobsched.cli.table import from_now, table
from celery_jobsched.preview import occurrences

NOW = datetime(2026, 11, 20, 22, 45, 10, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("away", "text"),
    [
        (timedelta(0), "in 0s"),
        (timedelta(seconds=45), "in 45s"),
        (timedelta(minutes=14, seconds=5, microseconds=1), "in 14m 5s"),
        (timedelta(hours=2, minutes=44, seconds=50), "in 2h 44m"),
        (timedelta(days=2, hours=7), "in 2d 7h"),
        (timedelta(days=126, hours=23), "in 126 days"),
        (-timedelta(seconds=1), "1s ago"),
        (-timedelta(days=3, hours=4), "3d 4h ago"),
    ],
)
def test_how_far_away_is_told_in_two_units_at_most(away: timedelta, text: str) -> None:
    assert from_now(NOW + away, NOW) == text


def lines_of(cron: str, zone: str, start: datetime, count: int, width: int | None) -> list[str]:
    job = Job.from_dict("-", {"task": "-", "cron": cron}, zone)
    return list(table(occurrences(job, start, count), zone, NOW, width))


def test_on_a_narrow_terminal_a_mark_stands_below_its_line() -> None:
    start = datetime(2027, 3, 28, tzinfo=timezone.utc)

    lines = lines_of("30 2 * * *", "Europe/Paris", start, 2, 80)

    assert lines == [
        "FIRE (Europe/Paris)              UTC                 FROM NOW",
        "Sun 2027-03-28 03:00 CEST +02    2027-03-28 01:00    in 127 days",
        "    ! 02:30 does not exist this day (clocks go 02:00 -> 03:00): fires at the",
        "      first instant after",
        "Mon 2027-03-29 02:30 CEST +02    2027-03-29 00:30    in 128 days",
    ]
    assert max(map(len, lines)) <= 80


def test_seconds_are_shown_where_there_are_any() -> None:
    lines = lines_of("15 30 9 * * *", "UTC", NOW, 1, None)

    assert lines[1] == "Sat 2026-11-21 09:30:15 UTC    2026-11-21 09:30:15    in 10h 45m"


def test_a_zone_whose_time_has_no_name_is_told_by_its_offset() -> None:
    lines = lines_of("0 9 * * *", "America/Sao_Paulo", NOW, 1, None)

    assert lines[1] == "Sat 2026-11-21 09:00 -03    2026-11-21 12:00    in 13h 14m"
