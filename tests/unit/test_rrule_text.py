"""Recurrence rules: every text is read, or refused by an error that names the part."""

import random
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
import pytz
from dateutil.rrule import DAILY, rrule
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.entries import celery_schedule
from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from celery_jobsched.triggers.rrule import parse_rrule, recurrence
from tests.pace import paced
from tests.unit.test_rrule import ANCHOR

LINES = "DTSTART;TZID=Europe/Berlin:20260701T090000\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE:20260702"

SPELLINGS = [
    # What people write, and its canonical spelling
    ("FREQ=DAILY", "FREQ=DAILY"),
    ("RRULE:FREQ=DAILY", "FREQ=DAILY"),
    ("rrule:freq=weekly;byday=mo,we", "FREQ=WEEKLY;BYDAY=MO,WE"),
    ("INTERVAL=2;FREQ=DAILY;", "INTERVAL=2;FREQ=DAILY"),
    (" FREQ=DAILY ; BYHOUR = 9 , 17\n", "FREQ=DAILY;BYHOUR=9,17"),
    ("FREQ=MONTHLY;BYDAY=+1MO,-1FR", "FREQ=MONTHLY;BYDAY=+1MO,-1FR"),
    (LINES, LINES),
    (LINES.replace("\n", "\r\n"), LINES),
    (LINES.replace("\n", "\r"), LINES),
    (LINES.replace("\n", " "), LINES),
    (LINES.replace("\n", "\\n"), LINES),
    (LINES.replace("\n", "\n\n    "), LINES),
    (LINES.replace("RRULE:", ""), LINES),
    (LINES.replace("Europe/Berlin", '"europe/berlin"'), LINES),
    (LINES.replace(";COUNT", ";\n COUNT"), LINES),
    (LINES.replace("COUNT", "COU\n\tNT"), LINES),
    (f"\n    {LINES}\n    ", LINES),
    ("RDATE;value=date:20260701", "RDATE;VALUE=DATE:20260701"),
    (
        "DTSTART;TZID=UTC:20260701t090000 FREQ=DAILY",
        "DTSTART;TZID=UTC:20260701T090000\nRRULE:FREQ=DAILY",
    ),
]


@pytest.mark.parametrize(("text", "canonical"), SPELLINGS)
def test_lines_are_read_as_people_write_them(text, canonical):
    read = parse_rrule(text)

    assert read.text == canonical
    assert parse_rrule(read.text) == read


REFUSED = [
    # The text, and what its refusal names
    ("", "RRULE"),
    (" \n ", "RRULE"),
    ("daily", "'daily'"),
    ("every day", "RRULE"),
    ("0 9 * * *", "RRULE"),
    ("RRULE:", "RRULE"),
    ("RRULE:DAILY", "RRULE"),
    ("RRULE;X=1:FREQ=DAILY", "RRULE"),
    ("BEGIN:VEVENT\nRRULE:FREQ=DAILY", "BEGIN"),
    ("FREQ=DAILY SUMMARY:x", "SUMMARY"),
    ("FREQ=DAILY FREQ=DAILY;COUNT", "COUNT"),
    ("EXRULE:FREQ=DAILY", "EXRULE"),
    ("\n".join(["RRULE:FREQ=DAILY"] * 6), "RRULE"),
    ("DTSTART:20260701T090000", "RRULE"),
    ("EXDATE:20260701T090000", "RRULE"),
    ("FREQ=DAILY" + " " * 10_000, "10000"),
    # parts
    ("COUNT=5", "FREQ"),
    ("FREQ=FORTNIGHTLY", "FREQ"),
    ("FREQ=", "FREQ"),
    ("FREQ=DAILY;FREQ=DAILY", "FREQ"),
    ("FREQ=DAILY;;COUNT=1", "''"),
    ("FREQ=DAILY;COUNT", "'COUNT'"),
    ("FREQ=DAILY;X-EVERY=2", "X-EVERY"),
    ("RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD", "RSCALE"),
    ("FREQ=DAILY;DTSTART=20260701T090000", "DTSTART"),
    ("FREQ=YEARLY;BYEASTER=0", "BYEASTER"),
    ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=-1", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=+1", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=1.5", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=1_0", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=1E3", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=NAN", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=365001", "INTERVAL"),
    ("FREQ=YEARLY;INTERVAL=" + "9" * 5000, "INTERVAL"),
    ("FREQ=DAILY;COUNT=0", "COUNT"),
    ("FREQ=DAILY;COUNT=100001", "COUNT"),
    ("FREQ=DAILY;COUNT=3;UNTIL=20260701", "COUNT"),
    ("FREQ=DAILY;UNTIL=TOMORROW", "UNTIL"),
    ("FREQ=DAILY;UNTIL=20260230", "UNTIL"),
    ("FREQ=DAILY;UNTIL=20260701T2400", "UNTIL"),
    ("FREQ=DAILY;UNTIL=20260701T240000", "UNTIL"),
    ("FREQ=DAILY;UNTIL=00000101", "UNTIL"),
    ("FREQ=DAILY;UNTIL=2026-07-01", "UNTIL"),
    ("FREQ=DAILY;BYSECOND=61", "BYSECOND"),
    ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE"),
    ("FREQ=DAILY;BYHOUR=24", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=-1", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=+1", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=1 2", "RRULE"),
    ("FREQ=DAILY;BYHOUR=", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=1,,2", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=1-5", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=*", "BYHOUR"),
    ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
    ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
    ("FREQ=MONTHLY;BYMONTHDAY=-32", "BYMONTHDAY"),
    ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
    ("FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY"),
    ("FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY"),
    ("FREQ=WEEKLY;BYYEARDAY=1", "BYYEARDAY"),
    ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY"),
    ("FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO"),
    ("FREQ=YEARLY;BYWEEKNO=0", "BYWEEKNO"),
    ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO"),
    ("FREQ=YEARLY;BYMONTH=13", "BYMONTH"),
    ("FREQ=YEARLY;BYMONTH=0", "BYMONTH"),
    ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH"),
    ("FREQ=YEARLY;BYMONTH=JAN", "BYMONTH"),
    ("FREQ=WEEKLY;BYDAY=MONDAY", "BYDAY"),
    ("FREQ=WEEKLY;BYDAY=1", "BYDAY"),
    ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY"),
    ("FREQ=DAILY;BYDAY=1MO", "BYDAY"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "BYDAY"),
    ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY"),
    ("FREQ=YEARLY;BYDAY=54MO", "BYDAY"),
    ("FREQ=WEEKLY;WKST=1", "WKST"),
    ("FREQ=WEEKLY;WKST=MO,TU", "WKST"),
    ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367", "BYSETPOS"),
    # dates
    ("DTSTART:20260701T090000\nDTSTART:20260701T090000\nRRULE:FREQ=DAILY", "DTSTART"),
    ("DTSTART:20260701T090000,20260702T090000\nRRULE:FREQ=DAILY", "DTSTART"),
    ("DTSTART:NOW\nRRULE:FREQ=DAILY", "DTSTART"),
    ("DTSTART:\nRRULE:FREQ=DAILY", "DTSTART"),
    ("DTSTART:20260701T090000+0200\nRRULE:FREQ=DAILY", "DTSTART"),
    ("DTSTART;TZID=Mars/Olympus:20260701T090000\nRRULE:FREQ=DAILY", "TZID"),
    ("DTSTART;TZID=../etc/passwd:20260701T090000\nRRULE:FREQ=DAILY", "TZID"),
    ("DTSTART;TZID=:20260701T090000\nRRULE:FREQ=DAILY", "TZID"),
    ("DTSTART;TZID=Asia/Tokyo:20260701T090000Z\nRRULE:FREQ=DAILY", "TZID"),
    ("DTSTART;TZID=Asia/Tokyo;TZID=UTC:20260701T090000\nRRULE:FREQ=DAILY", "TZID"),
    ("DTSTART;X=1:20260701T090000\nRRULE:FREQ=DAILY", "'X=1'"),
    ("DTSTART;VALUE=DATE:20260701T090000\nRRULE:FREQ=DAILY", "VALUE"),
    ("DTSTART;VALUE=DATE-TIME:20260701\nRRULE:FREQ=DAILY", "VALUE"),
    ("RDATE;VALUE=PERIOD:20260701T090000Z/PT1H", "PERIOD"),
    ("RRULE:FREQ=DAILY\nEXDATE:20260701T090000,", "EXDATE"),
    # not such text at all
    ("FREQ=DAILY;BYHOUR=\u0661", "ASCII"),
    ("FREQ=DAILY\0", "ASCII"),
    ("FREQ=DAILY\x1d;COUNT=2", "ASCII"),
    ("FREQ=DAILY\u2028RRULE:FREQ=DAILY", "ASCII"),
    ("FREQ=DAILY;COUNT=1'; DROP TABLE jobsched_jobs; --", "COUNT"),
    ("FREQ=DAILY;COUNT={0.__class__}", "COUNT"),
]


@pytest.mark.parametrize(("text", "named"), REFUSED)
def test_a_wrong_text_is_refused_by_a_sentence_that_names_the_part(text, named):
    with pytest.raises(InvalidJob) as caught:
        parse_rrule(text)

    assert caught.value.field == "rrule"
    assert named in caught.value.expected
    assert len(caught.value.sentence) < 600


@pytest.mark.parametrize(
    "value",
    [None, 1, True, b"FREQ=DAILY", ["FREQ=DAILY"], {}, rrule(DAILY, count=1)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_text_is_refused(value):
    with pytest.raises(InvalidJob, match=r"str\(rule\)"):
        parse_rrule(value)


def test_a_rule_of_dateutil_is_read_by_its_text():
    rule = rrule(DAILY, dtstart=ANCHOR.replace(tzinfo=None), count=3, byhour=9)

    read = parse_rrule(str(rule))

    assert read.start.local == ANCHOR.replace(tzinfo=None)
    assert (read.rules[0].freq, read.rules[0].count, read.rules[0].hours) == ("DAILY", 3, (9,))


ALL = {"hour": range(24), "minute": range(60), "second": range(60)}
EACH_TIME = ";".join(f"BY{name.upper()}=" + ",".join(map(str, all_)) for name, all_ in ALL.items())
POSITIONS = ",".join(map(str, (*range(1, 367), *range(-366, 0))))
COSTLY = [
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=SECONDLY;INTERVAL=363;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3;COUNT=100000",
    "FREQ=SECONDLY;INTERVAL=31622400;BYHOUR=9",
    "FREQ=DAILY;INTERVAL=353;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;COUNT=100000",
    "FREQ=WEEKLY;INTERVAL=50021;BYDAY=MO;BYMONTH=2",
    "FREQ=MONTHLY;INTERVAL=11;BYMONTHDAY=29;BYMONTH=2;BYDAY=MO;COUNT=100000",
    f"FREQ=MONTHLY;{EACH_TIME};BYSETPOS={POSITIONS};COUNT=100000",
    f"FREQ=DAILY;INTERVAL=3;{EACH_TIME};BYSETPOS={POSITIONS};COUNT=100000",
    "RRULE:FREQ=HOURLY;INTERVAL=7;BYMONTH=1;COUNT=100000\n" * 5,
    "DTSTART:19000101T000000\nRRULE:FREQ=DAILY\nEXDATE:" + ",".join(["20260101"] * 1100),
    "RRULE:FREQ=DAILY" + "\nRDATE:20260101T000000" * 450,
    "RRULE:" * 1666,
    "FREQ=DAILY" + ";BYHOUR=1" * 1100,
    "FREQ=DAILY;BYHOUR=" + "1," * 4990,
    "FREQ=DAILY" + " " * 9980,
    "FREQ=DAILY" + "\n " * 4990,
    "FREQ=DAILY" + "\\n" * 4990,
    ";" * 10_000,
    "=" * 10_000,
    "FREQ=DAILY;COUNT=" + "9" * 9980,
    "FREQ=DAILY" * 100_000,
]


@pytest.mark.parametrize("text", COSTLY, ids=lambda text: f"{text[:40]}… {len(text)}")
def test_no_text_takes_long_to_read_or_to_refuse(text):
    def seconds():
        parse_rrule.__globals__["_parsed"].cache_clear()
        recurrence.cache_clear()
        began = time.thread_time()
        with suppress(InvalidJob):
            recurrence(text, pytz.utc, ANCHOR)
        return time.thread_time() - began

    # The best of three, of this thread's own time: it is no matter what else the machine does.
    assert min(seconds() for _ in range(3)) < paced(0.05)


WORDS = """RRULE: DTSTART: ;TZID=Europe/Berlin: EXDATE: RDATE: FREQ=DAILY FREQ=YEARLY FREQ=SECONDLY
INTERVAL= COUNT= UNTIL= BYDAY=MO BYSETPOS= BYMONTHDAY= BYHOUR= WKST= 1 -1 29 366 20260701 T090000 Z
, ; = : + - \\n"""
SPACES = ["\n", " ", "\t", "\r\n ", "\0", "\u0663", "é"]
PIECES = st.sampled_from([*WORDS.split(), *SPACES])


@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=60))
def test_reading_raises_nothing_else_whatever_comes(text):
    with suppress(InvalidJob):
        read = parse_rrule(text)

        assert parse_rrule(read.text) == read
        assert recurrence(text, pytz.utc, ANCHOR).next_after(clock.UTC.fromutc(ANCHOR)) != ANCHOR


def test_a_text_with_one_character_changed_is_read_or_refused():
    text, chance = LINES.replace("COUNT=4", "BYDAY=MO,-1FR;BYSETPOS=-1;WKST=SU"), random.Random(1)

    for _ in range(2000):
        at = chance.randrange(len(text))
        changed = text[:at] + chance.choice("0123456789-+,;:=TZ MOFRQ\n\\/") + text[at + 1 :]
        with suppress(InvalidJob):
            recurrence(changed, pytz.utc, ANCHOR)


def test_each_example_of_its_page_is_read():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "rrule.md").read_text()
    examples = re.findall(r"^\| `((?:FREQ=|DTSTART:)[^`]*)`", page, re.MULTILINE)

    assert len(examples) == 8
    assert all(recurrence(each, pytz.utc, ANCHOR).next_after(ANCHOR) for each in examples)


def test_a_job_keeps_the_canonical_text():
    job = Job.from_dict("j", {"task": "t", "rrule": "rrule:freq=daily; byhour=9"})

    assert job.rrule == "FREQ=DAILY;BYHOUR=9"
    assert Job.from_dict("j", job.to_dict()) == job


def test_a_job_says_what_is_wrong_with_its_rule():
    with pytest.raises(InvalidJob, match=r"job 'j': rrule: expected a time that comes: BYMONTH"):
        Job.from_dict("j", {"task": "t", "rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"})


def test_a_rule_of_a_job_begins_where_the_job_does():
    rule = {"task": "t", "rrule": "FREQ=HOURLY;INTERVAL=2;COUNT=3", "timezone": "Asia/Kolkata"}
    job = Job.from_dict("j", {**rule, "starts_at": "2026-07-01T00:15:00Z"})

    found = job.upcoming(ANCHOR, 5)

    assert [f"{each:%H:%M}" for each in found] == ["00:15", "02:15", "04:15"]
    assert job.previous(found[2], 5) == found[1::-1]


@pytest.mark.parametrize("other", [{}, {"cron": "0 9 * * *"}, {"every": "1 hour"}])
def test_no_schedule_of_celery_says_what_a_rule_says(other):
    job = Job.from_dict("j", {"task": "t", "rrule": "FREQ=DAILY;BYHOUR=9", **other})

    assert celery_schedule(job) is None
