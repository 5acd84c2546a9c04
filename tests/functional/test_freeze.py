"""All schedules held up at once: by hand, on a clock that is set, on each database."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from celery_jobsched.errors import InvalidJob
from celery_jobsched.freeze import Freeze
from tests.hands import START, Hands
from tests.persons import Person, runs

SECOND = timedelta(seconds=1)


def test_nothing_fires_but_what_is_asked_for_until_it_is_thawed(hands: Hands) -> None:
    hands.add("each", every="1 second", misfire="skip", misfire_grace_time=1)
    hands.pass_time(1)
    assert hands.states("each") == ["sent", "sent"]

    frozen = hands.jobs.freeze("the database moves", by="anna")
    hands.pass_time(5)
    hands.jobs.run("each")
    hands.pass_time(0.5)

    assert hands.jobs.frozen() == frozen == Freeze(START + SECOND, None, "anna", frozen.note)
    assert hands.states("each") == ["sent", "sent", "sent"]
    assert [row["origin"] for row in hands.records.fires("each")][-1] == "manual"

    assert hands.jobs.thaw() == frozen
    hands.pass_time(2)
    assert hands.jobs.thaw() is None
    fired = hands.told("each")
    assert fired[-1] == "8 sent"
    assert any("missed" in each for each in fired)


def test_a_freeze_with_an_end_is_over_by_itself(hands: Hands) -> None:
    hands.add("each", every="1 second", misfire="once")
    hands.jobs.freeze(until=START + 10 * SECOND)

    hands.pass_time(9.5)
    assert hands.told("each") == ["0 sent"]
    hands.pass_time(1)

    assert hands.jobs.frozen() is None
    assert hands.told("each")[-1] == "10 sent"


def test_an_edit_is_planned_while_all_is_frozen(hands: Hands) -> None:
    hands.jobs.freeze()
    hands.add("new", every="1 minute")

    assert hands.records.job("new")["next_fire_at"] is not None
    assert hands.states() == []


def test_a_note_that_cannot_be_read_freezes_until_somebody_thaws(lite: Hands) -> None:
    lite.add("each", every="1 second")
    said = "INSERT INTO jobsched_meta (key, value) VALUES ('freeze', 'Anna: do not fire')"
    lite.records.run(sa.text(said))
    lite.pass_time(3)

    assert lite.told("each") == ["0 sent"]
    assert "Anna: do not fire" in str(lite.jobs.frozen())


@pytest.mark.parametrize("seconds", [-1, 0])
def test_a_freeze_that_is_over_before_it_begins_is_refused(lite: Hands, seconds: int) -> None:
    with pytest.raises(InvalidJob, match="until: expected an instant that is to come"):
        lite.jobs.freeze(until=START + seconds * SECOND)


def test_the_commands_say_by_whom_and_why_as_explain_and_status_do(person: Person) -> None:
    run = runs(person)
    person.jobs.add("each", task="proj.note", every="1 day")
    person.beat()

    unasked = run("freeze")
    frozen = run("freeze", "--note", "the database moves", "--by", "anna", "--yes")
    status = run("status")
    thawed, again = run("thaw"), run("thaw")

    assert unasked.exit_code == 2
    assert "say --yes" in unasked.stderr
    assert frozen.exit_code == 0
    assert frozen.output.startswith("all schedules are frozen by anna since 2")
    assert frozen.output.endswith(": the database moves\n")
    assert frozen.output.strip() in status.output
    assert (thawed.exit_code, thawed.output) == (0, "schedules fire again\n")
    assert (again.exit_code, again.output) == (3, "nothing was frozen\n")
