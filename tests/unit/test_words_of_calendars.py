"""Calendars in words, and read back."""

# ruff: noqa: DTZ001 - a local time has no zone: that is what makes it local

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from celery_jobsched.words.calendar import of_calendar
from tests.calendars import calendars
from tests.reader import read_calendar

TOLD = [
    ("mon-fri", "on weekdays"),
    ("sat, sun", "on Saturdays and Sundays"),
    ("dec", "in December"),
    ("jun-aug", "from June to August"),
    ("1", "on the 1st of each month"),
    ("1..7, 15", "on the 1st to 7th and 15th of each month"),
    ("-1", "on the last day of each month"),
    ("-2", "on the 1st day before the last of each month"),
    ("-7..-1", "on the last 7 days of each month"),
    ("24..26 dec", "on the 24th to 26th of December"),
    ("mon 1..7", "on Mondays that fall on the 1st to 7th of each month"),
    ("12-25", "on 25 Dec"),
    ("12-25, 12-26", "on 25 Dec and 26 Dec"),
    ("12-24..01-02", "on 24 Dec to 2 Jan"),
    ("2026-12-24..2027-01-02", "on 24 Dec 2026 to 2 Jan 2027"),
    ("mon 12-24, 12-25", "on Mondays that fall on 24 Dec or 25 Dec"),
    ("09:00-17:00", "from 09:00 to before 17:00"),
    ("fri 22:00-06:00", "on Fridays from 22:00 to before 06:00 of the next day"),
    (
        "mon-fri 09:00-12:00, 13:00-17:00:30",
        "on weekdays from 09:00 to before 12:00 and from 13:00 to before 17:00:30",
    ),
    ("sun 12:00-24:00", "on Sundays from 12:00 to before 24:00"),
    ("00:00-24:00", "always"),
    ("mon jun-aug 09:00-17:00", "on Mondays from June to August from 09:00 to before 17:00"),
    ("mon-fri; 12-25", "on weekdays or on 25 Dec"),
    ("holidays", "in the calendar holidays"),
    ("sun holidays, closures", "on Sundays in the calendars holidays and closures"),
    # what has no exact words
    ("12-25, 2027-05-01", None),
    ("dec 12-25", None),
    ("holidays closures", None),
    ("1; 2; 3; 4; 5", None),
    ("1,3,5,7,9,11,13,15,17,19,21,23,25", None),
]


@pytest.mark.parametrize(("text", "said"), TOLD)
def test_a_calendar_is_told_as_it_is_meant(text: str, said: str | None) -> None:
    assert of_calendar(text) == said


TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1))


@given(calendars(), st.lists(TIMES, min_size=20, max_size=20))
@settings(max_examples=150, deadline=None)
def test_its_words_are_read_back_as_the_times_that_belong_to_it(calendar, times):
    text, wanted = calendar
    said = of_calendar(text)
    assume(said is not None)

    belongs = read_calendar(said)

    assert [belongs(local) for local in times] == [wanted(local) for local in times]
