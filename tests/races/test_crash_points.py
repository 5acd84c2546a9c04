"""A beat is killed at each point of its way; another one and a worker finish what it began.

Each point on SQLite; some on PostgreSQL and MariaDB, with both kinds of locks. All points on all of
them with JOBSCHED_TEST_CRASH=all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.crashes import Trial, World
from tests.processes import ROOT
from tests.services import fresh_database, require
from tests.stacks import fresh_broker

pytestmark = pytest.mark.timeout(1800 if "JOBSCHED_TEST_CRASH" in os.environ else 600)

ALL = os.environ.get("JOBSCHED_TEST_CRASH") == "all"
#: How many points of a sample there are at least.
SAMPLE = 6


@dataclass(frozen=True)
class Crashes:
    """What came of a trial."""

    names: list[str]
    calm: World
    worlds: list[World]

    def wrong(self) -> list[str]:
        """What is not as it would be without a crash, one line a point."""
        return [
            f"{each.point} {each.name}: {told}"
            for each in self.worlds
            if (told := each.trouble or self._difference(each))
        ]

    def _difference(self, world: World) -> str:
        ran, meant = Counter(map(tuple, world.ran)), Counter(map(tuple, self.calm.ran))
        kept, wanted = Counter(map(tuple, world.records)), Counter(map(tuple, self.calm.records))
        found = {
            "ran too often": sorted((ran - meant).elements()),
            "did not run": sorted((meant - ran).elements()),
            "on record too often": sorted((kept - wanted).elements()),
            "not on record": sorted((wanted - kept).elements()),
        }
        return ", ".join(f"{what}: {which}" for what, which in found.items() if which)


@contextmanager
def in_memory(folder: Path) -> Iterator[str]:
    """A folder that is in memory, where there is such a thing: no power is cut here."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else folder) as made:
        yield made


def tried(folder: Path, conf: Mapping[str, Any], **more: Any) -> Crashes:
    with in_memory(folder) as home:
        trial = json.dumps(asdict(Trial(folder=home, conf=dict(conf), **more)))
        command = [sys.executable, "-m", "tests.crashes", trial]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    worlds = [World(**each) for each in said["worlds"]]
    return Crashes(said["names"], World(**said["calm"]), worlds)


ON_FILES = {
    "jobsched_database_url": "sqlite://",
    "broker_url": "filesystem://",
    "jobsched_lock_backend": "database",
}


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> Crashes:
    return tried(tmp_path_factory.mktemp("crashes"), ON_FILES, behind_statements=ALL)


def test_each_instant_runs_once_wherever_a_beat_is_killed(
    crashes: Crashes, record_property: Any
) -> None:
    record_property("crash points", len(crashes.worlds))

    assert crashes.wrong() == []
    assert len(crashes.worlds) > 100


def test_without_a_crash_all_is_as_it_should_be(crashes: Crashes) -> None:
    runs = Counter(job for job, _ in crashes.calm.ran)

    assert set(Counter(map(tuple, crashes.calm.ran)).values()) == {1}
    assert runs["each second"] >= 4
    assert (runs["late"], runs["missed"], runs["once"], runs["ends"]) == (3, 1, 1, 1)
    assert (runs["afterwards"], runs["in turn"], runs["not beside"], runs["wakes"]) == (1, 3, 2, 2)
    assert "cannot be read" not in runs


def test_a_crash_between_publishing_and_marking_brings_a_second_copy(crashes: Crashes) -> None:
    """What admission is for: else the test would prove nothing about it."""
    twice = [each for each in crashes.worlds if len(set(each.received)) < len(each.received)]

    assert twice


def test_the_points_are_those_of_claim_deliver_mark_and_report(crashes: Crashes) -> None:
    for step in (
        "INSERT INTO jobsched_slots",
        "INSERT INTO jobsched_fires",
        "UPDATE jobsched_jobs SET next_fire_at",
        "Channel._put",
        "UPDATE jobsched_fires SET state",
        "DELETE FROM jobsched_reports",
        "COMMIT",
    ):
        assert any(step in name for name in crashes.names), step


@pytest.mark.parametrize("locks", ["database", "redis"])
@pytest.mark.parametrize(("database", "broker"), [("postgresql", "redis"), ("mysql", "rabbitmq")])
def test_so_it_is_on_servers(
    database: str, broker: str, locks: str, tmp_path: Path, record_property: Any
) -> None:
    require("redis")
    with fresh_database(database, tmp_path) as url, fresh_broker(broker, tmp_path) as settings:
        with fresh_broker("redis", tmp_path) as memory:
            place = memory["broker_url"] if locks == "redis" else locks
            conf = {**settings, "jobsched_database_url": url, "jobsched_lock_backend": place}
            first, every = (0, 1) if ALL else (40, 20)
            crashes = tried(tmp_path, conf, first=first, every=every, behind_statements=ALL)
    record_property("crash points", len(crashes.worlds))

    assert crashes.wrong() == []
    assert len(crashes.worlds) >= SAMPLE


NOTICED = {
    "mark_before_publishing": "did not run",
    "take_nothing_over": "did not run",
    "admit_every_copy": "ran too often",
}


@pytest.mark.parametrize("broken", NOTICED)
def test_a_broken_rule_is_noticed(broken: str, tmp_path: Path) -> None:
    crashes = tried(tmp_path, ON_FILES, first=120, every=8, broken=broken)

    assert any(NOTICED[broken] in told for told in crashes.wrong())
