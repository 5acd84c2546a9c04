"""Which jobs may be published: by their task, and by all that their options would start."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from celery_jobsched.publish import Outcome, Publisher
from celery_jobsched.settings import Settings
from celery_jobsched.store.fires import Delivery
from tests.unit.test_store import fire

EVIL = {"task": "evil"}
BENIGN = {"task": "proj.b", "kwargs": {"task": "evil", "header": [EVIL]}}


def outcome_of(options: dict[str, Any]) -> Outcome:
    """What became of a fire with these options where tasks of proj alone are allowed."""
    app = Celery("proj", broker="memory://", set_as_current=False)
    sent: list[Any] = []
    publisher = Publisher(
        app,
        Settings(allowed_tasks=("proj.*",)),
        lambda entry, producer: sent.append(entry),
        lambda entry, producer, advance: sent.append(entry),
    )
    job = Job.from_dict("j", {"task": "proj.a", "every": "1 day", "options": options})
    with app.connection() as connection:
        producer = app.amqp.Producer(connection)
        return publisher.publish([Delivery(fire(1), job)], producer, float("inf"))


@pytest.mark.parametrize(
    "link",
    [
        EVIL,
        [{"task": "proj.b"}, EVIL],
        {"task": "proj.b", "options": {"link": EVIL}},
        {"task": "proj.b", "options": {"chain": [EVIL]}},
        {"task": "proj.b", "options": {"chord": EVIL}},
        {"task": "proj.b", "options": {"headers": EVIL}},
        {"task": "proj.b", "subtask_type": "chain", "kwargs": {"tasks": [EVIL]}},
        {"task": "proj.b", "subtask_type": "chord", "kwargs": {"header": [EVIL], "body": {}}},
        {"task": "proj.b", "subtask_type": "xmap", "kwargs": {"task": EVIL, "it": []}},
    ],
)
def test_what_a_link_would_start_is_held_against_the_allowed_tasks(link: Any) -> None:
    for key in ("link", "link_error"):
        ((_, problem),) = outcome_of({key: link}).failed
        assert "jobsched_allowed_tasks" in problem


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
