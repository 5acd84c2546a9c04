"""The n-th instant of a series of local times, as walking through gaps and folds would find it."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime

from celery_jobsched import clock
from celery_jobsched.triggers.rrule.series import Series

__all__ = ["nth_instant"]


def nth_instant(
    n: int, instant: datetime, series: Series, stretches: clock.Stretches
) -> datetime | None:
    """The n-th instant (from 1) strictly after *instant* that a local time of *series* means.

    What n questions of ``stretches.next_instant`` would find, by a few questions a stretch.
    """
    starts, shown, befores, closes = stretches
    elapsed = instant - clock.EPOCH
    index = bisect_right(starts, elapsed) - 1
    cursor = max(shown[index] + elapsed, befores[index])
    while True:
        number, opens = series.number_until(cursor), _opens(stretches, index)
        if opens > cursor and (at_the_jump := series.number_until(opens) - number):
            number, n = number + at_the_jump, n - 1
            if n == 0:
                return clock.EPOCH + starts[index]
        if index == len(starts) - 1:
            break
        owned = series.number_until(closes[index] - clock.TICK) - number
        if n <= owned:
            break
        n, index = n - owned, index + 1
        cursor = befores[index]
    local = series.by_number(number + n)
    if local is None or local >= closes[index]:
        return None
    return clock.EPOCH + (local - shown[index])


def _opens(stretches: clock.Stretches, index: int) -> datetime:
    """What the clocks show when the stretch begins."""
    return stretches.shown[index] + stretches.starts[index] if index else stretches.befores[0]
