"""Beats walk at random, held up, killed, on jobs that are edited: the rules hold at any moment.

On some walks a hand runs each message at once; on the others runs last, workers die in them, and
the locks are started again.

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

#: How many walks on each kind of database, of either kind: a server's take longer.
COUNTS = {
    ("sqlite", "at once"): 16,
    ("sqlite", "lasting"): 20,
    ("postgresql", "at once"): 2,
    ("postgresql", "lasting"): 2,
    ("mysql", "at once"): 1,
    ("mysql", "lasting"): 2,
}
#: Where runs last, what jobs fire is to be left alone long enough.
KINDS: dict[str, dict[str, Any]] = {
    "at once": {},
    "lasting": {"lasting": True, "edits": 0.01},
}
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


@pytest.mark.parametrize(("kind", "runs"), COUNTS, ids=" ".join)
def test_the_rules_hold_on_every_walk(
    kind: str, runs: str, tmp_path: Path, record_property: Any
) -> None:
    count = COUNTS[kind, runs] * EFFORT
    more = {"first": FIRST, "count": count, "at_once": AT_ONCE, **KINDS[runs]}
    with ExitStack() as stack:
        made = range(0 if kind == "sqlite" else AT_ONCE)
        urls = [stack.enter_context(fresh_database(kind, tmp_path)) for _ in made]
        walks = walked(tmp_path, urls=urls, **more)

    fires, crashes = sum(each.fires for each in walks), sum(each.crashes for each in walks)
    deaths = sum(each.deaths for each in walks)
    record_property("walks", count)
    record_property("fires on walks", fires)
    record_property("crashes on walks", crashes)
    record_property("runs on walks whose worker died", deaths)
    assert wrong(walks) == []
    assert fires > 5 * count
    assert crashes > count
    assert deaths > count or runs != "lasting"


#: What is told of each, and walks of which every fourth notices it at least.
NOTICED: dict[str, tuple[str, dict[str, Any]]] = {
    "take_slots_without_asking": ("hold 'job", {"count": 8}),
    "plan_edits_from_long_ago": (
        "before its edit",
        {"count": 16, "steps": 2000, "edits": 0.3, "stops": 0.1},
    ),
    "tell_silent_locks_of_all": (
        "2 hold 'job",
        {"count": 12, "lasting": True, "edits": 0, "deaths": 0.08, "restarts": 1},
    ),
}


@pytest.mark.parametrize("broken", NOTICED)
def test_a_broken_rule_is_noticed(broken: str, tmp_path: Path) -> None:
    told, more = NOTICED[broken]

    walks = walked(tmp_path, first=1, broken=broken, **more)

    assert any(told in each for each in wrong(walks))
