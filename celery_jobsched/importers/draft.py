"""Drafts: definitions on their way here, with what is to be said about them.

Whoever makes a draft carries over what means the same here, says what comes otherwise, and refuses
what would be half of a job. Whether a definition is one is for the job to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .. import fields as read
from ..errors import InvalidJob, shown
from ..placeholders import unfilled
from ..triggers.celery import to_text


@dataclass(frozen=True)
class Note:
    """What of a job does not come as it was: the field, as the source calls it, and how."""

    job: str
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.job}: {self.field}: {self.text}"


@dataclass
class Draft:
    """A definition, the notes about it, and why the job is left out; None: it is not."""

    name: str
    definition: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    refusal: Note | None = None

    def say(self, name: str, text: str) -> None:
        """Note what becomes of the field *name*."""
        self.notes.append(Note(self.name, name, text))

    def refuse(self, error: InvalidJob) -> None:
        """Leave the job out, as a field of it cannot be carried over."""
        text = f"expected {error.expected}, got: {shown(error.value)}"
        self.refusal = self.refusal or Note(self.name, error.field, text)

    def set_call(self, args: Any, kwargs: Any, options: Any) -> None:
        """Carry over what the task is called with, and how it is sent.

        Raises:
            InvalidJob: JSON cannot carry it.
        """
        given = {
            "args": read.json_list("args", args or []),
            "kwargs": read.json_object("kwargs", kwargs or {}),
        }
        self.definition |= {name: unfilled(value) for name, value in given.items() if value}
        if kept := self._options(dict(options or {})):
            self.definition["options"] = kept

    def set_schedule(self, schedule: Any, last_run_at: Any = None) -> None:
        """Carry over a schedule of Celery's, an interval counted from the last run.

        Raises:
            InvalidJob: it is none of Celery's own.
        """
        if getattr(schedule, "nowfun", None) is not None:
            self.say("nowfun", "left out: times are local times of the application's zone")
        self.definition["celery"] = to_text(schedule)
        run_every = getattr(schedule, "run_every", None)
        if isinstance(run_every, timedelta):
            self.count_from(run_every, last_run_at)

    def count_from(self, interval: timedelta, last_run_at: Any, start_at: Any = None) -> None:
        """Let an interval go on in its step: its first fire is one of those that were to come.

        That is one interval after the last run, and not before *start_at*.
        """
        last, start = moment("last_run_at", last_run_at), moment("start_time", start_at)
        try:
            first = None if last is None else last + interval
            if start is not None and (first is None or first < start):
                first = start
            if first is not None:
                self.definition["starts_at"] = (first - interval).replace(microsecond=0)
        except OverflowError:
            raise InvalidJob("schedule", interval, "an interval that ends") from None

    def end_at(self, name: str, value: Any) -> None:
        """Carry over an instant that no fire comes after."""
        self.definition["ends_at"] = moment(name, value)
        self.say(name, "no fire comes later; messages that wait in a queue then do not expire")

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        expires = options.get("expires")
        if isinstance(expires, timedelta):
            options["expires"] = expires.total_seconds()
        elif isinstance(expires, datetime):
            self.end_at("expires", options.pop("expires"))
        return {name: value for name, value in options.items() if value not in (None, "", {})}


def drafted(name: Any, make: Callable[..., None], *given: Any) -> Draft:
    """The draft that *make* fills; what it cannot carry over leaves the job out."""
    draft = Draft(name if isinstance(name, str) else shown(name))
    try:
        make(draft, *given)
    except InvalidJob as error:
        draft.refuse(error)
    return draft


def moment(name: str, value: Any) -> datetime | None:
    """An instant of the source, without a zone in UTC; None where there is none.

    Raises:
        InvalidJob: it cannot be read.
    """
    return None if value is None else read.instant(name, value)


def mapping(name: str, value: Any, expected: str) -> Mapping[str, Any]:
    """*value*, which has to be a mapping.

    Raises:
        InvalidJob: it is none.
    """
    if not isinstance(value, Mapping):
        raise InvalidJob(name, value, expected)
    return value
