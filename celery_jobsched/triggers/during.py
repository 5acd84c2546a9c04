"""During: a trigger's occurrences within a calendar, and what becomes of those outside.

A calendar is a set of local times. A stretch of it lasts from the instant that its start means to
the one that its end means, by the DST rule of fixed times: an edge that the clocks jump over is
the moment of the jump, one that they show twice is the first of the two.

Excluded stretches are jumped over, never walked: the trigger is asked again where one ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from celery_jobsched import clock
from celery_jobsched.triggers import Trigger
from celery_jobsched.triggers.hours import Calendar

__all__ = ["MOST_STRETCHES", "Allowed", "During", "Within"]

#: How many excluded stretches one search jumps over; beyond, there is no occurrence.
MOST_STRETCHES = 1000

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Allowed:
    """The instants at which a calendar has the local time of *zone*."""

    calendar: Calendar
    zone: tzinfo

    def has(self, instant: datetime) -> bool:
        """Whether *instant* is allowed."""
        return self.calendar.contains(clock.latest_local(instant, self.zone))

    def change_after(self, instant: datetime) -> datetime | None:
        """Where the stretch of *instant* ends, allowed or not: the next one's first instant."""
        known, found = self.has(instant), instant
        while (edge := clock.next_instant(found, self.zone, self.calendar.later)) is not None:
            if self.has(edge) != known:
                return edge
            found = edge  # two edges in one gap
        return None

    def change_until(self, instant: datetime) -> datetime | None:
        """Where the stretch of *instant* begins; None when it has no beginning."""
        known, found = self.has(instant), instant + clock.TICK
        while (edge := clock.previous_instant(found, self.zone, self.calendar.earlier)) is not None:
            if self.has(edge - clock.TICK) != known:
                return edge
            found = edge
        return None


@dataclass(frozen=True)
class During:
    """A trigger: the occurrences of another that are allowed, and those that are moved.

    ``on_excluded``: an occurrence that is not allowed is none (skip), comes at the first instant
    that is allowed after it (next), or in the last whole second that was before it (previous).
    Several that come at one instant are one; where there is no such instant there is none.
    """

    trigger: Trigger
    allowed: Allowed
    on_excluded: str = "skip"

    def next_after(self, instant: datetime) -> datetime | None:
        """The first of them strictly later than *instant*."""
        if self.on_excluded == "next":
            return self._moved_on_after(instant)
        if self.on_excluded == "previous":
            return self._moved_back_after(instant)
        found = self.trigger.next_after(instant)
        for _ in range(MOST_STRETCHES):
            if found is None or self.allowed.has(found):
                return found
            end = self.allowed.change_after(found)
            found = end and self.trigger.next_after(end - clock.TICK)
        return None

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last of them strictly earlier than *instant*."""
        if self.on_excluded == "next":
            return self._moved_on_before(instant)
        if self.on_excluded == "previous":
            return self._moved_back_before(instant)
        found = self.trigger.previous_before(instant)
        for _ in range(MOST_STRETCHES):
            if found is None or self.allowed.has(found):
                return found
            start = self.allowed.change_until(found)
            found = start and self.trigger.previous_before(start)
        return None

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """What it fires by the local times of: nothing that is moved."""
        return (self.trigger,) if self.on_excluded == "skip" else ()

    def is_barren(self, instant: datetime) -> bool:
        """Whether nothing is left of what comes after *instant*, though something comes."""
        return self.next_after(instant) is None and self.trigger.next_after(instant) is not None

    def _moved_on_after(self, instant: datetime) -> datetime | None:
        found = self.trigger.next_after(instant)
        if not self.allowed.has(instant):
            start = self.allowed.change_until(instant)
            found = self.trigger.next_after(start - clock.TICK if start else _BEGINNING)
        if found is None or self.allowed.has(found):
            return found
        return self.allowed.change_after(found)

    def _moved_on_before(self, instant: datetime) -> datetime | None:
        found = self.trigger.previous_before(instant)
        while found is not None and not self.allowed.has(found):
            end = self.allowed.change_after(found)
            if end is not None and end < instant:
                return end
            start = self.allowed.change_until(found)
            found = start and self.trigger.previous_before(start)
        return found

    def _moved_back_after(self, instant: datetime) -> datetime | None:
        found = self.trigger.next_after(instant)
        while found is not None and not self.allowed.has(found):
            start = self.allowed.change_until(found)
            if start is not None and start - _SECOND > instant:
                return start - _SECOND
            end = self.allowed.change_after(found)
            found = end and self.trigger.next_after(end - clock.TICK)
        if found is not None and found.microsecond:
            moved = self._moved_to(self.allowed.change_after(found))
            return moved if moved is not None and instant < moved < found else found
        return found

    def _moved_back_before(self, instant: datetime) -> datetime | None:
        found, moved = self.trigger.previous_before(instant), []
        if found is not None and not self.allowed.has(found):
            start = self.allowed.change_until(found)
            moved.append(start and start - _SECOND)
            found = start and self.trigger.previous_before(start)
        # What lies after *instant* may come before it.
        ahead = instant if not self.allowed.has(instant) else instant + _SECOND - clock.TICK
        if not self.allowed.has(ahead):
            moved.append(self._moved_to(self.allowed.change_until(ahead)))
        return max((each for each in (found, *moved) if each is not None), default=None)

    def _moved_to(self, start: datetime | None) -> datetime | None:
        """The last allowed second before the excluded stretch from *start*, if anything comes."""
        if start is None:
            return None
        found, end = self.trigger.next_after(start - clock.TICK), self.allowed.change_after(start)
        return start - _SECOND if found is not None and (end is None or found < end) else None


@dataclass(frozen=True)
class Within:
    """A trigger: the occurrences of another from one instant to another, both inclusive."""

    trigger: Trigger
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """What it fires by the local times of."""
        return (self.trigger,)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first of them strictly later than *instant*."""
        if self.starts_at and instant < self.starts_at:
            instant = self.starts_at - clock.TICK
        found = self.trigger.next_after(instant)
        return None if found is None or (self.ends_at and found > self.ends_at) else found

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last of them strictly earlier than *instant*."""
        if self.ends_at and instant > self.ends_at:
            instant = self.ends_at + clock.TICK
        found = self.trigger.previous_before(instant)
        return None if found is None or (self.starts_at and found < self.starts_at) else found


_BEGINNING = datetime(1, 1, 2, tzinfo=clock.UTC)
