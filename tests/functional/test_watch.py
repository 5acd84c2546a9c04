"""A beat looks after what it sent: by what its locks know of it.

For real workers see ``test_watch_processes``; for results, and workers without the plugin,
``test_watch_results``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched.fire import FireState
from celery_jobsched.locks import Answer, Hold, Report, Step
from celery_jobsched.store import tables
from tests.scenes import LEASE, SECOND, SLOT, START, Scene
from tests.services import DATABASES

on_each_database = pytest.mark.parametrize(
    "scene", [(each, {}) for each in DATABASES], ids=DATABASES, indirect=True
)


@on_each_database
@pytest.mark.usefixtures("heard")
def test_a_fire_in_a_queue_keeps_its_slot_for_many_leases(scene: Scene) -> None:
    fire = scene.send(limited=True)

    for _ in range(20):
        scene.pass_by(5)
        assert scene.holders == [fire]
    assert scene.locks.acquire([Hold("another", (SLOT,), LEASE)]) == [False]


@on_each_database
@pytest.mark.usefixtures("heard")
def test_what_no_worker_takes_is_sent_again_ever_more_rarely(scene: Scene) -> None:
    scene.send()
    scene.was_heard()

    times = []
    for _ in range(50):
        scene.pass_by(10)
        times.append(scene.row["publishes"])

    # After 60, 180 and 420 seconds.
    assert [times.index(n) for n in (2, 3, 4)] == [5, 17, 41]
    assert scene.row["state"] == "sent"


@on_each_database
@pytest.mark.usefixtures("heard")
def test_of_a_job_that_no_worker_spoke_of_one_fire_is_sent_again_once(scene: Scene) -> None:
    scene.records.add("it", every="200 seconds", created_at=START)
    scene.beat.settle()

    scene.pass_by(1000)
    assert [row["publishes"] for row in scene.rows] == [2, 1, 1, 1, 1, 1]

    scene.was_heard()
    scene.pass_by(400)
    assert all(row["publishes"] > 1 for row in scene.rows[:6])


@pytest.mark.usefixtures("heard")
def test_what_is_sent_again_has_its_slot_though_others_wait_for_one(scene: Scene) -> None:
    made = {"every": "50 seconds", "max_concurrency": 1, "created_at": START}
    scene.records.add("it", overlap="wait", **made)
    scene.beat.settle()

    scene.pass_by(70)

    first, second = scene.records.fires()
    assert (first["state"], first["publishes"], second["state"]) == ("sent", 2, "waiting")
    assert scene.holders == [first["id"]]


def test_what_a_dead_beat_did_not_mark_has_its_slot_though_others_wait_for_one(
    scene: Scene,
) -> None:
    made = {"every": "20 seconds", "max_concurrency": 1, "created_at": START}
    scene.records.add("it", overlap="wait", **made)
    scene.beat.settle()
    unmarked = {"state": "pending", "ready_at": START, "sent_at": None, "check_at": None}
    scene.pass_by(20)
    first, _ = scene.records.fires()
    scene.records.run(
        sa.update(tables.fires).where(tables.fires.c.id == first["id"]).values(unmarked)
    )

    scene.beat.settle()

    first, second = scene.records.fires()
    assert (first["state"], first["publishes"], second["state"]) == ("sent", 2, "waiting")


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("overlap", ["skip", "wait", "latest"])
def test_what_lost_its_slot_before_it_is_sent_again_waits_for_another(
    scene: Scene, overlap: str
) -> None:
    fire = scene.send(limited=True)
    scene.records.edit("it", overlap=overlap)
    scene.pass_by(58)
    scene.locks.release([Hold(fire, (SLOT,), LEASE)])
    assert scene.locks.acquire([Hold("another", (SLOT,), LEASE)]) == [True]

    scene.pass_by(5)

    assert (scene.row["state"], scene.row["waiting_for"]) == ("waiting", SLOT.key)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "paused"])
def test_what_its_job_does_not_want_any_more_is_not_sent_again(scene: Scene, gone: bool) -> None:
    fire = scene.send(limited=True)
    if gone:
        scene.records.run(sa.delete(tables.jobs))
    else:
        scene.records.edit("it", enabled=False)

    scene.pass_by(130)
    assert scene.holders == [fire]

    # Its message may be in a queue yet: then it runs.
    assert (scene.row["state"], scene.row["publishes"]) == ("sent", 1)
    scene.run(scene.copy())
    scene.pass_by(1)
    assert scene.row["state"] == "started"


@pytest.mark.usefixtures("heard")
def test_what_no_worker_takes_for_a_day_is_lost(scene: Scene) -> None:
    scene.send()
    scene.pass_by(59)
    day = 86400 * SECOND
    old = sa.update(tables.fires).values(sent_at=scene.clock.now() - day)
    scene.records.run(old)

    scene.pass_by(2)

    row = scene.row
    assert (row["state"], row["check_at"]) == ("lost", None)
    assert row["error"] == "no worker took it within 86400 seconds"


@on_each_database
@pytest.mark.usefixtures("heard")
def test_a_run_whose_worker_is_gone_is_lost_and_its_slot_free_after_a_lease(scene: Scene) -> None:
    scene.send(limited=True)
    scene.run(scene.copy())
    scene.pass_by(29)
    assert scene.row["state"] == "started"

    scene.pass_by(3)

    row = scene.row
    assert (row["state"], row["worker"]) == ("lost", "w1")
    assert row["error"] == "its worker is gone: nobody renewed its lease"
    assert scene.holders == []


@pytest.mark.usefixtures("heard")
def test_a_run_that_is_renewed_is_left_alone(scene: Scene) -> None:
    fire = scene.send(limited=True)
    copy = scene.copy()
    scene.run(copy)

    for _ in range(20):
        scene.pass_by(5)
        scene.locks.renew([copy])

    assert scene.row["state"] == "started"
    assert scene.holders == [fire]


@pytest.mark.usefixtures("heard")
def test_what_came_again_while_it_ran_is_sent_again_when_its_worker_is_gone(scene: Scene) -> None:
    scene.send(limited=True)
    copy = scene.copy()
    scene.run(copy)
    again = scene.copy(worker="w2")
    assert scene.locks.admit(again) is Answer.IN_HAND

    scene.pass_by(32)

    assert (scene.row["state"], scene.row["publishes"]) == ("sent", 2)
    assert scene.locks.admit(scene.copy()) is Answer.REPLACES


@pytest.mark.usefixtures("heard")
def test_what_was_reserved_by_a_worker_that_is_gone_is_sent_again(scene: Scene) -> None:
    fire = scene.send(limited=True)
    assert scene.locks.admit(scene.copy()) is Answer.FIRST

    scene.pass_by(85)
    assert (scene.row["publishes"], scene.holders) == (1, [fire])
    scene.pass_by(10)

    assert (scene.row["state"], scene.row["publishes"]) == ("sent", 2)
    assert scene.locks.admit(scene.copy()) is Answer.REPLACES


@on_each_database
@pytest.mark.usefixtures("heard")
def test_after_the_memory_was_lost_a_fire_is_sent_again_and_may_run(scene: Scene) -> None:
    scene.send()
    lose_memory(scene)

    # First it is silent, from when somebody found that out.
    scene.pass_by(76)

    assert (scene.row["state"], scene.row["publishes"]) == ("sent", 2)
    assert scene.locks.admit(scene.copy()) is Answer.FIRST


@pytest.mark.usefixtures("heard")
def test_while_the_locks_are_silent_nothing_is_decided(scene: Scene) -> None:
    scene.send(limited=True)
    scene.run(scene.copy())
    scene.pass_by(25)
    lose_memory(scene)

    scene.pass_by(9)
    assert scene.row["state"] == "started"
    # Its worker tells the new memory.
    scene.locks.renew([scene.copy(accepted=True)])
    scene.pass_by(20)

    assert scene.row["state"] == "started"


@pytest.mark.usefixtures("heard")
def test_a_run_that_nobody_told_the_new_memory_of_is_lost(scene: Scene) -> None:
    scene.send(limited=True)
    scene.run(scene.copy())
    scene.pass_by(1)
    lose_memory(scene)

    scene.pass_by(60)

    assert scene.row["state"] == "lost"


@pytest.mark.usefixtures("heard")
def test_a_copy_that_was_handed_back_is_not_sent_again_while_another_runs(scene: Scene) -> None:
    scene.send(limited=True)
    copy = scene.copy()
    assert scene.locks.admit(copy) is Answer.FIRST
    scene.locks.report([Report(copy.fire, FireState.PENDING, scene.clock.now(), token="other")])

    scene.pass_by(20)
    assert (scene.row["state"], scene.row["publishes"]) == ("pending", 1)
    scene.locks.end([Step(copy, scene.said(copy, FireState.SUCCEEDED))])
    scene.pass_by(1)

    assert scene.row["state"] == "succeeded"


@pytest.mark.usefixtures("heard")
def test_an_end_whose_report_was_lost_is_not_waited_for_for_ever(scene: Scene) -> None:
    scene.send(limited=True)
    copy = scene.copy()
    scene.run(copy)
    scene.pass_by(1)
    scene.locks.end([Step(copy)])

    scene.pass_by(100)

    assert scene.row["state"] == "lost"
    assert scene.row["error"] == "it ended, and the report that says how was lost"


@pytest.mark.usefixtures("unheard")
def test_one_report_shows_that_workers_have_the_plugin(scene: Scene) -> None:
    scene.send()
    scene.locks.report([Report("nobody's", FireState.STARTED, START)])

    scene.pass_by(61)

    assert scene.row["publishes"] == 2


@pytest.mark.usefixtures("heard")
def test_nothing_is_asked_while_nothing_is_to_be_looked_after(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.send()
    asked = statements(scene, lambda: scene.beat.tick())

    assert not [text for text in asked if "check_at <=" in text]


def lose_memory(scene: Scene) -> None:
    """As a database does that was restored, or Redis when it starts anew."""
    for table in (tables.slots, tables.slot_keys, tables.admissions, tables.reports):
        scene.records.run(sa.delete(table))
    scene.records.run(sa.delete(tables.meta).where(tables.meta.c.key.like("locks.%")))


def statements(scene: Scene, work: Callable[[], object]) -> list[str]:
    """What the beat asks its database while it does *work*."""
    found: list[str] = []
    engine = scene.beat.scheduler.runtime.engine

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        found.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return found
