"""How long a beat owns what it takes: as long as its ticks need, and no longer."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from celery_jobsched.tenure import OWNED_FOR, Tenure


def ticks(tenure: Tenure, count: int, look_s: float, way_s: float | None = None) -> Tenure:
    """So many ticks, each of which publishes unless there is no way."""
    for _ in range(count):
        tenure.begin(look_s)
        if way_s is not None:
            tenure.note(way_s)
    return tenure


def test_it_stays_a_moment_where_ticks_are_quick() -> None:
    assert ticks(Tenure(), 100, 0.01, 0.3).length == OWNED_FOR


@pytest.mark.parametrize(("look_s", "way_s"), [(0.6, None), (0.1, 0.9), (0.9, 5.0)])
def test_it_grows_until_there_is_time_to_publish(look_s: float, way_s: float | None) -> None:
    tenure = ticks(Tenure(), 20, look_s, way_s)

    assert tenure.is_fresh(look_s)
    assert tenure.length >= 2 * timedelta(seconds=way_s or 0.0)


def test_one_pause_does_not_make_it_long() -> None:
    tenure = ticks(Tenure(), 1, 0.01, 600)

    tenure.begin(0.01)

    assert tenure.length == 2 * OWNED_FOR


def test_it_is_bounded() -> None:
    assert ticks(Tenure(), 100, 600, 600).length < timedelta(minutes=1)


def test_it_is_a_moment_again_when_ticks_are_quick_again() -> None:
    tenure = ticks(Tenure(), 10, 1, 5)

    assert ticks(tenure, 10, 0.01, 0.1).length == OWNED_FOR


def test_the_first_batch_of_a_tick_counts_and_no_later_one() -> None:
    tenure = ticks(Tenure(), 1, 0.01, 0.1)

    tenure.note(100)
    tenure.begin(0.01)

    assert tenure.length == OWNED_FOR


def test_it_says_once_that_it_is_long(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        tenure = ticks(Tenure(), 10, 1, 5)
    ticks(tenure, 10, 1, 5)
    with caplog.at_level(logging.WARNING):
        ticks(tenure, 10, 0.01, 0.1)
        ticks(tenure, 10, 1, 5)

    assert len(caplog.records) == 3
    assert "are taken over after" in caplog.text
