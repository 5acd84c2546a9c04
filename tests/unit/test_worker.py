"""A worker's words to the locks, the texts that stay on record, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker.request import Request

from celery_jobsched.limits import Limit
from celery_jobsched.locks import LONGEST_TEXT
from celery_jobsched.ticket import Ticket
from celery_jobsched.worker.channel import Word, grouped, said_once
from celery_jobsched.worker.copies import copy_of
from celery_jobsched.worker.outcome import error_text, result_text, seconds_until
from celery_jobsched.worker.request import FireRequest, compose

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
LOCKS: Any = object()
TICKET = Ticket(
    installation="i",
    place="redis://h:1/0",
    limits=(Limit("one", 1), Limit("two", 2)),
    lease=timedelta(seconds=7.5),
    made_at=NOW - timedelta(hours=1),
    published_at=NOW,
)
HEADER = {"job": "j", "token": "T", "n": 3, **TICKET.to_header()}


def word(verb: str, fire: str, **more: Any) -> Word:
    return Word(LOCKS, verb, fire, f"{verb} {fire}", **more)


def said(words: list[Word]) -> list[tuple[str, list[str]]]:
    return [(group[0].verb, [each.fire for each in group]) for group in grouped(words)]


def test_no_call_has_more_words_than_the_locks_can_take_in_its_time() -> None:
    fires = [str(number) for number in range(1200)]
    words = [word(verb, fire) for fire in fires for verb in ("accept", "end")]

    groups = said(words)

    assert [(verb, len(together)) for verb, together in groups] == [
        ("accept", 500),
        ("end", 500),
        ("accept", 500),
        ("end", 500),
        ("accept", 200),
        ("end", 200),
    ]
    assert [fire for verb, together in groups for fire in together if verb == "end"] == fires


def test_words_of_a_kind_are_said_together_and_each_fires_in_their_order() -> None:
    words = [
        word("accept", "1"),
        word("end", "1"),
        word("accept", "2"),
        word("report", "3"),
        word("end", "2"),
        word("accept", "1"),
    ]

    assert said(words) == [
        ("accept", ["1", "2"]),
        ("end", ["1", "2"]),
        ("report", ["3"]),
        ("accept", ["1"]),
    ]


def test_words_for_different_locks_are_not_mixed() -> None:
    words = [word("end", "1"), word("end", "2")._replace(locks=object())]

    assert said(words) == [("end", ["1"]), ("end", ["2"])]


def test_that_a_run_started_is_not_said_where_its_end_is() -> None:
    first, second = word("accept", "1", started="w.1"), word("accept", "2", started="w.2")
    end, other = word("end", "1", ended="w.1"), word("end", "1", ended="w.3")

    assert said_once([first, second, end]) == [second, end]
    assert said_once([first, other]) == [first, other]


class Silent:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class SilentError(Silent, Exception):
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("why"), "RuntimeError: why"),
        (RuntimeError(), "RuntimeError"),
        (KeyError("k"), "KeyError: 'k'"),
        (SilentError(), "SilentError: <SilentError: ValueError where its text was asked for>"),
    ],
)
def test_an_error_is_told_by_its_type_and_message(error: Exception, expected: str) -> None:
    assert error_text(error) == expected


def test_what_a_task_came_up_with_is_bounded() -> None:
    assert len(error_text(RuntimeError("x" * 10_000_000))) < LONGEST_TEXT + 20
    assert result_text("'x'") == "'x'"
    assert result_text(7) == "7"
    assert len(result_text("x" * 10_000)) == LONGEST_TEXT
    assert result_text(Silent()).startswith("<Silent: ValueError")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (3, 3),
        (0.25, 0.25),
        (-1, 0),
        (None, 0),
        (NOW + timedelta(minutes=1), 60),
        (NOW.replace(tzinfo=None) + timedelta(minutes=1), 60),
        (NOW - timedelta(minutes=1), 0),
        ("soon", 0),
    ],
)
def test_how_long_a_retry_waits(when: Any, expected: float) -> None:
    assert seconds_until(when, NOW) == expected


def test_a_ticket_is_read_as_it_was_written() -> None:
    assert Ticket.from_header(HEADER) == TICKET


def request(header: Any, retries: Any = 0, id_: str = "f") -> Any:
    return SimpleNamespace(
        id=id_,
        request_dict={"retries": retries, "jobsched": header},
        delivery_info={"redelivered": True},
    )


def test_a_copy_is_what_its_message_says() -> None:
    asked = copy_of(request(HEADER, retries=2), lambda: "w.1")

    assert asked is not None
    copy = asked.copy
    assert (copy.fire, copy.limits, copy.lease) == ("f", TICKET.limits, TICKET.lease)
    assert (copy.token, copy.number, copy.retries, copy.worker) == ("T", 3, 2, "w.1")
    assert (copy.made_at, copy.published_at) == (TICKET.made_at, NOW)
    assert (asked.job, asked.is_redelivered, asked.ticket) == ("j", True, TICKET)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": "x"},
        {"n": None},
        {"n": 2**31},
        {"token": 5},
        {"token": "T" * 37},
        {"token": "\0"},
        {"token": "\ud800"},
        {"limits": [["k"]]},
        {"limits": [["k" * 301, 1]]},
        {"limits": [["k\0", 1]]},
        {"limits": [["k", 10**400]]},
        {"limits": None},
        {"lease": "x"},
        {"lease": float("inf")},
        {"lease": 0},
        {"lease": 1e12},
        {"made_at": "2030-01-01T00:00:00"},
        {"published_at": 5},
        {"installation": None},
        {"locks": 7},
    ],
)
def test_a_header_that_cannot_be_read_is_none(wrong: dict[str, Any]) -> None:
    assert copy_of(request(HEADER | wrong), lambda: "w.1") is None


@pytest.mark.parametrize("wrong", [{"id_": "f" * 37}, {"id_": "\0"}, {"retries": 2**31}])
def test_neither_is_one_of_an_id_or_an_attempt_that_no_fire_has(wrong: dict[str, Any]) -> None:
    assert copy_of(request(HEADER, **wrong), lambda: "w.1") is None


def test_a_task_keeps_its_own_request_class_behind_ours() -> None:
    class Own(Request):
        pass

    app = Celery("proj", set_as_current=False)

    @app.task(Request=Own, shared=False)
    def before() -> None: ...

    runs: Any = object()
    compose(app, runs)

    @app.task(shared=False)
    def after() -> None: ...

    assert before.Request.__mro__[1:3] == (FireRequest, Own)
    assert after.Request.__mro__[1:3] == (FireRequest, Request)
    assert before.Request.jobsched_runs is after.Request.jobsched_runs is runs


def test_a_worker_that_starts_anew_in_a_process_gets_new_ones() -> None:
    app = Celery("proj", set_as_current=False)
    for runs in ("first", "second"):
        compose(app, runs)  # type: ignore[arg-type]

    classes = {task.Request for task in app.tasks.values()}

    assert {each.jobsched_runs for each in classes} == {"second"}
    assert all(each.__mro__.count(FireRequest) == 1 for each in classes)


def test_loading_it_loads_nothing_of_a_worker() -> None:
    script = (
        "import sys, celery_jobsched.worker;"
        "print([name for name in ('celery.worker', 'sqlalchemy', 'redis') if name in sys.modules])"
    )

    assert told_by(script) == "[]"


def test_a_facade_loads_it() -> None:
    script = (
        "import sys; from celery import Celery; from celery_jobsched import Jobs;"
        "Jobs(Celery('proj')); print('celery_jobsched.worker' in sys.modules)"
    )

    assert told_by(script) == "True"


def told_by(script: str) -> str:
    """What a fresh Python says that runs *script*."""
    command = [sys.executable, "-c", script]
    return subprocess.check_output(command, text=True, timeout=60).strip()
