import re
from contextlib import suppress
from timeit import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.errors import InvalidJob, shown
from celery_jobsched.job import Job
from celery_jobsched.triggers.cron import parse_cron, split_cron
from tests.processes import ROOT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("61 * * * *", "minute from 0 to 59, not '61'"),
        ("0,1,99 * * * *", "minute from 0 to 59, not '99'"),
        ("* 24 * * *", "hour from 0 to 23, not '24'"),
        ("* * 0 * *", "day of month from 1 to 31, L, L-3, LW or 15W, not '0'"),
        ("* * * 13 *", "month from 1 to 12, or jan to dec, not '13'"),
        ("* * * * 8", "day of week from 0 to 7, or sun to sat, fri#2 or friL, not '8'"),
        ("? * * * *", "minute from 0 to 59, not '?'"),
        ("* * ?/2 * *", "day of month from 1 to 31, L, L-3, LW or 15W, not '?/2'"),
        ("* * * * fri-mon", "day of week with a range that ascends, not 'fri-mon'"),
        ("* * 20-10 * *", "day of month with a range that ascends, not '20-10'"),
        ("*/0 * * * *", "minute with a step from 1 to 60, not '0'"),
        ("*/90 * * * *", "minute with a step from 1 to 60, not '90'"),
        ("* * * * */8", "day of week with a step from 1 to 7, not '8'"),
        ("60 * * * * *", "second from 0 to 59, not '60'"),
        ("* 60 * * * *", "minute from 0 to 59, not '60'"),
        ("0 0 0 1 1 ? 1969", "year from 1970 to 2099, not '1969'"),
        ("0 0 0 1 1 ? 2100", "year from 1970 to 2099, not '2100'"),
        ("H * * * *", "minute from 0 to 59, not 'h'"),
        ("0 0 32W * *", "day of month from 1 to 31, L, L-3, LW or 15W, not '32'"),
        ("0 0 1-5W * *", "day of month from 1 to 31, L, L-3, LW or 15W, not '1-5w'"),
        ("0 0 L-31 * *", "day of month at most 30 before the last"),
        ("0 0 * * 5#6", "day of week from 0 to 7, or sun to sat, fri#2 or friL, not '5#6'"),
        ("0 0 * * L", "day of week with its day before L, such as friL, or just sat"),
        ("TZ=UTC 0 9 * * *", "no zone in it: the column timezone names it"),
        ("cron_tz = UTC 0 9 * * *", "no zone in it: the column timezone names it"),
    ],
)
def test_a_refusal_names_the_field_and_what_it_takes(text, expected):
    with pytest.raises(InvalidJob) as caught:
        parse_cron(text)

    assert (caught.value.field, caught.value.expected) == ("cron", expected)


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 4 */2"])
def test_a_date_that_never_comes_is_refused_when_read(text):
    with pytest.raises(InvalidJob, match="a date that comes"):
        parse_cron(text)


NO_CRONS = [
    "", " ", "* * * *", "* * * * * * * *", "0 0 0 0 0", "@reboot", "@", "\u0661 * * * *",
    "* * * * *\n", "\0 * * * *", "a * * * *", "-1 * * * *", "1- * * * *", "1,, * * * *",
    "*/ * * * *", "1.5 * * * *", "5-1 * * * *", "*-5 * * * *", "0 0 * L *", "0 0 5#2 * *",
    "0 0 * * 15W", "99999999999 * * * *", "*/99999999999 * * * *", "0 0 0-99999 * *",
    None, 5, True, 1.5, [], {}, ["* * * * *"], b"* * * * *", float("nan"),
]  # fmt: skip


@pytest.mark.parametrize("value", [*NO_CRONS, pytest.param("1," * 500_000, id="a megabyte")])
def test_what_is_no_expression_is_refused(value):
    with pytest.raises(InvalidJob):
        parse_cron(value)


#: As long as the column may hold, or as slow as a text may be.
LONGEST = [
    "0," * 127 + "0 * * * *",
    "0-59/1," * 34 + "0 0 * * *",
    "0 0 1 1 ? " + "1970-2099," * 24 + "1970",
    "0 0 " + "31W," * 60 + "1 2 *",
    "0 0 ? * " + "fri#5," * 40 + "sat#5",
    "{" * 255,
    "[" * 255,
    '{"hour":' * 31,
    "hour=" * 51,
    "day=" + "5th mon," * 30 + "5th sun",
    "day=1 week=2 month=3-12",
    "week=1 month=2-11",
    "month=2 day=30 week=1-53 day_of_week=sun#5",
]


@pytest.mark.parametrize("text", LONGEST)
def test_a_text_is_read_or_refused_within_milliseconds(text):
    def read():
        with suppress(InvalidJob):
            parse_cron(text)

    assert min(repeat(read, number=1, repeat=3)) < 0.05


NO_FIELDS = [
    ({}, "at least one of year, month, day, week, day_of_week, hour, minute, second"),
    ({"hour": None}, "at least one of year, month, day, week, day_of_week, hour, minute, second"),
    ({"hours": 9}, "fields named year, month, day, week, day_of_week, hour, minute, second,"),
    ({9: 9}, "fields named year, month"),
    ({"hour": True}, "hour as a number or a text, not True"),
    ({"hour": 9.5}, "hour as a number or a text, not 9.5"),
    ({"hour": [9]}, "hour as a number or a text, not [9]"),
    ({"hour": -1}, "hour as a number or a text, not -1"),
    ({"hour": 10**5000}, "hour as a number or a text"),
    ({"hour": ""}, "hour as a number or a text, not ''"),
    ({"hour": "9" * 1_000_000}, "hour as a number or a text"),
    ({"hour": "\u0669"}, "hour as a number or a text, not '\u0669'"),
    ({"hour": "9\n"}, "hour from 0 to 23, not '9\\n'"),
    ({"hour": 24}, "hour from 0 to 23, not '24'"),
    ({"week": 54}, "week from 1 to 53, not '54'"),
    ({"year": 2100}, "year from 1970 to 2099, not '2100'"),
    ({"day_of_week": 0}, "day of week by name, mon to sun, not '0'"),
    ({"day_of_week": "mon-5"}, "day of week by name, mon to sun, not 'mon-5'"),
    ({"day": "6th mon"}, "day of month from 1 to 31, L, L-3, LW or 15W, not '6th mon'"),
    ({"month": "february"}, "month from 1 to 12, or jan to dec, not 'february'"),
    ("hour=9 hour=10", "each field once, as hour=9 day_of_week=mon-fri, not 'hour=10'"),
    ("9 hour=10", "each field once, as hour=9 day_of_week=mon-fri, not '9'"),
    ("hour=", "hour as a number or a text, not ''"),
    ('{"hour": 9, "hour": 10}', "each field once"),
    ('{"hour": 9', "fields by name as JSON"),
    ('{"hour": NaN}', "hour as a number or a text, not nan"),
    ('{"hour": {"minute": 1}}', "hour as a number or a text"),
]


@pytest.mark.parametrize(("value", "expected"), NO_FIELDS, ids=lambda each: shown(each)[:40])
def test_what_are_no_fields_by_name_is_refused(value, expected):
    with pytest.raises(InvalidJob) as caught:
        parse_cron(value)

    assert caught.value.field == "cron"
    assert caught.value.expected.startswith(expected)
    assert len(caught.value.sentence) < 500


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" 0  9\t* * MON-fri ", "0 9 * * MON-fri"),
        ("@Daily", "@Daily"),
        ({"day_of_week": "MON-Fri", "hour": 9}, "day_of_week=mon-fri hour=9"),
        ('{"hour": "9 , 17"}', "hour=9,17"),
        (" minute = 5   day=last  fri, 1st MON", "day=last fri,1st mon minute=5"),
    ],
)
def test_the_canonical_text_is_what_the_row_keeps(value, text):
    assert parse_cron(value).text == text
    assert Job.from_dict("j", {"task": "t", "cron": value}).cron == text


def test_the_field_texts_are_there_for_who_tells_them():
    assert split_cron("30 9 ? * MON-FRI") == {
        "year": "*", "month": "*", "day": "?", "week": "*", "day_of_week": "mon-fri",
        "hour": "9", "minute": "30", "second": "0",
    }  # fmt: skip
    assert split_cron("day=1") == {
        "year": "*", "month": "*", "day": "1", "week": "*", "day_of_week": "*",
        "hour": "0", "minute": "0", "second": "0",
    }  # fmt: skip


PAGE = (ROOT / "docs" / "reference" / "cron.md").read_text()


def test_the_examples_of_the_page_are_read():
    table = PAGE.partition("| sign |")[2].partition("\n\n")[0]
    examples = [row.split("|")[-2].split("`")[1] for row in table.splitlines()[2:]]
    named = re.findall(r"^\| `([a-z_]+=[^`]+)` \| (?!day of week)", PAGE, re.MULTILINE)

    assert (len(examples), len(named)) == (13, 6)
    assert all(parse_cron(text) for text in (*examples, *named))


def test_the_refusals_of_the_page_are_what_is_said():
    table = PAGE.partition("| text | cron: expected")[2]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)

    assert len(rows) == 6
    for text, expected in rows:
        with pytest.raises(InvalidJob) as caught:
            parse_cron(text)
        assert caught.value.expected == expected


SIGNS = "0123456789*/-,?@#LW jansumo=\t\n٣"


@given(
    st.text(alphabet=SIGNS, max_size=30) | st.text() | st.from_regex(r"(day|hour)=[a-z0-9 *=,]+")
)
def test_reading_raises_nothing_else_whatever_comes(text):
    with suppress(InvalidJob):
        assert parse_cron(text)


def test_an_expression_is_read_once():
    assert parse_cron("1 2 3 4 *") is parse_cron("1 2 3 4 *")
