"""Two beats on one database, then one of them killed: each instant is published exactly once.

Six seconds of both here; JOBSCHED_TEST_TWO_BEATS_SECONDS=30 makes it as long as it is promised.
One run a database, side by side, which all tests of this file look at.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.beside import Plays, beside
from tests.clients import sql_client
from tests.collector import Collector, Message
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.services import DATABASES
from tests.stacks import Stack, fresh_stack
from tests.tables import Tables

pytestmark = pytest.mark.alone

UTC = timezone.utc
SECOND = timedelta(seconds=1)
JOBS = 50
BOTH = timedelta(seconds=float(os.environ.get("JOBSCHED_TEST_TWO_BEATS_SECONDS", "6")))
ALONE = timedelta(seconds=4)


@dataclass(frozen=True)
class Played:
    """What was published and written while two beats ran, and then one."""

    messages: list[Message]
    fires: list[SimpleNamespace]
    both_since: datetime
    killed_at: datetime
    ended_at: datetime

    def between(self, since: datetime, until: datetime) -> list[Message]:
        return [m for m in self.messages if since < _instant(m) <= until]


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Plays[Played]:
    return beside(_on_a_database, DATABASES, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module", params=DATABASES)
def played(request: pytest.FixtureRequest, plays: Plays[Played]) -> Played:
    return plays[request.param].result()


def _on_a_database(kind: str, folder: Path) -> Played:
    with fresh_stack(kind, "redis", folder) as stack, Collector(stack) as collector:
        return _play(stack, collector)


def _play(stack: Stack, collector: Collector) -> Played:
    jobs = {f"tick {n}": {"task": "proj.note", "every": "second"} for n in range(JOBS)}
    beats = [Beat(stack, conf={"jobsched_jobs": jobs}).start() for _ in range(2)]
    for beat in beats:
        beat.wait_ready()
    tables = Tables(stack)
    wait_until(lambda: collector.count, 10, beats[0].log)
    both_since = _last_fire_at(tables)
    _wait_for(tables, both_since + BOTH)
    beats[0].kill()
    killed_at = datetime.now(UTC)
    ended_at = _wait_for(tables, killed_at + ALONE)
    assert beats[1].stop().exit_code == 0
    fires = tables.fires()
    wait_until(lambda: collector.count >= len(fires), 5)
    return Played(collector.messages(), fires, both_since, killed_at, ended_at)


def _last_fire_at(tables: Tables) -> datetime:
    """The newest instant that has gone out for every job."""
    query = "SELECT min(last_fire_at) AS least_at FROM jobsched_jobs"
    return tables.rows(query)[0].least_at or datetime.min.replace(tzinfo=UTC)


def _wait_for(tables: Tables, until: datetime) -> datetime:
    limit = (until - datetime.now(UTC)).total_seconds() + 5
    return wait_until(lambda: (at := _last_fire_at(tables)) >= until and at, limit)


def _instant(message: Message) -> datetime:
    return datetime.fromisoformat(str(message.fire_at).replace("Z", "+00:00"))


def test_two_beats_publish_each_instant_exactly_once(played: Played) -> None:
    messages = played.between(played.both_since, played.killed_at - 3 * SECOND)

    times = Counter((message.job, message.fire_at) for message in messages)

    assert len(times) >= JOBS * (BOTH / SECOND - 4)
    assert set(times.values()) == {1}
    assert len({message.id for message in messages}) == len(messages)


def test_both_of_them_publish(played: Played) -> None:
    beats = Counter(fire.beat for fire in played.fires)

    assert len(beats) == 2, beats


def test_no_instant_is_missing_over_all(played: Played) -> None:
    instants = defaultdict(set)
    for message in played.messages:
        instants[message.job].add(_instant(message))

    assert len(instants) == JOBS
    for job, found in instants.items():
        assert played.ended_at in found, job
        span = (max(found) - min(found)) / SECOND
        assert len(found) == span + 1, job


def test_nothing_was_missed_or_is_left_pending(played: Played) -> None:
    # The last beat ended by SIGTERM: it marked everything before it went.
    assert Counter(fire.state for fire in played.fires) == {"sent": len(played.fires)}


def test_the_other_beat_goes_on_without_a_gap(played: Played) -> None:
    # The jobs fire on the second, so a kill right then costs that second's messages: the silence
    # that counts is the one since the kill.
    killed = played.killed_at.timestamp()
    at = sorted(message.at for message in played.messages)
    before = [each for each in at if each <= killed]
    after = [each for each in at if each > killed]

    gaps = [b - a for moments in (before, [killed, *after]) for a, b in pairwise(moments)]

    assert max(gaps) < paced(2), max(gaps)


def test_what_comes_twice_is_of_the_dead_beat_with_the_same_id(played: Played) -> None:
    ids = defaultdict(list)
    for message in played.messages:
        ids[message.job, message.fire_at].append(message.id)
    twice = {key: found for key, found in ids.items() if len(found) > 1}
    published = {fire.id: fire.publishes for fire in played.fires}

    assert all(len(set(found)) == 1 for found in twice.values()), twice
    assert all(published[found[0]] == len(found) for found in twice.values()), twice
    assert {message.id for message in played.messages} == set(published)
    assert all(
        _instant(message) > played.killed_at - 3 * SECOND
        for message in played.messages
        if len(ids[message.job, message.fire_at]) > 1
    )


SLOW_MARK = """
CREATE FUNCTION slowly() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(2); RETURN NEW; END'
LANGUAGE plpgsql;
CREATE TRIGGER slow_mark BEFORE UPDATE ON jobsched_fires FOR EACH ROW
WHEN (NEW.state = 'sent' AND NEW.publishes = 1) EXECUTE FUNCTION slowly();
INSERT INTO jobsched_jobs (name, task, once) VALUES ('only', 'proj.note', now());
"""


def test_a_fire_whose_beat_died_before_marking_it_comes_again_with_its_id(tmp_path: Path) -> None:
    with fresh_stack("postgresql", "redis", tmp_path) as stack, Collector(stack) as collector:
        tables = Tables(stack)
        with Beat(stack) as dying:
            wait_until(tables.has_any, 10, dying.log)
            sql_client(stack.database_url)(SLOW_MARK)
            collector.wait_for(1, 5)
            dying.kill()
        (pending,) = tables.fires()

        with Beat(stack) as beat:
            first, second = collector.wait_for(2, 10)
            wait_until(lambda: tables.fires()[0].state == "sent", 5, beat.log)

    assert (pending.state, pending.publishes) == ("pending", 1)
    assert first.id == second.id == pending.id
    assert [message.fire["n"] for message in (first, second)] == [1, 2]
    assert first.fire["token"] != second.fire["token"]
