from datetime import datetime, timedelta
from itertools import pairwise, takewhile

import pytest
import pytz
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.cron import Cron, parse_cron

UTC = clock.UTC
BERLIN = clock.zone("Europe/Berlin")
AUCKLAND = clock.zone("Pacific/Auckland")
LORD_HOWE = clock.zone("Australia/Lord_Howe")
APIA = clock.zone("Pacific/Apia")


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


def cron(text, zone=pytz.utc, **options):
    return Cron(parse_cron(text), zone, **options)


def upcoming(trigger, after, until):
    """Every occurrence in (after, until]."""
    found = []
    while (after := trigger.next_after(after)) is not None and after <= until:
        found.append(after)
    return found


def bygone(trigger, before, since):
    """Every occurrence in [since, before), ascending."""
    found = []
    while (before := trigger.previous_before(before)) is not None and before >= since:
        found.append(before)
    return found[::-1]


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("*/15 * * * *", (2026, 1, 1, 0, 0), [(2026, 1, 1, 0, 15), (2026, 1, 1, 0, 30)]),
        ("50/5 9 * * *", (2026, 1, 1), [(2026, 1, 1, 9, 50), (2026, 1, 1, 9, 55)]),
        ("0 9-17/4 * * *", (2026, 1, 1), [(2026, 1, 1, 9), (2026, 1, 1, 13), (2026, 1, 1, 17)]),
        ("0 0 1 JAN,jul *", (2026, 1, 1), [(2026, 7, 1), (2027, 1, 1)]),
        ("0 0 ? * Mon-Fri", (2026, 1, 2), [(2026, 1, 5), (2026, 1, 6)]),
        ("0 0 * * 7", (2026, 1, 1), [(2026, 1, 4), (2026, 1, 11)]),
        ("0 0 * * sat-sun", (2026, 1, 1), [(2026, 1, 3), (2026, 1, 4), (2026, 1, 10)]),
        ("0 0 29 2 *", (2026, 1, 1), [(2028, 2, 29), (2032, 2, 29)]),
        ("0 0 29 2 *", (2096, 3, 1), [(2104, 2, 29)]),
        ("0 0 31 * *", (2026, 1, 31), [(2026, 3, 31), (2026, 5, 31)]),
        ("  @Hourly ", (2026, 1, 1), [(2026, 1, 1, 1)]),
        ("@daily", (2026, 1, 1), [(2026, 1, 2)]),
        ("@midnight", (2026, 1, 1), [(2026, 1, 2)]),
        ("@weekly", (2026, 1, 1), [(2026, 1, 4)]),
        ("@monthly", (2026, 1, 1), [(2026, 2, 1)]),
        ("@yearly", (2026, 1, 1), [(2027, 1, 1)]),
        ("@annually", (2026, 1, 1), [(2027, 1, 1)]),
    ],
)
def test_an_expression_fires_when_crontab_5_says(text, after, expected):
    trigger = cron(text)

    found = upcoming(trigger, utc(*after), utc(*expected[-1]))

    assert found == [utc(*each) for each in expected]
    assert bygone(trigger, found[-1] + clock.TICK, found[0]) == found


def test_days_match_by_either_field_when_both_are_restricted():
    found = upcoming(cron("0 0 13 * fri"), utc(2026, 1, 1), utc(2026, 1, 20))

    assert [each.day for each in found] == [2, 9, 13, 16]


def test_days_match_by_both_fields_when_one_begins_with_a_star():
    found = upcoming(cron("0 0 */2 * fri"), utc(2026, 1, 1), utc(2026, 1, 31))

    assert [each.day for each in found] == [9, 23]


def test_the_seconds_of_the_question_do_not_repeat_a_minute():
    trigger = cron("0 9 * * *")

    assert trigger.next_after(utc(2026, 1, 1, 9, 0, 30)) == utc(2026, 1, 2, 9)
    assert trigger.previous_before(utc(2026, 1, 1, 9, 0, 0, 1)) == utc(2026, 1, 1, 9)
    assert trigger.previous_before(utc(2026, 1, 1, 9)) == utc(2025, 12, 31, 9)


DST = [
    # expression, zone, the day of the change, what fires in it (UTC)
    ("30 2 * * *", BERLIN, (2026, 3, 29), ["29 01:00"]),
    ("30 2 * * *", BERLIN, (2026, 10, 25), ["25 00:30"]),
    ("0,20,40 2 * * *", BERLIN, (2026, 3, 29), ["29 01:00"]),
    ("30 2,3 * * *", BERLIN, (2026, 3, 29), ["29 01:00", "29 01:30"]),
    ("0 2,3 * * *", BERLIN, (2026, 3, 29), ["29 01:00"]),
    ("0 2,3 * * *", BERLIN, (2026, 10, 25), ["25 00:00", "25 02:00"]),
    ("*/30 2 * * *", BERLIN, (2026, 3, 29), []),
    ("*/30 2 * * *", BERLIN, (2026, 10, 25), ["25 00:00", "25 00:30", "25 01:00", "25 01:30"]),
    ("30 2 * * *", AUCKLAND, (2026, 9, 27), ["26 14:00"]),
    ("30 2 * * *", AUCKLAND, (2026, 4, 5), ["04 13:30"]),
    ("15 2 * * *", LORD_HOWE, (2026, 10, 4), ["03 15:30"]),
    ("45 1 * * *", LORD_HOWE, (2026, 4, 5), ["04 14:45"]),
    ("0 12 * * *", APIA, (2011, 12, 30), ["30 10:00"]),
    ("0 */12 * * *", APIA, (2011, 12, 30), ["30 10:00"]),
    ("30 */12 * * *", APIA, (2011, 12, 30), []),
]


@pytest.mark.parametrize(("text", "zone", "day", "expected"), DST)
def test_the_day_of_a_change(text, zone, day, expected):
    trigger = cron(text, zone)
    start = clock.instants_of(datetime(*day), zone)[0]  # noqa: DTZ001
    end = clock.instants_of(datetime(*day) + timedelta(days=1), zone)[0]  # noqa: DTZ001
    if zone is APIA:
        end = start + timedelta(minutes=1)

    found = upcoming(trigger, start - clock.TICK, end - clock.TICK)

    assert [each.strftime("%d %H:%M") for each in found] == expected
    assert bygone(trigger, end, start) == found


def test_a_job_may_choose_otherwise_about_gaps():
    trigger = cron("30 2 * * *", BERLIN, dst_gap="skip")

    found = upcoming(trigger, utc(2026, 3, 28, 12), utc(2026, 3, 30, 12))

    assert found == [utc(2026, 3, 30, 0, 30)]


def test_a_job_may_choose_otherwise_about_folds():
    trigger = cron("30 2 * * *", BERLIN, dst_fold="both")

    found = upcoming(trigger, utc(2026, 10, 24, 12), utc(2026, 10, 25, 12))

    assert found == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30)]


def test_real_time_is_not_a_matter_of_choice():
    trigger = cron("*/30 2 * * *", BERLIN, dst_gap="run", dst_fold="first")

    found = upcoming(trigger, utc(2026, 10, 24, 12), utc(2026, 10, 25, 12))

    assert len(found) == 4


def test_an_unknown_dst_option_is_refused():
    with pytest.raises(InvalidJob, match="dst_gap"):
        cron("0 0 * * *", dst_gap="jump")


def test_the_ends_of_time_are_exhausted_and_raise_nothing():
    trigger = cron("0 0 29 2 *", BERLIN)

    assert trigger.next_after(utc(9999, 12, 31, 23, 59)) is None
    assert trigger.previous_before(utc(1, 1, 1)) is None
    assert trigger.previous_before(utc(9999, 12, 31)) == utc(9996, 2, 28, 23)


def numbers(least, most):
    number = st.integers(least, most)
    # croniter reads 0-0 as all values
    two = st.sets(number, min_size=2, max_size=2)
    ranges = two.map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, most - least)
    parts = st.one_of(number.map(str), ranges, st.builds("{}/{}".format, ranges, step))
    lists = st.lists(parts, min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), step.map("*/{}".format), lists)


EXPRESSIONS = st.builds(
    "{} {} {} {} {}".format,
    numbers(0, 59),
    numbers(0, 23),
    numbers(1, 28),
    numbers(1, 12),
    numbers(0, 6),
)
INSTANTS = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001
    datetime(2036, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
#: The changes of 2026 in these zones, and the day that Samoa left out.
CHANGES = [
    (BERLIN, utc(2026, 3, 29, 1)),
    (BERLIN, utc(2026, 10, 25, 1)),
    (AUCKLAND, utc(2026, 4, 4, 14)),
    (AUCKLAND, utc(2026, 9, 26, 14)),
    (LORD_HOWE, utc(2026, 4, 4, 15)),
    (LORD_HOWE, utc(2026, 10, 3, 15, 30)),
    (APIA, utc(2011, 12, 30, 10)),
]


@given(EXPRESSIONS, INSTANTS)
def test_in_utc_croniter_finds_the_same(text, start):
    trigger = cron(text)
    reference = croniter(text, start, day_or=trigger.fields.days.either)

    for _ in range(3):
        start = trigger.next_after(start)

        assert start == reference.get_next(datetime)


@given(EXPRESSIONS, st.sampled_from([*(zone for zone, _ in CHANGES), pytz.utc]), INSTANTS)
def test_the_next_is_later_and_the_previous_mirrors_it(text, zone, start):
    trigger = cron(text, zone)

    following = trigger.next_after(start)

    assert following > start
    assert trigger.previous_before(following) == trigger.previous_before(start + clock.TICK)
    assert trigger.next_after(trigger.previous_before(following)) == following


@given(
    st.sampled_from(CHANGES),
    st.sampled_from(["run", "skip"]),
    st.sampled_from(["first", "both"]),
    st.builds("{} {} * * *".format, numbers(0, 59), numbers(0, 23)),
)
@settings(max_examples=60, deadline=None)
def test_around_a_change_the_walk_finds_what_minute_by_minute_reading_finds(
    change, gap, fold, text
):
    zone, moment = change
    trigger = cron(text, zone, dst_gap=gap, dst_fold=fold)
    start, end = moment - timedelta(hours=30), moment + timedelta(hours=30)
    rule = ("skip", "both") if trigger.fields.wildcard else (gap, fold)

    expected = set()
    local = clock.to_local(start, zone) - timedelta(days=2)
    while (local := trigger.fields.later(local)) < clock.to_local(end, zone):
        expected.update(clock.instants_of(local, zone, *rule))
    expected = sorted(each for each in expected if start < each < end)

    assert upcoming(trigger, start, end - clock.TICK) == expected
    assert bygone(trigger, end, start + clock.TICK) == expected


def test_a_century_of_occurrences_ascends():
    trigger = cron("30 2 13 * fri", BERLIN)

    found = upcoming(trigger, utc(1950, 1, 1), utc(2050, 1, 1))

    assert all(early < late for early, late in pairwise(found))
    assert list(takewhile(lambda each: each.year < 1951, found))


@pytest.mark.parametrize("year", range(1999, 2010))
def test_a_week_is_that_of_the_iso_calendar_from_monday_to_sunday(year):
    start, end = utc(year, 1, 1), utc(year + 1, 1, 1)
    dates = [start + timedelta(days=day) for day in range((end - start).days)]

    for week in (1, 8, 52, 53):
        found = upcoming(cron(f"week={week}"), start - clock.TICK, end - clock.TICK)

        assert found == [date for date in dates if date.isocalendar()[1] == week]
