"""What Celery's result backends know of fires, each kind of them as Celery itself fills it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celery_jobsched.fire import FireState
from celery_jobsched.results import Results, ResultsAway
from celery_jobsched.runtime import Clock
from tests.servers import RedisServer

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def results(backend: str | None, **conf: Any) -> Results:
    conf = {"result_backend": backend, "broker_url": "memory://", **conf}
    return Results(Celery("proj", set_as_current=False, config_source=conf), Clock())


def _do() -> None:
    """Nothing."""


@pytest.fixture(params=["file", "redis", "db"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Results]:
    """A file a result, keys and values with a question for many, rows."""
    if request.param == "redis":
        with RedisServer(tmp_path) as server:
            yield results(server.url)
    elif request.param == "file":
        yield results(f"file://{tmp_path}")
    else:
        yield results(f"db+sqlite:///{tmp_path / 'results.db'}")


def test_ends_are_told_and_nothing_else(kept: Results) -> None:
    backend = kept.app.backend
    backend.store_result("well", {"n": 1}, "SUCCESS")
    backend.store_result("badly", KeyError("stock"), "FAILURE")
    backend.store_result("ended", None, "REVOKED")
    backend.store_result("on its way", None, "STARTED")
    backend.store_result("again", ValueError("not yet"), "RETRY")

    found = kept.ends_of(["well", "badly", "ended", "on its way", "again", "unknown"], NOW)

    assert {id_: (it.state, it.result, it.error) for id_, it in found.items()} == {
        "well": (FireState.SUCCEEDED, "{'n': 1}", None),
        "badly": (FireState.FAILED, None, "KeyError: 'stock'"),
        "ended": (FireState.REVOKED, None, found["ended"].error),
    }
    assert all(it.fire == id_ and it.at.tzinfo for id_, it in found.items())


def test_a_text_that_no_column_takes_is_made_one_that_all_take(tmp_path: Path) -> None:
    kept = results(f"file://{tmp_path}")
    kept.app.backend.store_result("long", "\0" + "x" * 10_000, "SUCCESS")

    (found,) = kept.ends_of(["long"], NOW).values()

    assert found.result is not None
    assert len(found.result) == 2000
    assert "\0" not in found.result


def test_a_backend_that_is_away_is_left_alone_for_a_while(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        url = server.url
    away = results(url)

    with pytest.raises(ResultsAway):
        away.ends_of(["one"], NOW)
    with pytest.raises(ResultsAway, match="left alone"):
        away.ends_of(["one"], NOW)
    assert away.seconds_away > 0


def test_a_backend_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = results(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        hangs.patience = 0.1
        began = time.monotonic()

        with pytest.raises(ResultsAway, match=r"no answer within 0\.1 s"):
            hangs.ends_of(["one"], NOW)
        hangs._paused_until = 0.0
        with pytest.raises(ResultsAway, match="left alone"):
            hangs.ends_of(["one"], NOW)

        assert time.monotonic() - began < 2


@pytest.mark.parametrize("backend", [None, "rpc://", "disabled://"])
def test_where_nobody_else_can_ask_there_is_no_answer(backend: str | None) -> None:
    none = results(backend)

    assert not none.can_tell
    assert not none.are_kept("any", {})
    assert none.ends_of(["one"], NOW) == {}


def test_results_that_are_ignored_are_not_waited_for(tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    some, none = results(url), results(url, task_ignore_result=True)
    some.app.task(name="ignores", shared=False, ignore_result=True)(_do)
    none.app.task(name="keeps", shared=False, ignore_result=False)(_do)

    assert some.are_kept("not known here", {})
    assert not some.are_kept("ignores", {})
    assert not some.are_kept("not known here", {"ignore_result": True})
    assert not none.are_kept("not known here", {})
    assert none.are_kept("keeps", {})
