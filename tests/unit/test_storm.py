"""The account of a storm notices what must not be: else its figures would show nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.storm.account import Account, Owed, account
from tests.storm.report import lines
from tests.storm.weather import RESTARTED, STALLED, Log, Outage

START = datetime(2030, 1, 7, 9, tzinfo=timezone.utc)
AT = START.timestamp()
OWED = Owed(["job"], START, 3, frozenset({"job"}))
DIED = Log(deaths={"w1": AT + 1.5})


def row(second: int, state: str = "succeeded", **more: Any) -> dict[str, Any]:
    told = {"until_at": None, "count": None, "worker": "w1@here", "error": None, **more}
    at = START + timedelta(seconds=second)
    return {"id": f"f{second}", "job_name": "job", "fire_at": at, "state": state, **told}


def sent(second: float) -> list[dict[str, Any]]:
    return [{"what": "sent", "fire": f"f{int(second)}", "at": AT + second}]


def run(
    second: int,
    name: str = "a",
    worker: str = "w1",
    begun: float | None = None,
    took: float | None = 0.5,
    late: bool = False,
) -> list[dict[str, Any]]:
    """The notes of a run: of one that did not end, only the first."""
    at = AT + (second if begun is None else begun)
    said = {"fire": f"f{second}", "job": "job", "run": f"{second} {name}", "worker": worker}
    said["late"] = late
    ended = [] if took is None else [{**said, "what": "ended", "at": at + took}]
    return [{**said, "what": "begun", "at": at}, *ended]


RECORDS = [row(0), row(1), row(2)]
NOTES = [*run(0), *run(1), *run(2)]


def found(rows: Any = RECORDS, notes: Any = NOTES, log: Log | None = None) -> Account:
    return account(OWED, rows, notes, log or Log())


def test_a_storm_that_did_no_harm_has_nothing_wrong() -> None:
    it = found()

    assert it.wrong == {}
    assert (it.due, it.runs, dict(it.by_state)) == (3, 3, {"succeeded": 3})


WRONG: Mapping[str, tuple[Account, int]] = {
    "an instant without a record": (found([row(0), row(2)], [*run(0), *run(2)]), 1),
    "an instant with two": (found([*RECORDS, row(1) | {"id": "f1b"}], [*NOTES]), 1),
    "an instant that was not due": (found([*RECORDS, row(3)], [*NOTES, *run(3)]), 1),
    "a run without a record": (found(RECORDS, [*NOTES, *run(4)]), 1),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_record_must_be_whole(what: str) -> None:
    it, count = WRONG[what]

    assert len(it.wrong["not on record"]) == count


def test_what_was_missed_is_on_record_as_one_row() -> None:
    rows = [row(0), row(1, "missed", until_at=START + timedelta(seconds=2), count=2)]

    it = found(rows, run(0))

    assert it.wrong == {}
    assert dict(it.by_state) == {"succeeded": 1, "missed": 2}


@pytest.mark.parametrize("state", ["succeeded", "sent", "pending", "waiting"])
def test_a_fire_that_did_not_run_or_end_is_missing(state: str) -> None:
    it = found([row(0), row(1, state), row(2)], [*run(0), *run(2)])

    assert len(it.wrong["missing"]) == 1


def test_a_second_run_is_one_too_many() -> None:
    it = found(notes=[*NOTES, *run(1, "b", "w2", begun=1.6)])

    assert len(it.wrong["twice"]) == 1


def test_a_second_run_is_one_too_many_though_its_worker_died_later() -> None:
    notes = [*run(0, took=0.1), *run(1), *run(2), *run(0, "b", "w2", begun=0.2)]

    assert len(found(notes=notes, log=DIED).wrong["twice"]) == 1


@pytest.mark.parametrize("late", [True, False])
def test_a_run_whose_worker_died_before_it_could_say_so_may_be_repeated(late: bool) -> None:
    notes = [*run(0), *run(1, late=late, took=0.4), *run(2), *run(1, "b", "w2", begun=2.6)]

    it = found(notes=notes, log=DIED)

    assert it.wrong == {}
    assert (len(it.repeated_late), len(it.repeated)) == ((1, 0) if late else (0, 1))


def test_what_a_worker_cannot_say_in_an_outage_it_has_not_said() -> None:
    notes = [*run(0, took=0.1), *run(1), *run(2), *run(0, "b", "w2", begun=2.5)]
    log = Log(deaths=DIED.deaths, outages=[Outage("locks", STALLED, AT, AT + 1.4)])

    assert found(notes=notes, log=log).wrong == {}


def test_a_fire_may_be_lost_with_its_worker_alone() -> None:
    rows = [row(0), row(1, "lost", error="its worker is gone"), row(2)]
    notes = [*run(0), *run(1, took=None), *run(2, worker="w2")]

    assert len(found(rows, notes).wrong["lost, though no worker died"]) == 1
    with_it = found(rows, notes, DIED)
    assert with_it.wrong == {}
    assert len(with_it.lost) == 1


def test_two_at_a_time_are_beyond_the_limit() -> None:
    it = found(notes=[*run(0, took=1.2), *run(1), *run(2)])

    assert len(it.wrong["beyond a limit"]) == 1


def test_a_gap_is_too_long_unless_a_server_was_down() -> None:
    owed = Owed(["job"], START, 12)
    rows = [row(second) for second in range(12)]
    notes = [note for n in range(12) for note in run(n, took=0.1)] + [*sent(0.5), *sent(8)]
    down = Log(outages=[Outage("database", RESTARTED, AT + 1, AT + 4)])

    assert account(owed, rows, notes, Log()).wrong == {"longest gap": ["7.5 s"]}
    assert account(owed, rows, notes, down).wrong == {}


def test_what_is_wrong_is_printed_with_the_figures() -> None:
    it = found([row(0), row(1, "sent"), row(2)], [*run(0), *run(2)])

    said = "\n".join(lines(it, DIED))

    assert "missing         1" in said
    assert "missing: job of 09:00:01 (f1) is sent in the end" in said
