"""Calendars: what their texts mean, by a naive definition, and what is refused."""

# ruff: noqa: DTZ001, DTZ901 - a local time has no zone: that is what makes it local

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.calendar import names_in, parse_calendar
from celery_jobsched.triggers.hours import Calendar
from tests.calendars import calendars

DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
TICK = datetime.resolution
MON, TUE, WED, THU, FRI, SAT, SUN = range(7)


def calendar(text: str, **named: str) -> Calendar:
    return parse_calendar("only_during", text, named)


def days_of(found: Calendar, year: int) -> list[date]:
    """The days of the year on whose noon the calendar holds."""
    noon = datetime(year, 1, 1, 12)
    noons = [noon + k * DAY for k in range(365 + (year % 4 == 0))]
    return [at.date() for at in noons if found.contains(at)]


def edges_after(found: Calendar, local: datetime, until: datetime) -> list[datetime]:
    edges = []
    while (edge := found.later(local)) is not None and edge <= until:
        edges.append(edge)
        local = edge
    return edges


def edges_before(found: Calendar, local: datetime, since: datetime) -> list[datetime]:
    edges = []
    while (edge := found.earlier(local)) is not None and edge >= since:
        edges.append(edge)
        local = edge
    return edges[::-1]


def each_day(year: int, wanted: Callable[[date], bool]) -> list[date]:
    first = date(year, 1, 1)
    return [day for k in range(366) if (day := first + k * DAY).year == year and wanted(day)]


def is_last_of_month(day: date) -> bool:
    return (day + DAY).month != day.month


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mon", lambda day: day.weekday() == MON),
        ("Mon-FRI", lambda day: day.weekday() <= FRI),
        ("fri-mon", lambda day: day.weekday() in (FRI, SAT, SUN, MON)),
        ("tuesday..thursday", lambda day: day.weekday() in (TUE, WED, THU)),
        ("sat, sun", lambda day: day.weekday() >= SAT),
        ("mon-sun", lambda day: True),
        ("1", lambda day: day.day == 1),
        ("1..7, 15", lambda day: day.day <= 7 or day.day == 15),
        ("30..31", lambda day: day.day >= 30),
        ("-1", is_last_of_month),
        ("-2..-1", lambda day: is_last_of_month(day) or is_last_of_month(day + DAY)),
        ("dec", lambda day: day.month == 12),
        ("jun-aug", lambda day: 6 <= day.month <= 8),
        ("november - february", lambda day: day.month in (11, 12, 1, 2)),
        ("12-25, 01-01", lambda day: (day.month, day.day) in ((12, 25), (1, 1))),
        ("25 dec", lambda day: (day.month, day.day) == (12, 25)),
        ("dec 24..26", lambda day: day.month == 12 and 24 <= day.day <= 26),
        ("02-29", lambda day: (day.month, day.day) == (2, 29)),
        ("02-29..03-01", lambda day: (day.month, day.day) in ((2, 29), (3, 1))),
        ("12-24..01-02", lambda day: (day.month, day.day) >= (12, 24) or day < _jan(day, 3)),
        ("10-12", lambda day: (day.month, day.day) == (10, 12)),
        ("2024-02-29", lambda day: day == date(2024, 2, 29)),
        ("2023-12-30..2024-01-02, 2024-01-03", lambda day: day <= date(2024, 1, 3)),
        ("2023-01-01..2024-01-05 mon", lambda day: day == date(2024, 1, 1)),
        ("mon 1..7", lambda day: day.weekday() == MON and day.day <= 7),
        ("fri -7..-1", lambda day: day.weekday() == FRI and (day + 7 * DAY).month != day.month),
        ("sat,sun ; 12-25", lambda day: day.weekday() >= SAT or (day.month, day.day) == (12, 25)),
        ("\n12-25,\n  12-26\n", lambda day: day.month == 12 and day.day in (25, 26)),
    ],
)
def test_days_are_those_that_the_text_names(text: str, wanted: Callable[[date], bool]) -> None:
    found = calendar(text)

    assert days_of(found, 2024) == each_day(2024, wanted)


def _jan(day: date, first: int) -> date:
    return date(day.year, 1, first)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("09:00-17:00", [("01-05 09:00:00", "01-05 17:00:00"), ("01-06 09:00:00", "01-06 17:00")]),
        ("mon-fri 9:00 - 17:00", [("01-05 09:00", "01-05 17:00"), ("01-06 09:00", "01-06 17:00")]),
        ("tue 00:00-24:00", [("01-06 00:00", "01-07 00:00"), ("01-13 00:00", "01-14 00:00")]),
        ("tue 22:00-06:00", [("01-06 22:00", "01-07 06:00"), ("01-13 22:00", "01-14 06:00")]),
        ("tue 22:00-00:00", [("01-06 22:00", "01-07 00:00"), ("01-13 22:00", "01-14 00:00")]),
        ("wed 08:00:30..08:01",
         [("01-07 08:00:30", "01-07 08:01"), ("01-14 08:00:30", "01-14 08:01")]),
        ("mon,tue 20:00-08:00,06:00-09:00 5..6",
         [("01-05 06:00", "01-05 09:00"), ("01-05 20:00", "01-06 09:00"),
          ("01-06 20:00", "01-07 08:00")]),
        ("mon 23:00-05:00; tue 05:00-06:00", [("01-05 23:00", "01-06 06:00")]),
        ("fri; sat 00:00-12:00", [("01-09 00:00", "01-10 12:00"), ("01-16 00:00", "01-17 12:00")]),
    ],
)  # fmt: skip
def test_windows_open_and_close_on_the_second(text: str, inside: list[tuple[str, str]]) -> None:
    # 2026-01-05 is a Monday.
    wanted = [datetime.fromisoformat(f"2026-{edge}") for span in inside for edge in span]
    found = calendar(text)

    edges = edges_after(found, datetime(2026, 1, 5) - TICK, wanted[-1])

    assert edges == wanted
    for opens, closes in zip(wanted[::2], wanted[1::2], strict=True):
        assert not found.contains(opens - TICK)
        assert found.contains(opens)
        assert found.contains(closes - TICK)
        assert not found.contains(closes)


def test_a_window_of_the_last_day_of_a_month_or_year_ends_in_the_next() -> None:
    found = calendar("12-31, 02-29 22:00-06:00")

    edges = edges_after(found, datetime(2027, 6, 1), datetime(2028, 6, 1))

    assert edges == [
        datetime(2027, 12, 31, 22),
        datetime(2028, 1, 1, 6),
        datetime(2028, 2, 29, 22),
        datetime(2028, 3, 1, 6),
    ]


def test_a_name_stands_for_the_calendar_that_is_written_down_elsewhere() -> None:
    named = {"holidays": "12-25, 12-26", "Summer": "jul-aug; 2026-09-01..2026-09-05"}

    found = calendar("Summer, holidays; sat, sun", **named)

    summer, autumn = date(2026, 7, 1), date(2026, 9, 5)
    christmas = (date(2026, 12, 25), date(2026, 12, 26))
    assert days_of(found, 2026) == each_day(
        2026,
        lambda day: summer <= day <= autumn or day in christmas or day.weekday() >= SAT,
    )


def test_names_between_spaces_must_both_hold() -> None:
    found = calendar(
        "school work mon", school="2026-01-01..2026-01-20", work="2026-01-10..2026-12-31"
    )

    assert days_of(found, 2026) == [date(2026, 1, 12), date(2026, 1, 19)]


def test_a_window_on_a_named_day_belongs_to_the_day_that_it_starts_on() -> None:
    found = calendar("holidays 22:00-06:00", holidays="12-25; 2026-12-28")

    edges = edges_after(found, datetime(2026, 12, 1), datetime(2026, 12, 31))

    assert edges == [
        datetime(2026, 12, 25, 22),
        datetime(2026, 12, 26, 6),
        datetime(2026, 12, 28, 22),
        datetime(2026, 12, 29, 6),
    ]


def test_a_named_calendar_with_windows_is_a_set_of_times() -> None:
    found = calendar("fri night 00:00-23:00", night="22:00-06:00")

    edges = edges_after(found, datetime(2026, 1, 9) - TICK, datetime(2026, 1, 16) - TICK)

    assert edges == [
        datetime(2026, 1, 9, 0), datetime(2026, 1, 9, 6),
        datetime(2026, 1, 9, 22), datetime(2026, 1, 9, 23),
    ]  # fmt: skip


def test_what_touches_is_one_stretch() -> None:
    week = calendar("mon-fri; sat, sun")
    nights = calendar("2026-01-05..2026-01-09 06:00-22:00, 22:00-06:00")

    assert (week.later(datetime(2026, 1, 1)), week.earlier(datetime(2026, 1, 1))) == (None, None)
    assert nights.later(datetime(2026, 1, 1)) == datetime(2026, 1, 5, 6)
    assert nights.later(datetime(2026, 1, 5, 6)) == datetime(2026, 1, 10, 6)
    assert nights.earlier(datetime(2026, 1, 10, 6)) == datetime(2026, 1, 5, 6)


def test_what_is_far_away_is_found_and_what_is_over_is_over() -> None:
    far = calendar("2400-06-01..2600-06-30 29 feb mon")

    first = far.later(datetime(2026, 1, 1))

    # 2416 is a leap year whose 29 February is a Monday: 2016 was one, and the calendar repeats.
    assert first == datetime(2416, 2, 29)
    assert far.earlier(datetime(9999, 1, 1)) == datetime(2596, 3, 1)
    assert far.earlier(first) is None
    assert calendar("9999-12-31").later(datetime(2026, 1, 1)) == datetime(9999, 12, 31)
    assert calendar("9999-12-31").later(datetime(9999, 12, 31)) is None
    assert calendar("0001-01-01").earlier(datetime(2026, 1, 1)) == datetime(1, 1, 2)
    assert calendar("0001-01-01").contains(datetime.min)
    assert calendar("0001-01-01").earlier(datetime.min) is None


@settings(max_examples=60, deadline=None)
@given(calendars(), st.integers(0, 365))
def test_any_calendar_is_what_its_words_say_minute_by_minute(
    drawn: tuple[str, Callable[[datetime], bool]], first: int
) -> None:
    text, wanted = drawn
    try:
        found = calendar(text)
    except InvalidJob as error:
        assert error.expected.startswith("a time that comes")  # noqa: PT017
        return
    begin = datetime(2027, 12, 30) + first * DAY
    quarters = [begin + 15 * k * MINUTE for k in range(10 * 96)]

    assert [found.contains(at) for at in quarters] == [wanted(at) for at in quarters]
    changes = [at for at in quarters[1:] if wanted(at) != wanted(at - 15 * MINUTE)]
    assert edges_after(found, begin, quarters[-1]) == changes
    assert edges_before(found, quarters[-1] + TICK, begin + TICK) == changes


def test_a_year_of_minutes_is_what_its_words_say() -> None:
    found = calendar("mon-fri 09:00-17:30; fri 22:00-06:00; 12-24..12-26")
    begin = datetime(2027, 1, 1)

    def wanted(at: datetime) -> bool:
        clock, weekday = (at.hour, at.minute), at.weekday()
        return (
            (weekday <= FRI and (9, 0) <= clock < (17, 30))
            or (weekday == FRI and clock >= (22, 0))
            or (weekday == SAT and clock < (6, 0))
            or (at.month == 12 and 24 <= at.day <= 26)
        )

    minutes = (begin + k * MINUTE for k in range(365 * 24 * 60))
    assert all(found.contains(at) == wanted(at) for at in minutes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "something between semicolons"),
        ("mon;", "something between semicolons"),
        ("mon,", "'' is none of them"),
        ("moon", "calendars that exist: there is none named moon"),
        ("mon-dec", "'mon-dec' is none of them"),
        ("mon tue", "commas or semicolons between weekdays"),
        ("12-25 2026-12-25", "commas or semicolons between dates"),
        ("09:00-10:00 12:00-13:00", "commas or semicolons between windows"),
        ("sat, 12-25", "commas between weekdays alone, a semicolon before '12-25'"),
        ("1-7", "days of the month as 1..7"),
        ("13-17", "dates that exist, not '13-17'; days 1 to 7 are 1..7"),
        ("02-30", "dates that exist"),
        ("2026-02-29", "dates that exist"),
        ("0000-01-01", "dates that exist"),
        ("2027-01-02..2026-12-24", "a range of dates that ascends"),
        ("2026-01-01..01-05", "both dates with a year or none"),
        ("7..1", "days from 1 to 31 or from -31 to -1, ascending"),
        ("25..-1", "days from 1 to 31 or from -31 to -1, ascending"),
        ("0", "days from 1 to 31"),
        ("32", "days from 1 to 31"),
        ("25:00-26:00", "windows such as 09:00-17:00"),
        ("09:60-10:00", "windows such as"),
        ("09:00-24:01", "windows such as"),
        ("24:00-06:00", "windows such as"),
        ("09:00-09:00", "windows such as"),
        ("09:00", "'09:00' is none of them"),
        ("2026-1-1", "'2026-1-1' is none of them"),
        ("31 feb", "a time that comes: none belongs to this calendar"),
        ("2026-01-03 mon", "a time that comes"),
        ("1٣", "a text of at most 20000 ASCII characters"),
        ("mon\0", "'mon\\x00' is none of them"),
        ("mon " * 6_000, "a text of at most 20000 ASCII characters"),
        (";".join(["mon"] * 51), "at most 50 alternatives"),
        (",".join(f"09:{n}-09:{n + 1}" for n in range(10, 59, 2)) + ";", "something between"),
        (None, "a text of at most 20000"),
        (5, "a text of at most 20000"),
        (b"mon", "a text of at most 20000"),
        (["mon"], "a text of at most 20000"),
    ],
)  # fmt: skip
def test_what_is_no_calendar_is_refused_in_words(text: object, said: str) -> None:
    with pytest.raises(InvalidJob) as raised:
        parse_calendar("not_during", text, {})

    assert raised.value.field == "not_during"
    assert said in raised.value.expected
    assert raised.value.value == text


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("12-32", "in the calendar holidays: dates that exist"),
        ("other", "in the calendar holidays: no names of other calendars"),
        (None, "in the calendar holidays: a text"),
        (b"\xff", "in the calendar holidays: a text"),
    ],
)
def test_a_calendar_that_cannot_be_read_is_named_with_what_it_holds(
    definition: object, said: str
) -> None:
    with pytest.raises(InvalidJob) as raised:
        parse_calendar("not_during", "sat; holidays", {"holidays": definition, "other": "mon"})

    assert said in raised.value.expected
    assert raised.value.value == definition


def test_what_stands_behind_names_counts_for_the_limits() -> None:
    named = {
        "dates": ",".join(["2026-06-01"] * 1000),
        "windows": ", ".join(f"{hour}:00-{hour}:30" for hour in range(12)),
        "alternatives": "; ".join(f"mon {day}" for day in range(1, 31)),
    }

    assert calendar("windows; windows mon", **named).contains(datetime(2026, 1, 1))
    for text, said in [
        ("windows; windows mon; windows tue", "at most 24 windows, those behind names included"),
        ("alternatives; alternatives", "at most 50 alternatives, those behind names included"),
        (
            "dates; " + "12-25, " * 1400 + "12-26",
            "at most 20000 characters, those behind names included",
        ),
    ]:
        with pytest.raises(InvalidJob, match=said):
            calendar(text, **named)


def test_names_are_told_without_being_looked_up() -> None:
    text = "holidays, Bank_2 09:00-10:00; mon may"

    assert names_in("only_during", text) == {"holidays", "Bank_2"}


WORDS = st.sampled_from([
    "mon", "fri-mon", "dec", "nov..feb", "1", "-1", "1..7", "12-25", "2026-12-25", "22:00-06:00",
    "2028-02-29..2030-01-01", "0001-01-01..9999-12-31", "9999-12-31", "00:00-24:00", "24:00",
    "holidays", "x", "-", "..", ",", ";", "99",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(
    st.text(max_size=30),
    st.lists(WORDS, min_size=1, max_size=12).map(" ".join),
    st.lists(WORDS, min_size=1, max_size=12).map(",".join),
))  # fmt: skip
def test_any_text_is_read_or_refused_and_soon(text: str) -> None:
    began = time.perf_counter()
    try:
        found = calendar(text, holidays="12-25; fri 23:00-01:00", x="mon-fri; sat, sun")
        found.later(datetime(2026, 1, 1))
    except InvalidJob:
        pass

    assert time.perf_counter() - began < 0.5
