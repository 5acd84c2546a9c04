"""Jobs that are declared beside their tasks, and façades shared by threads and forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from celery import Celery, current_app, shared_task

from celery_jobsched import InvalidJob, Jobs
from celery_jobsched.declare import with_decorated
from tests.persons import Person
from tests.records import settle, ticking

UTC = timezone.utc


def note() -> None:
    """Something to run."""


def test_a_task_is_declared_where_it_stands(small_person: Person) -> None:
    app = small_person.app()
    jobs = Jobs(app)

    task = app.task(name="proj.note", shared=False)(note)
    declared = jobs.every("1 hour", at=":30")(task)
    jobs.cron("0 9 * * mon-fri", name="mornings", timezone="Europe/Paris", args=[1])(task)
    jobs.once(datetime(2035, 1, 31, tzinfo=UTC), name="once")(task)
    with ticking(small_person.stack, app) as scheduler:
        settle(scheduler)

    rows = small_person.records.jobs()
    assert declared is task
    assert {name: row["task"] for name, row in rows.items() if row["source"] == "config:proj"} == {
        "proj.note": "proj.note",
        "mornings": "proj.note",
        "once": "proj.note",
        "celery.backend_cleanup": "celery.backend_cleanup",
    }
    assert (rows["proj.note"]["every"], rows["proj.note"]["at"]) == ("1 hour", ":30")
    assert (rows["mornings"]["cron"], rows["mornings"]["args"]) == ("0 9 * * mon-fri", "[1]")
    assert rows["once"]["next_fire_at"] == datetime(2035, 1, 31, tzinfo=UTC)


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """The current application of before, afterwards."""
    before = current_app._get_current_object()
    yield
    before.set_current()


@pytest.mark.usefixtures("as_it_was")
def test_a_facade_may_be_bound_after_its_decorators(small_person: Person) -> None:
    jobs = Jobs()

    jobs.every("1 hour")(shared_task(name="proj.shared")(note))
    app = small_person.app()
    app.set_current()
    jobs.init_app(app)
    jobs.every("2 hours", name="later")(shared_task(name="proj.shared")(note))

    assert {name: each["every"] for name, each in with_decorated(app, {}).items()} == {
        "proj.shared": "1 hour",
        "later": "2 hours",
    }


def test_one_name_is_declared_once(small_person: Person) -> None:
    app = small_person.app()
    jobs = Jobs(app)
    task = app.task(name="proj.note", shared=False)(note)
    jobs.every("1 hour")(jobs.cron("0 9 * * *")(task))

    with pytest.raises(InvalidJob, match=r"^job 'proj.note': name: expected one declaration"):
        with_decorated(app, {})
    other = Celery("other", set_as_current=False)
    assert with_decorated(other, {"a": {}}) == {"a": {}}


def test_threads_share_a_facade(person: Person) -> None:
    problems: list[BaseException] = []
    jobs = Jobs(person.app())
    together = threading.Barrier(6)

    def work(number: int) -> None:
        try:
            together.wait(10)
            for each in range(5):
                jobs.add(f"{number} {each}", task="proj.note", every="1 hour")
                jobs.pause(f"{number} {each}")
                assert not jobs[f"{number} {each}"].enabled
        except BaseException as error:  # noqa: BLE001 - a thread has nobody else to tell
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    jobs.runtime.close()

    assert problems == []
    assert len(person.jobs) == 30


def test_a_fork_goes_on_with_connections_of_its_own(person: Person) -> None:
    person.jobs.add("before", task="proj.note", every="1 hour")

    child = os.fork()
    if child == 0:
        code = 1
        try:
            person.jobs.add("of the child", task="proj.note", every="1 hour")
            code = 0 if list(person.jobs) == ["before", "of the child"] else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    person.jobs.add("of the parent", task="proj.note", every="1 hour")

    assert os.waitstatus_to_exitcode(status) == 0
    assert list(person.jobs) == ["before", "of the child", "of the parent"]
