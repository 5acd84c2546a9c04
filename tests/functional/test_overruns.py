"""Runs that outlast their usual time: by hand, on a clock that is set, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from celery_jobsched import events
from celery_jobsched.fire import FireState
from tests.hands import Hands

#: For how many seconds a beat does not ask again what is usual.
KNOWN_FOR = 300


@pytest.fixture
def told() -> Iterator[list[tuple[str, timedelta]]]:
    found: list[tuple[str, timedelta]] = []

    def note(job: str, usual: timedelta, **_: Any) -> None:
        found.append((job, usual))

    events.fire_overrun.connect(note)
    yield found
    events.fire_overrun.disconnect(note)


def run(hands: Hands, seconds: int, state: FireState = FireState.SUCCEEDED) -> str:
    """A run that its worker holds on to for so long; its fire's id."""
    hands.call("go")
    hands.start_sent()
    (fire,) = hands.running
    for _ in range(seconds // 10):
        hands.pass_time(10)
        copy, _ = hands.running[fire]
        hands.locks.renew([copy])
    hands.pass_time(seconds % 10)
    if seconds < 60:
        hands.end(fire, state)
    return fire


def test_a_run_of_three_times_the_usual_time_is_told_of_once(
    hands: Hands, told: list[tuple[str, timedelta]]
) -> None:
    hands.add("etl", keyword="go")
    for seconds in (8, 9, 10, 20, 40):
        run(hands, seconds)
    assert told == []
    hands.pass_time(KNOWN_FOR)

    fire = run(hands, 90)

    assert told == [("etl", timedelta(seconds=10))]
    (row,) = hands.records.fires("etl", "started")
    assert (row["id"], row["reason"]) == (fire, "it outlasts its usual 10s")


def test_where_little_is_known_nothing_is_unusual(
    lite: Hands, told: list[tuple[str, timedelta]]
) -> None:
    lite.add("etl", keyword="go")
    for _ in range(4):
        run(lite, 2)
    for _ in range(3):
        run(lite, 2, FireState.FAILED)

    run(lite, 90)

    assert told == []
