"""What can go wrong, one class for each decision a caller can take.

An error's docstring is its message; what was expected and what came is in its arguments.
"""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = [
    "EnvironmentMismatch",
    "InvalidJob",
    "InvalidSetting",
    "InvalidSource",
    "JobChanged",
    "JobExistError",
    "JobNotFound",
    "JobOwned",
    "JobschedError",
    "LocksAway",
    "NextFireTimeError",
    "NoWorkers",
    "SchemaMismatch",
]

_E = TypeVar("_E", bound="InvalidJob")
_SHOWN = 120


def shown(value: Any) -> str:
    """The ``repr`` of *value*, cut to a bounded length, whatever it is."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a foreign __repr__ may raise anything
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def printable(text: str) -> str:
    """*text* as every database takes it: no NUL, no half of a character, whatever came in."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)


class JobschedError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidJob(JobschedError, ValueError):
    """A job's definition cannot be read: a field holds what it must not.

    ``job`` is the job's name (None while a value is parsed on its own), ``field`` the column,
    ``value`` what came, ``expected`` what would have been right.
    """

    def __init__(self, field: str, value: Any, expected: str, job: str | None = None) -> None:
        super().__init__(field, value, expected, job)
        self.job = job
        self.field = field
        self.value = value
        self.expected = expected

    def of(self: _E, job: str) -> _E:
        """The same error, naming *job*."""
        return type(self)(self.field, self.value, self.expected, job)

    def at(self: _E, field: str) -> _E:
        """The same error, naming the column *field*."""
        return type(self)(field, self.value, self.expected, self.job)

    @property
    def sentence(self) -> str:
        """Field, expectation and value, without the job: what the row's ``error`` column holds."""
        return printable(f"{self.field}: expected {self.expected}, got: {shown(self.value)}")

    def __str__(self) -> str:
        return f"job {shown(self.job)}: {self.sentence}" if self.job is not None else self.sentence

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class NextFireTimeError(InvalidJob):
    """``every`` and ``at`` together could fail to advance, now or on some later day."""


class InvalidSetting(JobschedError, ValueError):
    """An option of the configuration holds what it must not."""


class InvalidSource(JobschedError, ValueError):
    """What was to be imported from is not there, or cannot be read."""


class JobExistError(JobschedError):
    """A job of this name exists already."""


class JobNotFound(JobschedError, KeyError):
    """There is no job of this name."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)


class JobChanged(JobschedError):
    """The job is not what it was when it was read: somebody changed it since."""


class JobOwned(JobschedError):
    """The configuration owns this job: it is changed there, or by force until the next sync."""


class NoWorkers(JobschedError):
    """No worker answers."""


class SchemaMismatch(JobschedError):
    """The database's tables are not those that this release knows."""


class EnvironmentMismatch(JobschedError):
    """The database belongs to another environment than this beat."""


class LocksAway(JobschedError):
    """The backend of the locks does not answer, or not as it should; the cause says how."""


class BrokerAway(JobschedError):
    """The broker does not take what workers were to be told."""
