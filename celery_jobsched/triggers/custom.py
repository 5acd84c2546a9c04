"""Custom: triggers of the application's own, by the name that it registered them under.

A table can only name what is registered: nothing that stands in it is ever imported. What such a
trigger answers is checked each time; a wrong answer is an error of the job that asked. How long it
thinks cannot be bounded from here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, TypeVar

from celery_jobsched.clock import UTC
from celery_jobsched.errors import InvalidJob, shown
from celery_jobsched.triggers import Trigger

__all__ = ["Custom", "is_registered", "make_custom", "parse_custom", "register_trigger"]

#: Called with the argument text, the job's zone and its anchor (aware UTC).
Factory = Callable[[str, tzinfo, datetime], Trigger]
_F = TypeVar("_F", bound=Callable[..., Any])

_LONGEST_TEXT = 255
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NAME_EXPECTED = "a name of letters, digits, dots, dashes and underscores, at most 64"
_EXPECTED = f"{_NAME_EXPECTED}, alone or with an argument behind a blank"

_factories: dict[str, Factory] = {}
_registering = threading.Lock()


def register_trigger(name: str) -> Callable[[_F], _F]:
    """A decorator that makes a class or a function known as the trigger *name*, in this process.

    It is called with the text that follows the name in the column ``custom`` ("" when nothing
    does), the job's pytz zone and its anchor (aware UTC), each time a job is read, and returns a
    :class:`~celery_jobsched.triggers.Trigger`.

    Raises:
        ValueError: *name* is no such name, or something else is known under it.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"register_trigger: expected {_NAME_EXPECTED}, got: {shown(name)}")

    def register(factory: _F) -> _F:
        with _registering:
            known = _factories.setdefault(name, factory)
        if known is not factory:
            raise ValueError(f"trigger {name!r} is registered already: {shown(known)}")
        return factory

    return register


def parse_custom(value: Any) -> tuple[str, str]:
    """Read a name and its argument text, which may be empty; whether it is registered is not asked.

    Raises: InvalidJob (field ``custom``).
    """
    readable = isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.isprintable()
    name, _, argument = value.strip().partition(" ") if readable else ("", "", "")
    if not _NAME.fullmatch(name):
        raise InvalidJob("custom", value, _EXPECTED)
    return name, argument.strip()


def is_registered(name: str) -> bool:
    """Whether this process knows a trigger of that name."""
    return name in _factories


def make_custom(text: str, zone: tzinfo, anchor: datetime) -> Custom:
    """The registered trigger that *text* names, checked as it answers.

    Raises: InvalidJob (field ``custom``), also when this process knows none of that name.
    """
    name, argument = parse_custom(text)
    factory = _factories.get(name)
    if factory is None:
        known = ", ".join(sorted(_factories)) or "none"
        raise InvalidJob("custom", text, f"a trigger that is registered here ({known[:200]})")
    try:
        made = factory(argument, zone, anchor)
    except Exception as error:
        what = f"an argument that the trigger {name} takes ({shown(error)})"
        raise InvalidJob("custom", text, what) from error
    if not all(callable(getattr(made, each, None)) for each in ("next_after", "previous_before")):
        what = f"next_after and previous_before of what the trigger {name} makes"
        raise InvalidJob("custom", made, what)
    return Custom(text, made)


@dataclass(frozen=True)
class Custom:
    """A trigger: somebody else's, its answers checked, in UTC."""

    text: str
    trigger: Trigger

    def next_after(self, instant: datetime) -> datetime | None:
        """What it answers, strictly later than *instant*."""
        found = self._asked("next_after", instant)
        if found is not None and found <= instant:
            raise self._wrong("next_after", f"an instant later than {instant}", found)
        return found

    def previous_before(self, instant: datetime) -> datetime | None:
        """What it answers, strictly earlier than *instant*."""
        found = self._asked("previous_before", instant)
        if found is not None and found >= instant:
            raise self._wrong("previous_before", f"an instant earlier than {instant}", found)
        return found

    def _asked(self, question: str, instant: datetime) -> datetime | None:
        try:
            found = getattr(self.trigger, question)(instant)
            if found is None:
                return None
            if isinstance(found, datetime) and found.utcoffset() is not None:
                return _plain(found.astimezone(UTC))
        except Exception as error:
            raise self._wrong(question, f"an answer, not {shown(error)},", self.text) from error
        raise self._wrong(question, "an aware datetime or None", found)

    def _wrong(self, question: str, expected: str, found: Any) -> InvalidJob:
        name = self.text.partition(" ")[0]
        return InvalidJob("custom", found, f"{expected} from {question} of the trigger {name}")


def _plain(found: datetime) -> datetime:
    """Of whatever subclass it is, a datetime that every database takes."""
    return datetime.combine(found.date(), found.time(), UTC)
