"""What the clocks of a zone do when they jump, for whoever tells people.

Which instants fire because of it is the rule of ``clock``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from .clock import EPOCH, LocalTimes, stretches

__all__ = ["abbreviation", "jump_at", "left_out", "offset_text"]


def left_out(
    after: datetime, until: datetime, times: LocalTimes
) -> Iterator[tuple[datetime, datetime]]:
    """The local times of the series that the clocks jump over, and the instants of the jumps.

    Those of the jumps after *after* and until *until*, whatever the series makes of them.
    """
    starts, _, opens, _ = stretches(times.zone, "skip", "first")
    reached = stretches(times.zone).befores
    first = bisect_right(starts, after - EPOCH)
    for index in range(first, bisect_right(starts, until - EPOCH)):
        cursor = reached[index]
        while (found := times.later(cursor)) is not None and found <= opens[index]:
            yield found, EPOCH + starts[index]
            cursor = found


def jump_at(instant: datetime, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """What the clocks show before they jump at *instant* and after it; None when they do not."""
    starts, shown, _, _ = stretches(zone)
    elapsed = instant - EPOCH
    index = bisect_right(starts, elapsed) - 1
    if index < 1 or starts[index] != elapsed or shown[index] == shown[index - 1]:
        return None
    return shown[index - 1] + elapsed, shown[index] + elapsed


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
