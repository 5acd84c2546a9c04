"""Who gets a slot, and what becomes of the others: a beat and a worker played by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from celery_jobsched.fire import FireState
from celery_jobsched.limits import Limit, Rights
from celery_jobsched.locks import CopyState, Hold, Report
from celery_jobsched.store import claims, fires, tables, waiting
from celery_jobsched.store.pages import Claimant
from celery_jobsched.testing import Beat as OtherBeat
from tests.hands import START, Hands, by_hand
from tests.services import DATABASES

FIRES = tables.fires
LEASE = timedelta(seconds=30)

#: What a run of a 2 s task takes of its slot: the way there and back as well.
RUN_S = 2.3


@pytest.fixture(params=DATABASES)
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hands]:
    with by_hand(request.param, tmp_path, jobsched_max_waiting=3) as hands:
        yield hands


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Hands]:
    with by_hand("sqlite", tmp_path, jobsched_max_waiting=3) as hands:
        yield hands


SEQUENCES = {
    "skip": [
        "0 succeeded",
        "1-2 skipped",
        "3 succeeded",
        "4-5 skipped",
        "6 succeeded",
        "7-8 skipped",
    ],
    # Three may wait here: with the usual hundred none is skipped for some minutes.
    "wait": [
        "0 succeeded",
        "1 succeeded",
        "2 succeeded",
        "3 started",
        "4 waiting",
        "5 waiting",
        "6 skipped",
        "7 waiting",
        "8 skipped",
    ],
    "latest": [
        "0 succeeded",
        "1 skipped",
        "2 succeeded",
        "3 skipped",
        "4 succeeded",
        "5 skipped",
        "6 started",
        "7 skipped",
        "8 waiting",
    ],
    "replace": [*(f"{n} revoked" for n in range(8)), "8 started"],
}


@pytest.mark.parametrize("overlap", SEQUENCES)
def test_a_task_of_two_seconds_each_second(hands: Hands, overlap: str) -> None:
    hands.add("job", every="1 second", max_concurrency=1, overlap=overlap)

    hands.play(8.5, RUN_S)

    assert hands.told("job") == SEQUENCES[overlap]


def test_skips_that_follow_each_other_are_one_record_with_its_reason(hands: Hands) -> None:
    hands.add("job", every="1 second", max_concurrency=1)

    hands.pass_time(5)

    sent, skipped = hands.records.fires("job")
    assert (sent["state"], skipped["state"], skipped["count"]) == ("sent", "skipped", 5)
    assert skipped["reason"] == "overlap = skip: 1 of 1 slots of 'job job' are taken"
    assert (skipped["until_at"] - skipped["fire_at"]).total_seconds() == 4
    assert (skipped["ready_at"], skipped["waiting_for"]) == (None, None)


def test_what_ran_in_the_midst_of_skips_is_no_part_of_their_record(hands: Hands) -> None:
    hands.add("job", every="1 second", max_concurrency=1)
    hands.end_oldest("job")
    for second in range(1, 6):
        hands.clock.advance(seconds=1)
        with hands.records.engine.begin() as conn:
            claims.claim_due(conn, hands.clock.now(), 10, Claimant("another"))
            # The locks were away, for a shorter time when the second one was to be sent.
            asked_again_at = START + timedelta(seconds=7 if second == 3 else 8)
            of_this = tables.fires.c.fire_at == START + timedelta(seconds=second)
            left = {"ready_at": asked_again_at, "publishes": 0}
            conn.execute(sa.update(tables.fires).where(of_this).values(left))
    hands.edit("job", ends_at=hands.clock.now())
    hands.clock.advance(seconds=5)
    hands.beat.settle()

    assert hands.told("job") == ["0 succeeded", "1-2 skipped", "3 sent", "4-5 skipped"]


def test_who_waited_is_published_once_and_waits_no_more(hands: Hands) -> None:
    hands.add("job", every="1 second", max_concurrency=1, overlap="wait")
    hands.pass_time(1)

    waiting = hands.records.fires("job")[1]
    hands.end_oldest("job")
    after = hands.records.fires("job")[1]

    assert (waiting["state"], waiting["waiting_for"], waiting["publishes"]) == (
        "waiting",
        "job job",
        0,
    )
    assert (after["state"], after["waiting_for"], after["publishes"]) == ("sent", None, 1)
    assert hands.holders("job job") == [after["id"]]


def test_a_key_with_a_blank_at_its_end_holds_up_no_other(hands: Hands) -> None:
    # To MariaDB it is the same key.
    hands.add("job", keyword="go", max_concurrency=1)
    for _ in range(3):
        hands.call("go")
    theirs = hands.records.fires("job")[1]["id"]
    blank = sa.update(tables.fires).where(tables.fires.c.id == theirs)
    hands.records.run(blank.values(waiting_for="job job "))

    for _ in range(3):
        hands.end_oldest("job")
        hands.pass_time(2)

    assert hands.states("job") == ["succeeded"] * 3


def test_a_free_slot_gives_one_turn_and_a_dead_beats_turn_is_not_lost(hands: Hands) -> None:
    hands.add("job", keyword="go", max_concurrency=1)
    for _ in range(3):
        hands.call("go")
    _, first, second = (row["id"] for row in hands.records.fires("job"))

    def woken(free: int) -> list[str]:
        with hands.records.engine.begin() as conn:
            found = waiting.wake(conn, {"job job": free}, hands.clock.now(), 10, "UTC")
        return [each.fire.id for each in found]

    assert (woken(1), woken(1), woken(2)) == ([first], [], [second])
    hands.end_oldest("job")
    hands.call("go")
    assert hands.states("job") == ["succeeded", "pending", "pending", "waiting"]
    hands.pass_time(2)
    assert hands.states("job") == ["succeeded", "sent", "waiting", "waiting"]


@pytest.mark.parametrize("overlap", ["skip", "latest"])
def test_what_somebody_asked_for_waits_and_is_not_superseded(lite: Hands, overlap: str) -> None:
    lite.add("job", every="1 second", keyword="go", max_concurrency=1, overlap=overlap)
    lite.call("go")

    lite.pass_time(2)

    asked = lite.records.fires("job")[1:]
    (fire,) = [row for row in asked if row["origin"] == "keyword"]
    assert fire["state"] == "waiting"


def test_a_skip_does_not_count_for_max_fires(hands: Hands) -> None:
    hands.add("job", every="1 second", max_concurrency=1, max_fires=3)

    hands.play(8.5, RUN_S)

    ran = ["0 succeeded", "1-2 skipped", "3 succeeded", "4-5 skipped", "6 succeeded"]
    assert hands.told("job") == ran
    assert hands.records.job("job")["fire_count"] == 3


def test_jobs_that_share_a_key_take_turns(hands: Hands) -> None:
    hands.add("b", every="1 second", concurrency_key="disk", overlap="wait", max_fires=1)
    hands.add("a", every="1 second", concurrency_key="disk", overlap="skip")

    hands.pass_time(1)

    assert (hands.told("b"), hands.told("a")) == (["0 sent"], ["0-1 skipped"])
    assert "slots of 'key disk'" in hands.records.fires("a")[0]["reason"]


def test_a_newcomer_overtakes_nobody_who_waits_for_one_of_its_keys(hands: Hands) -> None:
    shared = {"concurrency_key": "disk", "overlap": "wait"}
    hands.add("runs", every="1 hour", **shared)
    hands.add("waits", every="1 hour", **shared)
    hands.add("comes", keyword="come", max_concurrency=1, **shared)
    (run,) = hands.records.fires("runs")

    hands.locks.release([Hold(run["id"], (Limit("key disk", 1),), LEASE)])
    hands.call("come")

    assert hands.states("waits") == ["sent"]
    assert hands.states("comes") == ["waiting"]


def test_a_run_takes_all_its_slots_or_none(hands: Hands) -> None:
    hands.add("one", every="1 hour", concurrency_key="disk", overlap="wait")
    hands.add("two", every="1 hour", concurrency_key="disk", max_concurrency=1, overlap="wait")

    assert hands.told("two") == ["0 waiting"]
    assert hands.holders("job two") == []
    hands.end_oldest("one")
    (fire,) = hands.records.fires("two")
    assert (fire["state"], hands.holders("job two")) == ("sent", [fire["id"]])
    assert hands.holders("key disk") == [fire["id"]]


def test_the_smallest_limit_of_those_that_share_a_key_counts_unless_another_is_set(
    tmp_path: Path,
) -> None:
    with by_hand("sqlite", tmp_path, jobsched_limits={"net": 3}) as hands:
        for n, limit in enumerate((4, 2, None)):
            hands.write(f"d{n}", keyword="disk", concurrency_key="disk", max_concurrency=limit)
            hands.write(f"n{n}", keyword="net", concurrency_key="net")
        hands.beat.settle()

        hands.jobs.fire("disk")
        hands.jobs.fire("net")
        hands.beat.settle()

        assert hands.states("d0") + hands.states("d1") + hands.states("d2") == [
            "sent",
            "sent",
            "waiting",
        ]
        assert hands.states("n0") + hands.states("n1") + hands.states("n2") == ["sent"] * 3


def test_a_limit_that_sql_lowers_and_raises_counts_at_once(hands: Hands) -> None:
    hands.add("job", keyword="go", max_concurrency=2)
    for _ in range(2):
        hands.call("go")

    hands.edit("job", max_concurrency=1)
    hands.call("go")
    hands.end_oldest("job")
    assert hands.states("job") == ["succeeded", "started", "waiting"]
    hands.edit("job", max_concurrency=2)
    assert hands.states("job") == ["succeeded", "started", "sent"]
    hands.call("go")
    hands.edit("job", max_concurrency=None)
    assert hands.states("job") == ["succeeded", "started", "sent", "sent"]


def test_who_waits_for_a_job_that_is_paused_or_gone_is_cancelled(hands: Hands) -> None:
    for name in ("paused", "gone"):
        hands.add(name, every="20 seconds", max_concurrency=1, overlap="wait")
    hands.pass_time(20)
    assert hands.states() == ["sent", "sent", "waiting", "waiting"]

    hands.edit("paused", enabled=False)
    hands.jobs.remove("gone")
    hands.end_oldest("paused")
    hands.end_oldest("gone")

    for name in ("paused", "gone"):
        assert hands.states(name) == ["succeeded", "cancelled"]
        assert hands.holders(f"job {name}") == []


def test_a_waiting_record_that_a_person_ended_holds_up_nobody(hands: Hands) -> None:
    hands.add("it", every="20 seconds", max_concurrency=1, overlap="wait")
    hands.pass_time(40)
    assert hands.states() == ["sent", "waiting", "waiting"]
    first = sa.select(sa.func.min(FIRES.c.id)).where(FIRES.c.state == "waiting").scalar_subquery()
    with hands.records.engine.begin() as conn:
        id_ = conn.execute(sa.select(first)).scalar_one()
        conn.execute(sa.update(FIRES).where(FIRES.c.id == id_).values(state="cancelled"))

    hands.end_oldest("it")

    assert hands.states() == ["succeeded", "cancelled", "sent"]


def test_whoever_takes_over_a_fire_takes_its_slot_again(hands: Hands) -> None:
    hands.add("job", every="1 hour", max_concurrency=1)
    (sent,) = hands.records.fires("job", "sent")
    dead_beats = {"state": "pending", "ready_at": hands.clock.now(), "rights": None}
    hands.records.run(sa.update(FIRES).values(dead_beats))

    hands.pass_time(2)

    (again,) = hands.records.fires("job")
    assert (again["state"], again["publishes"]) == ("sent", 2)
    assert hands.holders("job job") == [sent["id"]]
    assert Rights.from_text(again["rights"]).limits == (Limit("job job", 1),)


def test_a_copy_that_runs_after_its_fire_was_cancelled_keeps_its_slot(hands: Hands) -> None:
    hands.add("job", every="1 hour", max_concurrency=1)
    (sent,) = hands.records.fires("job", "sent")
    dead_beats = {"state": "pending", "ready_at": hands.clock.now()}
    hands.records.run(sa.update(FIRES).values(dead_beats))
    hands.edit("job", enabled=False)
    hands.pass_time(2)
    assert hands.states("job") == ["cancelled"]
    assert hands.holders("job job") == [sent["id"]]

    hands.start(sent)
    assert hands.states("job") == ["started"]
    hands.end(sent["id"])

    (ended,) = hands.records.fires("job")
    assert (ended["state"], ended["reason"]) == ("succeeded", None)
    assert hands.holders("job job") == []


def test_who_may_have_been_published_waits_whatever_the_rule(lite: Hands) -> None:
    lite.add("job", every="1 hour", max_concurrency=1)
    (sent,) = lite.records.fires("job", "sent")
    lite.locks.release([Hold(sent["id"], (Limit("job job", 1),), LEASE)])
    lite.locks.acquire([Hold("another", (Limit("job job", 1),), LEASE)])
    dead_beats = {"state": "pending", "ready_at": lite.clock.now(), "rights": None}
    lite.records.run(sa.update(FIRES).values(dead_beats))

    lite.pass_time(2)

    assert lite.states("job") == ["waiting"]


def test_latest_skips_nothing_that_may_have_been_published(lite: Hands) -> None:
    lite.add("job", every="1 second", max_concurrency=1, overlap="latest")
    (sent,) = lite.records.fires("job", "sent")
    lite.locks.release([Hold(sent["id"], (Limit("job job", 1),), LEASE)])
    lite.locks.acquire([Hold("another", (Limit("job job", 1),), LEASE)])
    lost_its_slot = Report(sent["id"], FireState.WAITING, lite.clock.now(), error="full")
    lite.locks.report([lost_its_slot])

    lite.pass_time(2)

    assert lite.told("job") == ["0 waiting", "1 skipped", "2 waiting"]


def test_what_can_never_be_published_gives_its_slot_back(tmp_path: Path) -> None:
    with by_hand("sqlite", tmp_path, jobsched_known_tasks_only=False) as hands:
        hands.add("bad", every="1 hour", max_concurrency=1, options='{"queue": ["no name"]}')

        assert hands.states("bad") == ["failed"]
        assert hands.holders("job bad") == []


def test_a_lease_that_is_over_frees_the_slot(hands: Hands) -> None:
    hands.add("job", every="1 minute", max_concurrency=1, overlap="wait", lease=10)
    (sent,) = hands.records.fires("job", "sent")
    hands.records.run(sa.update(FIRES).values(check_at=None))  # its beats and workers are dead

    hands.pass_time(60)

    assert hands.states("job")[1] == "sent"
    assert sent["check_at"] - sent["sent_at"] <= LEASE / 9


def test_a_catch_up_waits_in_the_order_of_its_instants(hands: Hands) -> None:
    hands.write(
        "job",
        created_at=START - timedelta(seconds=200),
        every="30 seconds",
        misfire="all",
        misfire_grace_time=1,
        max_concurrency=1,
        overlap="wait",
    )
    hands.beat.settle()

    states = hands.states("job")
    assert states[:4] == ["sent", "waiting", "waiting", "waiting"]
    assert set(states[4:]) == {"skipped"}


def test_a_newcomer_waits_behind_one_of_whom_its_beat_has_not_heard_yet(hands: Hands) -> None:
    hands.add("job", keyword="go", max_concurrency=1)
    hands.call("go")
    seen_by_us, (running,) = hands.beat.scheduler._slots, hands.records.fires("job")
    with OtherBeat(hands.stack.app(), hands.clock) as other:
        hands.clock.advance(milliseconds=1)
        hands.jobs.fire("go")
        other.settle()
    rights = Rights.from_text(running["rights"])
    hands.locks.release([Hold(running["id"], rights.limits, rights.lease)])
    hands.clock.advance(milliseconds=1)
    (newcomer,) = hands.jobs.fire("go")

    with hands.records.engine.begin() as conn:
        taken = fires.take_ready(conn, hands.clock.now(), 10, "UTC")
    granted = seen_by_us.grant(taken)

    assert hands.states("job") == ["sent", "waiting", "pending"]
    assert [each.fire.id for each in taken] == [newcomer]
    assert granted.deliveries == []
    assert [(fire.id, key) for fire, key in granted.verdict.waiting] == [(newcomer, "job job")]


def test_a_replaced_run_says_by_whom(hands: Hands) -> None:
    hands.add("job", every="1 second", max_concurrency=1, overlap="replace")
    hands.start_sent()

    hands.pass_time(1)

    first, second = hands.records.fires("job")
    assert first["reason"] == f"asked to end: replaced by {second['id']}"
    assert (first["state"], second["state"]) == ("started", "waiting")


def test_a_replaced_fire_that_nobody_took_yet_does_not_start(hands: Hands) -> None:
    hands.add("job", every="1 second", max_concurrency=1, overlap="replace")

    hands.pass_time(1)

    first, second = hands.records.fires("job")
    assert (first["state"], second["state"]) == ("revoked", "sent")
    assert hands.locks.admissions([first["id"]])[first["id"]].state is CopyState.ENDED
    assert hands.holders("job job") == [second["id"]]


def test_of_workers_without_the_plugin_a_replaced_run_keeps_its_slot_for_a_lease(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "celery_jobsched.worker", raising=False)
    until = START + timedelta(seconds=2)
    hands.add("job", every="1 second", ends_at=until, max_concurrency=1, overlap="replace")

    hands.pass_time(29)

    first, _, last = hands.records.fires("job")
    assert first["reason"] == f"asked to end: replaced by {last['id']}"
    assert hands.states("job") == ["sent", "skipped", "waiting"]
    assert hands.holders("job job") == [first["id"]]
    hands.pass_time(2)
    assert hands.states("job") == ["sent", "skipped", "sent"]
    assert hands.holders("job job") == [last["id"]]
