"""How late a beat sends its fires: of the last minute, in a memory that does not grow.

Pure: moments, in monotonic seconds, come in. Lags are counted by size, in steps of a fifth; so the
usual one is told to within that, the greatest one exactly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil, log2

_SLICE_S, _SLICES = 10, 6
_MILLISECOND = timedelta(milliseconds=1)
#: Sizes between a lag and twice as much.
_STEPS = 4


@dataclass(frozen=True)
class Lag:
    """Between due and sent: of the one in the middle of all, and of the latest."""

    usual: timedelta
    greatest: timedelta


@dataclass
class _Slice:
    """What was sent in some seconds: how many of each size, and the greatest lag."""

    counts: Counter[int] = field(default_factory=Counter)
    greatest: timedelta = timedelta(0)


@dataclass
class Lags:
    """The lags of one beat."""

    _slices: dict[int, _Slice] = field(default_factory=dict)

    def note(self, lag: timedelta, moment: float) -> None:
        """Count a fire that was sent at *moment*, so long after it was due."""
        now = self._forget(moment)
        mine = self._slices.setdefault(now, _Slice())
        mine.counts[_size(lag)] += 1
        mine.greatest = max(mine.greatest, lag)

    def of_last_minute(self, moment: float) -> Lag | None:
        """What there is to tell at *moment*; None where nothing was sent."""
        self._forget(moment)
        if not self._slices:
            return None
        counts = sum((each.counts for each in self._slices.values()), Counter[int]())
        greatest = max(each.greatest for each in self._slices.values())
        return Lag(min(_length(_middle(counts)), greatest), greatest)

    def _forget(self, moment: float) -> int:
        """Forget what is older than a minute; the number of the present slice."""
        now = int(moment // _SLICE_S)
        for number in [each for each in self._slices if each <= now - _SLICES]:
            del self._slices[number]
        return now


def _middle(counts: Counter[int]) -> int:
    """The size that half of all do not exceed."""
    left = counts.total() / 2
    for size in sorted(counts):
        left -= counts[size]
        if left <= 0:
            return size
    raise ValueError("expected a lag, got none")


def _size(lag: timedelta) -> int:
    milliseconds = lag / _MILLISECOND
    return 0 if milliseconds <= 1 else ceil(log2(milliseconds) * _STEPS)


def _length(size: int) -> timedelta:
    return _MILLISECOND * 2 ** (size / _STEPS)
