"""Recurrence rules: the examples of RFC 5545 have the answers that it gives."""

from datetime import datetime

import pytest
import pytz

from celery_jobsched import clock
from celery_jobsched.triggers.rrule import recurrence

UTC = clock.UTC
NEW_YORK = clock.zone("America/New_York")
BERLIN = clock.zone("Europe/Berlin")
ANCHOR = datetime(2026, 1, 1, 9, tzinfo=UTC)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
WORK_WEEK = "BYDAY=MO,TU,WE,TH,FR"
EACH_DAY = "BYDAY=SU,MO,TU,WE,TH,FR,SA"
NINE_TO_FOUR = "BYHOUR=9,10,11,12,13,14,15,16"


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


def dates(text):
    """The dates of "1997 Sep 2-4; Oct 1,3; 1998 Jan 2-10/2", each as its year, month and day."""
    found, year = [], 0
    for part in text.split("; ") if text else []:
        *years, month, days = part.split()
        year = int(years[0]) if years else year
        for each in days.split(","):
            ends, _, step = each.partition("/")
            first, _, last = ends.partition("-")
            numbers = range(int(first), int(last or first) + 1, int(step or 1))
            found += [(year, MONTHS.index(month) + 1, number) for number in numbers]
    return found


def locals_of(trigger, zone, count):
    """The first *count* occurrences, and the one after them if there is one, by the clocks."""
    found, at = [], utc(1900, 1, 1)
    while len(found) <= count and (at := trigger.next_after(at)):
        found.append(clock.to_local(at, zone))
    return found


def shown(text, count, zone=pytz.utc, anchor=ANCHOR, **dst):
    """The first *count* occurrences as texts."""
    trigger, at, found = recurrence(text, zone, anchor, **dst), utc(1900, 1, 1), []
    while len(found) < count and (at := trigger.next_after(at)):
        found.append(clock.to_local(at, zone).strftime("%Y-%m-%d %H:%M:%S"))
    return found


#: RFC 5545, 3.8.5.3: DTSTART, the rule, its answer (all of them 9:00 in New York), whether it ends.
EXAMPLES = [
    ("19970902", "FREQ=DAILY;COUNT=10", "1997 Sep 2-11", True),
    (
        "19970902",
        "FREQ=DAILY;UNTIL=19971224T000000Z",
        "1997 Sep 2-30; Oct 1-31; Nov 1-30; Dec 1-23",
        True,
    ),
    (
        "19970902",
        "FREQ=DAILY;INTERVAL=2",
        "1997 Sep 2-30/2; Oct 2-30/2; Nov 1-29/2; Dec 1,3",
        False,
    ),
    ("19970902", "FREQ=DAILY;INTERVAL=10;COUNT=5", "1997 Sep 2,12,22; Oct 2,12", True),
    (
        "19980101",
        f"FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;{EACH_DAY}",
        "1998 Jan 1-31; 1999 Jan 1-31; 2000 Jan 1-31",
        True,
    ),
    (
        "19980101",
        "FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1",
        "1998 Jan 1-31; 1999 Jan 1-31; 2000 Jan 1-31",
        True,
    ),
    (
        "19970902",
        "FREQ=WEEKLY;COUNT=10",
        "1997 Sep 2,9,16,23,30; Oct 7,14,21,28; Nov 4",
        True,
    ),
    (
        "19970902",
        "FREQ=WEEKLY;UNTIL=19971224T000000Z",
        "1997 Sep 2,9,16,23,30; Oct 7,14,21,28; Nov 4,11,18,25; Dec 2,9,16,23",
        True,
    ),
    (
        "19970902",
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        "1997 Sep 2,16,30; Oct 14,28; Nov 11,25; Dec 9,23; 1998 Jan 6,20; Feb 3,17",
        False,
    ),
    (
        "19970902",
        "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        "1997 Sep 2,4,9,11,16,18,23,25,30; Oct 2",
        True,
    ),
    (
        "19970902",
        "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
        "1997 Sep 2,4,9,11,16,18,23,25,30; Oct 2",
        True,
    ),
    (
        "19970901",
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
        "1997 Sep 1,3,5,15,17,19,29; Oct 1,3,13,15,17,27,29,31; Nov 10,12,14,24,26,28; "
        "Dec 8,10,12,22",
        True,
    ),
    (
        "19970902",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        "1997 Sep 2,4,16,18,30; Oct 2,14,16",
        True,
    ),
    (
        "19970905",
        "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
        "1997 Sep 5; Oct 3; Nov 7; Dec 5; 1998 Jan 2; Feb 6; Mar 6; Apr 3; May 1; Jun 5",
        True,
    ),
    (
        "19970905",
        "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR",
        "1997 Sep 5; Oct 3; Nov 7; Dec 5",
        True,
    ),
    (
        "19970907",
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        "1997 Sep 7,28; Nov 2,30; 1998 Jan 4,25; Mar 1,29; May 3,31",
        True,
    ),
    (
        "19970922",
        "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
        "1997 Sep 22; Oct 20; Nov 17; Dec 22; 1998 Jan 19; Feb 16",
        True,
    ),
    (
        "19970928",
        "FREQ=MONTHLY;BYMONTHDAY=-3",
        "1997 Sep 28; Oct 29; Nov 28; Dec 29; 1998 Jan 29; Feb 26",
        False,
    ),
    (
        "19970902",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        "1997 Sep 2,15; Oct 2,15; Nov 2,15; Dec 2,15; 1998 Jan 2,15",
        True,
    ),
    (
        "19970930",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        "1997 Sep 30; Oct 1,31; Nov 1,30; Dec 1,31; 1998 Jan 1,31; Feb 1",
        True,
    ),
    (
        "19970910",
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        "1997 Sep 10-15; 1999 Mar 10-13",
        True,
    ),
    (
        "19970902",
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
        "1997 Sep 2,9,16,23,30; Nov 4,11,18,25; 1998 Jan 6,13,20,27; Mar 3,10,17,24,31",
        False,
    ),
    (
        "19970610",
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        "1997 Jun 10; Jul 10; 1998 Jun 10; Jul 10; 1999 Jun 10; Jul 10; 2000 Jun 10; Jul 10; "
        "2001 Jun 10; Jul 10",
        True,
    ),
    (
        "19970310",
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        "1997 Mar 10; 1999 Jan 10; Feb 10; Mar 10; 2001 Jan 10; Feb 10; Mar 10; "
        "2003 Jan 10; Feb 10; Mar 10",
        True,
    ),
    (
        "19970101",
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        "1997 Jan 1; Apr 10; Jul 19; 2000 Jan 1; Apr 9; Jul 18; 2003 Jan 1; Apr 10; Jul 19; "
        "2006 Jan 1",
        True,
    ),
    ("19970519", "FREQ=YEARLY;BYDAY=20MO", "1997 May 19; 1998 May 18; 1999 May 17", False),
    (
        "19970512",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        "1997 May 12; 1998 May 11; 1999 May 17",
        False,
    ),
    (
        "19970313",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
        "1997 Mar 13,20,27; 1998 Mar 5,12,19,26; 1999 Mar 4,11,18,25",
        False,
    ),
    (
        "19970605",
        "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
        "1997 Jun 5,12,19,26; Jul 3,10,17,24,31; Aug 7,14,21,28; "
        "1998 Jun 4,11,18,25; Jul 2,9,16,23,30; Aug 6,13,20,27; "
        "1999 Jun 3,10,17,24; Jul 1,8,15,22,29; Aug 5,12,19,26",
        False,
    ),
    (
        "19970902",
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13\nEXDATE;TZID=America/New_York:19970902T090000",
        "1998 Feb 13; Mar 13; Nov 13; 1999 Aug 13; 2000 Oct 13",
        False,
    ),
    (
        "19970913",
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        "1997 Sep 13; Oct 11; Nov 8; Dec 13; 1998 Jan 10; Feb 7; Mar 7; Apr 11; May 9; Jun 13",
        False,
    ),
    (
        "19961105",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        "1996 Nov 5; 2000 Nov 7; 2004 Nov 2",
        False,
    ),
    (
        "19970904",
        "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
        "1997 Sep 4; Oct 7; Nov 6",
        True,
    ),
    (
        "19970929",
        f"FREQ=MONTHLY;{WORK_WEEK};BYSETPOS=-2",
        "1997 Sep 29; Oct 30; Nov 27; Dec 30; 1998 Jan 29; Feb 26; Mar 30",
        False,
    ),
    (
        "19970805",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
        "1997 Aug 5,10,19,24",
        True,
    ),
    (
        "19970805",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
        "1997 Aug 5,17,19,31",
        True,
    ),
    (
        "20070115",
        "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
        "2007 Jan 15,30; Feb 15; Mar 15,30",
        True,
    ),
]


@pytest.mark.parametrize(("start", "rule", "answer", "ends"), EXAMPLES)
def test_an_example_of_the_rfc_has_the_answer_that_it_gives(start, rule, answer, ends):
    expected = [datetime(*date, 9) for date in dates(answer)]  # noqa: DTZ001
    text = f"DTSTART;TZID=America/New_York:{start}T090000\nRRULE:{rule}"

    trigger = recurrence(text, BERLIN, ANCHOR)

    found = locals_of(trigger, NEW_YORK, len(expected))
    assert found[: len(expected)] == expected
    assert (len(found) == len(expected)) == ends


#: Those within a day: the rule, what the clocks of New York show on 2 September 1997 and after.
WITHIN_A_DAY = [
    # As printed it says 17:00Z and three times; 17:00Z is 13:00 there, says erratum 3883.
    ("FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z", "9:00 12:00 15:00", True),
    ("FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000Z", "9:00 12:00", True),
    ("FREQ=MINUTELY;INTERVAL=15;COUNT=6", "9:00 9:15 9:30 9:45 10:00 10:15", True),
    ("FREQ=MINUTELY;INTERVAL=90;COUNT=4", "9:00 10:30 12:00 13:30", True),
    (f"FREQ=DAILY;{NINE_TO_FOUR};BYMINUTE=0,20,40", None, False),
    (f"FREQ=MINUTELY;INTERVAL=20;{NINE_TO_FOUR}", None, False),
]


@pytest.mark.parametrize(("rule", "answer", "ends"), WITHIN_A_DAY)
def test_an_example_of_the_rfc_within_a_day(rule, answer, ends):
    times = answer.split() if answer else [f"{h}:{m:02}" for h in range(9, 17) for m in (0, 20, 40)]
    text = f"DTSTART;TZID=America/New_York:19970902T090000\nRRULE:{rule}"

    found = locals_of(recurrence(text, BERLIN, ANCHOR), NEW_YORK, len(times) * 2)

    expected = [f"1997-09-02 {each:0>5}" for each in times]
    if not ends:
        expected += [f"1997-09-03 {each:0>5}" for each in times]
    assert [f"{each:%Y-%m-%d %H:%M}" for each in found][: len(expected)] == expected
    assert (len(found) == len(expected)) == ends


def test_the_example_of_several_by_parts():
    rule = "FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYDAY=SU;BYHOUR=8,9;BYMINUTE=30"

    found = shown(f"DTSTART:19970105T083000\nRRULE:{rule}", 10)

    sundays = [5, 12, 19, 26]  # of January 1997; those of 1999 begin with the 3rd
    expected = [f"1997-01-{day:02} {hour}:30:00" for day in sundays for hour in ("08", "09")]
    assert found == [*expected, "1999-01-03 08:30:00", "1999-01-03 09:30:00"]


def test_nine_in_new_york_is_another_instant_in_winter():
    trigger = recurrence(
        "DTSTART;TZID=America/New_York:19971025T090000\nRRULE:FREQ=DAILY", BERLIN, ANCHOR
    )

    assert trigger.next_after(utc(1997, 10, 25)) == utc(1997, 10, 25, 13)
    assert trigger.next_after(utc(1997, 10, 26)) == utc(1997, 10, 26, 14)
