from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers import AnyOf
from celery_jobsched.triggers.once import Once, parse_once

UTC = clock.UTC
BERLIN = clock.zone("Europe/Berlin")
AUCKLAND = clock.zone("Pacific/Auckland")


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


def naive(*fields):
    return datetime(*fields)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-12-24 18:00", [utc(2026, 12, 24, 17)]),
        ("2026-07-01", [utc(2026, 6, 30, 22)]),
        ("2026-12-24T18:00:00Z", [utc(2026, 12, 24, 18)]),
        ("2026-12-24t18:00z", [utc(2026, 12, 24, 18)]),
        ("2026-11-20 23:36:58.123456+00", [utc(2026, 11, 20, 23, 36, 58, 123456)]),
        ("2026-11-20 23:36:58.5 +01:00", [utc(2026, 11, 20, 22, 36, 58, 500000)]),
        ("2026-11-20 23:36:58.123456789+0100", [utc(2026, 11, 20, 22, 36, 58, 123456)]),
        ("2026-11-20 23:36-05:30", [utc(2026, 11, 21, 5, 6)]),
        ("2026-07-02; 2026-07-01 ,\n2026-07-02;", [utc(2026, 6, 30, 22), utc(2026, 7, 1, 22)]),
        (naive(2026, 7, 1, 12), [utc(2026, 7, 1, 10)]),
        (datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=5))), [utc(2026, 6, 30, 19)]),
        (["2026-07-02", utc(2026, 7, 1)], [utc(2026, 7, 1), utc(2026, 7, 1, 22)]),
    ],
)
def test_instants_are_read_as_people_and_databases_write_them(value, expected):
    assert parse_once(value, BERLIN) == tuple(expected)


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        (BERLIN, "2026-03-29 02:30", utc(2026, 3, 29, 1)),
        (BERLIN, "2026-10-25 02:30", utc(2026, 10, 25, 0, 30)),
        (AUCKLAND, "2026-09-27 02:30", utc(2026, 9, 26, 14)),
        (AUCKLAND, "2026-04-05 02:30", utc(2026, 4, 4, 13, 30)),
    ],
)
def test_a_naive_instant_obeys_the_dst_rule(zone, local, expected):
    assert parse_once(local, zone) == (expected,)


def test_a_naive_instant_obeys_the_dst_options():
    both = parse_once("2026-10-25 02:30", BERLIN, fold="both")

    assert both == (utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30))
    with pytest.raises(InvalidJob, match="at least one"):
        parse_once("2026-03-29 02:30", BERLIN, gap="skip")


class Broken(timezone.utc.__class__.__base__):
    def utcoffset(self, _):
        raise KeyError("no such zone")


NO_INSTANTS = [
    "2026-01-02Z", "", " ", ",", "tomorrow", "2026-02-30", "2026-13-01", "2026-01-01 25:00",
    "2026-01-01 24:00",
    "2026-1-1", "20260101", "2026-01-01 10:00+25", "2026-01-01 10:00+01:99:99", "0000-01-01",
    "0001-01-01T00:00+05", "9999-12-31T23:59-05", "\u0662026-01-01", "2026-01-01\0", None, 5, 1.5,
    True, b"2026-01-01", [], [[]], [None], [[["2026-01-01"]]], {}, {"2026-01-01": 1},
    datetime(2026, 1, 1, tzinfo=Broken()), ["2026-01-01"] * 20_000, "2026-01-01," * 2_001,
]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [*NO_INSTANTS, pytest.param("2" * 1_000_000, id="a megabyte")],
    ids=lambda value: repr(value)[:30] if not isinstance(value, datetime) else "broken zone",
)
def test_what_is_no_instant_is_refused(value):
    with pytest.raises(InvalidJob) as caught:
        parse_once(value, BERLIN)

    assert caught.value.field == "once"


@given(st.text(alphabet="0123456789-:+TZ .,;\n", max_size=30) | st.text())
def test_reading_raises_nothing_else_whatever_comes(text):
    with suppress(InvalidJob):
        assert parse_once(text, BERLIN)


def test_each_instant_occurs_once_and_in_order():
    trigger = Once(parse_once("2026-01-02; 2026-01-01; 2026-01-01", pytz.utc))

    assert trigger.next_after(utc(2025, 1, 1)) == utc(2026, 1, 1)
    assert trigger.next_after(utc(2026, 1, 1)) == utc(2026, 1, 2)
    assert trigger.next_after(utc(2026, 1, 2)) is None
    assert trigger.previous_before(utc(2026, 1, 3)) == utc(2026, 1, 2)
    assert trigger.previous_before(utc(2026, 1, 2)) == utc(2026, 1, 1)
    assert trigger.previous_before(utc(2026, 1, 1)) is None


def test_an_instant_of_several_triggers_occurs_once():
    either = AnyOf((Once((utc(2026, 1, 1), utc(2026, 1, 2))), Once((utc(2026, 1, 2),)), Once(())))

    assert either.next_after(utc(2026, 1, 1)) == utc(2026, 1, 2)
    assert either.next_after(utc(2026, 1, 2)) is None
    assert either.previous_before(utc(2026, 1, 2)) == utc(2026, 1, 1)
    assert either.previous_before(utc(2026, 1, 1)) is None
    assert AnyOf(()).next_after(utc(2026, 1, 1)) is None
