"""When: the contract of every trigger, and the union of several.

A trigger is a pure question about instants: it keeps no state, does no I/O and never reads the
clock. Each kind has a room of its own beside this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from celery_jobsched.clock import LocalTimes

__all__ = ["AnyOf", "Trigger", "local_times_of"]


class Trigger(Protocol):
    """Instants, in order; every one given and returned is aware, every one returned is UTC.

    A trigger whose instants come from local times says so by a property ``local_times``, which is
    a ``LocalTimes``, or None where this one has none. One that is made of others lists them as
    ``triggers``.
    """

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence strictly later than *instant*; None when there is none."""

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last occurrence strictly earlier than *instant*; None when there is none."""


@dataclass(frozen=True)
class AnyOf:
    """The union of triggers: an instant that several of them name occurs once."""

    triggers: tuple[Trigger, ...]

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence of any of them strictly later than *instant*."""
        found = (trigger.next_after(instant) for trigger in self.triggers)
        return min((each for each in found if each is not None), default=None)

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last occurrence of any of them strictly earlier than *instant*."""
        found = (trigger.previous_before(instant) for trigger in self.triggers)
        return max((each for each in found if each is not None), default=None)


def local_times_of(trigger: Any) -> Iterator[LocalTimes]:
    """The series of local times that *trigger* fires by, of several triggers all of them."""
    for each in getattr(trigger, "triggers", ()):
        yield from local_times_of(each)
    if times := getattr(trigger, "local_times", None):
        yield times
