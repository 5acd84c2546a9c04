"""Recurrence rules of all kinds: beside dateutil, around changes of the clock, by the laws."""
# ruff: noqa: DTZ001 - a local time has no zone

from datetime import datetime, timedelta
from itertools import islice

import pytest
import pytz
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.rrule import parse_rrule
from celery_jobsched.triggers.rrule.parts import WEEKDAYS
from tests.effort import examples
from tests.laws import check_laws
from tests.unit.test_rrule import dates
from tests.unit.test_rrule_time import (
    ANCHOR,
    APIA,
    AUCKLAND,
    BERLIN,
    LORD_HOWE,
    START,
    UTC,
    bygone,
    from_start,
    upcoming,
    utc,
)


def numbers(least, most, signed=False):
    number = st.integers(least, most)
    if signed:
        number |= number.map(lambda each: -each)
    return st.sets(number, min_size=1, max_size=4).map(lambda all_: ",".join(map(str, all_)))


PLAIN_DAYS = st.sets(st.sampled_from(WEEKDAYS), min_size=1, max_size=3).map(",".join)
NTH_DAYS = st.sets(
    st.builds("{}{}".format, st.sampled_from([1, 2, 3, 5, -1, -2, -5]), st.sampled_from(WEEKDAYS)),
    min_size=1,
    max_size=3,
).map(",".join)
TIMES = {"BYHOUR": numbers(0, 23), "BYMINUTE": numbers(0, 59), "BYSECOND": numbers(0, 59)}
OTHERS = {"WKST": st.sampled_from(WEEKDAYS), "BYSETPOS": numbers(1, 5, signed=True)}
MONTHS, MONTH_DAYS = numbers(1, 12), numbers(1, 31, signed=True)
DAYS = {
    "YEARLY": {
        "BYMONTH": MONTHS,
        "BYYEARDAY": numbers(1, 366, signed=True),
        "BYMONTHDAY": MONTH_DAYS,
        "BYDAY": PLAIN_DAYS | NTH_DAYS,
    },
    "MONTHLY": {"BYMONTH": MONTHS, "BYMONTHDAY": MONTH_DAYS, "BYDAY": PLAIN_DAYS | NTH_DAYS},
    "WEEKLY": {"BYMONTH": MONTHS, "BYDAY": PLAIN_DAYS},
    "DAILY": {"BYMONTH": MONTHS, "BYMONTHDAY": MONTH_DAYS, "BYDAY": PLAIN_DAYS},
    "HOURLY": {"BYMONTHDAY": MONTH_DAYS, "BYDAY": PLAIN_DAYS},
    "MINUTELY": {"BYDAY": PLAIN_DAYS},
    "SECONDLY": {},
}


def rules_of(freq):
    parts = st.fixed_dictionaries({}, optional={**DAYS[freq], **TIMES, **OTHERS})
    interval = st.sampled_from(
        ["", "", ";INTERVAL=2", ";INTERVAL=3", ";INTERVAL=7", ";INTERVAL=45"]
    )

    def written(parts, interval):
        named = [each for each in parts if each.startswith("BY")]
        if named == ["BYSETPOS"]:
            parts = {}
        return f"FREQ={freq}{interval}" + "".join(f";{key}={parts[key]}" for key in parts)

    return st.builds(written, parts, interval)


WEEKS = st.builds(
    "FREQ=YEARLY;BYWEEKNO={};BYDAY={}{}".format,
    numbers(1, 53),
    PLAIN_DAYS,
    st.sampled_from(["", ";WKST=SU", ";WKST=WE"]),
)
RULES = st.one_of(WEEKS, *(rules_of(freq) for freq in DAYS))
STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(
    lambda local: local.replace(microsecond=0)
)


def made(rule, *args, **dst):
    """Its trigger; a rule that never comes is no example."""
    try:
        return from_start(rule, *args, **dst)
    except InvalidJob as error:
        reason = error.expected
    assert "comes" in reason or "come round" in reason
    assume(False)


@given(RULES, STARTS)
@examples(300)
def test_dateutil_finds_the_same(rule, start):
    first_weeks = rule.startswith("FREQ=WEEKLY") and "BYSETPOS" in rule  # see DIFFERENCES
    trigger = made(rule, pytz.utc, start)
    reference = rrulestr(f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{rule};COUNT=8")

    theirs = [each.replace(tzinfo=UTC) for each in reference]
    if first_weeks:
        theirs = [each for each in theirs if each > utc(2028, 1, 9)]
    ours = upcoming(trigger, theirs[0] - clock.TICK, theirs[-1]) if theirs else []

    assert ours == theirs
    if theirs and not first_weeks:
        assert trigger.previous_before(theirs[0]) is None
        assert bygone(trigger, theirs[-1] + clock.TICK, theirs[0]) == theirs


DIFFERENCES = [
    # The rule from START on (a Thursday), its first two days by RFC 5545, and those of dateutil.
    # BYSETPOS works on whole weeks: "starts at the beginning of the interval".
    ("FREQ=WEEKLY;BYDAY=MO,TH,FR;BYSETPOS=1", "2026 Jan 5,12", "2026 Jan 1,5"),
    # What a rule does not say is said by DTSTART: the day of the week, too.
    ("FREQ=YEARLY;BYWEEKNO=2", "2026 Jan 8; 2027 Jan 14", "2026 Jan 5,6"),
    # A list of days is either, not both at once.
    ("FREQ=MONTHLY;BYDAY=MO,1SA;UNTIL=20260201", "2026 Jan 3,5", ""),
    # 1 January 2039 is a day of week 52, says date.isocalendar.
    ("FREQ=YEARLY;INTERVAL=13;BYWEEKNO=52;BYDAY=SA;BYMONTH=1;UNTIL=20390105", "2039 Jan 1", ""),
    # 31 December 2031 is a day of week 1 of 2032, which has 53 weeks.
    ("FREQ=YEARLY;BYWEEKNO=-53;BYDAY=WE;BYMONTH=12;UNTIL=20320101", "2031 Dec 31", ""),
    # UNTIL is inclusive, and a date is a day.
    ("FREQ=DAILY;UNTIL=20260101", "2026 Jan 1", ""),
]


@pytest.mark.parametrize(("rule", "ours", "theirs"), DIFFERENCES)
def test_each_difference_to_dateutil_is_known(rule, ours, theirs):
    trigger, reference = from_start(rule), rrulestr(f"DTSTART:{START:%Y%m%dT%H%M%S}\nRRULE:{rule}")

    found = islice(upcoming(trigger, ANCHOR, utc(2040, 1, 1)), 2)

    assert [each.timetuple()[:3] for each in found] == dates(ours)
    assert [each.timetuple()[:3] for each in islice(reference, 2)] == dates(theirs)


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
GAPS, FOLDS = st.sampled_from(["run", "skip"]), st.sampled_from(["first", "both"])
#: Rules that have something to do around a change.
NEAR = st.builds(
    "FREQ={}{}{}{}".format,
    st.sampled_from(["DAILY", "HOURLY", "MINUTELY"]),
    st.sampled_from(["", ";INTERVAL=2", ";INTERVAL=5"]),
    st.just("") | numbers(0, 4).map(";BYHOUR={}".format),
    st.just("") | numbers(0, 59).map(";BYMINUTE={}".format),
)


@given(st.sampled_from(CHANGES), GAPS, FOLDS, NEAR)
@examples(80)
def test_around_a_change_the_walk_finds_what_the_rule_says_of_each_local_time(
    change, gap, fold, rule
):
    zone, moment = change
    start, begin, end = (moment + timedelta(hours=hours) for hours in (-50, -30, 30))
    local = clock.to_local(start, zone).replace(microsecond=0)
    trigger = made(rule, zone, local, gap=gap, fold=fold)
    of_local = from_start(rule, pytz.utc, local)
    real_time = parse_rrule(rule).rules[0].follows_real_time
    options = ("skip", "both") if real_time else (gap, fold)

    meant, last = set(), clock.to_local(end, zone) + timedelta(days=2)
    at = of_local.next_after(ANCHOR)
    while at and at.replace(tzinfo=None) < last:
        meant.update(clock.instants_of(at.replace(tzinfo=None), zone, *options))
        at = of_local.next_after(at)
    expected = sorted(each for each in meant if begin < each < end)

    assert upcoming(trigger, begin, end - clock.TICK) == expected
    assert bygone(trigger, end, begin + clock.TICK) == expected


@given(st.sampled_from(CHANGES), GAPS, FOLDS, NEAR | RULES, st.integers(1, 90))
@examples(150)
def test_a_rule_with_a_count_is_the_beginning_of_that_without(change, gap, fold, rule, count):
    zone, moment = change
    local = clock.to_local(moment - timedelta(hours=4), zone)
    unbounded = made(rule, zone, local, gap=gap, fold=fold)
    counted = from_start(f"{rule};COUNT={count}", zone, local, gap=gap, fold=fold)

    expected, at = [], ANCHOR
    while len(expected) < count and (at := unbounded.next_after(at)):
        expected.append(at)

    assert upcoming(counted, ANCHOR, utc(9999, 12, 31)) == expected
    assert bygone(counted, utc(9999, 12, 31), ANCHOR) == expected


@given(
    RULES | NEAR,
    st.sampled_from([*(zone for zone, _ in CHANGES), pytz.utc]),
    STARTS,
    st.datetimes(datetime(2025, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
    GAPS,
    FOLDS,
)
@examples(150)
def test_the_laws_of_triggers_hold(rule, zone, start, instant, gap, fold):
    check_laws(made(rule, zone, start, gap=gap, fold=fold), instant)
