"""The filter: found in the configuration, asked about a job, its answers read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celery_jobsched import Scheduler
from celery_jobsched.errors import InvalidSetting
from celery_jobsched.filter import ALLOWED, REFUSED, answer_about, definition_of, load_filter
from celery_jobsched.job import Job
from celery_jobsched.store.pages import Cause

JOB = Job.from_dict("a", {"task": "t", "every": "1 hour", "labels": {"role": "adder"}})


def adders(job: dict[str, Any]) -> bool:
    return bool(job["labels"]["role"] == "adder")


async def later(job: dict[str, Any]) -> bool:
    return True


def in_steps(job: dict[str, Any]) -> Iterator[bool]:
    yield True


class Adders:
    def __call__(self, job: dict[str, Any]) -> bool:
        return adders(job)

    def of(self, role: str, job: dict[str, Any]) -> bool:
        return bool(job["labels"]["role"] == role)


class Later:
    async def __call__(self, job: dict[str, Any]) -> bool:
        return True


A_NUMBER = 5


@pytest.mark.parametrize(
    "given",
    [
        adders,
        Adders(),
        partial(Adders().of, "adder"),
        f"{__name__}.adders",
        f"{__name__}:adders",
        lambda job, more=None: True,
        dict[str, Any]({"a": True}).get,
    ],
)
def test_a_filter_is_whatever_can_be_asked_about_a_job(given: Any) -> None:
    assert callable(load_filter(given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("no.such.module.filter", "that can be imported, got: 'no.such.module.filter' (Module"),
        (f"{__name__}.nothing", "that can be imported, got"),
        ("filter_it", "that can be imported, got: 'filter_it'"),
        (f"{__name__}.A_NUMBER", f"a function, got: '{__name__}.A_NUMBER', which is 5"),
        (f"{__name__}.later", "a plain function, not an async one or a generator, got: "),
        (later, "a plain function"),
        (partial(later), "a plain function"),
        (Later(), "a plain function"),
        (in_steps, "a plain function"),
        (Adders, "a function, or an object of a class that can be called, got: <class"),
        (lambda: True, "a function of one argument, the job, got: "),
        (lambda job, role: True, "a function of one argument"),
        (lambda *, job: True, "a function of one argument"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_the_start(given: Any, expected: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        load_filter(given)

    assert str(refused.value).startswith("jobsched_filter: expected ")
    assert expected in str(refused.value)


def test_a_module_that_raises_anything_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad_filters.py").write_text("raise RuntimeError('no network here')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(InvalidSetting, match=r"bad_filters\.mine' \(RuntimeError: no network here"):
        load_filter("bad_filters.mine")
    assert "bad_filters" not in sys.modules


def test_a_beat_does_not_start_with_a_bad_filter() -> None:
    app = Celery(set_as_current=False, config_source={"jobsched_filter": f"{__name__}.later"})

    with pytest.raises(InvalidSetting, match=f"jobsched_filter: .*{__name__}.later"):
        Scheduler(app)
    assert Scheduler(app, lazy=True).info


def test_a_filter_gets_the_definition_with_its_name() -> None:
    plain = Job.from_dict("b", {"task": "t", "every": "1 hour"})

    assert definition_of(JOB) == {
        "name": "a",
        "task": "t",
        "args": [],
        "kwargs": {},
        "options": {},
        "labels": {"role": "adder"},
        "every": "1 hour",
    }
    assert definition_of(plain)["labels"] == {}
    assert definition_of(plain)["labels"] is not definition_of(plain)["labels"]


def test_true_and_false_are_answers() -> None:
    other = Job.from_dict("b", {"task": "t", "every": "1 hour", "labels": {"role": "other"}})

    assert answer_about(JOB, adders) is ALLOWED
    assert answer_about(other, adders) is REFUSED


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "answered None, not True or False"),
        (1, "answered with an object of int, not True or False"),
        ("yes", "answered with an object of str, not True or False"),
        ({}, "answered with an object of dict, not True or False"),
    ],
)
def test_nothing_else_is_an_answer(said: Any, told: str) -> None:
    answer = answer_about(JOB, lambda job: said)

    assert answer.reason == f"jobsched_filter {told}"
    assert answer.cause is Cause.WRONG_ANSWER


@pytest.mark.filterwarnings("error")
def test_a_promise_of_an_answer_is_none() -> None:
    answer = answer_about(JOB, lambda job: later(job))  # type: ignore[arg-type, return-value]

    assert answer.reason == (
        "jobsched_filter answered with an object of coroutine, not True or False"
    )


@pytest.mark.parametrize("error", [KeyError("role"), SystemExit(3), KeyboardInterrupt()])
def test_whatever_a_filter_raises_is_a_reason_that_says_where(error: BaseException) -> None:
    def raising(job: dict[str, Any]) -> bool:
        raise error

    answer = answer_about(JOB, raising)

    line = raising.__code__.co_firstlineno + 1
    kind = type(error).__name__
    assert answer.reason == f"jobsched_filter raised {kind} at test_filter.py:{line}"
    assert (answer.cause, answer.error) == (Cause.RAISED, error)
