"""Recurrences: the rules of RFC 5545 as a trigger, with further dates and those left out.

Local times come from ``series``; gaps and folds are the business of ``clock``. COUNT and
UNTIL bound the instants of a rule, and EXDATE takes away from what is left.
"""
# ruff: noqa: DTZ901 - a local time has no zone: that is what makes it local

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cached_property, lru_cache
from typing import NamedTuple

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers import AnyOf, Trigger
from celery_jobsched.triggers.once import Once
from celery_jobsched.triggers.rrule.instants import nth_instant
from celery_jobsched.triggers.rrule.parts import Moment, Parts
from celery_jobsched.triggers.rrule.series import Series, series_of
from celery_jobsched.triggers.rrule.text import RecurrenceText, parse_rrule
from celery_jobsched.triggers.rrule.years import NeverFromHere

__all__ = ["LeftOut", "Recurrence", "Repetition", "parse_rrule", "recurrence"]

_BEFORE_ALL = datetime.min.replace(tzinfo=clock.UTC)


@dataclass(frozen=True)
class LeftOut:
    """What EXDATE takes away: whole days and times by the clocks of the rules, and instants."""

    days: frozenset[date] = frozenset()
    times: frozenset[datetime] = frozenset()
    instants: frozenset[datetime] = frozenset()

    def around(self, local: datetime) -> tuple[datetime, datetime] | None:
        """From when until when, both inclusive, it leaves out *local*; None where it does not."""
        if local in self.times:
            return local, local
        if local.date() in self.days:
            return datetime.combine(local, time.min), datetime.combine(local, time.max)
        return None


@dataclass(frozen=True)
class Repetition:
    """A trigger: one rule by the clocks of *zone*, from the instant *begins* on.

    *until* is local where it is naive, an instant where it is aware; *count* is one of instants.
    A rule that follows real time does so whatever the DST options say.
    """

    series: Series
    zone: tzinfo
    begins: datetime
    real_time: bool = False
    dst_gap: str = "run"
    dst_fold: str = "first"
    count: int | None = None
    until: datetime | None = None
    left_out: LeftOut = LeftOut()

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence strictly later than *instant*; None when there is none."""
        if instant < self.begins:
            instant = self.begins - clock.TICK
        found = self._stretches.next_instant(instant, self._later)
        return None if found and self._ends and found > self._ends else found

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last occurrence strictly earlier than *instant*; None when there is none."""
        if self._ends and instant > self._ends:
            instant = self._ends + clock.TICK
        found = self._stretches.previous_instant(instant, self._earlier)
        return found if found and found >= self.begins else None

    @property
    def local_times(self) -> clock.LocalTimes:
        """What the rule names, and how it is read in gaps and folds."""
        return clock.LocalTimes(self.zone, self._later, *self._dst, self.real_time)

    @property
    def _dst(self) -> tuple[str, str]:
        return ("skip", "both") if self.real_time else (self.dst_gap, self.dst_fold)

    @cached_property
    def _stretches(self) -> clock.Stretches:
        return clock.stretches(self.zone, *self._dst)

    @cached_property
    def _ends(self) -> datetime | None:
        """The last instant that COUNT or UNTIL allows."""
        if self.count is None:
            return self.until if self.until and self.until.tzinfo else None
        return nth_instant(self.count, self.begins - clock.TICK, self.series, self._stretches)

    @cached_property
    def _last(self) -> datetime:
        """No local time that the bounds allow is later."""
        if self.until and not self.until.tzinfo:
            return self.until
        return clock.latest_local(self._ends, self.zone) if self._ends else datetime.max

    def _later(self, local: datetime) -> datetime | None:
        found = self.series.later(local)
        while found and found <= self._last:
            gone = self.left_out.around(found)
            if gone is None:
                return found
            found = self.series.later(gone[1])
        return None

    def _earlier(self, local: datetime) -> datetime | None:
        if local > self._last:
            local = self._last + clock.TICK
        found = self.series.earlier(local)
        while found and (gone := self.left_out.around(found)):
            found = self.series.earlier(gone[0])
        return found


@dataclass(frozen=True)
class Recurrence:
    """A trigger: what *trigger* says, less the instants that are left out.

    ``never``: why a rule without DTSTART has no time from the job's anchor on, else empty.
    """

    trigger: Trigger
    left_out: frozenset[datetime] = frozenset()
    never: str = ""

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence strictly later than *instant*; None when there is none."""
        found = self.trigger.next_after(instant)
        while found and found in self.left_out:
            found = self.trigger.next_after(found)
        return found

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last occurrence strictly earlier than *instant*; None when there is none."""
        found = self.trigger.previous_before(instant)
        while found and found in self.left_out:
            found = self.trigger.previous_before(found)
        return found

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """What it is made of."""
        return (self.trigger,)


@lru_cache(maxsize=4096)
def recurrence(
    text: str, zone: tzinfo, anchor: datetime, gap: str = "run", fold: str = "first"
) -> Recurrence:
    """The trigger that *text* says in a job of this zone, anchor (aware) and DST options.

    Without DTSTART it begins at *anchor*, or at the next whole second; see ``Recurrence.never``.

    Raises: InvalidJob (field ``rrule``), also for what never comes, wherever it begins.
    """
    clock.check_dst(gap, fold)
    read = parse_rrule(text)
    try:
        return _made(read, _frame(read.start, zone, anchor, gap, fold))
    except NeverFromHere as error:
        if read.start is not None or not read.rules:
            raise InvalidJob("rrule", text, str(error)) from None
        return Recurrence(AnyOf(()), never=str(error))
    except OverflowError:
        raise InvalidJob("rrule", text, "times within the years 1 to 9999") from None
    except ValueError as error:
        raise InvalidJob("rrule", text, str(error)) from None


class _Frame(NamedTuple):
    """Where the rules begin, by the clocks of their zone and as an instant; the DST options."""

    start: datetime
    begins: datetime
    zone: tzinfo
    gap: str
    fold: str


def _frame(start: Moment | None, zone: tzinfo, anchor: datetime, gap: str, fold: str) -> _Frame:
    if start is None:
        begins = anchor + timedelta(microseconds=-anchor.microsecond % 1_000_000)
        return _Frame(clock.to_local(begins, zone), begins, zone, gap, fold)
    zone = start.zone or zone
    instants = clock.instants_of(start.local, zone)
    if not instants:
        raise ValueError("DTSTART after the first day of the year 1")
    return _Frame(start.local, instants[0], zone, gap, fold)


def _made(read: RecurrenceText, frame: _Frame) -> Recurrence:
    left_out = _left_out(read.excluded, frame)
    triggers: list[Trigger] = [
        replace(_repetition(parts, frame), left_out=left_out) for parts in read.rules
    ]
    if read.dates:
        triggers.append(Once(_dates(read.dates, frame, left_out)))
    either = triggers[0] if len(triggers) == 1 else AnyOf(tuple(triggers))
    found = Recurrence(either, left_out.instants)
    if (read.dates or read.excluded) and found.next_after(_BEFORE_ALL) is None:
        raise NeverFromHere("a time that comes: RDATE and EXDATE leave none")
    return found


def _repetition(parts: Parts, frame: _Frame) -> Repetition:
    series = series_of(parts, frame.start)
    until = parts.until and (_aware(parts.until) if parts.until.zone else parts.until.end)
    found = Repetition(
        series, frame.zone, frame.begins, parts.follows_real_time, frame.gap, frame.fold
    )
    found = replace(found, until=until)
    if found.next_after(_BEFORE_ALL) is None:
        first = series.later(frame.start - clock.TICK)
        raise NeverFromHere(f"UNTIL not before the first time, {first}")
    return replace(found, count=parts.count)


def _left_out(excluded: tuple[Moment, ...], frame: _Frame) -> LeftOut:
    here = [each for each in excluded if each.zone in (None, frame.zone)]
    elsewhere = [each for each in excluded if each.zone not in (None, frame.zone)]
    return LeftOut(
        days=frozenset(each.local.date() for each in here if each.is_date),
        times=frozenset(each.local for each in here if not each.is_date),
        instants=frozenset(at for each in elsewhere for at in _instants(each, frame)),
    )


def _dates(dates: tuple[Moment, ...], frame: _Frame, left_out: LeftOut) -> tuple[datetime, ...]:
    found = {at for each in dates for at in _instants(each, frame)}
    return tuple(at for at in sorted(found) if not left_out.around(clock.to_local(at, frame.zone)))


def _instants(moment: Moment, frame: _Frame) -> tuple[datetime, ...]:
    return clock.instants_of(moment.local, moment.zone or frame.zone, frame.gap, frame.fold)


def _aware(moment: Moment) -> datetime:
    return moment.local.replace(tzinfo=clock.UTC)
