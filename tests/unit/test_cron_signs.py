"""What the signs of cron mean, day by day: seconds, years, `? L W #`, and fields by name."""

from __future__ import annotations

from datetime import datetime

import pytest
import pytz

from celery_jobsched import clock
from celery_jobsched.triggers.cron import Cron, parse_cron

NEW_YEAR = datetime(2026, 1, 1, tzinfo=clock.UTC)  # a Thursday; 31 January is a Saturday
BERLIN = clock.zone("Europe/Berlin")


def fires(value: object, after: datetime = NEW_YEAR, count: int = 4) -> list[datetime]:
    trigger = Cron(parse_cron(value), pytz.utc)
    found: list[datetime] = []
    at: datetime | None = after
    while len(found) < count and at is not None and (at := trigger.next_after(at)) is not None:
        found.append(at)
    return found


def shown(found: list[datetime], form: str) -> str:
    return " ".join(f"{each:{form}}" for each in found)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 L * *", "01-31 02-28 03-31 04-30"),
        ("0 0 L-3 * *", "01-28 02-25 03-28 04-27"),
        ("0 0 L-30 * *", "03-01 05-01 07-01 08-01"),  # only a month of 31 days is so long
        ("0 0 L 2,12 *", "02-28 12-31 02-28 12-31"),
        ("0 0 LW * *", "01-30 02-27 03-31 04-30"),  # two months end on a Saturday
        ("0 0 LW 5,8 *", "05-29 08-31 05-31 08-31"),  # 31 May 2026 is a Sunday, 2027 a Monday
        ("0 0 15W * *", "01-15 02-16 03-16 04-15"),  # two Sundays: the Monday is nearest
        ("0 0 15W 8 *", "08-14 08-16 08-15 08-15"),  # Saturday, Sunday, Tuesday, Wednesday
        ("0 0 1W 2,8 *", "02-02 08-03 02-01 08-02"),  # Sunday; Saturday: not 31 July
        ("0 0 31W * *", "01-30 03-31 05-29 07-31"),  # a month without the day has none
        ("0 0 30W 4,5 *", "04-30 05-29 04-30 05-31"),  # Thursday, Saturday, Friday, Sunday
        ("0 0 L-2W * *", "01-29 02-26 03-30 04-28"),  # 29, 26, 29 (Sunday), 28
        ("0 0 1,15W,L * *", "01-15 01-31 02-01 02-16"),
        ("0 0 * * friL", "01-30 02-27 03-27 04-24"),
        ("0 0 * * 5l", "01-30 02-27 03-27 04-24"),
        ("0 0 * * 0L", "01-25 02-22 03-29 04-26"),
        ("0 0 * * 7L", "01-25 02-22 03-29 04-26"),
        ("0 0 * * Fri#2", "01-09 02-13 03-13 04-10"),
        ("0 0 * * 5#2", "01-09 02-13 03-13 04-10"),
        ("0 0 * * mon#5", "03-30 06-29 08-31 11-30"),  # only some months have a fifth
        ("0 0 * * mon#1,thuL", "01-05 01-29 02-02 02-26"),
        ("0 0 13 * fri#1", "01-02 01-13 02-06 02-13"),  # either
        ("0 0 ? * fri#1", "01-02 02-06 03-06 04-03"),
        ("0 0 */2 * 5#2", "01-09 02-13 03-13 09-11"),  # both: those between are even
        ("0 0 L * fri", "01-02 01-09 01-16 01-23"),
        ("0 0 L * ?", "01-31 02-28 03-31 04-30"),
        ("0 0 * * sun-sun", "01-04 01-11 01-18 01-25"),
        ("0 0 * * 5-7", "01-02 01-03 01-04 01-09"),
        ("0 0 * * 5/2", "01-02 01-04 01-09 01-11"),  # Friday and Sunday, the seventh
        ("0 0 * * */3", "01-03 01-04 01-07 01-10"),  # from Sunday: also Wednesday and Saturday
    ],
)
def test_the_days_of_an_expression(text: str, days: str) -> None:
    assert shown(fires(text), "%m-%d") == days


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("*/20 * * * * *", "00:00:20 00:00:40 00:01:00 00:01:20"),
        ("5/25 59 23 * * *", "23:59:05 23:59:30 23:59:55 23:59:05"),
        ("30 0 12 * * *", "12:00:30 12:00:30 12:00:30 12:00:30"),
        ("0 30 9-10 * * ?", "09:30:00 10:30:00 09:30:00 10:30:00"),
        ("0 */30 9 * * ? *", "09:00:00 09:30:00 09:00:00 09:30:00"),
    ],
)
def test_the_seconds_come_first(text: str, times: str) -> None:
    assert shown(fires(text), "%H:%M:%S") == times


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("0 0 9 1 3 ? 2027-2033/3", "2027 2030 2033"),
        ("0 0 9 1 3 ? */40", "2050 2090"),  # 1970, 2010, 2050, 2090
        ("0 0 9 1 3 ? 2090/5", "2090 2095"),
        ("0 0 9 29 2 ? 2027-2032", "2028 2032"),
        ("0 0 9 1 3 ? 2020", ""),
    ],
)
def test_the_year_comes_last(text: str, years: str) -> None:
    assert shown(fires(text), "%Y") == years


def test_a_year_is_found_from_the_ends_of_time() -> None:
    trigger = Cron(parse_cron("0 0 0 1 1 ? 1970,2099"), pytz.utc)
    first, last = (datetime(year, 1, 1, tzinfo=clock.UTC) for year in (1970, 2099))

    assert trigger.next_after(datetime(1, 1, 1, tzinfo=clock.UTC)) == first
    assert trigger.next_after(first) == last
    assert trigger.next_after(last) is None
    assert trigger.previous_before(datetime(9999, 12, 31, tzinfo=clock.UTC)) == last
    assert trigger.previous_before(last) == first
    assert trigger.previous_before(first) is None


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"hour": 9, "day_of_week": "mon-fri"}, "01-01 09:00:00 01-02 09:00:00"),
        ({"minute": 30}, "01-01 00:30:00 01-01 01:30:00"),
        ({"second": "*/40"}, "01-01 00:00:40 01-01 00:01:00"),
        ({"month": 2}, "02-01 00:00:00 02-01 00:00:00"),
        ({"day": "13", "day_of_week": "fri"}, "02-13 00:00:00 03-13 00:00:00"),  # both
        ({"day_of_week": "mon"}, "01-05 00:00:00 01-12 00:00:00"),
        ({"day": "last", "minute": 5}, "01-31 00:05:00 01-31 01:05:00"),
        ({"day": "4th wed", "hour": 8}, "01-28 08:00:00 02-25 08:00:00"),
        ({"day": "last fri, 1st mon"}, "01-05 00:00:00 01-30 00:00:00"),
        ({"day": "LW", "hour": "18"}, "01-30 18:00:00 02-27 18:00:00"),
        ({"month": "dec", "day_of_week": "thuL"}, "12-31 00:00:00 12-30 00:00:00"),
        ({"year": 2030, "month": "*/6"}, "01-01 00:00:00 07-01 00:00:00"),
        ({"week": 53, "hour": None}, "12-28 00:00:00 12-29 00:00:00"),
        ({"week": 53, "day": 1}, "01-01 00:00:00 01-01 00:00:00"),  # of 2027 and of 2033
    ],
)
def test_all_fields_by_name_must_match(fields: dict[str, object], found: str) -> None:
    assert shown(fires(fields, count=2), "%m-%d %H:%M:%S") == found


@pytest.mark.parametrize("value", ["hour=2 minute=30", "30 2 * * *", "*/30 30 2 * * *"])
def test_a_fixed_time_fires_the_first_time_whatever_its_seconds(value: str) -> None:
    trigger = Cron(parse_cron(value), BERLIN)
    second_time = datetime(2026, 10, 25, 1, 30, tzinfo=clock.UTC)

    assert not trigger.fields.wildcard
    assert trigger.previous_before(second_time).minute == 30
    assert trigger.next_after(second_time).day == 26


@pytest.mark.parametrize("value", ["minute=30", "hour=2 minute=*/30", "second=0", "30 * 2 * * *"])
def test_a_star_in_the_minute_or_the_hour_follows_real_time(value: str) -> None:
    assert parse_cron(value).wildcard
