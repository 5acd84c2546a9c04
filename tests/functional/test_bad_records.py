"""Records of fires into which a person wrote what they cannot hold: each fails alone, in words.

SQLite keeps whatever is written into a column; the other databases refuse it themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.hands import Hands, by_hand


@pytest.fixture
def hands(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Hands]:
    with by_hand("sqlite", tmp_path) as hands:
        yield hands
    assert "tick failed" not in caplog.text


def spoil(hands: Hands, column: str, value: Any, where: str) -> None:
    said = sa.text(f"UPDATE jobsched_fires SET {column} = :value WHERE {where}")
    hands.records.run(said, {"value": value})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("fire_at", "an instant"),
        ("due_at", "an instant"),
        ("sent_at", "an instant"),
        ("publishes", "a whole number"),
    ],
)
@pytest.mark.parametrize("most", [None, 1], ids=["free", "limited"])
def test_what_cannot_be_delivered_fails_alone(
    hands: Hands, caplog: pytest.LogCaptureFixture, column: str, expected: str, most: int | None
) -> None:
    for name in ("bad", "good"):
        hands.add(name, keyword="go", max_concurrency=most)
    hands.jobs.fire("go")
    spoil(hands, column, "someday", "job_name = 'bad'")

    with caplog.at_level(logging.ERROR):
        hands.pass_time(1)

    (bad,) = hands.records.fires("bad")
    said = f"{column}: expected {expected}, got: 'someday'"
    assert (bad["state"], bad["error"], hands.states("good")) == ("failed", said, ["sent"])
    assert [record.message for record in caplog.records if "failed" in record.message] == [
        f"job 'bad': fire {bad['id']} failed: {said}"
    ]


def test_one_that_waits_fails_when_its_turn_comes_and_the_newest_goes(hands: Hands) -> None:
    hands.add("job", every="1 second", max_concurrency=1, overlap="latest")
    hands.pass_time(1)
    hands.start_sent()
    spoil(hands, "fire_at", "someday", "state = 'waiting'")

    hands.pass_time(1)
    assert sorted(hands.states("job")) == ["started", "waiting", "waiting"]
    hands.end_oldest("job")
    hands.pass_time(0.5)

    assert sorted(hands.states("job")) == ["failed", "sent", "succeeded"]


@pytest.mark.parametrize("column", ["count", "until_at"])
def test_a_record_of_skips_without_a_count_is_left_and_another_one_begins(
    hands: Hands, column: str
) -> None:
    hands.add("job", every="1 second", max_concurrency=1)
    hands.pass_time(2)
    spoil(hands, column, "many", "state = 'skipped'")

    hands.pass_time(2)

    counts = [row["count"] for row in hands.records.fires("job") if row["state"] == "skipped"]
    assert counts == (["many", 2] if column == "count" else [4])


@pytest.mark.parametrize("state", ["pending", "sent", "succeeded"])
@pytest.mark.parametrize("value", ["soon", "!", 5, "2029-01-01", "2031-01-01T00:00:00"])
@pytest.mark.parametrize("column", ["ready_at", "check_at"])
def test_an_instant_that_is_none_costs_no_more_than_a_look_a_poll(
    hands: Hands, column: str, value: Any, state: str
) -> None:
    hands.add("job", keyword="go")
    hands.jobs.fire("go")
    hands.beat.settle()
    spoil(hands, column, value, f"state = '{hands.states()[0]}'")
    spoil(hands, "state", state, "1 = 1")
    hands.pass_time(1)

    slept = []
    for _ in range(10):
        slept.append(hands.beat.tick())
        hands.clock.advance(seconds=slept[-1])

    assert slept == pytest.approx([0.2] * 10)
