"""Zones, and THE DST RULE: which instants a local time means, once, for every trigger.

A zone's time line is cut into stretches of constant offset, and each stretch owns local times:
those that its clock shows, and, as the rule says, those that the jump before it left out (they
mean the moment of the jump); those that an earlier stretch has shown already may be taken from it.
Nothing else in the package knows what a gap or a fold is. Nothing here reads the clock.
"""
# ruff: noqa: DTZ901 - a local time has no zone: that is what makes it local

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

import pytz
from pytz.tzinfo import DstTzInfo

from celery_jobsched.errors import InvalidJob

__all__ = [
    "TICK",
    "UTC",
    "LocalTimes",
    "abbreviation",
    "check_dst",
    "instants_of",
    "jump_at",
    "latest_local",
    "left_out",
    "next_instant",
    "nominal_times",
    "offset_text",
    "previous_instant",
    "to_local",
    "zone",
]

UTC = timezone.utc
TICK = datetime.resolution

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
    stretches = _stretches(zone)
    utc = _naive_utc(instant)
    return utc + stretches.offsets[bisect_right(stretches.starts, utc) - 1]


def latest_local(instant: datetime, zone: tzinfo) -> datetime:
    """The latest local time that means *instant*, or one before it, by the rule of fixed times.

    What the clocks show; while they show again what they have shown, the end of that.
    """
    stretches = _stretches(zone)
    utc = _naive_utc(instant)
    index = bisect_right(stretches.starts, utc) - 1
    return max(_shifted(utc, stretches.offsets[index]), stretches.befores[index])


def instants_of(
    local: datetime, zone: tzinfo, gap: str = "run", fold: str = "first"
) -> tuple[datetime, ...]:
    """The instants that the naive *local* time means in *zone*: aware UTC, ascending, 0 to 2.

    A time that the clocks jump over means the moment of the jump (``gap="skip"``: none); one that
    they show twice means the first time only (``fold="both"``: both).
    """
    starts, offsets, befores, closes = _stretches(zone, gap, fold)
    try:
        near = range(bisect_right(starts, local - _DAY) - 1, bisect_right(starts, local + _DAY))
    except OverflowError:
        return ()
    return tuple(
        max(starts[index], local - offsets[index]).replace(tzinfo=UTC)
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
    starts, offsets, befores, closes = _stretches(zone, gap, fold)
    utc = _naive_utc(instant)
    index = bisect_right(starts, utc) - 1
    try:
        cursor = max(_shifted(utc, offsets[index]), befores[index])
        local = later(cursor) or datetime.max
        while local >= closes[index]:
            index += 1
            if index == len(starts):
                return None
            if not cursor <= befores[index] < local:
                cursor = befores[index]
                local = later(cursor) or datetime.max
        return max(starts[index], local - offsets[index]).replace(tzinfo=UTC)
    except OverflowError:
        return None


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
    starts, offsets, befores, closes = _stretches(zone, gap, fold)
    try:
        utc = _naive_utc(instant) - TICK
        index = bisect_right(starts, utc) - 1
        cursor = min(_shifted(utc, offsets[index] + TICK), closes[index])
        local = earlier(cursor) or datetime.min
        while local <= befores[index]:
            index -= 1
            if index < 0:
                return None
            if not local < closes[index] <= cursor:
                cursor = closes[index]
                local = earlier(cursor) or datetime.min
        return max(starts[index], local - offsets[index]).replace(tzinfo=UTC)
    except OverflowError:
        return None


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
    starts, offsets, befores, closes = _stretches(times.zone, times.gap, times.fold)
    utc = _naive_utc(instant)
    index = bisect_right(starts, utc) - 1
    local = utc + offsets[index]
    cursor = max(local - TICK, befores[index]) if utc > starts[index] else befores[index]
    while (found := times.later(cursor)) is not None and found <= local < closes[index]:
        yield found
        cursor = found


def left_out(
    after: datetime, until: datetime, times: LocalTimes
) -> Iterator[tuple[datetime, datetime]]:
    """The local times of the series that the clocks jump over, and the instants of the jumps.

    Those of the jumps after *after* and until *until*, whatever the series makes of them.
    """
    starts, _, opens, _ = _stretches(times.zone, "skip", "first")
    reached = _stretches(times.zone).befores
    first = bisect_right(starts, _naive_utc(after))
    for index in range(first, bisect_right(starts, _naive_utc(until))):
        cursor = reached[index]
        while (found := times.later(cursor)) is not None and found <= opens[index]:
            yield found, starts[index].replace(tzinfo=UTC)
            cursor = found


def jump_at(instant: datetime, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """What the clocks show before they jump at *instant* and after it; None when they do not."""
    starts, offsets, _, _ = _stretches(zone)
    utc = _naive_utc(instant)
    index = bisect_right(starts, utc) - 1
    if index < 1 or starts[index] != utc or offsets[index] == offsets[index - 1]:
        return None
    return utc + offsets[index - 1], utc + offsets[index]


def abbreviation(instant: datetime, zone: tzinfo) -> str:
    """What the zone's time at *instant* is called, such as CET, or its offset."""
    return instant.astimezone(zone).tzname() or ""


def offset_text(offset: timedelta) -> str:
    """+01, -03:30 or -00:25:21."""
    seconds = abs(round(offset.total_seconds()))
    parts = [seconds // 3600, seconds // 60 % 60, seconds % 60]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return ("-" if offset < timedelta(0) else "+") + ":".join(f"{part:02}" for part in parts)


class _Stretches(NamedTuple):
    """A zone's stretches of constant offset, ascending, in parallel lists.

    Stretch i begins at ``starts[i]`` (naive UTC) and owns the local times strictly between
    ``befores[i]`` and ``closes[i]``.
    """

    starts: list[datetime]
    offsets: list[timedelta]
    befores: list[datetime]
    closes: list[datetime]


@lru_cache(maxsize=2048)
def _stretches(zone: tzinfo, gap: str = "run", fold: str = "first") -> _Stretches:
    starts, offsets = _transitions(zone)
    ends = [*starts[1:], datetime.max]
    befores, closes = [], []
    reached = _shifted(starts[0], offsets[0])
    for start, end, offset in zip(starts, ends, offsets, strict=True):
        opens, close = _shifted(start, offset), _shifted(end, offset)
        follows = gap == "run" if opens > reached else fold == "first"
        befores.append(_shifted(reached if follows else opens, -TICK))
        closes.append(close)
        reached = max(reached, close)
    closes[-1] = datetime.max
    return _Stretches(starts, offsets, befores, closes)


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


def _naive_utc(instant: datetime) -> datetime:
    if instant.tzinfo is UTC:
        return instant.replace(tzinfo=None)
    if instant.tzinfo is None:
        raise TypeError(f"expected an aware datetime, got: {instant!r}")
    return instant.astimezone(UTC).replace(tzinfo=None)
