"""The thread beside a tick: it speaks while the same tick is under way, and is silent else."""

from __future__ import annotations

import logging
import threading

import pytest

from celery_jobsched.overdue import Overdue
from tests.processes import wait_until


def test_a_tick_that_does_not_return_is_told_of_again_and_again() -> None:
    told = threading.Semaphore(0)
    overdue = Overdue(told.release, look_s=0.01)

    with overdue.watched():
        heard = [told.acquire(timeout=10) for _ in range(3)]
    overdue.end()

    assert heard == [True] * 3


def test_ticks_that_return_are_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    looks = threading.Semaphore(0)
    overdue = Overdue(lambda: told.append(1), look_s=0.01)
    wait = overdue._ends.wait
    monkeypatch.setattr(overdue._ends, "wait", lambda s: looks.release() or wait(s))

    for _ in range(5):
        with overdue.watched():
            assert looks.acquire(timeout=10)
        assert looks.acquire(timeout=10)
    overdue.end()

    assert told == []


def test_it_says_once_where_the_tick_is(caplog: pytest.LogCaptureFixture) -> None:
    overdue = Overdue(lambda: None, look_s=0.01)

    with caplog.at_level(logging.ERROR), overdue.watched():
        wait_until(lambda: caplog.records, 10)
    overdue.end()

    (record,) = caplog.records
    assert "a tick has not returned" in record.getMessage()
    assert "test_it_says_once_where_the_tick_is" in record.getMessage()


def test_what_it_cannot_write_it_tries_to_write_again() -> None:
    tried = threading.Semaphore(0)

    def tell() -> None:
        tried.release()
        raise OSError("the database is away")

    overdue = Overdue(tell, look_s=0.01)
    with overdue.watched():
        heard = [tried.acquire(timeout=10) for _ in range(2)]
    overdue.end()

    assert heard == [True] * 2


def test_its_thread_ends_with_its_beat() -> None:
    overdue = Overdue(lambda: None, look_s=0.01)
    with overdue.watched():
        thread = overdue._thread

    overdue.end()

    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
