"""Two real beats with opposite filters, and more jobs due at once than fit on many pages.

Some of them neither beat may fire: they lie there to the end. One run a database, which all tests
of this file look at.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.collector import Collector, Message
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.records import Records, unaccounted
from tests.stacks import Stack, fresh_stack
from tests.tables import Tables

pytestmark = pytest.mark.alone

SECOND = timedelta(seconds=1)
ROLES = ("a", "b")
#: How many jobs of each role, on each database, and how many of a role that nobody has.
SIZES = {"postgresql": (5000, 1000), "sqlite": (500, 200)}
WATCHED_S = 4.0
#: A round over what is left, at least.
ROUND_S = 1.0
#: Time passes while it is waited for.
_NEVER = threading.Event()


@dataclass(frozen=True)
class Played:
    """What was written and published, and what the beats cost while there was nothing to do."""

    count: int
    left: int
    due_at: datetime
    ids: dict[str, str]
    fires: list[SimpleNamespace]
    jobs: dict[str, SimpleNamespace]
    messages: list[Message]
    idle_cpu: list[float]
    logs: list[str]

    def of(self, name: str) -> list[SimpleNamespace]:
        return [fire for fire in self.fires if fire.job_name.startswith(name)]


@pytest.fixture(scope="module", params=SIZES)
def played(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("filters")
    with fresh_stack(request.param, "redis", folder) as stack, Collector(stack) as collector:
        with Records(stack.database_url) as records:
            yield _play(stack, records, collector, *SIZES[request.param])


def _play(stack: Stack, records: Records, collector: Collector, count: int, left: int) -> Played:
    steady = {
        f"steady {role}": {"task": "proj.note", "every": "second", "labels": {"role": role}}
        for role in ROLES
    }
    conf = {"jobsched_jobs": steady, "jobsched_filter": "proj.may_fire"}
    beats = [Beat(stack, conf=conf, environ={"JOBSCHED_TEST_ROLE": role}).start() for role in ROLES]
    for beat in beats:
        beat.wait_ready()
    tables = Tables(stack)
    wait_until(
        lambda: len({message.job for message in collector.messages()}) == 2, 10, beats[0].log
    )
    due_at = _make_due(records, {"a": count, "b": count, "nobody": left})
    wait_until(lambda: len(tables.fires("job %")) >= 2 * count, 60, beats[0].log)
    _NEVER.wait(ROUND_S)
    idle_cpu = _cpu_of(beats, WATCHED_S)
    ids = {role: _id_of(tables, beat) for role, beat in zip(ROLES, beats, strict=True)}
    for beat in beats:
        assert beat.stop().exit_code == 0
    fires = tables.fires()
    wait_until(lambda: not _unpublished(fires, collector), 10)
    logs = [beat.log() for beat in beats]
    found = (fires, tables.jobs(), collector.messages())
    return Played(count, left, due_at, ids, *found, idle_cpu, logs)


def _unpublished(fires: list[SimpleNamespace], collector: Collector) -> set[str]:
    known = {message.id for message in collector.messages()}
    return {fire.id for fire in fires if fire.state == "sent"} - known


def _make_due(records: Records, counts: dict[str, int]) -> datetime:
    """So many jobs of each role, due at once.

    Since a moment ago: a steady job that came due within the same look would be one of the heap.
    """
    for role in counts:
        labels = f'{{"role": "{role}"}}'
        records.add(f"one of {role}", cron="0 0 1 1 *", labels=labels)
    wait_until(lambda: all(records.job(f"one of {role}")["planned"] for role in counts), 10)
    due_at = datetime.now(timezone.utc) - 2 * SECOND
    due = {"due_at": due_at, "next_fire_at": due_at}
    for role, count in counts.items():
        records.copy(f"one of {role}", f"job {role}", count, **due)
    return due_at


def _cpu_of(beats: list[Beat], seconds: float) -> list[float]:
    """The share of a core that each of them takes for so long."""
    begun, before = time.monotonic(), [_cpu_seconds(beat.pid) for beat in beats]
    _NEVER.wait(seconds)
    after, took = [_cpu_seconds(beat.pid) for beat in beats], time.monotonic() - begun
    return [(b - a) / took for a, b in zip(before, after, strict=True)]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _id_of(tables: Tables, beat: Beat) -> str:
    names = {row.name: row.id for row in tables.rows("SELECT id, name FROM jobsched_beats")}
    return next(id_ for name, id_ in names.items() if name.endswith(f":{beat.pid}"))


def test_each_job_is_fired_once_by_the_beat_that_may(played: Played) -> None:
    fires = Counter((fire.job_name, fire.beat) for fire in played.of("job"))

    assert fires == {
        (f"job {role} {n}", played.ids[role]): 1
        for role in ROLES
        for n in range(1, played.count + 1)
    }
    assert {fire.state for fire in played.of("job")} == {"sent"}


def test_each_is_published_once(played: Played) -> None:
    ids = Counter(message.id for message in played.messages)

    assert set(ids.values()) == {1}
    assert set(ids) == {fire.id for fire in played.fires if fire.state == "sent"}


def test_what_neither_may_fire_stays_due(played: Played) -> None:
    left = [row for name, row in played.jobs.items() if name.startswith("job nobody")]

    assert len(left) == played.left
    assert {(row.error, row.due_at) for row in left} == {(None, played.due_at)}


def test_other_jobs_do_not_wait_for_all_of_it(played: Played) -> None:
    took = max(fire.sent_at for fire in played.of("job")) - played.due_at
    for role in ROLES:
        fires = played.of(f"steady {role}")
        late = [fire.sent_at - fire.fire_at for fire in fires[2:] if fire.state == "sent"]

        assert {fire.beat for fire in fires} == {played.ids[role]}
        assert unaccounted([vars(fire) for fire in fires]) == []
        # On a busy machine so many jobs take their time, and these a part of it.
        assert max(late) < max(paced(5) * SECOND, took / 2), (max(late), took)


def test_a_beat_that_refuses_is_not_busy(played: Played) -> None:
    # A loop without a pause takes all of a core, or half of one beside another.
    assert max(played.idle_cpu) < min(0.8, paced(0.25)), played.idle_cpu


def test_each_beat_says_once_what_it_leaves(played: Played) -> None:
    for log in played.logs:
        assert log.count("jobsched_filter says no here") == 1
        assert "ERROR" not in log
