"""Many who want the same few slots at the same time, some of them killed at any moment.

JOBSCHED_TEST_CLAIMANTS_SECONDS=60 plays for longer than CI does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched.limits import Limit
from celery_jobsched.locks import Answer, Locks, Step, Verdict
from celery_jobsched.locks.database import DatabaseLocks
from celery_jobsched.store import schema, tables
from celery_jobsched.store.engine import make_engine
from tests.claimants import KEY, Event, Game, events
from tests.locks import AT_ONCE, HOUR, PLACES, Place, copy, fresh_place, hold, report
from tests.pace import paced
from tests.processes import ROOT, wait_until

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("JOBSCHED_TEST_CLAIMANTS_SECONDS", "2"))
IS_LONG = SECONDS > 10
#: What a call may take on a machine that does something else as well.
CALL_S = 1.0
THREADS = 8
RULES: dict[str, Any] = {
    "claimants": 30, "limit": 7, "lease_s": 0.4, "poll_s": 0.1, "kills_a_second": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Played:
    """What came of a game: how many the backend counted, and who believed to hold what, when."""

    game: Game
    counts: list[int]
    spans: list[tuple[float, float]]
    kills: int


@pytest.fixture(scope="module", params=PLACES)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("claimants")
    journal = folder / "journal.jsonl"
    journal.touch()
    with fresh_place(request.param, folder) as place:
        locks = place.open()
        locks.open(first=True)
        known = (place.kind, place.url, place.installation, str(journal), SECONDS)
        game = Game(*known, **rules(place.kind))
        play(game)
        wait_until(
            lambda: locks.holders([KEY]) == {KEY: []}, game.lease_s + CALL_S, "slots are left"
        )
    return judged(game, list(events(journal)))


def rules(kind: str) -> dict[str, Any]:
    """To ask a database is work: a small machine has time for few who do, and for slow ones."""
    if kind == "redis":
        return RULES
    if IS_LONG:
        return {**RULES, "lease_s": 3, "poll_s": 1, "kills_a_second": 2}
    return {**RULES, "claimants": 8, "limit": 2, "kills_a_second": 2}


def play(game: Game) -> None:
    command = [sys.executable, "-m", "tests.claimants", game.as_text()]
    done = subprocess.run(command, cwd=ROOT, timeout=SECONDS + 60, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def judged(game: Game, seen: list[Event]) -> Played:
    killed = {event.pid: event.at for event in seen if event.what == "killed"}
    held: dict[tuple[int, str], list[Event]] = defaultdict(list)
    for event in seen:
        if event.fire:
            held[event.pid, event.fire].append(event)
    spans = [span for (pid, _), lines in held.items() for span in _spans(lines, killed.get(pid))]
    counts = [event.count for event in seen if event.what == "saw"]
    return Played(game, counts, sorted(spans), len(killed))


def _spans(lines: list[Event], killed_at: float | None) -> Iterator[tuple[float, float]]:
    """When the fire surely held its slot: a renewal that came too late began anew."""
    last = min([line.at for line in lines if line.what == "left"] + [killed_at or float("inf")])
    granted = [(line.at, min(line.until, last)) for line in lines if line.what != "left"]
    begin, end = granted[0]
    for at, until in granted[1:]:
        if at > end:
            yield begin, max(begin, end)
            begin = at
        end = until
    yield begin, max(begin, end)


def test_there_are_never_more_holders_than_the_limit(played: Played) -> None:
    assert played.kills >= SECONDS
    assert max(played.counts) == played.game.limit
    assert most_at_once(played.spans) <= played.game.limit
    assert len(played.spans) > 2 * SECONDS


def test_there_is_always_one_within_a_lease_and_a_poll(played: Played) -> None:
    (_, covered), *later = played.spans
    gaps = [0.0]
    for begin, end in later:
        gaps.append(begin - covered)
        covered = max(covered, end)

    assert max(gaps) < played.game.lease_s + paced(played.game.poll_s + CALL_S)


def most_at_once(spans: list[tuple[float, float]]) -> int:
    edges = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    return max(accumulate(step for _, step in edges))


@pytest.fixture
def at_once() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def together(pool: ThreadPoolExecutor, calls: list) -> list:  # type: ignore[type-arg]
    """What calls return that begin at the same moment."""
    barrier = Barrier(len(calls))
    return [each.result() for each in [pool.submit(_after, barrier, call) for call in calls]]


def _after(barrier: Barrier, call):  # type: ignore[no-untyped-def]
    barrier.wait()
    return call()


def test_of_copies_that_come_at_the_same_moment_one_runs(
    place: Place, locks: Locks, at_once: ThreadPoolExecutor
) -> None:
    for fire in map(str, range(4)):
        first, later = (
            [copy(fire, token=f"{way}{n}", worker=f"w{n}", lease=lease) for n in range(THREADS)]
            for way, lease in (("first", AT_ONCE), ("later", HOUR))
        )
        together(at_once, [lambda it=it: locks.admit(it) for it in first])
        answers = together(at_once, [lambda it=it: locks.admit(it) for it in later])

        assert sorted(answer.name for answer in answers) == [*["OTHER"] * (THREADS - 1), "REPLACES"]


def test_those_who_ask_for_a_key_at_the_same_moment_stay_within_its_limit(
    place: Place, locks: Locks, at_once: ThreadPoolExecutor
) -> None:
    for key in map(str, range(4)):
        for way in ("the first ever", "the later ones"):
            wanted = [hold(f"{key} {way} {n}", (key, 3), ("all", 100)) for n in range(THREADS)]

            granted = together(at_once, [lambda it=it: locks.acquire([it]) for it in wanted])

            assert granted.count([True]) == 3
            locks.release(wanted)


def test_who_is_given_up_as_a_deadlock_tries_again(
    postgresql_url: str, at_once: ThreadPoolExecutor
) -> None:
    engine = make_engine(postgresql_url, 10)
    schema.prepare(engine, may_change=True)
    locks = DatabaseLocks(lambda: engine)
    locks.open(first=True)
    locks.acquire([hold("1", ("a", 9), ("b", 9))])
    row = sa.select(tables.slot_keys).with_for_update()

    with engine.connect() as conn:
        conn.execute(row.where(tables.slot_keys.c.key == "b"))
        waiting = at_once.submit(locks.acquire, [hold("2", ("a", 9), ("b", 9))])
        wait_until(lambda: count_waiting(engine), 5)
        # Ours waits for longer: it is the one to notice, and to be given up.
        conn.execute(row.where(tables.slot_keys.c.key == "a"))

    assert waiting.result(10) == [True]
    engine.dispose()


def count_waiting(engine: sa.Engine) -> int:
    with engine.connect() as conn:
        query = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(conn.execute(query).scalar_one())


def test_batches_of_the_same_keys_in_any_order_do_not_get_stuck(
    place: Place, locks: Locks, at_once: ThreadPoolExecutor
) -> None:
    keys = [f"key {n}" for n in range(20)]

    def batch(n: int) -> list[bool]:
        mixed = keys[n:] + keys[:n]
        return locks.acquire(
            [hold(f"{n} {key}", (key, 100)) for key in mixed[:: 1 if n % 2 else -1]]
        )

    granted = together(at_once, [lambda n=n: batch(n) for n in range(THREADS)])

    assert granted == [[True] * len(keys)] * THREADS
    assert locks.free([Limit(key, 100) for key in keys]) == dict.fromkeys(keys, 100 - THREADS)


def test_starts_ends_and_reports_of_many_workers_are_all_there(
    place: Place, locks: Locks, at_once: ThreadPoolExecutor
) -> None:
    def work(n: int) -> bool:
        copies = [copy(f"{n} {i}", ("a", 100)) for i in range(10)]
        ran = all(locks.admit(it).verdict is Verdict.RUN for it in copies)
        return ran and all(locks.end([Step(it, report(it.fire)) for it in copies]))

    done = together(at_once, [lambda n=n: work(n) for n in range(THREADS)])

    assert done == [True] * THREADS
    assert locks.open().reports == 10 * THREADS
    assert locks.free([Limit("a", 100)]) == {"a": 100}
    assert locks.admit(copy("0 0")) is Answer.ENDED
