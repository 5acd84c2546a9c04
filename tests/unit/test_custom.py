"""Triggers that the application registers: how they are named, made, asked and checked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched import InvalidJob, Job, register_trigger
from celery_jobsched.clock import UTC, zone
from celery_jobsched.triggers import custom
from celery_jobsched.triggers.custom import make_custom, parse_custom

BERLIN = zone("Europe/Berlin")
NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A registry of this test's own."""
    own: dict[str, Any] = {}
    monkeypatch.setattr(custom, "_factories", own)
    return own


class Steps:
    """Every so many minutes from the anchor, in the zone that it is given."""

    def __init__(self, argument: str, zone: tzinfo, anchor: datetime) -> None:
        self.step = int(argument or 1) * MINUTE
        self.zone = zone
        self.anchor = anchor

    def next_after(self, instant: datetime) -> datetime | None:
        k = max(0, (instant - self.anchor) // self.step + 1)
        return (self.anchor + k * self.step).astimezone(self.zone)

    def previous_before(self, instant: datetime) -> datetime | None:
        k = -((self.anchor - instant) // self.step) - 1
        return (self.anchor + k * self.step).astimezone(self.zone) if k >= 0 else None


class Says:
    """Answers the same whatever it is asked; an exception is raised."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def next_after(self, instant: datetime) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    previous_before = next_after


def says(answer: Any) -> custom.Custom:
    register_trigger("says")(lambda argument, zone, anchor: Says(answer))
    return make_custom("says", UTC, NOON)


def test_a_registered_class_or_function_is_what_it_was() -> None:
    def function(argument: str, zone: tzinfo, anchor: datetime) -> Steps:
        return Steps("7", zone, anchor)

    assert register_trigger("steps")(Steps) is Steps
    assert register_trigger("sevens")(function) is function
    assert make_custom("sevens", UTC, NOON).next_after(NOON) == NOON + 7 * MINUTE


def test_it_is_made_of_the_argument_the_zone_and_the_anchor(registry: dict[str, Any]) -> None:
    given_: list[tuple[str, tzinfo, datetime]] = []
    register_trigger("steps")(lambda *each: given_.append(each) or Steps("1", *each[1:]))

    for text in ("steps", "steps 5", "  steps   at  noon \u00fc "):
        make_custom(text, BERLIN, NOON)

    assert given_ == [(argument, BERLIN, NOON) for argument in ("", "5", "at  noon \u00fc")]


def test_what_it_answers_is_given_in_utc() -> None:
    register_trigger("steps")(Steps)
    trigger = make_custom("steps 10", BERLIN, NOON)

    following, before = trigger.next_after(NOON), trigger.previous_before(NOON + HOUR)

    assert (following, before) == (NOON + 10 * MINUTE, NOON + 50 * MINUTE)
    assert {each.tzinfo for each in (following, before) if each} == {UTC}
    assert trigger.previous_before(NOON) is None


class Subclass(datetime):
    """As pendulum's and pandas' are."""


def test_what_it_answers_is_a_plain_datetime() -> None:
    answer = Subclass(2030, 6, 1, 15, 0, 1, 5, tzinfo=timezone(2 * HOUR))

    found = says(answer).next_after(NOON)

    assert (type(found), found) == (datetime, NOON + HOUR + SECOND + timedelta(microseconds=5))


class Broken(tzinfo):
    def utcoffset(self, _: Any) -> timedelta:
        raise KeyError("no such zone")


class Unspeakable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no words")

    __str__ = __repr__


WRONG = [
    (datetime(2031, 1, 1), "expected an aware datetime or None from {} of the trigger says"),  # noqa: DTZ001
    (date(2031, 1, 1), "expected an aware datetime or None from {}"),
    ("2031-01-01", "expected an aware datetime or None from {}"),
    (1924992000.0, "expected an aware datetime or None from {}"),
    (False, "expected an aware datetime or None from {}"),
    (NOON, "from {} of the trigger says, got: datetime.datetime(2030, 6, 1, 12, 0, "),
    (ZeroDivisionError("by zero"), "not ZeroDivisionError('by zero'), from {} of the trigger"),
    (RecursionError(), "not RecursionError(), from {}"),
    (Unspeakable(), "whose repr raised RuntimeError"),
    (datetime(2031, 1, 1, tzinfo=Broken()), "not KeyError('no such zone'), from {}"),
    (datetime(1, 1, 1, tzinfo=timezone(HOUR)), "not OverflowError("),
]


@pytest.mark.parametrize(("answer", "said"), WRONG)
@pytest.mark.parametrize("question", ["next_after", "previous_before"])
def test_a_wrong_answer_is_an_error_that_names_the_trigger(
    answer: Any, said: str, question: str
) -> None:
    trigger = says(answer)

    with pytest.raises(InvalidJob) as error:
        getattr(trigger, question)(NOON)

    assert error.value.field == "custom"
    assert said.format(question) in error.value.sentence
    assert len(error.value.sentence) < 500


def test_an_answer_in_the_wrong_direction_is_an_error() -> None:
    with pytest.raises(InvalidJob, match="expected an instant later than 2030-06-01 12:00"):
        says(NOON - SECOND).next_after(NOON)


def test_an_answer_in_the_wrong_direction_backwards_is_an_error() -> None:
    with pytest.raises(InvalidJob, match="expected an instant earlier than 2030-06-01 12:00"):
        says(NOON + SECOND).previous_before(NOON)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-x", ".", "a/b", "os.system('x')", "naïve", "x" * 65, "a\n", "a\tb", "a\0",
     "a " + "b" * 255, "\u0663", None, 5, True, b"steps", ["steps"], {"steps": 5}],
)  # fmt: skip
def test_a_text_that_names_no_trigger_is_refused(text: Any) -> None:
    with pytest.raises(InvalidJob) as error:
        parse_custom(text)

    assert (error.value.field, error.value.value) == ("custom", text)


@given(st.text() | st.text("ab .-_", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidJob):
        name, argument = parse_custom(text)

        assert parse_custom(f"{name} {argument}") == (name, argument)
        assert " " not in name
        assert argument == argument.strip()


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda: 1, "expected an argument that the trigger bad takes (TypeError("),
        (lambda argument, zone, anchor: int(argument), "the trigger bad takes (ValueError("),
        (lambda *_: None, "expected next_after and previous_before of what the trigger bad makes"),
        (lambda *_: "soon", "got: 'soon'"),
        (5, "the trigger bad takes (TypeError("),
    ],
)
def test_what_cannot_be_made_is_refused_when_the_job_is_made(factory: Any, said: str) -> None:
    register_trigger("bad")(factory)

    with pytest.raises(InvalidJob) as error:
        Job.from_dict("j", {"task": "t", "custom": "bad at noon"})

    assert (error.value.job, error.value.field) == ("j", "custom")
    assert said in str(error.value)


def test_a_job_of_a_trigger_that_is_not_known_here_is_no_error() -> None:
    job = Job.from_dict("j", {"task": "t", "custom": "elsewhere 5"})

    assert job.lacks == "no trigger elsewhere is registered"
    with pytest.raises(InvalidJob, match=r"custom: expected .*registered here \(none\)"):
        job.next_after(NOON)


def test_a_job_lacks_nothing_once_its_trigger_is_registered() -> None:
    job = Job.from_dict("j", {"task": "t", "custom": "steps 5", "starts_at": NOON})

    register_trigger("steps")(Steps)

    assert job.lacks is None
    assert job.upcoming(NOON, 2) == [NOON + 5 * MINUTE, NOON + 10 * MINUTE]


def test_a_name_is_registered_for_one_thing_alone() -> None:
    register_trigger("steps")(Steps)
    register_trigger("steps")(Steps)

    with pytest.raises(ValueError, match=r"'steps' is registered already: <class .*Steps"):
        register_trigger("steps")(Says)

    assert isinstance(make_custom("steps", UTC, NOON).trigger, Steps)


@pytest.mark.parametrize("name", ["", "two words", "naïve", "x" * 65, None, 5, "a\n"])
def test_a_name_that_no_table_could_hold_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="register_trigger: expected a name of letters"):
        register_trigger(name)


def test_of_threads_that_register_one_name_at_once_one_wins() -> None:
    factories = [lambda *_, n=n: n for n in range(8)]
    ready = threading.Barrier(len(factories))

    def register(factory: Any) -> bool:
        ready.wait()
        try:
            register_trigger("raced")(factory)
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(len(factories)) as pool:
        won = list(pool.map(register, factories))

    assert sum(won) == 1
    assert custom._factories["raced"] is factories[won.index(True)]


@given(st.integers(1, 10_000), st.integers(-(10**9), 10**9))
def test_walking_a_custom_trigger_is_strict_both_ways(minutes: int, seconds: int) -> None:
    custom._factories["steps"] = Steps
    trigger = make_custom(f"steps {minutes}", BERLIN, NOON)
    instant = NOON + seconds * SECOND

    following, before = trigger.next_after(instant), trigger.previous_before(instant)

    assert following is not None
    assert instant < following
    assert following == NOON or following - instant <= minutes * MINUTE
    assert before is None or before < instant
    assert (back := trigger.previous_before(following)) is None or back <= instant
    assert before is None or trigger.next_after(before) in (instant, following)
