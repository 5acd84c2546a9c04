"""Recurrence rules in time: at changes of the clock, counted, in bounded work."""
# ruff: noqa: DTZ001 - a local time has no zone

import sys
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import pytz

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from celery_jobsched.preview import occurrences
from celery_jobsched.triggers.rrule import parse_rrule, recurrence
from celery_jobsched.triggers.rrule.series import series_of
from celery_jobsched.triggers.rrule.years import Years

UTC = clock.UTC
BERLIN = clock.zone("Europe/Berlin")
NEW_YORK = clock.zone("America/New_York")
AUCKLAND = clock.zone("Pacific/Auckland")
LORD_HOWE = clock.zone("Australia/Lord_Howe")
APIA = clock.zone("Pacific/Apia")
ANCHOR = datetime(2001, 1, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, 9)


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


def from_start(rule, zone=pytz.utc, start=START, **dst):
    return recurrence(f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{rule}", zone, ANCHOR, **dst)


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


HALF_PAST_TWO = "FREQ=DAILY;BYHOUR=2;BYMINUTE=30"
DST = [
    # The rule from midnight on, the zone, the day of the change, what fires in it (UTC)
    (HALF_PAST_TWO, BERLIN, (2026, 3, 29), ["29 01:00"]),
    (HALF_PAST_TWO, BERLIN, (2026, 10, 25), ["25 00:30"]),
    ("FREQ=WEEKLY;BYDAY=SU;BYHOUR=2;BYMINUTE=30", BERLIN, (2026, 3, 29), ["29 01:00"]),
    ("FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30", BERLIN, (2026, 10, 25), ["25 00:30"]),
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=0,20,40", BERLIN, (2026, 3, 29), ["29 01:00"]),
    ("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30", BERLIN, (2026, 3, 29), ["29 01:00", "29 01:30"]),
    ("FREQ=DAILY;BYHOUR=2,3", BERLIN, (2026, 3, 29), ["29 01:00"]),
    ("FREQ=DAILY;BYHOUR=2,3", BERLIN, (2026, 10, 25), ["25 00:00", "25 02:00"]),
    # Who names the hour and the minute means a time, however often the rule looks for it.
    ("FREQ=MINUTELY;BYHOUR=2;BYMINUTE=30", BERLIN, (2026, 3, 29), ["29 01:00"]),
    ("FREQ=MINUTELY;BYHOUR=2;BYMINUTE=30", BERLIN, (2026, 10, 25), ["25 00:30"]),
    # A rule by the hour or by the minute follows real time.
    ("FREQ=MINUTELY;INTERVAL=30;BYHOUR=2", BERLIN, (2026, 3, 29), []),
    (
        "FREQ=MINUTELY;INTERVAL=30;BYHOUR=2",
        BERLIN,
        (2026, 10, 25),
        ["25 00:00", "25 00:30", "25 01:00", "25 01:30"],
    ),
    ("FREQ=HOURLY;INTERVAL=2;BYHOUR=2", BERLIN, (2026, 3, 29), ["29 01:00"]),
    (HALF_PAST_TWO, AUCKLAND, (2026, 9, 27), ["26 14:00"]),
    (HALF_PAST_TWO, AUCKLAND, (2026, 4, 5), ["04 13:30"]),
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=15", LORD_HOWE, (2026, 10, 4), ["03 15:30"]),
    ("FREQ=DAILY;BYHOUR=1;BYMINUTE=45", LORD_HOWE, (2026, 4, 5), ["04 14:45"]),
    ("FREQ=DAILY;BYHOUR=12", APIA, (2011, 12, 30), ["30 10:00"]),
]


@pytest.mark.parametrize(("rule", "zone", "day", "expected"), DST)
def test_the_day_of_a_change(rule, zone, day, expected):
    start = datetime(*day)
    trigger = from_start(rule, zone, start - timedelta(days=140))
    begin = clock.instants_of(start, zone)[0]
    end = clock.instants_of(start + timedelta(days=1), zone)[0]
    if zone is APIA:  # that day is none there
        end = begin + timedelta(minutes=1)

    found = upcoming(trigger, begin - clock.TICK, end - clock.TICK)

    assert [each.strftime("%d %H:%M") for each in found] == expected
    assert bygone(trigger, end, begin) == found


def test_a_fire_knows_the_time_that_it_stands_for():
    rule = {"task": "t", "rrule": HALF_PAST_TWO + ";BYSECOND=0", "timezone": "Europe/Berlin"}
    job = Job.from_dict("j", rule)

    (moved,) = occurrences(job, utc(2026, 3, 28, 12), 1)
    (first,) = occurrences(job, utc(2026, 10, 24, 12), 1)

    assert (moved.at, moved.nominal) == (utc(2026, 3, 29, 1), datetime(2026, 3, 29, 2, 30))
    assert (moved.mark.code, first.mark.code) == ("moved", "first_only")


def test_a_rule_that_has_ended_leaves_no_mark():
    rule = f"DTSTART:20260101T000000 RRULE:{HALF_PAST_TWO};COUNT=3"
    definition = {"task": "t", "rrule": rule, "cron": "0 12 * * *", "dst_gap": "skip"}
    job = Job.from_dict("j", {**definition, "timezone": "Europe/Berlin"})

    found = occurrences(job, utc(2026, 3, 27, 12), 3)

    assert [(each.fires, each.mark) for each in found] == [(True, None)] * 3


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (BERLIN, (2026, 3, 29), 23),
        (BERLIN, (2026, 10, 25), 25),
        (AUCKLAND, (2026, 9, 27), 23),
        (AUCKLAND, (2026, 4, 5), 25),
    ],
)
def test_an_hourly_rule_comes_each_hour_of_real_time(zone, day, hours):
    begin = clock.instants_of(datetime(*day), zone)[0]
    trigger = from_start("FREQ=HOURLY;BYMINUTE=0", zone)

    found = upcoming(trigger, begin - clock.TICK, begin + timedelta(hours=hours) - clock.TICK)

    assert found == [begin + timedelta(hours=each) for each in range(hours)]
    assert clock.to_local(found[-1], zone).hour == 23


def test_a_job_may_choose_otherwise():
    skips = from_start(HALF_PAST_TWO, BERLIN, gap="skip")
    repeats = from_start(HALF_PAST_TWO, BERLIN, fold="both")

    assert skips.next_after(utc(2026, 3, 28, 12)) == utc(2026, 3, 30, 0, 30)
    assert skips.previous_before(utc(2026, 3, 29, 12)) == utc(2026, 3, 28, 1, 30)
    assert repeats.next_after(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 25, 1, 30)


def test_an_unknown_dst_option_is_refused():
    with pytest.raises(InvalidJob, match="dst_gap"):
        from_start("FREQ=DAILY", gap="jump")


def test_what_is_left_out_at_a_change_is_the_time_that_was_named():
    lines = f"{HALF_PAST_TWO}\nRRULE:FREQ=DAILY;BYHOUR=3\nEXDATE:20260329T023000"

    found = upcoming(from_start(lines, BERLIN), utc(2026, 3, 28, 12), utc(2026, 3, 29, 12))

    # 3:00 is the moment of the jump, to which 2:30 would have been moved as well.
    assert found == [utc(2026, 3, 29, 1)]


COUNTED = [
    # The rule, its start in New York, how many, the day and hour (UTC) of the last; the clocks
    # jump from 2:00 to 3:00 on 8 March 2026, which is 7:00 UTC, and back on 1 November, at 6:00.
    ("FREQ=HOURLY", (2026, 3, 8), 5, {}, "08 09:00"),
    ("FREQ=HOURLY", (2026, 11, 1), 5, {}, "01 08:00"),
    ("FREQ=MINUTELY;INTERVAL=20", (2026, 3, 8, 1), 6, {}, "08 07:40"),
    ("FREQ=SECONDLY", (2026, 11, 1), 86_400, {}, "02 03:59"),
    # 2:30 in the gap is at the jump and counts as one; left out, it does not count.
    (HALF_PAST_TWO, (2026, 3, 6), 4, {}, "09 06:30"),
    (HALF_PAST_TWO, (2026, 3, 6), 4, {"gap": "skip"}, "10 06:30"),
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=0,20,40", (2026, 3, 8), 2, {}, "09 06:00"),
    ("FREQ=DAILY;BYHOUR=2,3", (2026, 3, 8), 2, {}, "09 06:00"),
    ("FREQ=DAILY;BYHOUR=1", (2026, 10, 31), 3, {}, "02 06:00"),
    ("FREQ=DAILY;BYHOUR=1", (2026, 10, 31), 3, {"fold": "both"}, "01 06:00"),
]


@pytest.mark.parametrize(("rule", "start", "count", "dst", "last"), COUNTED)
def test_count_counts_instants_through_a_change(rule, start, count, dst, last):
    trigger = from_start(f"{rule};COUNT={count}", NEW_YORK, datetime(*start), **dst)

    found = trigger.previous_before(utc(2030, 1, 1))

    assert found.strftime("%d %H:%M") == last
    assert trigger.next_after(found) is None


@pytest.mark.parametrize(
    ("rule", "dst"),
    [("FREQ=HOURLY", {}), ("FREQ=DAILY;BYHOUR=2;BYMINUTE=0", {"fold": "both"})],
)
def test_a_bound_in_the_first_of_two_like_hours_excludes_the_second(rule, dst):
    trigger = from_start(f"{rule};UNTIL=20261025T000000Z", BERLIN, **dst)

    assert trigger.next_after(utc(2026, 10, 24, 23, 30)) == utc(2026, 10, 25)
    assert trigger.next_after(utc(2026, 10, 25)) is None
    assert trigger.previous_before(utc(2030, 1, 1)) == utc(2026, 10, 25)


def test_a_job_that_begins_in_the_second_of_two_like_hours_has_no_fire_in_the_first():
    begins = utc(2026, 10, 25, 1, 30)  # 2:30 for the second time

    trigger = recurrence("FREQ=DAILY", BERLIN, begins)

    assert trigger.next_after(ANCHOR) == utc(2026, 10, 26, 1, 30)
    assert trigger.previous_before(utc(2026, 10, 26, 1, 30)) is None


@pytest.mark.parametrize("rule", ["FREQ=DAILY;BYHOUR=9", "FREQ=HOURLY"])
def test_the_local_times_of_a_rule_begin_with_its_start(rule):
    start, long_ago = datetime(2026, 3, 5, 9), datetime(1900, 1, 1)

    series = series_of(parse_rrule(rule).rules[0], start)

    assert series.later(long_ago) == start
    assert series.earlier(start + timedelta(seconds=1)) == start
    assert series.earlier(start) is None
    assert (series.number_until(long_ago), series.number_until(start)) == (0, 1)
    assert series.by_number(1) == start


def test_a_century_of_occurrences_ascends():
    found = upcoming(
        from_start("FREQ=MONTHLY;BYDAY=1SU;BYHOUR=2;BYMINUTE=30", BERLIN, datetime(1950, 1, 1)),
        utc(1950, 1, 1),
        utc(2050, 1, 1),
    )

    assert len(found) == 1200
    assert all(early < late for early, late in pairwise(found))


def test_the_ends_of_time_are_exhausted_and_raise_nothing():
    for rule in ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=HOURLY;INTERVAL=5"):
        trigger = from_start(rule, BERLIN)

        assert trigger.next_after(utc(9999, 12, 31, 23, 59)) is None
        assert trigger.previous_before(utc(1, 1, 1)) is None
        assert trigger.next_after(utc(1, 1, 1)) > utc(2026, 1, 1)
        assert trigger.previous_before(utc(9999, 12, 31, 23)) > utc(9996, 2, 28)


def years_looked_at(question):
    """How many years a question looks at."""
    looked = 0

    def note(frame, event, _):
        nonlocal looked
        looked += event == "call" and frame.f_code is Years.of.__code__

    sys.setprofile(note)
    try:
        question()
    finally:
        sys.setprofile(None)
    return looked


WORK = [
    # The rule, how many years a question may look at
    ("FREQ=DAILY", 2),
    ("FREQ=SECONDLY;BYHOUR=9", 2),
    ("FREQ=MONTHLY;BYDAY=-1FR;BYSETPOS=1", 2),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", 9),
    ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", 41),
    # Once in 400 years at the least, if ever, but for an interval that does not divide them.
    ("FREQ=DAILY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29;BYDAY=TH", 401),
    ("FREQ=DAILY;INTERVAL=353;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", 9999),
]


@pytest.mark.parametrize(("rule", "most"), WORK)
def test_a_question_looks_at_a_bounded_number_of_years(rule, most):
    trigger = from_start(rule)

    for year in (1, 2000, 2026, 2097, 2196, 5000, 9999):
        at = utc(year, 3, 1)
        assert years_looked_at(lambda at=at: trigger.next_after(at)) <= most
        assert years_looked_at(lambda at=at: trigger.previous_before(at)) <= most


def test_what_never_comes_is_known_after_one_round_of_the_calendar():
    def make():
        with pytest.raises(InvalidJob):
            from_start("FREQ=DAILY;INTERVAL=7;BYDAY=FR")

    assert years_looked_at(make) <= 401


def test_a_count_counts_each_year_once():
    trigger = from_start("FREQ=DAILY;COUNT=3000")

    assert years_looked_at(lambda: trigger.next_after(utc(2026, 1, 1))) < 30
    assert years_looked_at(lambda: trigger.next_after(utc(2027, 1, 1))) <= 2
