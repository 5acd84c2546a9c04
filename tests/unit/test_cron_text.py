from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.cron import parse_cron


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


@given(st.text(alphabet="0123456789*/-,?@#LW jansumo\t\n٣", max_size=30) | st.text())
def test_reading_raises_nothing_else_whatever_comes(text):
    with suppress(InvalidJob):
        assert parse_cron(text)


def test_an_expression_is_read_once():
    assert parse_cron("1 2 3 4 *") is parse_cron("1 2 3 4 *")
