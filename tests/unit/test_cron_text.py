from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.cron import parse_cron


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("61 * * * *", 'minute from 0 to 59 in "61 * * * *"'),
        ("* 24 * * *", 'hour from 0 to 23 in "* 24 * * *"'),
        ("* * 0 * *", 'day of month from 1 to 31 in "* * 0 * *"'),
        ("* * * 13 *", 'month from 1 to 12, or jan to dec in "* * * 13 *"'),
        ("* * * * 8", 'day of week from 0 to 7, or sun to sat in "* * * * 8"'),
        ("? * * * *", 'minute from 0 to 59 in "? * * * *"'),
        ("* * * * fri-mon", 'day of week with a range that ascends in "* * * * fri-mon"'),
        ("*/0 * * * *", 'minute with a step of at least 1 in "*/0 * * * *"'),
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
    "", " ", "* * * *", "* * * * * *", "0 0 0 0 0", "@reboot", "@", "\u0661 * * * *", "* * * * *\n",
    "\0 * * * *", "a * * * *", "-1 * * * *", "1- * * * *", "1,, * * * *", "*/ * * * *",
    "1.5 * * * *", "5-1 * * * *", "*-5 * * * *", "0 0 L * *", "0 0 * * 5#2",
    "TZ=UTC * * * * *", None, 5, True, 1.5, [], {}, ["* * * * *"], b"* * * * *", float("nan"),
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
