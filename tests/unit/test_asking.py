"""The filter's helper: real threads, and filters that wait for what the test releases."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from celery_jobsched import asking as room
from celery_jobsched.asking import Asking
from celery_jobsched.filter import ALLOWED, REFUSED
from celery_jobsched.job import Job
from celery_jobsched.store.pages import Cause, Seen
from tests.processes import wait_until

BEGIN = datetime(2030, 1, 1, tzinfo=timezone.utc)
LATE_S = 0.15


def page(*names: str) -> dict[Seen, Job]:
    """Jobs of these names, in order; the same name is the same row."""
    return {
        Seen(BEGIN, sum(name.encode()), 0): Job(name=name, task="t", every="1 hour")
        for name in names
    }


class Doors:
    """A filter that notes whom it was asked about, and waits at doors that the test opens."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.closed: dict[str, threading.Event] = {}

    def close(self, *names: str) -> None:
        self.closed |= {name: threading.Event() for name in names}

    def open(self) -> None:
        for door in self.closed.values():
            door.set()

    def __call__(self, job: dict[str, Any]) -> bool:
        self.asked.append(job["name"])
        self.threads.add(threading.current_thread())
        if job["name"] in self.closed:
            self.closed[job["name"]].wait()
        return "no" not in job["name"]


@pytest.fixture
def doors() -> Iterator[Doors]:
    doors = Doors()
    yield doors
    doors.open()
    for thread in doors.threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def make(doors: Doors) -> Iterator[Callable[[float], Asking]]:
    made = []

    def make(timeout: float) -> Asking:
        made.append(Asking(doors, timeout))
        return made[-1]

    yield make
    for each in made:
        each.close()


Make = Callable[[float], Asking]


def helpers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jobsched-filter"]


def told(found: dict[Seen, Any], jobs: dict[Seen, Job]) -> dict[str, Any]:
    return {jobs[seen].name: answer for seen, answer in found.items() if seen in jobs}


def test_each_job_has_its_answer_from_one_thread(make: Make, doors: Doors) -> None:
    asking, jobs = make(10), page("a", "no", "c")
    assert helpers() == []

    first, again = asking.ask(jobs), asking.ask(jobs)

    assert told(first, jobs) == told(again, jobs) == {"a": ALLOWED, "no": REFUSED, "c": ALLOWED}
    assert doors.asked == ["a", "no", "c"] * 2
    assert len(doors.threads) == len(helpers()) == 1
    assert all(thread.daemon for thread in doors.threads)


def test_nobody_is_asked_about_an_empty_page(make: Make) -> None:
    assert make(10).ask({}) == {}
    assert helpers() == []


def test_a_slow_answer_is_not_waited_for_and_is_there_the_next_time(
    make: Make, doors: Doors
) -> None:
    asking, jobs = make(30), page("a", "slow", "no")
    doors.close("slow")

    begun = time.monotonic()
    first = asking.ask(jobs)
    waited = time.monotonic() - begun
    doors.open()
    second = asking.ask(jobs)

    assert told(first, jobs) == {"a": ALLOWED}
    assert room._PATIENCE_S <= waited < room._PATIENCE_S + 2
    assert told(second, jobs) == {"a": ALLOWED, "slow": ALLOWED, "no": REFUSED}
    assert doors.asked.count("slow") == 1


def test_one_that_hangs_is_left_behind_and_the_others_are_asked(make: Make, doors: Doors) -> None:
    asking, jobs = make(LATE_S), page("a", "hangs", "no")
    doors.close("hangs")

    answers = [told(asking.ask(jobs), jobs) for _ in range(3)]

    assert [each["a"] for each in answers] == [ALLOWED] * 3
    assert [each["no"] for each in answers] == [REFUSED] * 3
    assert {(each["hangs"].reason, each["hangs"].cause) for each in answers} == {
        ("jobsched_filter gave no answer within 0.15 s", Cause.NO_ANSWER)
    }
    assert doors.asked.count("hangs") == 1, "its first question is still open"
    assert len(helpers()) == 2


def test_one_that_comes_back_is_asked_about_again_and_its_thread_has_ended(
    make: Make, doors: Doors
) -> None:
    asking, jobs = make(LATE_S), page("hangs")
    doors.close("hangs")
    asking.ask(jobs)

    doors.open()
    wait_until(lambda: not helpers(), 10)

    assert told(asking.ask(jobs), jobs) == {"hangs": ALLOWED}
    assert doors.asked == ["hangs", "hangs"]


def test_a_few_hang_and_then_all_are_refused_until_one_comes_back(make: Make, doors: Doors) -> None:
    asking, names = make(LATE_S), [f"hangs {n}" for n in range(9)]
    jobs = page(*names, "a")
    doors.close(*names)
    most = room._MOST_LEFT_BEHIND

    answers = told(wait_for_all(asking, jobs), jobs)
    again = told(asking.ask(jobs), jobs)

    assert len(helpers()) == len(doors.asked) == most
    assert answers["a"].cause is Cause.NO_ANSWER
    assert answers["a"].reason == "jobsched_filter hangs, 4 times by now, and is asked no more"
    assert answers == again
    doors.open()
    wait_until(lambda: not helpers(), 10)
    assert set(told(asking.ask(jobs), jobs).values()) == {ALLOWED}


def wait_for_all(asking: Asking, jobs: dict[Seen, Job]) -> dict[Seen, Any]:
    return wait_until(lambda: len(found := asking.ask(jobs)) == len(jobs) and found, 10)


def test_while_answers_come_slowly_fewer_are_asked_for_at_once(make: Make, doors: Doors) -> None:
    asking, jobs = make(30), page("slow")
    assert asking.most(500) == 500
    doors.close("slow")

    asking.ask(jobs)
    fewest = asking.most(500)
    doors.open()
    for _ in range(6):
        asking.ask(jobs)

    assert fewest == 10
    assert asking.most(500) == 500
    assert asking.most(3) == 3


def test_what_is_asked_for_at_once_does_not_grow_for_ever(make: Make, doors: Doors) -> None:
    asking, jobs = make(30), page("slow")
    doors.close("slow")
    asking.ask(jobs)
    doors.open()
    wait_for_all(asking, jobs)

    for _ in range(2000):
        asking.ask({})

    assert asking._most == math.inf
    assert asking.most(500) == 500


def test_a_helper_that_is_let_go_ends(make: Make) -> None:
    asking, jobs = make(10), page("a")
    asking.ask(jobs)

    asking.close()
    asking.close()

    wait_until(lambda: not helpers(), 10)
    assert told(asking.ask(jobs), jobs) == {"a": ALLOWED}


def test_whatever_ends_the_thread_is_no_answer_and_another_goes_on(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    asking, jobs = make(LATE_S), page("a", "no")
    answer_about = room.answer_about

    def failing(job: Job, by: Any) -> Any:
        if job.name == "a":
            raise MemoryError
        return answer_about(job, by)

    monkeypatch.setattr(room, "answer_about", failing)

    answers = told(wait_for_all(asking, jobs), jobs)

    assert (answers["a"].cause, answers["no"]) == (Cause.NO_ANSWER, REFUSED)
