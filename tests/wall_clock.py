"""What the clocks of a zone show, found by looking at them: slow, and nothing of the package in it.

Rests on the public arithmetic of pytz alone, not on its tables. The rule that is asked here is said
in another way than the package says it: a local time means the first instant at which the clock
shows it or, having jumped, a later one.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache

UTC = timezone.utc
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
_AROUND = timedelta(days=2)


def shown(instant: datetime, zone: tzinfo) -> datetime:
    """What the clocks show at *instant*, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)


def offset(instant: datetime, zone: tzinfo) -> timedelta:
    """How far the clocks are ahead of UTC at *instant*."""
    found = instant.astimezone(zone).utcoffset()
    assert found is not None
    return found


@lru_cache(maxsize=8192)
def changes(zone: tzinfo, start: datetime, end: datetime) -> tuple[datetime, ...]:
    """When the clocks were put forward or back in (start, end], whole hours, to the second.

    Two changes within an hour are not seen.
    """
    found = []
    while start < end:
        after = start + HOUR
        if offset(start, zone) != offset(after, zone):
            found.append(_change(zone, start, after))
        start = after
    return tuple(found)


def _change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    while after - before > SECOND:
        middle = before + ((after - before) / 2).seconds * SECOND
        if offset(middle, zone) == offset(before, zone):
            before = middle
        else:
            after = middle
    return after


def meanings(
    local: datetime, zone: tzinfo, gap: str = "run", fold: str = "first"
) -> list[datetime]:
    """The instants that the naive *local* means, ascending."""
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    start, end = day - _AROUND, day + _AROUND + _AROUND
    jumps = changes(zone, start, end)
    stretches = list(zip([start, *jumps], [*jumps, end], strict=True))
    exactly = [
        instant
        for begin, close in stretches
        if begin <= (instant := local.replace(tzinfo=UTC) - offset(begin, zone)) < close
    ]
    if exactly:
        return exactly if fold == "both" else exactly[:1]
    later = [begin for begin, _ in stretches if shown(begin, zone) > local]
    return later[:1] if gap == "run" else []
