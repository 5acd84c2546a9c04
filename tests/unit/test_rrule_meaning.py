"""What a recurrence rule means: its parts, its beginning, its end, and what never comes."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
import pytz

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from celery_jobsched.triggers.rrule import recurrence
from tests.unit.test_rrule import ANCHOR, BERLIN, EACH_DAY, UTC, WORK_WEEK, shown, utc

MEANINGS = [
    # What a rule does not say is said by its start: 9:00:00 on Thursday, 1 January 2026.
    ("FREQ=YEARLY", ["2026-01-01 09:00:00", "2027-01-01 09:00:00"]),
    ("FREQ=YEARLY;BYMONTH=2", ["2026-02-01 09:00:00", "2027-02-01 09:00:00"]),
    ("FREQ=YEARLY;BYMONTHDAY=3", ["2026-01-03 09:00:00", "2026-02-03 09:00:00"]),
    ("FREQ=YEARLY;BYWEEKNO=20", ["2026-05-14 09:00:00", "2027-05-20 09:00:00"]),
    ("FREQ=MONTHLY;BYHOUR=7", ["2026-02-01 07:00:00", "2026-03-01 07:00:00"]),
    ("FREQ=WEEKLY", ["2026-01-01 09:00:00", "2026-01-08 09:00:00"]),
    ("FREQ=HOURLY;BYMINUTE=5,35", ["2026-01-01 09:05:00", "2026-01-01 09:35:00"]),
    ("FREQ=MINUTELY;BYSECOND=0,30", ["2026-01-01 09:00:00", "2026-01-01 09:00:30"]),
    # 2028 and 2032 are leap years.
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29 09:00:00", "2032-02-29 09:00:00"]),
    ("FREQ=YEARLY;BYYEARDAY=366", ["2028-12-31 09:00:00", "2032-12-31 09:00:00"]),
    ("FREQ=YEARLY;BYYEARDAY=-366", ["2028-01-01 09:00:00", "2032-01-01 09:00:00"]),
    ("FREQ=YEARLY;BYYEARDAY=-306", ["2026-03-01 09:00:00", "2027-03-01 09:00:00"]),
    ("FREQ=MONTHLY;BYMONTHDAY=31", ["2026-01-31 09:00:00", "2026-03-31 09:00:00"]),
    ("FREQ=MONTHLY;BYMONTHDAY=-31", ["2026-01-01 09:00:00", "2026-03-01 09:00:00"]),
    # The weeks of ISO 8601: 2026 and 2032 have 53; week 1 of 2030 begins on 31 December 2029.
    ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO", ["2026-12-28 09:00:00", "2032-12-27 09:00:00"]),
    ("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO", ["2026-12-28 09:00:00", "2027-12-27 09:00:00"]),
    (
        "FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO",
        [
            "2027-01-04 09:00:00",
            "2028-01-03 09:00:00",
            "2029-01-01 09:00:00",
            "2029-12-31 09:00:00",
        ],
    ),
    # A week that begins on Sunday: week 1 of 2026 is 4 January on, since 2026 begins on Thursday.
    ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=SU", ["2026-01-04 09:00:00", "2027-01-03 09:00:00"]),
    # Each Monday, or the first Friday: a list is either.
    ("FREQ=MONTHLY;BYDAY=MO,1FR", ["2026-01-02 09:00:00", "2026-01-05 09:00:00"]),
    ("FREQ=YEARLY;BYDAY=-1SU", ["2026-12-27 09:00:00", "2027-12-26 09:00:00"]),
    ("FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU", ["2026-03-29 09:00:00", "2026-10-25 09:00:00"]),
    ("FREQ=MONTHLY;BYDAY=5TH", ["2026-01-29 09:00:00", "2026-04-30 09:00:00"]),
    # BYSETPOS chooses among the times of one period.
    ("FREQ=DAILY;BYHOUR=8,12,18;BYSETPOS=-1", ["2026-01-01 18:00:00", "2026-01-02 18:00:00"]),
    ("FREQ=HOURLY;BYMINUTE=0,20,40;BYSETPOS=2", ["2026-01-01 09:20:00", "2026-01-01 10:20:00"]),
    ("FREQ=MINUTELY;BYSECOND=5,50;BYSETPOS=2", ["2026-01-01 09:00:50", "2026-01-01 09:01:50"]),
    ("FREQ=SECONDLY;BYSECOND=7,9;BYSETPOS=-1", ["2026-01-01 09:00:07", "2026-01-01 09:00:09"]),
    ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=-1", ["2026-01-02 09:00:00", "2026-01-09 09:00:00"]),
    ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", ["2026-01-05 09:00:00", "2026-01-12 09:00:00"]),
    (
        f"FREQ=MONTHLY;{WORK_WEEK};BYHOUR=9,17;BYSETPOS=1,-1",
        ["2026-01-01 09:00:00", "2026-01-30 17:00:00", "2026-02-02 09:00:00"],
    ),
    (
        f"FREQ=YEARLY;{WORK_WEEK};BYSETPOS=1,-1",
        ["2026-01-01 09:00:00", "2026-12-31 09:00:00", "2027-01-01 09:00:00"],
    ),
    # A week is one set, across a new year too: 29 December to 4 January, 27 December to 2 January.
    (
        f"FREQ=WEEKLY;BYMONTH=1,12;{EACH_DAY};BYSETPOS=6",
        ["2026-01-03 09:00:00", "2026-01-10 09:00:00"],
    ),
    (
        f"FREQ=WEEKLY;INTERVAL=52;BYMONTH=1,12;{EACH_DAY};BYSETPOS=-6",
        ["2026-12-29 09:00:00", "2027-12-28 09:00:00"],
    ),
    # Long intervals
    (
        "FREQ=YEARLY;INTERVAL=999;BYMONTH=2;BYMONTHDAY=1",
        ["2026-02-01 09:00:00", "3025-02-01 09:00:00"],
    ),
    ("FREQ=MONTHLY;INTERVAL=4801;BYMONTH=3", ["2826-03-01 09:00:00"]),
    # Periods that do not divide a day go on counting through it.
    ("FREQ=HOURLY;INTERVAL=7;BYHOUR=9", ["2026-01-01 09:00:00", "2026-01-08 09:00:00"]),
    ("FREQ=HOURLY;INTERVAL=36;BYMINUTE=0", ["2026-01-01 09:00:00", "2026-01-02 21:00:00"]),
    ("FREQ=SECONDLY;INTERVAL=7;BYMINUTE=5", ["2026-01-01 09:05:01", "2026-01-01 09:05:08"]),
    ("FREQ=SECONDLY;INTERVAL=100003", ["2026-01-01 09:00:00", "2026-01-02 12:46:43"]),
    ("FREQ=DAILY;INTERVAL=400", ["2026-01-01 09:00:00", "2027-02-05 09:00:00"]),
    ("FREQ=MONTHLY;INTERVAL=13", ["2026-01-01 09:00:00", "2027-02-01 09:00:00"]),
    # A leap second is the second before it (3.3.12).
    ("FREQ=MINUTELY;BYSECOND=60", ["2026-01-01 09:00:59", "2026-01-01 09:01:59"]),
]


@pytest.mark.parametrize(("text", "expected"), MEANINGS)
def test_a_rule_means_what_the_table_of_the_rfc_says(text, expected):
    assert shown(text, len(expected)) == expected


def test_the_weeks_of_a_year_are_those_of_iso_8601():
    trigger = recurrence(f"FREQ=YEARLY;BYWEEKNO=1,52,53;{EACH_DAY}", pytz.utc, ANCHOR)

    days = (utc(2026, 1, 1, 9) + timedelta(days=each) for each in range(40 * 365))
    expected = [day for day in days if day.isocalendar()[1] in (1, 52, 53)]

    found, at = [], expected[0] - clock.TICK
    while at < expected[-1]:
        at = trigger.next_after(at)
        found.append(at)
    assert found == expected


BEGINNINGS = [
    # The lines, the zone and the anchor of the job, the first instants
    ("FREQ=DAILY", BERLIN, utc(2026, 7, 1, 12, 30), [utc(2026, 7, 1, 12, 30)]),
    ("FREQ=DAILY;BYHOUR=9", BERLIN, utc(2026, 7, 1, 12, 30, 5), [utc(2026, 7, 2, 7, 30, 5)]),
    ("FREQ=DAILY", BERLIN, utc(2026, 7, 1, 12, 0, 0, 1), [utc(2026, 7, 1, 12, 0, 1)]),
    ("DTSTART:20260701T090000\nFREQ=DAILY", BERLIN, ANCHOR, [utc(2026, 7, 1, 7)]),
    ("DTSTART:20260701\nFREQ=DAILY", BERLIN, ANCHOR, [utc(2026, 6, 30, 22)]),
    ("DTSTART;TZID=Asia/Tokyo:20260701T090000\nFREQ=DAILY", BERLIN, ANCHOR, [utc(2026, 7, 1)]),
    # In UTC a rule keeps to UTC, whatever the job's zone: 25 October has 25 hours in Berlin.
    (
        "DTSTART:20261024T090000Z\nFREQ=DAILY",
        BERLIN,
        ANCHOR,
        [utc(2026, 10, 24, 9), utc(2026, 10, 25, 9)],
    ),
    (
        "DTSTART:20261024T090000\nFREQ=DAILY",
        BERLIN,
        ANCHOR,
        [utc(2026, 10, 24, 7), utc(2026, 10, 25, 8)],
    ),
    # A start that the rule does not name is none of its times: a Thursday.
    ("DTSTART:20260101T090000Z\nFREQ=WEEKLY;BYDAY=MO", BERLIN, ANCHOR, [utc(2026, 1, 5, 9)]),
]


@pytest.mark.parametrize(("text", "zone", "anchor", "expected"), BEGINNINGS)
def test_a_rule_begins_with_its_dtstart_or_with_the_job(text, zone, anchor, expected):
    trigger = recurrence(text.replace("\nFREQ", "\nRRULE:FREQ"), zone, anchor)

    found, at = [], utc(1900, 1, 1)
    while len(found) < len(expected):
        at = trigger.next_after(at)
        found.append(at)
    assert found == expected
    assert trigger.previous_before(expected[0]) is None
    assert all(each.tzinfo is UTC for each in found)


START = "DTSTART;TZID=Europe/Berlin:20260701T090000\n"
ENDS = [
    # What bounds a rule of 9:00 in Berlin, which is 7:00 UTC, from 1 July on; the day of its last.
    ("UNTIL=20260704T070000Z", 4),
    ("UNTIL=20260704T065959Z", 3),
    ("UNTIL=20260704T090000", 4),
    ("UNTIL=20260704T085959", 3),
    ("UNTIL=20260704", 4),
    ("COUNT=4", 4),
]


@pytest.mark.parametrize(("bound", "day"), ENDS)
def test_the_last_one_is_that_which_the_bound_includes(bound, day):
    trigger = recurrence(f"{START}RRULE:FREQ=DAILY;{bound}", pytz.utc, ANCHOR)

    assert trigger.next_after(utc(2026, 7, day - 1, 12)) == utc(2026, 7, day, 7)
    assert trigger.next_after(utc(2026, 7, day, 7)) is None
    assert trigger.previous_before(utc(2030, 1, 1)) == utc(2026, 7, day, 7)


SETS = [
    # What is added to each day's 9:00 of Berlin from 1 to 4 July, the days and hours that are left
    ("EXDATE;TZID=Europe/Berlin:20260702T090000", "1 9:00, 3 9:00, 4 9:00"),
    ("EXDATE:20260702T090000", "1 9:00, 3 9:00, 4 9:00"),
    ("EXDATE:20260702T070000Z", "1 9:00, 3 9:00, 4 9:00"),
    ("EXDATE;TZID=Asia/Tokyo:20260702T160000", "1 9:00, 3 9:00, 4 9:00"),
    ("EXDATE;VALUE=DATE:20260702,20260703", "1 9:00, 4 9:00"),
    ("EXDATE:20260702T090000,20260704T090000\nEXDATE:20260701T090000", "3 9:00"),
    ("EXDATE:20260702T090001", "1 9:00, 2 9:00, 3 9:00, 4 9:00"),
    ("RDATE:20260702T150000", "1 9:00, 2 9:00, 2 15:00, 3 9:00, 4 9:00"),
    ("RDATE:20260702T130000Z", "1 9:00, 2 9:00, 2 15:00, 3 9:00, 4 9:00"),
    ("RDATE:20260702T090000", "1 9:00, 2 9:00, 3 9:00, 4 9:00"),
    ("RDATE;VALUE=DATE:20260706", "1 9:00, 2 9:00, 3 9:00, 4 9:00, 6 0:00"),
    ("RDATE:20260702T150000\nEXDATE:20260702T150000", "1 9:00, 2 9:00, 3 9:00, 4 9:00"),
    ("RDATE:20260702T150000\nEXDATE:20260702", "1 9:00, 3 9:00, 4 9:00"),
    ("RRULE:FREQ=DAILY;INTERVAL=2;BYHOUR=9,10;COUNT=3", "1 9:00, 1 10:00, 2 9:00, 3 9:00, 4 9:00"),
]


@pytest.mark.parametrize(("lines", "expected"), SETS)
def test_dates_are_added_and_left_out(lines, expected):
    trigger = recurrence(f"{START}RRULE:FREQ=DAILY;COUNT=4\n{lines}", pytz.utc, ANCHOR)

    found, at = [], utc(1900, 1, 1)
    while at := trigger.next_after(at):
        found.append(at)
    back, at = [], utc(2100, 1, 1)
    while at := trigger.previous_before(at):
        back.append(at)

    local = [clock.to_local(each, BERLIN) for each in found]
    assert ", ".join(f"{each.day} {each.hour}:{each:%M}" for each in local) == expected
    assert back == found[::-1]


def test_dates_alone_are_a_recurrence():
    assert shown("RDATE:20260702T150000Z,20260701T150000Z", 9) == [
        "2026-07-01 15:00:00",
        "2026-07-02 15:00:00",
    ]


def test_the_trigger_of_a_text_is_made_once():
    one = recurrence("FREQ=DAILY", BERLIN, ANCHOR)

    other = recurrence("FREQ=DAILY", BERLIN, ANCHOR.astimezone(timezone(timedelta(hours=5))))

    assert other is one


NEVER = [
    ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "BYMONTHDAY"),
    ("FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31", "BYMONTHDAY"),
    ("FREQ=YEARLY;BYMONTH=2;BYYEARDAY=200", "BYYEARDAY"),
    ("FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6;BYDAY=MO", "BYWEEKNO"),
    ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY"),
    ("FREQ=MONTHLY;BYMONTHDAY=1;BYDAY=5MO", "BYDAY"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6", "BYSETPOS"),
    ("FREQ=SECONDLY;BYSECOND=7;BYSETPOS=2", "BYSETPOS"),
    ("FREQ=SECONDLY;INTERVAL=7919;BYHOUR=9", "INTERVAL"),
    ("DTSTART:20260229T000000\nRRULE:FREQ=DAILY", "DTSTART"),
    ("DTSTART:00010101T000000\nRRULE:FREQ=DAILY", "DTSTART"),
    ("DTSTART:20280229T000000\nRRULE:FREQ=YEARLY;UNTIL=20280228", "UNTIL"),
    ("DTSTART:20260701T000000\nRRULE:FREQ=DAILY;UNTIL=20260630T000000Z", "UNTIL"),
    ("DTSTART:20260701T000000\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260701,20260702", "EXDATE"),
    ("DTSTART:20260701T000000\nRRULE:FREQ=DAILY;COUNT=1\nEXDATE:20260701T000000Z", "EXDATE"),
    ("RDATE:20260701T000000\nEXDATE:20260701T000000", "EXDATE"),
    ("RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "BYMONTHDAY"),
]


@pytest.mark.parametrize(("text", "named"), NEVER)
def test_what_never_comes_is_refused_and_says_why(text, named):
    with pytest.raises(InvalidJob) as caught:
        recurrence(text, pytz.utc, ANCHOR)

    assert caught.value.field == "rrule"
    assert named in caught.value.expected


FROM_ELSEWHERE = [
    # What comes from some beginnings, but not from 9:00 on Thursday, 1 January 2026
    ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=2", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=7;BYDAY=FR", "INTERVAL"),
    ("FREQ=HOURLY;INTERVAL=2;BYHOUR=8", "BYHOUR"),
    ("FREQ=MINUTELY;INTERVAL=1440;BYMINUTE=1", "BYMINUTE"),
    ("FREQ=DAILY;UNTIL=20251231", "UNTIL"),
    ("RRULE:FREQ=DAILY;COUNT=1\nEXDATE:20260101", "EXDATE"),
]


@pytest.mark.parametrize(("text", "named"), FROM_ELSEWHERE)
def test_what_never_comes_from_its_beginning_is_refused_once_that_is_known(text, named):
    made = {"task": "t", "rrule": text}
    begun = f"DTSTART:20260101T090000\nRRULE:{text.removeprefix('RRULE:')}"

    assert Job.from_dict("j", made).rrule == text  # it may be made another day
    for known in ({**made, "starts_at": ANCHOR}, {**made, "rrule": begun}):
        with pytest.raises(InvalidJob) as caught:
            Job.from_dict("j", known)
        assert (caught.value.field, named in caught.value.expected) == ("rrule", True)
    with pytest.raises(InvalidJob, match=named):
        replace(Job.from_dict("j", made), created_at=ANCHOR).check()


@pytest.mark.parametrize(
    ("text", "anchor"),
    [
        ("FREQ=DAILY", utc(9999, 12, 31, 23, 59, 59, 999_999)),
        ("RDATE:99991231T235959Z", ANCHOR),
        ("DTSTART;TZID=America/New_York:99991231T235959\nRRULE:FREQ=DAILY", ANCHOR),
    ],
)
def test_what_is_beyond_the_end_of_time_is_refused(text, anchor):
    with pytest.raises(InvalidJob, match="9999"):
        recurrence(text, BERLIN, anchor)


def test_a_count_may_reach_beyond_the_end_of_time():
    trigger = recurrence("DTSTART:99991231T220000\nRRULE:FREQ=HOURLY;COUNT=9", BERLIN, ANCHOR)

    assert trigger.next_after(ANCHOR) == utc(9999, 12, 31, 21)
    assert trigger.next_after(utc(9999, 12, 31, 21)) == utc(9999, 12, 31, 22)
    assert trigger.next_after(utc(9999, 12, 31, 22)) is None
    assert trigger.previous_before(utc(9999, 12, 31, 23)) == utc(9999, 12, 31, 22)


def test_a_leap_day_on_a_monday_does_come():
    found = shown("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", 2)

    # 29 February 2016 and 2044 are Mondays; 28 years are four weekdays' cycles.
    assert found == ["2044-02-29 09:00:00", "2072-02-29 09:00:00"]
