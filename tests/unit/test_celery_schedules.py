from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import pytz
from celery import schedules
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.celery import parse_celery, to_text

UTC = clock.UTC
BERLIN = clock.zone("Europe/Berlin")
ANCHOR = datetime(2026, 1, 1, 12, 34, 56, tzinfo=UTC)


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


def trigger(schedule, zone=pytz.utc):
    return parse_celery(to_text(schedule), zone, ANCHOR)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (30, "schedule 30.0"),
        (0.5, "schedule 0.5"),
        (timedelta(minutes=1), "schedule 60.0"),
        (schedules.schedule(timedelta(seconds=30)), "schedule 30.0"),
        (schedules.schedule(3600, relative=True), "schedule 3600.0 relative"),
        (schedules.crontab(), "crontab * * * * *"),
        (schedules.crontab(minute=0, hour="*/3"), "crontab 0 */3 * * *"),
        (schedules.crontab("0, 30", "9-17", "mon-fri", "1", "2"), "crontab 0,30 9-17 1 2 mon-fri"),
        (schedules.crontab(minute={30, 0}, hour=range(24)), "crontab 0,30 * * * *"),
        (schedules.crontab({0, 1, 5, 6, 7}, 3), "crontab 0,1,5-7 3 * * *"),
        (1 / 3, "schedule 0.3333333333333333"),
    ],
)
def test_a_schedule_is_written_as_text(schedule, text):
    assert to_text(schedule) == text
    assert parse_celery(text, pytz.utc, ANCHOR).next_after(ANCHOR) > ANCHOR


class Unknown(schedules.crontab):
    pass


NO_SCHEDULES = [
    None, True, 0, -1, float("nan"), float("inf"), timedelta(0), "30", [], object(), Unknown(),
    schedules.schedule(timedelta(0)),
]  # fmt: skip


@pytest.mark.parametrize("schedule", NO_SCHEDULES)
def test_an_unknown_kind_of_schedule_is_refused(schedule):
    with pytest.raises(InvalidJob) as caught:
        to_text(schedule)

    assert caught.value.field == "schedule"


NO_TEXTS = [
    "", "30", "schedule", "schedule x", "schedule nan", "schedule inf", "schedule 0",
    "schedule -1", "schedule 1e300", "schedule 30 absolute", "crontab", "crontab * * * *",
    "crontab 61 * * * *", "crontab * * 30 2 *", "crontab */0 * * * *", "crontab , * * * *",
    "crontab * * * * 7", "crontab x * * * *", "crontab / * * * *", "solar", "solar sunset 1",
    "solar sunset x 0", "solar moonrise 0 0", "solar sunset nan 0", "crontab \u0661 * * * *",
    "schedule 1_000", "solar sunset 1_0 1", f"schedule {'0' * 250}30", None, 30, [],
    "x" * 1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TEXTS, ids=lambda text: repr(text)[:40])
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(InvalidJob) as caught:
        parse_celery(text, pytz.utc, ANCHOR)

    assert caught.value.field == "celery"


@given(
    st.sampled_from(["schedule ", "crontab ", ""]),
    st.text(alphabet="0123456789*/-, afnot.e", max_size=30),
)
def test_reading_raises_nothing_else_whatever_comes(kind, words):
    with suppress(InvalidJob):
        assert parse_celery(kind + words, BERLIN, ANCHOR)


def test_an_interval_fires_first_one_interval_after_its_anchor():
    every_half_minute = trigger(30)

    assert every_half_minute.next_after(utc(2000, 1, 1)) == ANCHOR + timedelta(seconds=30)
    assert every_half_minute.previous_before(ANCHOR + timedelta(seconds=30)) is None


def test_an_interval_is_exact_to_the_microsecond():
    assert trigger(1 / 3).next_after(ANCHOR) == ANCHOR + timedelta(microseconds=333333)


def test_a_relative_interval_fires_at_whole_units():
    hourly = trigger(schedules.schedule(3600, relative=True), BERLIN)

    assert hourly.next_after(ANCHOR) == utc(2026, 1, 1, 13)
    assert hourly.next_after(utc(2026, 1, 1, 13)) == utc(2026, 1, 1, 14)


def test_all_fields_of_a_crontab_must_match():
    friday_13 = trigger(schedules.crontab(0, 0, day_of_month="13", day_of_week="fri"))

    assert friday_13.next_after(ANCHOR) == utc(2026, 2, 13)


def test_a_crontab_takes_the_jobs_own_dst_rules():
    skipping = parse_celery("crontab 30 2 * * *", BERLIN, ANCHOR, gap="skip")
    both = parse_celery("crontab 30 2 * * *", BERLIN, ANCHOR, fold="both")

    assert skipping.next_after(utc(2026, 3, 28, 12)) == utc(2026, 3, 30, 0, 30)
    assert both.next_after(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 25, 1, 30)


def test_a_crontab_obeys_the_dst_rule():
    fixed = trigger(schedules.crontab(30, 2), BERLIN)
    wildcard = trigger(schedules.crontab("*/30", 2), BERLIN)

    assert fixed.next_after(utc(2026, 3, 28, 12)) == utc(2026, 3, 29, 1)
    assert fixed.next_after(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 26, 1, 30)
    assert wildcard.next_after(utc(2026, 3, 28, 12)) == utc(2026, 3, 30, 0)
    assert wildcard.next_after(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 25, 1)


@given(
    st.sampled_from(["*", "*/7", "5", "10-20/3", "55-5"]),
    st.sampled_from(["*", "*/5", "22-2", "9"]),
    st.sampled_from(["*", "1", "*/10", "28-31"]),
    st.sampled_from(["*", "2", "jun-aug", "*/4"]),
    st.sampled_from(["*", "sun", "mon-fri", "*/2"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)
def test_in_utc_celery_finds_the_same(minute, hour, day, month, weekday, moment):
    start = moment.replace(microsecond=0, tzinfo=UTC)
    crontab = schedules.crontab(minute, hour, weekday, day, month, nowfun=lambda: start)
    crontab.tz = UTC

    following = trigger(crontab).next_after(start)

    assert following == start + crontab.remaining_estimate(start)


@pytest.mark.parametrize(("latitude", "longitude"), [(52.52, 13.405), (40.0, -75.0), (40.0, -89.0)])
def test_the_sun_sets_once_a_day(latitude, longitude):
    pytest.importorskip("ephem")
    sunset = trigger(schedules.solar("sunset", latitude, longitude))

    found = [sunset.next_after(utc(2026, 6, 20))]
    for _ in range(200):
        found.append(sunset.next_after(found[-1]))

    gaps = [late - early for early, late in pairwise(found)]
    assert all(abs(gap - timedelta(days=1)) < timedelta(minutes=5) for gap in gaps)
    assert [sunset.previous_before(each) for each in found[1:]] == found[:-1]


def test_noon_comes_each_day_and_the_polar_night_is_waited_out():
    pytest.importorskip("ephem")
    noon = trigger(schedules.solar("solar_noon", 52.52, 13.405))
    sunrise = trigger(schedules.solar("sunrise", 78.2, 15.6))

    assert noon.next_after(utc(2026, 6, 20)).strftime("%d %H:%M") == "20 11:07"
    assert noon.previous_before(noon.next_after(utc(2026, 6, 20))) < utc(2026, 6, 20)
    assert sunrise.next_after(utc(2026, 11, 15)).strftime("%m") == "02"
    assert sunrise.previous_before(utc(2027, 1, 15)).strftime("%m") == "10"


def test_without_ephem_a_solar_schedule_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ephem", None)

    with pytest.raises(InvalidJob, match="the ephem package"):
        parse_celery("solar dusk_civil 1.25 2.5", pytz.utc, ANCHOR)
