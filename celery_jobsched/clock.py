"""Zones, and THE DST RULE: which instants a local time means, once, for every trigger.

A zone's time line is cut into stretches of constant offset, and each stretch owns local times:
those that its clock shows, and, as the rule says, those that the jump before it left out (they
mean the moment of the jump); those that an earlier stretch has shown already may be taken from it.
Nothing else in the package knows what a gap or a fold is. Nothing here reads the clock.
"""
# ruff: noqa: DTZ001, DTZ901 - a local time has no zone: that is what makes it local

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

import pytz
from pytz.tzinfo import DstTzInfo

from celery_jobsched.errors import InvalidJob

__all__ = [
    "EPOCH",
    "TICK",
    "UTC",
    "LocalTimes",
    "Stretches",
    "check_dst",
    "instants_of",
    "latest_local",
    "next_instant",
    "nominal_times",
    "previous_instant",
    "stretches",
    "to_local",
    "zone",
]

UTC = timezone.utc
TICK = datetime.resolution

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_LAST = datetime.max - _NAIVE_EPOCH
_DAY = timedelta(days=1)
_NAME = re.compile(r"[A-Za-z0-9_+/-]{1,64}")
_ZONE_EXPECTED = "the name of a time zone, such as Europe/Berlin"


def zones_version() -> str:
    """The release of the zones' rules that every answer of this room rests on."""
    return str(getattr(pytz, "__version__", "unknown"))


def zone(name: Any) -> tzinfo:
    """The pytz zone of this name, in any case.

    Raises: InvalidJob (field ``timezone``) for anything that does not name one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidJob("timezone", name, _ZONE_EXPECTED)
    try:
        return pytz.timezone(name)
    except pytz.UnknownTimeZoneError:
        raise InvalidJob("timezone", name, _ZONE_EXPECTED) from None


def check_dst(gap: Any, fold: Any) -> None:
    """Refuse what is no DST option.

    Raises: InvalidJob (field ``dst_gap`` or ``dst_fold``).
    """
    if gap not in ("run", "skip"):
        raise InvalidJob("dst_gap", gap, "run or skip")
    if fold not in ("first", "both"):
        raise InvalidJob("dst_fold", fold, "first or both")


def to_local(instant: datetime, zone: tzinfo) -> datetime:
    """What the clocks of *zone* show at *instant* (aware), as a naive datetime.

    Raises: OverflowError outside the years 1 to 9999.
    """
    starts, shown, _, _ = stretches(zone)
    elapsed = instant - EPOCH
    return shown[bisect_right(starts, elapsed) - 1] + elapsed


def latest_local(instant: datetime, zone: tzinfo) -> datetime:
    """The latest local time that means *instant*, or one before it, by the rule of fixed times.

    What the clocks show; while they show again what they have shown, the end of that.
    """
    starts, shown, befores, _ = stretches(zone)
    elapsed = instant - EPOCH
    index = bisect_right(starts, elapsed) - 1
    return max(_shifted(shown[index], elapsed), befores[index])


def instants_of(
    local: datetime, zone: tzinfo, gap: str = "run", fold: str = "first"
) -> tuple[datetime, ...]:
    """The instants that the naive *local* time means in *zone*: aware UTC, ascending, 0 to 2.

    A time that the clocks jump over means the moment of the jump (``gap="skip"``: none); one that
    they show twice means the first time only (``fold="both"``: both).
    """
    starts, shown, befores, closes = stretches(zone, gap, fold)
    about = local - _NAIVE_EPOCH
    near = range(bisect_right(starts, about - _DAY) - 1, bisect_right(starts, about + _DAY))
    return tuple(
        EPOCH + max(starts[index], local - shown[index])
        for index in near
        if befores[index] < local < closes[index]
    )


def next_instant(
    instant: datetime,
    zone: tzinfo,
    later: Callable[[datetime], datetime | None],
    gap: str = "run",
    fold: str = "first",
) -> datetime | None:
    """The first instant strictly after *instant* that a local time of a series means, or None.

    ``later(local)`` names the first local time of the series strictly after *local*. Local times
    that mean the same instant are one; real time is ``gap="skip", fold="both"``.
    """
    return stretches(zone, gap, fold).next_instant(instant, later)


def previous_instant(
    instant: datetime,
    zone: tzinfo,
    earlier: Callable[[datetime], datetime | None],
    gap: str = "run",
    fold: str = "first",
) -> datetime | None:
    """The last instant strictly before *instant* that a local time of a series means, or None.

    The mirror of ``next_instant``: ``earlier(local)`` names the last one strictly before *local*.
    """
    return stretches(zone, gap, fold).previous_instant(instant, earlier)


class LocalTimes(NamedTuple):
    """A series of local times, and which instants they mean: what ``next_instant`` is given.

    ``real_time``: the series follows the clocks as they go, and the DST options do not concern it.
    """

    zone: tzinfo
    later: Callable[[datetime], datetime | None]
    gap: str = "run"
    fold: str = "first"
    real_time: bool = False


def nominal_times(instant: datetime, times: LocalTimes) -> Iterator[datetime]:
    """The local times of the series that mean *instant*, ascending; none when none does.

    They are several, or another than what the clocks show, where the clocks jump to *instant*.
    """
    starts, shown, befores, closes = stretches(times.zone, times.gap, times.fold)
    elapsed = instant - EPOCH
    index = bisect_right(starts, elapsed) - 1
    local = shown[index] + elapsed
    cursor = max(local - TICK, befores[index]) if elapsed > starts[index] else befores[index]
    while (found := times.later(cursor)) is not None and found <= local < closes[index]:
        yield found
        cursor = found


class Stretches(NamedTuple):
    """A zone's stretches of constant offset, ascending, in parallel lists.

    Stretch i begins at ``starts[i]``, counted from the epoch, and its clocks show what they show as
    though they had shown ``shown[i]`` at the epoch. It owns the local times strictly between
    ``befores[i]`` and ``closes[i]``.

    Instants are counted from the epoch because sums are cheap: ``datetime.replace(tzinfo=…)`` takes
    ten times as long.
    """

    starts: list[timedelta]
    shown: list[datetime]
    befores: list[datetime]
    closes: list[datetime]

    def next_instant(
        self, instant: datetime, later: Callable[[datetime], datetime | None]
    ) -> datetime | None:
        """The function ``next_instant`` for this zone and this rule."""
        starts, shown, befores, closes = self
        elapsed = instant - EPOCH
        index = bisect_right(starts, elapsed) - 1
        cursor = _shifted(shown[index], elapsed)
        if cursor < befores[index]:
            cursor = befores[index]
        try:
            local = later(cursor) or datetime.max
            while local >= closes[index]:
                index += 1
                if index == len(starts):
                    return None
                if not cursor <= befores[index] < local:
                    cursor = befores[index]
                    local = later(cursor) or datetime.max
        except OverflowError:
            return None
        elapsed = local - shown[index]
        return EPOCH + (elapsed if elapsed > starts[index] else starts[index])

    def previous_instant(
        self, instant: datetime, earlier: Callable[[datetime], datetime | None]
    ) -> datetime | None:
        """The function ``previous_instant`` for this zone and this rule."""
        starts, shown, befores, closes = self
        elapsed = instant - EPOCH
        index = bisect_left(starts, elapsed) - 1
        cursor = _shifted(shown[index], elapsed)
        if cursor > closes[index]:
            cursor = closes[index]
        try:
            local = earlier(cursor) or datetime.min
            while local <= befores[index]:
                index -= 1
                if index < 0:
                    return None
                if not local < closes[index] <= cursor:
                    cursor = closes[index]
                    local = earlier(cursor) or datetime.min
        except OverflowError:
            return None
        elapsed = local - shown[index]
        return EPOCH + (elapsed if elapsed > starts[index] else starts[index])


@lru_cache(maxsize=2048)
def stretches(zone: tzinfo, gap: str = "run", fold: str = "first") -> Stretches:
    """The time line of *zone*, with the local times that each stretch owns by this rule."""
    moments, offsets = _transitions(zone)
    starts = [moment - _NAIVE_EPOCH for moment in moments]
    shown = [_NAIVE_EPOCH + offset for offset in offsets]
    befores, closes = [], []
    reached = _shifted(shown[0], starts[0])
    for start, end, at_epoch in zip(starts, [*starts[1:], _LAST], shown, strict=True):
        opens, close = _shifted(at_epoch, start), _shifted(at_epoch, end)
        follows = gap == "run" if opens > reached else fold == "first"
        befores.append(_shifted(reached if follows else opens, -TICK))
        closes.append(close)
        reached = max(reached, close)
    return Stretches(starts, shown, befores, closes)


def _transitions(zone: tzinfo) -> tuple[list[datetime], list[timedelta]]:
    """Where the offset changes (naive UTC, the first is the beginning of time), and to what.

    pytz publishes no list of transitions, and asking it for each local time costs 14 µs; its
    private table has had this shape since 2004, and the tests compare us with ``localize``.
    """
    if isinstance(zone, DstTzInfo):
        table: Any = zone
        starts = [datetime.min, *table._utc_transition_times[1:]]
        return starts, [info[0] for info in table._transition_info]
    offset = zone.utcoffset(None)
    if offset is None:
        raise TypeError(f"expected a pytz zone, got: {zone!r}")
    return [datetime.min], [offset]


def _shifted(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return datetime.min if by < timedelta(0) else datetime.max
