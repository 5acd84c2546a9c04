"""Beats walk at random, held up, killed, on jobs that are edited: the rules hold at any moment.

JOBSCHED_EFFORT=100 makes it a hundred times as many walks, and JOBSCHED_TEST_WALK_FROM is the seed
of the first: a walk is what its seed says, so a failure comes again from the seed that it tells.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.effort import EFFORT
from tests.processes import ROOT
from tests.races.test_crash_points import in_memory
from tests.services import fresh_database
from tests.walks import Walk, Walks

#: How many walks on each kind of database: a server's take longer.
COUNTS = {"sqlite": 36 * EFFORT, "postgresql": 4 * EFFORT, "mysql": 3 * EFFORT}
AT_ONCE = 2
FIRST = int(os.environ.get("JOBSCHED_TEST_WALK_FROM", "1"))

pytestmark = pytest.mark.timeout(600 * EFFORT)


def walked(folder: Path, **more: Any) -> list[Walk]:
    with in_memory(folder) as home:
        walks = json.dumps(asdict(Walks(folder=home, **more)))
        command = [sys.executable, "-m", "tests.walks", walks]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [Walk(**each) for each in json.loads(done.stdout)]


def wrong(walks: list[Walk]) -> list[str]:
    return [f"seed {each.point}: {each.trouble}" for each in walks if each.trouble]


@pytest.mark.parametrize("kind", COUNTS)
def test_the_rules_hold_on_every_walk(kind: str, tmp_path: Path, record_property: Any) -> None:
    count = COUNTS[kind]
    with ExitStack() as stack:
        made = range(0 if kind == "sqlite" else AT_ONCE)
        urls = [stack.enter_context(fresh_database(kind, tmp_path)) for _ in made]
        walks = walked(tmp_path, first=FIRST, count=count, urls=urls, at_once=AT_ONCE)

    fires, crashes = sum(each.fires for each in walks), sum(each.crashes for each in walks)
    record_property("walks", count)
    record_property("fires on walks", fires)
    record_property("crashes on walks", crashes)
    assert wrong(walks) == []
    assert fires > 5 * count
    assert crashes > count


#: What is told of each, and walks of which every third notices it at least.
NOTICED: dict[str, tuple[str, dict[str, Any]]] = {
    "take_slots_without_asking": ("hold 'job", {"count": 8}),
    "plan_edits_from_long_ago": (
        "before its edit",
        {"count": 16, "steps": 2000, "edits": 0.3, "stops": 0.1},
    ),
}


@pytest.mark.parametrize("broken", NOTICED)
def test_a_broken_rule_is_noticed(broken: str, tmp_path: Path) -> None:
    told, more = NOTICED[broken]

    walks = walked(tmp_path, first=1, broken=broken, **more)

    assert any(told in each for each in wrong(walks))
