import math
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.errors import InvalidJob, NextFireTimeError
from celery_jobsched.triggers.every import parse_at, parse_every


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("15 minutes", (15, "minute")),
        ("month", (1, "month")),
        (" 2 WEEKS ", (2, "week")),
        ("1 Hour", (1, "hour")),
        ("0.5 seconds", (0.5, "second")),
        ("90.0 seconds", (90, "second")),
        ([3, "hour"], (3, "hour")),
        ((3, "hours"), (3, "hour")),
        ({"hours": 3}, (3, "hour")),
        (timedelta(minutes=1), (60, "second")),
        (timedelta(milliseconds=1500), (1.5, "second")),
        ("0.001 seconds", (0.001, "second")),
        ([1 / 3, "second"], (0.333333, "second")),
        (timedelta(microseconds=333333), (0.333333, "second")),
        ([1.0000001, "second"], (1, "second")),
    ],
)
def test_an_interval_is_read_from_text_and_from_python(value, expected):
    assert parse_every(value) == expected


NO_INTERVALS = [
    "", "minutes 15", "15", "15 fortnights", "0 minutes", "-1 minutes", "1.5 hours", "1e3 hours",
    "0.0001 seconds", "999999999999 years", "nan seconds", "\u0661 hours", "15 minutes\n",
    "15 wee\u212as", None, 15, 1.5, True, b"15 minutes", [], [3], [3, "hour", 1], ["3", "hour"],
    [True, "hour"], [math.nan, "second"], [math.inf, "second"], [10**400, "year"], [3, None],
    [3, []], {}, {"hours": 3, "minutes": 1}, {"hours": None}, {3: "hours"}, timedelta(0),
    timedelta(seconds=-1), timedelta.max, object(),
]  # fmt: skip


@pytest.mark.parametrize("value", [*NO_INTERVALS, pytest.param("1" * 1_000_000, id="a megabyte")])
def test_what_is_no_interval_is_refused(value):
    with pytest.raises(InvalidJob) as caught:
        parse_every(value)

    assert caught.value.field == "every"


NO_TIMES = [
    "", "25:00", "15:60", "15", "1530", "15:30:60", "noon", "mon", "\u0661:30", "15:30\n", None,
    15, True, [], ["15:30"], {"hour": 24}, {"hour": True}, {"hour": 1.5}, {"hour": "x"},
    {"hour": []}, {"minute": math.nan}, {"second": 10**400},
]  # fmt: skip


@pytest.mark.parametrize("value", [*NO_TIMES, pytest.param("1" * 1_000_000, id="a megabyte")])
def test_what_is_no_time_of_day_is_refused(value):
    with pytest.raises(InvalidJob) as caught:
        parse_at(value, "day")

    assert caught.value.field == "at"
    assert not isinstance(caught.value, NextFireTimeError)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (":30", "second"),
        ({"second": 0}, "second"),
        ({"minute": 0}, "minute"),
        ("14:00", "hour"),
        ({"hour": 14}, "hour"),
        ("mon 09:00", "day"),
        ("31 03:00", "week"),
        ("12-24 18:00", "month"),
        ("mon 09:00", "year"),
        ({"year": 2026}, "year"),
        ({1: 2}, "day"),
        ({}, "day"),
        ({"hour": None}, "day"),
        ({"hour": 9, "year": None}, "day"),
        ('{"hour": 9, "weather": null}', "day"),
    ],
)
def test_a_pair_that_could_fail_to_advance_is_refused(value, unit):
    with pytest.raises(NextFireTimeError) as caught:
        parse_at(value, unit)

    assert caught.value.field == "at"


@given(
    st.text(alphabet="0123456789:- monfebdc", max_size=20) | st.dictionaries(st.text(), st.none()),
    st.sampled_from(["second", "minute", "hour", "day", "week", "month", "year"]),
)
def test_reading_raises_nothing_else_whatever_comes(value, unit):
    with suppress(InvalidJob):
        parse_at(value, unit)
    with suppress(InvalidJob):
        parse_every(value)


def test_fields_as_json_are_read_as_the_dict_they_are():
    found = parse_at(' {"weekday": "mon", "hour": 9}', "week")

    assert found == parse_at({"weekday": "mon", "hour": 9}, "week")


@pytest.mark.parametrize(
    "value",
    ["{", "{}", '{"hour": NaN}', '{"hour": {}}', "{" * 300, '{"hour": 9}' + " " * 256 + "x"],
)
def test_json_that_names_no_time_of_day_is_refused(value):
    with pytest.raises(InvalidJob) as caught:
        parse_at(value, "day")

    assert caught.value.field == "at"
