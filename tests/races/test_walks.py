"""Beats walk at random, held up, killed, on jobs that are edited: the rules hold at any moment.

Forty walks here; JOBSCHED_TEST_WALKS=5000 makes it as many, and JOBSCHED_TEST_WALK_FROM is the seed
of the first: a walk is what its seed says, so a failure comes again from the seed that it tells.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT
from tests.races.test_crash_points import in_memory
from tests.walks import Walk, Walks

COUNT = int(os.environ.get("JOBSCHED_TEST_WALKS", "40"))
FIRST = int(os.environ.get("JOBSCHED_TEST_WALK_FROM", "1"))

pytestmark = pytest.mark.timeout(max(600, 10 * COUNT))


def walked(folder: Path, **more: Any) -> list[Walk]:
    with in_memory(folder) as home:
        walks = json.dumps(asdict(Walks(folder=home, **more)))
        command = [sys.executable, "-m", "tests.walks", walks]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [Walk(**each) for each in json.loads(done.stdout)]


def wrong(walks: list[Walk]) -> list[str]:
    return [f"seed {each.point}: {each.trouble}" for each in walks if each.trouble]


def test_the_rules_hold_on_every_walk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walks = walked(tmp_path, first=FIRST, count=COUNT)

    fires, crashes = sum(each.fires for each in walks), sum(each.crashes for each in walks)
    with capsys.disabled():
        print(f" {COUNT} walks, {fires} fires, {crashes} crashes", end="")
    assert wrong(walks) == []
    assert fires > 5 * COUNT
    assert crashes > COUNT


#: Each is noticed on every second walk at least: that eight of them miss it does not happen.
NOTICED = {
    "take_slots_without_asking": ("hold 'job", {}),
    "plan_edits_from_long_ago": ("before its edit", {"edits": 0.1, "stops": 0.05}),
}


@pytest.mark.parametrize("broken", NOTICED)
def test_a_broken_rule_is_noticed(broken: str, tmp_path: Path) -> None:
    told, more = NOTICED[broken]

    walks = walked(tmp_path, first=1, count=8, broken=broken, **more)

    assert any(told in each for each in wrong(walks))
