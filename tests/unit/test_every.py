from datetime import datetime, timedelta

import pytest
import pytz
from hypothesis import assume, given
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob, NextFireTimeError
from celery_jobsched.triggers.every import Every, parse_at, parse_every

UTC = clock.UTC
BERLIN = clock.zone("Europe/Berlin")
AUCKLAND = clock.zone("Pacific/Auckland")
LORD_HOWE = clock.zone("Australia/Lord_Howe")
APIA = clock.zone("Pacific/Apia")


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


def every(text, at=None, zone=pytz.utc, anchor=utc(2026, 1, 1), **options):  # noqa: B008
    n, unit = parse_every(text)
    return Every(n, unit, None if at is None else parse_at(at, unit), zone, anchor, **options)


def first(trigger, n, after=utc(1, 1, 1)):  # noqa: B008
    """The first *n* occurrences after an instant."""
    found = []
    while len(found) < n and (after := trigger.next_after(after)) is not None:
        found.append(after)
    return found


def test_without_at_the_first_fire_is_the_anchor_itself():
    trigger = every("15 minutes", anchor=utc(2026, 1, 1, 12, 34, 56))

    assert first(trigger, 2) == [utc(2026, 1, 1, 12, 34, 56), utc(2026, 1, 1, 12, 49, 56)]
    assert trigger.previous_before(utc(2026, 1, 1, 12, 34, 56)) is None
    assert trigger.previous_before(utc(2026, 1, 1, 12, 34, 57)) == utc(2026, 1, 1, 12, 34, 56)


def test_with_at_what_comes_before_the_anchor_is_no_occurrence():
    trigger = every("1 day", "09:00", anchor=utc(2026, 1, 1, 12))

    assert first(trigger, 1) == [utc(2026, 1, 2, 9)]
    assert trigger.previous_before(utc(2026, 1, 2, 9)) is None


@pytest.mark.parametrize(
    ("text", "at", "anchor", "expected"),
    [
        ("1 minute", ":30", (2026, 1, 1, 0, 0, 45), [(2026, 1, 1, 0, 1, 30)]),
        ("2 hours", ":30", (2026, 1, 1, 0, 10, 5), [(2026, 1, 1, 0, 30), (2026, 1, 1, 2, 30)]),
        ("1 hour", {"minute": 0}, (2026, 1, 1, 0, 0, 5), [(2026, 1, 1, 0, 0, 5)]),
        ("1 day", "15:30:05", (2026, 1, 1), [(2026, 1, 1, 15, 30, 5)]),
        ("1 day", {"hour": 9}, (2026, 1, 1, 0, 7, 8), [(2026, 1, 1, 9, 7, 8)]),
        ("1 day", "09:00", (2026, 1, 1, 0, 7, 8), [(2026, 1, 1, 9)]),
        ("1 hour", ":30", (2026, 1, 1, 0, 7, 8), [(2026, 1, 1, 0, 30)]),
        ("1 week", "mon 09:00", (2026, 1, 1), [(2026, 1, 5, 9), (2026, 1, 12, 9)]),
        ("2 weeks", "sunday 09:00", (2026, 1, 1), [(2026, 1, 4, 9), (2026, 1, 18, 9)]),
        ("1 week", {"weekday": "wed"}, (2026, 1, 1, 8), [(2026, 1, 7, 8)]),
        ("1 month", None, (2026, 1, 31), [(2026, 1, 31), (2026, 2, 28), (2026, 3, 31)]),
        ("1 month", "31 03:00", (2026, 2, 1), [(2026, 2, 28, 3), (2026, 3, 31, 3)]),
        ("1 month", "-1 03:00", (2026, 4, 1), [(2026, 4, 30, 3), (2026, 5, 31, 3)]),
        ("1 year", "12-24 18:00", (2026, 1, 1), [(2026, 12, 24, 18), (2027, 12, 24, 18)]),
        ("1 year", "dec 24 18:00", (2026, 12, 25), [(2027, 12, 24, 18)]),
        ("1 year", {"month": "february", "day": 29}, (2026, 1, 1), [(2026, 2, 28), (2027, 2, 28)]),
        ("4 years", None, (2024, 2, 29), [(2024, 2, 29), (2028, 2, 29)]),
        ("1 year", None, (2024, 2, 29), [(2024, 2, 29), (2025, 2, 28), (2026, 2, 28)]),
        ("3 months", None, (2025, 11, 30), [(2025, 11, 30), (2026, 2, 28), (2026, 5, 30)]),
    ],
)
def test_occurrences_are_counted_from_the_anchor(text, at, anchor, expected):
    trigger = every(text, at, anchor=utc(*anchor))

    assert first(trigger, len(expected)) == [utc(*each) for each in expected]


@pytest.mark.parametrize(
    ("text", "at", "anchor", "expected"),
    [
        ("1 month", None, (2026, 1, 31), [(2026, 1, 31), (2026, 3, 31), (2026, 5, 31)]),
        ("1 year", "02-29 03:00", (2026, 1, 1), [(2028, 2, 29, 3), (2032, 2, 29, 3)]),
        ("1 month", "-1 03:00", (2026, 2, 1), [(2026, 2, 28, 3), (2026, 3, 31, 3)]),
    ],
)
def test_a_month_without_the_day_may_be_skipped(text, at, anchor, expected):
    trigger = every(text, at, anchor=utc(*anchor), month_end="skip")

    assert first(trigger, len(expected)) == [utc(*each) for each in expected]


def test_a_day_that_none_of_the_months_has_is_refused():
    with pytest.raises(NextFireTimeError):
        every("1 year", "02-30 03:00", month_end="skip")
    with pytest.raises(NextFireTimeError):
        every("12 months", "31 03:00", anchor=utc(2026, 4, 1), month_end="skip")


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("month_end", {"month_end": "drift"}),
        ("dst_gap", {"dst_gap": "jump"}),
        ("dst_fold", {"dst_fold": "last"}),
    ],
)
def test_an_unknown_option_is_refused(field, options):
    with pytest.raises(InvalidJob) as caught:
        every("1 day", **options)

    assert caught.value.field == field


@pytest.mark.parametrize(("n", "unit"), [(1, "days"), (0, "day"), (1.5, "day"), ("1", "day")])
def test_a_trigger_is_made_of_a_number_and_a_unit_in_the_singular(n, unit):
    with pytest.raises(InvalidJob):
        Every(n, unit, None, pytz.utc, utc(2026, 1, 1))


@pytest.mark.parametrize(
    ("zone", "at", "anchor", "expected"),
    [
        (BERLIN, "02:30", utc(2026, 3, 28, 0), ["28 01:30", "29 01:00", "30 00:30"]),
        (BERLIN, "02:30", utc(2026, 10, 24, 0), ["24 00:30", "25 00:30", "26 01:30"]),
        (BERLIN, "09:00", utc(2026, 3, 28, 0), ["28 08:00", "29 07:00", "30 07:00"]),
        (BERLIN, "09:00", utc(2026, 10, 24, 0), ["24 07:00", "25 08:00", "26 08:00"]),
        (AUCKLAND, "02:30", utc(2026, 9, 25, 0), ["25 14:30", "26 14:00", "27 13:30"]),
        (AUCKLAND, "02:30", utc(2026, 4, 3, 0), ["03 13:30", "04 13:30", "05 14:30"]),
        (LORD_HOWE, "02:15", utc(2026, 10, 2, 0), ["02 15:45", "03 15:30", "04 15:15"]),
        (LORD_HOWE, "01:45", utc(2026, 4, 3, 0), ["03 14:45", "04 14:45", "05 15:15"]),
        (APIA, "12:00", utc(2011, 12, 29, 0), ["29 22:00", "30 10:00", "30 22:00"]),
    ],
)
def test_a_day_is_a_local_date_across_a_change(zone, at, anchor, expected):
    trigger = every("1 day", at, zone, anchor)

    found = first(trigger, 3)

    assert [each.strftime("%d %H:%M") for each in found] == expected
    assert trigger.previous_before(found[2]) == found[1]
    assert trigger.previous_before(found[1]) == found[0]


def test_a_day_in_a_gap_or_a_fold_obeys_the_options():
    gap = every("1 day", "02:30", BERLIN, utc(2026, 3, 29), dst_gap="skip")
    fold = every("1 day", "02:30", BERLIN, utc(2026, 10, 25), dst_fold="both")

    assert first(gap, 1) == [utc(2026, 3, 30, 0, 30)]
    assert first(fold, 2) == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30)]


def test_an_anchor_in_the_second_pass_of_a_fold_fires_all_the_same():
    trigger = every("1 day", zone=BERLIN, anchor=utc(2026, 10, 25, 1, 30))

    assert first(trigger, 2) == [utc(2026, 10, 25, 1, 30), utc(2026, 10, 26, 1, 30)]
    assert trigger.previous_before(utc(2026, 10, 26, 1, 30)) == utc(2026, 10, 25, 1, 30)


def test_elapsed_units_do_not_see_the_clocks_change():
    spring = every("6 hours", zone=BERLIN, anchor=utc(2026, 3, 28, 23))
    autumn = every("1 hour", ":30", LORD_HOWE, utc(2026, 4, 4, 13, 45))

    assert first(spring, 2) == [utc(2026, 3, 28, 23), utc(2026, 3, 29, 5)]
    assert first(autumn, 3) == [
        utc(2026, 4, 4, 14, 30),
        utc(2026, 4, 4, 16, 0),
        utc(2026, 4, 4, 17, 0),
    ]


def test_counting_agrees_with_walking():
    trigger = every("90 seconds", anchor=utc(2026, 1, 1))

    counted = trigger.count_between(utc(2025, 1, 1), utc(2026, 1, 1, 1))

    assert counted == len(first(trigger, 41, utc(2025, 1, 1))) == 41
    assert trigger.count_between(utc(2026, 1, 1), utc(2026, 1, 1, 1)) == 40
    assert trigger.count_between(utc(2026, 1, 2), utc(2026, 1, 1)) == 0
    assert every("1 day").count_between(utc(2026, 1, 1), utc(2027, 1, 1)) is None


def test_the_interval_is_the_nominal_one():
    assert every("2 months").interval == timedelta(days=60)
    assert every("0.25 seconds").interval == timedelta(milliseconds=250)


@pytest.mark.parametrize("text", ["1000 years", "12000 months", "1 day", "1 second"])
def test_the_ends_of_time_are_exhausted_and_raise_nothing(text):
    trigger = every(text, zone=BERLIN)
    last = utc(9999, 12, 31, 23, 59, 59, 999999)

    assert trigger.next_after(last) is None
    assert trigger.previous_before(last) > utc(9000, 1, 1)
    assert trigger.previous_before(utc(1, 1, 1)) is None


UNITS = st.sampled_from(["minute", "hour", "day", "week", "month", "year"])
TIMES = {
    "minute": [None, ":30"],
    "hour": [None, ":30", {"second": 5}],
    "day": [None, "02:30", "23:59:59"],
    "week": [None, "sun 02:30", "mon 00:00"],
    "month": [None, "31 02:30", "-1 00:00"],
    "year": [None, "02-29 02:30", "03-29 02:30"],
}
MOMENTS = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001
    datetime(2050, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(st.data(), st.integers(1, 40), UNITS, MOMENTS, MOMENTS)
def test_the_next_is_later_and_the_previous_mirrors_it(data, n, unit, anchor, start):
    at = data.draw(st.sampled_from(TIMES[unit]))
    zone = data.draw(st.sampled_from([pytz.utc, BERLIN, AUCKLAND, LORD_HOWE, APIA]))
    month_end = data.draw(st.sampled_from(["clamp", "skip"]))
    fold = data.draw(st.sampled_from(["first", "both"]))
    try:
        trigger = every(f"{n} {unit}", at, zone, anchor, month_end=month_end, dst_fold=fold)
    except NextFireTimeError:
        assume(False)

    following = trigger.next_after(start)
    second = trigger.next_after(following)

    assert anchor <= following > start
    assert second > following
    assert trigger.previous_before(second) == following
    previous = trigger.previous_before(following)
    assert previous is None or anchor <= previous <= start
