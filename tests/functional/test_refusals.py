"""Two real beats on one database, one of which lacks a trigger that rows name.

One run a database, which all tests of this file look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from celery_jobsched import Jobs
from tests.clients import sql_client
from tests.collector import Collector, Message
from tests.pace import paced
from tests.processes import Beat, wait_until
from tests.services import DATABASES
from tests.stacks import Stack, fresh_stack
from tests.tables import Tables

SECOND = timedelta(seconds=1)
COUNT = 20
SET_UP = "".join(
    f"INSERT INTO jobsched_jobs (name, task, custom) VALUES ('each {n}', 'proj.note', 'each 1');"
    f"INSERT INTO jobsched_jobs (name, task, custom) VALUES ('other {n}', 'proj.note', 'other');"
    for n in range(COUNT)
) + (
    "INSERT INTO jobsched_jobs (name, task, custom) VALUES ('bad', 'proj.note', 'each soon');"
    "INSERT INTO jobsched_jobs (name, task, keyword) VALUES ('called', 'proj.note', 'call');"
    "INSERT INTO jobsched_jobs (name, task, custom, keyword)"
    " VALUES ('both', 'proj.note', 'other', 'call');"
)


@dataclass(frozen=True)
class Played:
    """What was written and published, and what both beats said."""

    jobs: dict[str, SimpleNamespace]
    fires: list[SimpleNamespace]
    messages: list[Message]
    called: list[str]
    ids: dict[str, str]
    lacking_log: str
    having_log: str

    def of(self, name: str) -> list[SimpleNamespace]:
        return [fire for fire in self.fires if fire.job_name.startswith(name)]


@pytest.fixture(scope="module", params=DATABASES)
def played(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("refusals")
    with fresh_stack(request.param, "redis", folder) as stack, Collector(stack) as collector:
        yield _play(stack, collector)


def _play(stack: Stack, collector: Collector) -> Played:
    conf = {"jobsched_jobs": {"steady": {"task": "proj.note", "every": "second"}}}
    lacking = Beat(stack, conf=conf).start()
    having = Beat(stack, conf=conf, environ={"JOBSCHED_TEST_TRIGGERS": "1"}).start()
    for beat in (lacking, having):
        beat.wait_ready()
    tables, jobs = Tables(stack), Jobs(stack.app())
    wait_until(lambda: collector.count, 10, lacking.log)
    sql_client(stack.database_url)(SET_UP)
    wait_until(lambda: len(tables.fires("each %")) >= 3 * COUNT, 10, having.log)
    called = jobs.fire("call", args=["now"])
    count = len(tables.fires("each %"))
    wait_until(lambda: len(tables.fires("each %")) >= count + 3 * COUNT, 10, having.log)
    names = {row.name: row.id for row in tables.rows("SELECT id, name FROM jobsched_beats")}
    ids = {kind: _id_of(names, beat) for kind, beat in (("lacking", lacking), ("having", having))}
    for beat in (lacking, having):
        assert beat.stop().exit_code == 0
    jobs.runtime.close()
    fires = tables.fires()
    wait_until(lambda: collector.count >= len(fires), 5)
    logs = (lacking.log(), having.log())
    return Played(tables.jobs(), fires, collector.messages(), called, ids, *logs)


def _id_of(names: dict[str, str], beat: Beat) -> str:
    return next(id_ for name, id_ in names.items() if name.endswith(f":{beat.pid}"))


def test_the_beat_that_has_the_trigger_fires_each_instant_of_its_jobs(played: Played) -> None:
    for n in range(COUNT):
        fires = played.of(f"each {n}")
        mine = [fire for fire in fires if fire.job_name == f"each {n}"]
        assert {b.fire_at - a.fire_at for a, b in pairwise(mine)} == {SECOND}
        assert {fire.beat for fire in mine} == {played.ids["having"]}


def test_the_other_one_says_once_what_it_leaves(played: Played) -> None:
    log = played.lacking_log

    # Of the other beat's jobs it sees none where that one is always first.
    assert log.count("no trigger each is registered here") <= 1
    assert log.count("no trigger other is registered here") == 1
    assert "ERROR" not in log
    assert "no trigger each" not in played.having_log


def test_what_no_beat_has_stays_due_and_is_no_error(played: Played) -> None:
    left = [row for name, row in played.jobs.items() if name.startswith(("other", "both"))]

    assert len(left) == COUNT + 1
    assert {(row.error, row.next_fire_at) for row in left} == {(None, None)}
    assert all(row.due_at <= datetime.now(row.due_at.tzinfo) for row in left)


def test_an_argument_that_the_trigger_refuses_is_an_error_of_its_row_alone(
    played: Played,
) -> None:
    errors = {name: row.error for name, row in played.jobs.items() if row.error}

    assert list(errors) == ["bad"]
    assert errors["bad"].startswith("custom: expected an argument that the trigger each takes")
    assert played.having_log.count("job 'bad': ") == 1


def test_a_call_is_delivered_whichever_beat_it_is_that_comes(played: Played) -> None:
    messages = {message.id: message for message in played.messages}

    found = [messages[id_] for id_ in played.called]

    assert [(message.job, message.args) for message in found] == [
        ("called", ["now"]),
        ("both", ["now"]),
    ]
    assert {message.fire["origin"] for message in found} == {"keyword"}
    assert {message.fire["n"] for message in found} == {1}
    assert {fire.state for fire in played.of("called") + played.of("both")} == {"sent"}


def test_refused_rows_held_up_no_other(played: Played) -> None:
    instants = [fire.fire_at for fire in played.of("steady")]
    late = [fire.sent_at - fire.fire_at for fire in played.of("steady")[2:]]

    assert {b - a for a, b in pairwise(instants)} == {SECOND}
    assert max(late) < paced(1.5) * SECOND, late
