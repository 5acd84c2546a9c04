"""How late fires are sent: what is told of the last minute, and what it costs to know."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched.lags import Lag, Lags

MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
SPANS = st.timedeltas(timedelta(0), timedelta(days=1))


def test_where_nothing_was_sent_there_is_nothing_to_tell() -> None:
    assert Lags().of_last_minute(5.0) is None


@given(st.lists(SPANS, min_size=1, max_size=50))
def test_the_greatest_is_exact_and_the_usual_one_within_a_fifth(spans: list[timedelta]) -> None:
    lags = Lags()

    for span in spans:
        lags.note(span, 100.0)

    told = lags.of_last_minute(101.0)
    middle = sorted(spans)[(len(spans) - 1) // 2]
    assert told is not None
    assert told.greatest == max(spans)
    assert middle <= told.usual <= max(middle * 1.2, MILLISECOND) or told.usual == max(spans)


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    lags = Lags()

    lags.note(9 * SECOND, 0.0)
    lags.note(SECOND, 55.0)

    assert lags.of_last_minute(59.0) == Lag(pytest.approx(SECOND, rel=0.2), 9 * SECOND)
    assert lags.of_last_minute(62.0) == Lag(SECOND, SECOND)
    assert lags.of_last_minute(125.0) is None


def test_a_fire_that_is_sent_before_it_is_due_by_a_hair_counts_as_in_time() -> None:
    lags = Lags()

    lags.note(-MILLISECOND, 1.0)

    assert lags.of_last_minute(1.0) == Lag(timedelta(0), timedelta(0))


def test_a_million_fires_take_no_more_memory_than_a_few() -> None:
    lags = Lags()

    for n in range(20_000):
        lags.note(timedelta(milliseconds=n), n / 100)

    assert len(lags._slices) <= 7
    assert all(len(each.counts) < 100 for each in lags._slices.values())
