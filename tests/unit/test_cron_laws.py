"""The laws of every trigger, for cron in all its forms: expressions, macros, fields by name."""
# ruff: noqa: DTZ001 - a local time has no zone

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
import pytz
from hypothesis import assume, given
from hypothesis import strategies as st

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.cron import Cron, CronFields, parse_cron, split_cron
from celery_jobsched.triggers.cron.expression import MACROS
from tests.effort import examples
from tests.laws import check_laws, lines_run

ZONES = sorted(pytz.all_timezones)
#: Those whose clocks do what is rare: half an hour, at midnight, a day left out, twice a year.
RARE_ZONES = ["Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca"]
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2060, 1, 1), timezones=st.just(clock.UTC))
ANYWHEN = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(clock.UTC))
MONTHS = st.sampled_from(["jan", "Feb", "MAR", "sep", "dec"])
WEEKDAYS = st.sampled_from(["sun", "Mon", "FRI", "sat", "0", "3", "7"])
#: The most lines of the package that one question may run: 40 years is the longest that a day of
#: the calendar stays away, and each of their months is looked at in some twenty lines.
MOST_LINES = 40 * 12 * 20


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    """Items of a field of numbers."""
    number = st.integers(least, most)
    step = st.integers(1, most - least)
    ranges = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    stepped = st.builds("{}/{}".format, ranges | number | st.just("*"), step)
    return number.map(str) | ranges | stepped


def field(
    least: int, most: int, *signs: st.SearchStrategy[str], star: str = "*"
) -> st.SearchStrategy[str]:
    items = st.one_of(numbers(least, most), *signs)
    return st.sampled_from(star) | st.lists(items, min_size=1, max_size=3).map(",".join)


DAY_SIGNS = (
    st.sampled_from(["L", "LW", "l-3", "L-30", "L-2W"]),
    st.builds("{}W".format, st.integers(1, 31)),
)
WEEKDAY_SIGNS = (
    WEEKDAYS,
    st.builds("{}L".format, WEEKDAYS),
    st.builds("{}#{}".format, WEEKDAYS, st.integers(1, 5)),
)
FIVE = (
    field(0, 59),
    field(0, 23),
    field(1, 31, *DAY_SIGNS, star="*?"),
    field(1, 12, MONTHS),
    field(0, 6, *WEEKDAY_SIGNS, star="*?"),
)
EXPRESSIONS = st.one_of(
    st.tuples(*FIVE).map(" ".join),
    st.tuples(field(0, 59), *FIVE).map(" ".join),
    st.tuples(field(0, 59), *FIVE, field(1970, 2099)).map(" ".join),
    st.sampled_from(list(MACROS)),
)
NAMED = st.fixed_dictionaries(
    {},
    optional={
        "year": field(1970, 2099) | st.integers(1970, 2099),
        "month": field(1, 12, MONTHS),
        "day": field(1, 31, *DAY_SIGNS, st.sampled_from(["last", "2nd mon", "last fri"])),
        "week": field(1, 53),
        "day_of_week": st.sampled_from(["*", "mon-fri", "Sat,sun", "mon-sun/2", "wed#2,friL"]),
        "hour": field(0, 23) | st.integers(0, 23),
        "minute": field(0, 59),
        "second": field(0, 59),
    },
).filter(bool)


def read(value: object) -> CronFields:
    try:
        return parse_cron(value)
    except InvalidJob as refused:
        assume("a date that comes" not in refused.expected and "255" not in refused.expected)
        raise


def triggers(texts: st.SearchStrategy[object]) -> st.SearchStrategy[Cron]:
    return st.builds(
        Cron,
        texts.map(read),
        st.sampled_from(RARE_ZONES + ZONES).map(clock.zone),
        st.sampled_from(["run", "skip"]),
        st.sampled_from(["first", "both"]),
    )


@given(triggers(EXPRESSIONS | NAMED), INSTANTS)
@examples(150)
def test_the_laws_hold(trigger: Cron, instant: datetime) -> None:
    check_laws(trigger, instant)


@given(triggers(EXPRESSIONS | NAMED), st.data())
@examples(80)
def test_the_laws_hold_around_a_change_of_the_clocks(trigger: Cron, data: st.DataObject) -> None:
    starts = clock.stretches(trigger.zone).starts[1:]
    assume(starts)
    start = data.draw(st.sampled_from(starts))
    around = data.draw(st.timedeltas(timedelta(hours=-3), timedelta(hours=3)))

    check_laws(trigger, clock.EPOCH + start + around)


@given(EXPRESSIONS)
@examples(150)
def test_an_expression_reads_back_from_its_canonical_text(text: str) -> None:
    fields = read(text)

    again = parse_cron(fields.text)

    assert (again, again.text) == (fields, fields.text)
    assert fields.text.split() == text.split()


@given(NAMED)
@examples(150)
def test_fields_by_name_read_back_from_their_canonical_text(given: dict[str, object]) -> None:
    fields = read(given)

    again = parse_cron(fields.text)

    assert (again, again.text) == (fields, fields.text)
    assert parse_cron(json.dumps(given)).text == fields.text
    assert split_cron(fields.text) == split_cron(json.dumps(given))


@given(triggers(EXPRESSIONS | NAMED), ANYWHEN)
@examples(100)
def test_no_question_takes_more_than_a_stated_number_of_steps(
    trigger: Cron, instant: datetime
) -> None:
    trigger.next_after(instant)  # a zone is cut into stretches once

    assert lines_run(trigger.next_after, instant) <= MOST_LINES
    assert lines_run(trigger.previous_before, instant) <= MOST_LINES


@pytest.mark.parametrize(
    "text",
    [
        "month=2 day=29 day_of_week=mon",  # 28 or 40 years
        "day=29 week=9 day_of_week=sun",  # the same, looked for in every month
        "day=1 week=53 day_of_week=sat",
        "0 0 0 31 12 ? 2099",
        "0 0 0 29 2 ? 2000",
    ],
)
def test_what_comes_rarely_is_found_within_the_same_bound(text: str) -> None:
    trigger = Cron(parse_cron(text), pytz.utc)

    for year in (1, 1896, 1970, 2071, 5000, 9998):
        instant = datetime(year, 3, 1, tzinfo=clock.UTC)
        assert lines_run(trigger.next_after, instant) <= MOST_LINES
        assert lines_run(trigger.previous_before, instant) <= MOST_LINES


@pytest.mark.parametrize("text", ["0 0 30 2 *", "day=1 week=2", "0 0 L-30 4 *"])
def test_what_never_comes_is_known_after_a_year_of_each_kind(text: str) -> None:
    with pytest.raises(InvalidJob, match="a date that comes"):
        parse_cron(text)

    def refused() -> None:
        with pytest.raises(InvalidJob):
            parse_cron(text)

    assert lines_run(refused) <= 21 * 12 * 40
