"""One beat of several that is to be taken away, on a clock that is set, on each database."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from celery_jobsched.errors import InvalidJob
from celery_jobsched.status import BeatState
from celery_jobsched.store import meta, tables
from celery_jobsched.testing import Beat
from tests.hands import START, Hands
from tests.persons import Person, runs
from tests.records import settle, ticking

#: When a beat has been seen again, whatever it had to do.
CHECKED_IN = 5


def test_a_drained_beat_publishes_nothing_more_and_the_others_go_on(hands: Hands) -> None:
    hands.add("each", every="1 second", misfire="skip", misfire_grace_time=1)
    first = hands.beat.scheduler.id

    hands.jobs.drain(first, "new image", by="anna")
    hands.pass_time(CHECKED_IN)
    (drained,) = hands.jobs.beats()
    sent = len(hands.records.fires("each", "sent"))
    hands.jobs.run("each")
    hands.pass_time(3)

    assert (drained.state, drained.ticks) == (BeatState.DRAINED, False)
    assert drained.refuses == f"drained by anna since {START:%Y-%m-%d %H:%M:%S} UTC: new image"
    assert len(hands.records.fires("each", "sent")) == sent
    assert hands.states("each")[-1] == "pending"

    with Beat(hands.stack.app(), hands.clock) as other:
        other.run(seconds=2)
        hands.beat.settle()

        later = hands.records.fires("each", "sent")[sent:]
        assert len(later) >= 3
        assert {row["beat"] for row in later if row["origin"] != "manual"} == {other.scheduler.id}
        assert hands.jobs.status().problems() == []

    assert hands.jobs.undrain(drained.name) is True
    assert hands.jobs.undrain(drained.name) is False
    hands.pass_time(CHECKED_IN)
    assert hands.states("each")[-1] == "sent"
    assert [each.state for each in hands.jobs.beats()] == [BeatState.TICKS]


def test_what_a_drained_beat_has_sent_is_looked_after(lite: Hands) -> None:
    lite.add("long", keyword="go", max_concurrency=1)
    lite.call("go")
    lite.start_sent()
    lite.jobs.drain(lite.beat.scheduler.id)
    lite.pass_time(CHECKED_IN)

    lite.end_oldest("long")

    assert lite.states("long") == ["succeeded"]
    assert lite.holders("job long") == []


def test_nothing_is_left_of_a_drain_when_its_beat_has_ended(lite: Hands) -> None:
    beat = lite.beat.scheduler.id
    lite.jobs.drain(beat)
    lite.beat.close()

    with lite.records.engine.connect() as conn:
        assert meta.drained(conn, beat) is None
    assert lite.jobs.beats() == []


def test_nor_when_it_never_came_back(lite: Hands) -> None:
    row = {"id": "old", "name": "there:1", "started_at": START, "seen_at": START}
    lite.records.run(sa.insert(tables.beats).values(row))
    lite.jobs.drain("old")
    lite.clock.advance(days=2)

    with Beat(lite.stack.app(), lite.clock) as other:
        other.settle()

        assert [each.id for each in lite.jobs.beats()][:1] == [other.scheduler.id]
    with lite.records.engine.connect() as conn:
        assert meta.drained(conn, "old") is None


def test_a_beat_is_found_by_a_name_that_is_its_own(lite: Hands) -> None:
    (mine,) = lite.jobs.beats()
    row = {"name": mine.name, "started_at": START}
    lite.records.run(sa.insert(tables.beats).values(row | {"id": "a", "seen_at": START}))

    with pytest.raises(InvalidJob, match="the id of one of the 2 of that name"):
        lite.jobs.drain(mine.name)
    with pytest.raises(InvalidJob, match="the name or the id of a beat on the list"):
        lite.jobs.drain("nobody:7")

    lite.pass_time(60)
    assert lite.jobs.drain(mine.name).id == mine.id


def test_the_commands_list_beats_and_drain_one(small_person: Person) -> None:
    run = runs(small_person)
    none = run("beats")
    with ticking(small_person.stack, small_person.app()) as beat:
        settle(beat)
        (seen,) = small_person.jobs.beats()

        listed, as_json = run("beats"), run("beats", "--json")
        drained = run("beats", "drain", seen.name, "--note", "new image", "--by", "anna")
        beat._upkeep._checked_in = None
        beat.tick()
        then, status = run("beats"), run("status")
        undone = run("beats", "drain", beat.id, "--undo")
        again = run("beats", "drain", beat.id, "--undo")
        unknown = run("beats", "drain", "nobody:7")

    assert (none.exit_code, none.stderr) == (3, "no beat is on the list\n")
    assert listed.output.split()[:2] == ["NAME", "STATE"]
    assert listed.output.splitlines()[1].split()[:2] == [seen.name, "ticking"]
    (told,) = json.loads(as_json.output)
    assert (told["id"], told["state"], told["ticks"]) == (beat.id, "ticking", True)
    assert drained.output == f"{seen.name} is to publish nothing more\n"
    assert "drained by anna since 2" in then.output
    assert f"drained    {seen.name} claims nothing: drained by anna since 2" in status.output
    assert status.exit_code == 3
    assert (undone.exit_code, undone.output) == (0, f"{beat.id} claims again\n")
    assert (again.exit_code, again.output) == (3, f"{beat.id} was not drained\n")
    assert unknown.exit_code == 2
    assert "expected the name or the id of a beat on the list" in unknown.stderr
