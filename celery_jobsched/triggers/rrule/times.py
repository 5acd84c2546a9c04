"""The times of day at which a recurrence rule occurs, as slots: bits of a mask.

A set of numbers is a bit mask throughout: bit n is set when n belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import compress, count
from math import gcd
from typing import NamedTuple

from celery_jobsched.triggers.rrule.parts import Parts

__all__ = [
    "PERIODS",
    "Strides",
    "Times",
    "bits",
    "flags",
    "indices",
    "low",
    "mask_of",
    "repeated",
    "spread",
    "strides_of",
    "times_of",
]

_DAY = 86_400
#: The seconds of a period shorter than a day.
PERIODS = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
#: In how many days the times of day of an interval must come round, where other parts look at them.
_MOST_DAYS = 366
_YEAR = 366


class Times(NamedTuple):
    """Slot n, an hour, minute or second, is n units and ``offset`` seconds after midnight."""

    unit: int
    offset: int
    mask: int

    def slot_until(self, local: datetime) -> int:
        """The last slot that is not later than *local*'s time of day; -1 before the first."""
        second = local.hour * 3600 + local.minute * 60 + local.second
        return (second - self.offset) // self.unit


@dataclass(frozen=True)
class Strides:
    """Every n-th period (hour, minute or second) where the periods of one day are not the next's.

    ``width`` is the slots of a period, ``first`` the number within its day (``day``, an ordinal) of
    a period that counts, ``mask`` the slots that count otherwise.
    """

    n: int
    periods: int
    width: int
    day: int
    first: int
    mask: int

    @cached_property
    def length(self) -> int:
        """After how many days the slots are the same again."""
        return self.n // gcd(self.n, self.periods)

    @cached_property
    def sizes(self) -> list[int]:
        """How many slots each of the days from ``day`` has, until they are the same again."""
        return [self.on(self.day + each).bit_count() for each in range(self.length)]

    def sizes_from(self, day: int) -> list[int]:
        """How many slots that day has, and each of the year that follows."""
        day = (day - self.day) % self.length
        return self._sizes_of_years[day : day + _YEAR]

    def on(self, day: int) -> int:
        """The slots of that day."""
        first = (self.first - (day - self.day) * self.periods) % self.n
        return 0 if first >= self.periods else self._every_nth << first * self.width & self.mask

    @cached_property
    def _sizes_of_years(self) -> list[int]:
        return self.sizes * (1 + -(-_YEAR // self.length))

    @cached_property
    def _every_nth(self) -> int:
        return repeated((1 << self.width) - 1, -(-self.periods // self.n), self.n * self.width)


def times_of(parts: Parts, start: datetime) -> Times:
    """The times of day that *parts* and *start*, which lends what they do not name, allow.

    Where BYSETPOS chooses within a day or less, it has chosen.
    """
    period = PERIODS.get(parts.freq, _DAY)
    hours = parts.hours or (range(24) if period <= 3600 else (start.hour,))
    minutes = parts.minutes or (range(60) if period <= 60 else (start.minute,))
    seconds = parts.seconds or (range(60) if period == 1 else (start.second,))
    unit = _unit(period, len(minutes), len(seconds))
    mask = _chosen(1, parts, "SECONDLY")
    if unit == 1:
        mask = spread(mask, seconds, 1)
    mask = _chosen(mask, parts, "MINUTELY")
    if unit <= 60:
        mask = spread(mask, minutes, 60 // unit)
    mask = spread(_chosen(mask, parts, "HOURLY"), hours, 3600 // unit)
    offset = {1: 0, 60: seconds[0], 3600: minutes[0] * 60 + seconds[0]}[unit]
    return Times(unit, offset, _chosen(mask, parts, "DAILY"))


def _unit(period: int, minutes: int, seconds: int) -> int:
    """The coarsest slots that tell times of so many minutes and seconds, and periods, apart."""
    if seconds > 1 or period == 1:
        return 1
    return 60 if minutes > 1 or period == 60 else 3600


def _chosen(mask: int, parts: Parts, freq: str) -> int:
    """Those of the slots of one period that BYSETPOS chooses, if *freq* is the rule's."""
    if freq != parts.freq or not parts.positions:
        return mask
    slots = list(bits(mask))
    return mask_of(slots[index] for index in indices(len(slots), parts.positions))


def strides_of(parts: Parts, start: datetime, times: Times) -> Strides | None:
    """The periods of *parts* from *start* on, where not each of them counts.

    Raises: ValueError where it takes them more than 366 days to come round.
    """
    if parts.freq not in PERIODS or parts.interval == 1:
        return None
    seconds = PERIODS[parts.freq]
    second = start.hour * 3600 + start.minute * 60 + start.second
    found = Strides(
        parts.interval,
        _DAY // seconds,
        seconds // times.unit,
        start.toordinal(),
        second // seconds,
        times.mask,
    )
    if found.length > _MOST_DAYS:
        with_others = ", ".join(parts.named)
        raise ValueError(
            f"with {with_others} an INTERVAL whose times of day come round in {_MOST_DAYS} days"
        )
    return found


def mask_of(numbers: Iterable[int]) -> int:
    """The mask of these numbers, none of them below 0."""
    found = bytearray()
    for number in numbers:
        if number // 8 >= len(found):
            found.extend(bytes(number // 8 + 1 - len(found)))
        found[number // 8] |= 1 << number % 8
    return int.from_bytes(found, "little")


def spread(mask: int, numbers: Iterable[int], width: int) -> int:
    """*mask* once for each of *numbers*, *width* bits a number."""
    found = 0
    for number in numbers:
        found |= mask << number * width
    return found


def repeated(mask: int, times: int, width: int) -> int:
    """*mask* so many times at least, one *width* bits after the other."""
    while times > 1:
        mask |= mask << width
        times, width = -(-times // 2), width * 2
    return mask


def bits(mask: int) -> Iterator[int]:
    """The numbers of a mask, ascending."""
    return compress(count(), flags(mask))


def flags(mask: int) -> bytes:
    """Of each number up to the last of a mask, whether (not 0) it belongs to it."""
    return bin(mask)[:1:-1].encode().replace(b"0", b"\0")


def low(mask: int) -> int:
    """The least number of a mask."""
    return (mask & -mask).bit_length() - 1


def indices(size: int, positions: Iterable[int]) -> set[int]:
    """Where in a sequence of *size* these positions are: the first is 1, the last -1."""
    found = {each - 1 if each > 0 else size + each for each in positions}
    return {index for index in found if 0 <= index < size}
