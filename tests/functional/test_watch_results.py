"""A beat looks after what it sent where results tell of it, or workers lack the plugin."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched.store import tables
from tests.scenes import HOUR, START, Scene

with_results = pytest.mark.parametrize(
    "scene", [("sqlite", {"result_backend": "file://{}"})], ids=["results"], indirect=True
)


@with_results
@pytest.mark.usefixtures("heard")
def test_the_result_backend_is_asked_before_a_fire_is_lost_or_sent_again(scene: Scene) -> None:
    fire = scene.send(limited=True)
    scene.run(scene.copy())
    keep_result(scene, fire, 7, "SUCCESS")

    scene.pass_by(40)

    assert (scene.row["state"], scene.row["result"]) == ("succeeded", "7")
    assert scene.holders == []


@pytest.mark.usefixtures("unheard")
def test_without_the_plugin_a_slot_lasts_one_lease_and_the_end_stays_unknown(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    fire = scene.send(limited=True)

    with caplog.at_level(logging.WARNING):
        scene.pass_by(29)
        assert scene.holders == [fire]
        scene.pass_by(40)

    assert scene.holders == []
    row = scene.row
    assert (row["state"], row["publishes"], row["check_at"]) == ("sent", 1, None)
    told = [record.message for record in caplog.records if "no worker says" in record.message]
    assert len(told) == 1
    assert 'imports = ["celery_jobsched.worker"]' in told[0]


@pytest.mark.parametrize(
    "scene",
    [("sqlite", {"result_backend": "redis://127.0.0.1:1/0"})],
    ids=["results away"],
    indirect=True,
)
@pytest.mark.usefixtures("heard")
def test_a_result_backend_that_is_away_is_waited_for_but_not_for_ever(scene: Scene) -> None:
    fire = scene.send(limited=True)

    scene.pass_by(100)
    assert (scene.row["publishes"], scene.holders) == (1, [fire])
    scene.pass_by(30)

    assert (scene.row["publishes"], scene.holders) == (2, [fire])


@with_results
@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize(
    ("state", "value", "expected"),
    [
        ("SUCCESS", "done", ("succeeded", "'done'", None)),
        ("FAILURE", KeyError("stock"), ("failed", None, "KeyError: 'stock'")),
    ],
)
def test_without_the_plugin_the_result_backend_says_how_it_ends(
    scene: Scene, state: str, value: Any, expected: tuple[Any, ...]
) -> None:
    fire = scene.send(limited=True)
    scene.pass_by(100)
    assert scene.holders == [fire]

    keep_result(scene, fire, value, state)
    scene.pass_by(6)

    row = scene.row
    assert (row["state"], row["result"], row["error"]) == expected
    assert (scene.holders, row["publishes"], row["check_at"]) == ([], 1, None)


@with_results
@pytest.mark.usefixtures("unheard")
def test_without_the_plugin_a_day_is_long_enough_to_wait_for_a_result(scene: Scene) -> None:
    scene.send()
    scene.pass_by(10)
    scene.records.run(sa.update(tables.fires).values(sent_at=START - 24 * HOUR))

    scene.pass_by(60)

    assert (scene.row["state"], scene.row["check_at"]) == ("sent", None)


@pytest.mark.parametrize("scene", [("sqlite", {"task_always_eager": "yes"})], indirect=True)
@pytest.mark.usefixtures("heard")
def test_what_ran_as_it_was_sent_is_not_sent_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[str] = []

    @scene.beat.scheduler.app.task(name="proj.note", shared=False)  # type: ignore[untyped-decorator]
    def note() -> None:
        runs.append("ran")

    scene.send()

    with caplog.at_level(logging.WARNING):
        scene.pass_by(200)

    assert (runs, scene.row["state"], scene.row["check_at"]) == (["ran"], "sent", None)
    assert not [record for record in caplog.records if "no worker says" in record.message]


def keep_result(scene: Scene, fire: str, value: Any, state: str) -> None:
    scene.beat.scheduler.app.backend.store_result(fire, value, state)
