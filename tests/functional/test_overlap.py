"""A task of two steps, each step, one at a time: the sequences of docs/howto/overlap.md.

A real beat and a real worker; one run a stack, side by side, with a job of each rule. A step is two
seconds here, or what a slow machine needs to end a run within it; on a clock that is set it is one
second, see ``test_slots``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from tests.beside import Plays, beside
from tests.pace import paced
from tests.processes import Beat, Worker, runs, wait_until
from tests.records import Records, unaccounted
from tests.stacks import Stack, fresh_stack

pytestmark = pytest.mark.alone

SECOND = timedelta(seconds=1)
STEP = ceil(paced(2)) * SECOND
RULES = ("skip", "wait", "latest", "replace")
#: The first has its locks in Redis, the second in its database.
STACKS = (("postgresql", "redis"), ("mysql", "rabbitmq"))
CONF = {"imports": ["celery_jobsched.worker"], "jobsched_poll_interval": 0.05}
#: Beyond this step nothing is judged: what is to come of it may be under way.
SEEN = 4


@dataclass(frozen=True)
class Played:
    """The records of each rule's job, and the ids that its runs began with, in their order."""

    fires: Mapping[str, list[Mapping[str, Any]]]
    began: Mapping[str, list[str]]
    first_at: datetime

    def told(self, rule: str) -> list[str]:
        """What became of each instant; those that were skipped as one are one."""
        rows = [(self.step(row["fire_at"]), row) for row in self.fires[rule]]
        return [_told(at, self, row) for at, row in rows if at < SEEN]

    def step(self, instant: datetime) -> int:
        return round((instant - self.first_at) / STEP)


def _told(at: int, played: Played, row: Mapping[str, Any]) -> str:
    until = min(played.step(row["until_at"] or row["fire_at"]), SEEN - 1)
    return f"{at if until == at else f'{at}-{until}'} {row['state']}"


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Plays[Played]:
    return beside(_on_a_stack, STACKS, tmp_path_factory.mktemp("overlap"))


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def played(request: pytest.FixtureRequest, plays: Plays[Played]) -> Played:
    return plays[request.param].result()


def _on_a_stack(pair: tuple[str, str], folder: Path) -> Played:
    with fresh_stack(*pair, folder, **CONF) as stack, Records(stack.database_url) as records:
        return _play(stack, records)


def _play(stack: Stack, records: Records) -> Played:
    worker = Worker(stack, pool="prefork", concurrency=6, app="fates").start()
    with Beat(stack, app="fates") as beat:
        worker.wait_ready()
        wait_until(records.has_tables, 20, beat.log)
        start = datetime.now(timezone.utc).replace(microsecond=0) + 3 * SECOND
        for rule in RULES:
            records.add(
                rule,
                starts_at=start,
                task="fates.take",
                args=f"[{2.1 * STEP.total_seconds()}]",
                every=f"{STEP.seconds} seconds",
                max_concurrency=1,
                overlap=rule,
            )
        wait_until(lambda: len(records.fires("wait")) > SEEN + 4, 90, beat.log)
        fires = {rule: records.fires(rule) for rule in RULES}
        beat.stop()
    rule_of = {row["id"]: rule for rule, rows in fires.items() for row in rows}
    began: dict[str, list[str]] = {rule: [] for rule in RULES}
    for run in runs(stack.runs_file):
        if run["id"] in rule_of:
            began[rule_of[run["id"]]].append(run["id"])
    return Played(fires, began, start)


def test_skip_runs_when_the_last_run_is_over(played: Played) -> None:
    assert played.told("skip") == ["0 succeeded", "1-2 skipped", "3 succeeded"]


def test_wait_runs_each_of_them_one_after_another(played: Played) -> None:
    assert played.told("wait")[:3] == ["0 succeeded", "1 succeeded", "2 succeeded"]
    assert "skipped" not in {row["state"] for row in played.fires["wait"]}


def test_latest_runs_the_newest_that_came_meanwhile(played: Played) -> None:
    assert played.told("latest") == [
        "0 succeeded",
        "1 skipped",
        "2 succeeded",
        "3 skipped",
    ]


def test_replace_ends_the_run_that_is_in_the_way(played: Played) -> None:
    assert played.told("replace") == [f"{n} revoked" for n in range(SEEN)]
    # Each of them had begun.
    began = [row["id"] for row in played.fires["replace"] if row["started_at"]]
    assert began == played.began["replace"][: len(began)]
    assert len(began) >= SEEN


@pytest.mark.parametrize("rule", RULES)
def test_there_is_one_run_at_a_time_in_the_order_of_the_instants(played: Played, rule: str) -> None:
    ran = [row for row in played.fires[rule] if row["started_at"]]

    assert [row["id"] for row in ran] == played.began[rule][: len(ran)]
    # When the worker says that one has ended, its slot is free already.
    early = timedelta(milliseconds=100)
    assert all(b["started_at"] > a["finished_at"] - early for a, b in pairwise(ran))


@pytest.mark.parametrize("rule", RULES)
def test_each_instant_is_on_record(played: Played, rule: str) -> None:
    assert unaccounted(played.fires[rule], STEP) == []
