"""The words that every sentence is made of: names, lists, ordinals, times of day, instants.

English, 24 hours, the same for everybody: nothing here asks the locale.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from itertools import groupby

from celery_jobsched import clock, jumps

__all__ = [
    "MONTHS",
    "MOST_ITEMS",
    "WEEKDAYS",
    "clock_time",
    "every",
    "listed",
    "moment",
    "ordinal",
    "ranges",
    "run_of",
]

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
#: From Monday on, as ISO counts them.
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: A list that is longer is no help to anybody.
MOST_ITEMS = 12
_LEAST_RUN = 3


def listed(items: Sequence[str], last: str = "and") -> str:
    """The items with commas between them, and *last* before the last one."""
    *some, one = items
    return f"{', '.join(some)} {last} {one}" if some else one


def every(n: int | float, unit: str) -> str:
    """As in "every hour" or "every 3 hours"."""
    return f"every {unit}" if n == 1 else f"every {n} {unit}s"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    teens = 10 < number % 100 < 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def ranges(names: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """The names of ascending *numbers*, three and more in a row as one: "1st to 7th"."""
    places = enumerate(zip(numbers, names, strict=True))
    found: list[str] = []
    for _, run in groupby(places, key=lambda each: each[1][0] - each[0]):
        some = [name for _, (_, name) in run]
        found += [f"{some[0]} to {some[-1]}"] if len(some) >= _LEAST_RUN else some
    return found


def run_of(numbers: Sequence[int]) -> bool:
    """Whether the ascending *numbers* are three or more in a row."""
    return len(numbers) >= _LEAST_RUN and numbers[-1] - numbers[0] == len(numbers) - 1


def clock_time(hour: int, minute: int, second: int = 0) -> str:
    """09:00, or 09:00:30 where there are seconds."""
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


def moment(instant: datetime, zone: tzinfo) -> str:
    """An instant as the clocks of *zone* show it, with its offset where they show it twice."""
    local = clock.to_local(instant, zone)
    text = f"{local.day} {MONTHS[local.month - 1][:3]} {local.year} "
    text += clock_time(local.hour, local.minute, local.second)
    if local.microsecond:
        text += ("" if local.second else ":00") + f".{local.microsecond:06}".rstrip("0")
    twice = len(clock.instants_of(local, zone, "skip", "both")) > 1
    return f"{text} ({jumps.offset_text(local - _naive(instant))})" if twice else text


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(clock.UTC).replace(tzinfo=None)
