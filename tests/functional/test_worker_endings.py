"""Each way in which a run can end, provoked in a real worker, and what is on record of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from celery_jobsched.locks import LONGEST_TEXT, CopyState, Report
from tests.processes import wait_until
from tests.sender import Sender, fresh_sender, worker

LONG = "x" * 3000
LIMIT = [("busy", 100)]


@dataclass(frozen=True)
class Ending:
    """What is sent, and what its last report must say; texts are what theirs begin with."""

    task: str
    args: tuple[Any, ...] = ()
    states: tuple[str, ...] = ()
    result: str | None = None
    error: str | None = None
    options: dict[str, Any] | None = None
    runs: int = 1
    #: In the result backend.
    outcome: str = "FAILURE"


ENDINGS = {
    "success": Ending("succeed", (7,), ("succeeded",), result="7", outcome="SUCCESS"),
    "long result": Ending("succeed", (LONG,), ("succeeded",), result="'xxx", outcome="SUCCESS"),
    "failure": Ending("fail", (), ("failed",), error="RuntimeError: as it was asked to"),
    "long failure": Ending("fail", (LONG,), ("failed",), error="RuntimeError: xxx"),
    "odd failure": Ending("fail_oddly", (), ("failed",), error="Odd"),
    "retried": Ending(
        "retry",
        (0.1, 2),
        ("retrying", "retrying", "succeeded"),
        "'after 2'",
        None,
        None,
        3,
        "SUCCESS",
    ),
    "retries exhausted": Ending(
        "retry", (0.1, 99), ("retrying",) * 5 + ("failed",), error="RuntimeError: not yet", runs=6
    ),
    "ignore": Ending("raise_ignore", (), ("succeeded",), "Ignore('nothing", outcome="PENDING"),
    "reject": Ending("raise_reject", (False,), ("failed",), error="Reject: "),
    "requeue": Ending(
        "raise_reject", (True,), ("retrying", "succeeded"), "'here'", None, None, 2, "SUCCESS"
    ),
    "soft time limit": Ending(
        "hang", (), ("failed",), error="SoftTimeLimitExceeded", options={"soft_time_limit": 0.5}
    ),
    "hard time limit": Ending(
        "hang", (), ("failed",), error="TimeLimitExceeded", options={"time_limit": 0.5}
    ),
    "sys.exit": Ending("leave", (), ("failed",), error="SystemExit: 3"),
    "killed child": Ending("die", (), ("failed",), error="WorkerLostError: "),
    "killed child, requeued": Ending(
        "die_once", (), ("retrying", "succeeded"), "'the second", None, None, 2, "SUCCESS"
    ),
    "killed after its success": Ending(
        "succeed_and_die", (), ("succeeded",), "'done'", outcome="SUCCESS"
    ),
    "killed child, retried": Ending(
        "die_and_retry", (), ("retrying", "succeeded"), "'again'", None, None, 2, "SUCCESS"
    ),
    "expired": Ending(
        "succeed",
        (),
        ("expired",),
        error="expired",
        options={"expires": datetime(2020, 1, 1, tzinfo=timezone.utc)},
        runs=0,
        outcome="REVOKED",
    ),
    "unknown task": Ending(
        "nobody", (), ("failed",), error="no task of the name 'fates.nobody' in worker w", runs=0
    ),
    "unknown form": Ending(
        "succeed",
        (),
        ("failed",),
        error="cannot read its message (ContentDisallowed: ",
        options={"serializer": "pickle"},
        runs=0,
        outcome="PENDING",
    ),
    "terminated": Ending("hang", (), ("revoked",), error="terminated", outcome="REVOKED"),
    "terminated by SIGKILL": Ending(
        "hang", (), ("revoked",), error="terminated", outcome="REVOKED"
    ),
}


KILLED = {"terminated": "SIGTERM", "terminated by SIGKILL": "SIGKILL"}


@dataclass(frozen=True)
class Ended:
    """What was sent and has ended; fires by the names of their endings."""

    sender: Sender
    fires: dict[str, str]

    def last(self, name: str) -> Report:
        return self.sender.reports(self.fires[name])[-1]


@pytest.fixture(
    scope="module", params=[("sqlite", "redis"), ("postgresql", "rabbitmq")], ids="-".join
)
def ended(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Ended]:
    """All of them at once in one worker."""
    folder: Path = tmp_path_factory.mktemp("endings")
    with fresh_sender(*request.param, folder) as sender:
        with worker(sender, pool="prefork", concurrency=6) as it:
            fires = {name: _send(sender, ENDINGS[name]) for name in sorted(ENDINGS)}
            for name, signal in KILLED.items():
                wait_until(lambda name=name: sender.runs(fires[name]), 20, it.log)
                sender.app.control.revoke(fires[name], terminate=True, signal=signal)
            for name, fire in fires.items():
                sender.wait_for(fire, ENDINGS[name].states[-1], seconds=30)
            yield Ended(sender, fires)


def _send(sender: Sender, ending: Ending) -> str:
    ticket = sender.ticket(LIMIT)
    return sender.send(
        f"fates.{ending.task}", *ending.args, ticket=ticket, **(ending.options or {})
    )


def test_each_ending_is_on_record(ended: Ended) -> None:
    for name, fire in ended.fires.items():
        expected, last = ENDINGS[name], ended.last(name)
        states = [state for state in ended.sender.states(fire) if state != "started"]

        assert tuple(states) == expected.states, name
        for said, wanted in ((last.result, expected.result), (last.error, expected.error)):
            assert (said is None) == (wanted is None), (name, last)
            assert (said or "").startswith(wanted or ""), (name, last)


def test_it_ran_as_often_as_it_had_to(ended: Ended) -> None:
    runs = {name: len(ended.sender.runs(fire)) for name, fire in ended.fires.items()}

    assert runs == {name: ENDINGS[name].runs for name in runs}


def test_the_record_says_where_and_when_it_ran_last(ended: Ended) -> None:
    for name, fire in ended.fires.items():
        runs, last = ended.sender.runs(fire), ended.last(name)
        is_retry = ENDINGS[name].task in {"retry", "die_and_retry"}

        assert (last.worker[0], last.retries) == ("w", len(runs) - 1 if is_retry else 0), name
        if not runs:
            assert last.started_at is None, name
            continue
        began = datetime.fromtimestamp(runs[-1]["at"], timezone.utc)
        assert last.started_at is not None, name
        assert abs(last.started_at - began) < timedelta(seconds=1), name
        assert last.started_at <= last.at <= datetime.now(timezone.utc), name


def test_no_slot_is_left_over_and_no_other_copy_may_run(ended: Ended) -> None:
    records = ended.sender.locks.admissions(list(ended.fires.values()))

    assert {record.state for record in records.values()} == {CopyState.ENDED}
    assert len(records) == len(ended.fires)
    assert ended.sender.locks.holders(["busy"]) == {"busy": []}


def test_the_result_backend_has_what_celery_itself_writes(ended: Ended) -> None:
    for name, fire in ended.fires.items():
        wait_until(
            lambda fire=fire, name=name: ended.sender.result(fire)[0] == ENDINGS[name].outcome,
            5,
            lambda fire=fire, name=name: f"{name}: {ended.sender.result(fire)}",
        )


@pytest.mark.parametrize("name", ["long result", "long failure"])
def test_texts_are_bounded(ended: Ended, name: str) -> None:
    last = ended.last(name)

    assert 500 < len(last.result or last.error or "") <= LONGEST_TEXT


def test_what_is_revoked_before_it_comes_never_runs(tmp_path: Path) -> None:
    with fresh_sender("sqlite", "redis", tmp_path) as sender, worker(sender, pool="prefork") as it:
        gate = tmp_path / "gate"
        first = sender.send("fates.succeed", 1, str(gate))
        wait_until(lambda: sender.runs(first), 10, it.log)
        second = sender.send("fates.succeed", 2)
        sender.app.control.revoke(second, reply=True, timeout=10, limit=1)
        gate.touch()

        report = sender.wait_for(second, "revoked")

    assert (report.error, report.started_at) == ("revoked", None)
    assert sender.runs(second) == []
