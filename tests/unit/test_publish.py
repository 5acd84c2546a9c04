"""Which jobs may be published: by their task, and by all that their options would start."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from celery_jobsched.publish import Outcome, Publisher
from celery_jobsched.settings import Settings
from celery_jobsched.store.deliveries import Delivery
from celery_jobsched.ticket import Ticket
from tests.locks import NOW
from tests.unit.test_store import fire

EVIL = {"task": "evil"}
BENIGN = {"task": "proj.b", "kwargs": {"task": "evil", "header": [EVIL]}}


def do_nothing() -> None:
    """What a known task does."""


def outcome_of(options: dict[str, Any], **settings: Any) -> Outcome:
    """What became of a fire with these options; by default tasks of proj alone are allowed."""
    app = Celery("proj", broker="memory://", set_as_current=False)
    app.task(name="proj.a", shared=False)(do_nothing)
    sent: list[Any] = []
    publisher = Publisher(
        app,
        Settings(**(settings or {"allowed_tasks": ("proj.*",)})),
        lambda entry, producer: sent.append(entry),
        lambda entry, producer, advance: sent.append(entry),
        lambda fire, rights: Ticket.of(fire, rights, "here", "database", NOW),
    )
    job = Job.from_dict("j", {"task": "proj.a", "every": "1 day", "options": options})
    with app.connection() as connection:
        producer = app.amqp.Producer(connection)
        return publisher.publish([Delivery(fire(1), job)], producer, float("inf"))


LINKS: list[Any] = [
    EVIL,
    [{"task": "proj.b"}, EVIL],
    {"task": "proj.b", "options": {"link": EVIL}},
    {"task": "proj.b", "options": {"chain": [EVIL]}},
    {"task": "proj.b", "options": {"chord": EVIL}},
    {"task": "proj.b", "options": {"headers": EVIL}},
    {"task": "proj.b", "subtask_type": "chain", "kwargs": {"tasks": [EVIL]}},
    {"task": "proj.b", "subtask_type": "chord", "kwargs": {"header": [EVIL], "body": {}}},
    {"task": "proj.b", "subtask_type": "xmap", "kwargs": {"task": EVIL, "it": []}},
]


@pytest.mark.parametrize("link", LINKS)
def test_what_a_link_would_start_is_held_against_the_allowed_tasks(link: Any) -> None:
    for key in ("link", "link_error"):
        ((_, problem),) = outcome_of({key: link}).failed
        assert "jobsched_allowed_tasks" in problem


@pytest.mark.parametrize("link", LINKS)
def test_what_a_link_would_start_is_to_be_known_where_tasks_are(link: Any) -> None:
    for key in ("link", "link_error"):
        ((_, problem),) = outcome_of({key: link}, known_tasks_only=True).failed
        assert "expected one that this beat knows" in problem


def test_what_is_known_goes_out_with_its_links() -> None:
    links = [
        {"task": "proj.a"},
        {"task": "celery.chain", "kwargs": {"tasks": [{"task": "proj.a"}]}},
    ]

    assert outcome_of({"link": links}, known_tasks_only=True).failed == []


def test_a_task_that_is_told_of_is_bounded() -> None:
    ((_, problem),) = outcome_of({"link": {"task": "x" * 100_000}}).failed

    assert len(problem) < 300


def test_the_arguments_of_a_link_are_data() -> None:
    outcome = outcome_of({"link": BENIGN})

    assert (len(outcome.sent), outcome.failed) == (1, [])


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"task": "evil"}},
        {"headers": {"id": "another"}},
        {"chain": [EVIL]},
        {"chord": EVIL},
    ],
)
def test_options_that_make_another_message_of_it_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob, match="options"):
        outcome_of(options)


@pytest.mark.parametrize("link", ["evil", 7, {}, {"task": None}, [{"task": "proj.b"}, "proj.c"]])
@pytest.mark.parametrize("name", ["link", "link_error"])
def test_a_link_names_a_task(name: str, link: Any) -> None:
    with pytest.raises(InvalidJob, match=f"{name} as "):
        Job.from_dict("-", {"task": "proj.a", "every": "1 hour", "options": {name: link}})
