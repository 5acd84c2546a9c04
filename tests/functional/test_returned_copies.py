"""A copy that the broker brings again in the moment in which a beat gives its fire up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from celery_jobsched.events import fire_lost
from celery_jobsched.locks import Answer, Copy, Hold, Locks, Step
from tests.scenes import LEASE, SLOT, Scene


@contextmanager
def come_again_when_it_is_lost(locks: Locks, copy: Copy) -> Iterator[list[Answer]]:
    """Another worker gets it between what the beat writes down and what it tells the locks."""
    answers: list[Answer] = []

    def come(**_: Any) -> None:
        answers.append(locks.admit(copy))
        locks.accept([Step(copy)])

    fire_lost.connect(come)
    yield answers
    fire_lost.disconnect(come)


@pytest.mark.usefixtures("heard")
def test_a_fire_that_runs_again_as_it_is_called_lost_keeps_its_slot(scene: Scene) -> None:
    fire = scene.send(limited=True)
    copy = scene.copy()
    scene.run(copy)
    again = replace(copy, worker="w2")

    with come_again_when_it_is_lost(scene.locks, again) as answers:
        scene.pass_by(LEASE.total_seconds() + 2)

    assert (scene.row["state"], answers) == ("lost", [Answer.RETURNED])
    assert scene.locks.renew([again]) == [True]
    assert scene.locks.acquire([Hold("another", (SLOT,), LEASE)]) == [False]
    assert scene.holders == [fire]
