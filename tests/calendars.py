"""Random calendars: each a text, and a naive answer to whether a local time belongs to it.

Their edges lie on quarters of an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from hypothesis import strategies as st

DAY = timedelta(days=1)

#: A part of a text, and whether a day's minute, counted on over midnight, belongs to it.
Part = tuple[str, Callable[[date, int], bool]]
TIMES = st.integers(0, 95).map(lambda quarter: 15 * quarter)


@st.composite
def windows(draw: st.DrawFn) -> Part:
    """A window and whether a day's minute, counted over midnight, lies in it."""
    start = draw(TIMES)
    end = draw(TIMES.filter(lambda minute: minute != start))
    until = end if end > start else end + 24 * 60
    return f"{_clock(start)}-{_clock(end)}", lambda day, minute: start <= minute < until


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
YEAR = [date(2028, 1, 1) + k * DAY for k in range(366)]


@st.composite
def weekdays(draw: st.DrawFn) -> Part:
    first, length = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    wanted = {(first + k) % 7 for k in range(length + 1)}
    text = NAMES[first] if not length else f"{NAMES[first]}-{NAMES[(first + length) % 7]}"
    return text, lambda day, _: day.weekday() in wanted


@st.composite
def month_days(draw: st.DrawFn) -> Part:
    first, last = sorted(draw(st.tuples(st.integers(1, 28), st.integers(1, 31))))
    if draw(st.booleans()):
        return f"{first}..{last}", lambda day, _: first <= day.day <= last
    return f"-{last}..-{first}", lambda day, _: first <= _from_last(day) <= last


def _from_last(day: date) -> int:
    following = (day.replace(day=28) + 4 * DAY).replace(day=1)
    return (following - day).days


@st.composite
def dates(draw: st.DrawFn) -> Part:
    first, last = sorted(draw(st.tuples(st.sampled_from(YEAR), st.sampled_from(YEAR))))
    return f"{first}..{last}", lambda day, _: first <= day <= last


@st.composite
def yearly_dates(draw: st.DrawFn) -> Part:
    first, last = (f"{day:%m-%d}" for day in draw(st.tuples(*[st.sampled_from(YEAR)] * 2)))

    def wanted(day: date, _: int) -> bool:
        here = f"{day:%m-%d}"
        return first <= here <= last if first <= last else here >= first or here <= last

    return f"{first}..{last}", wanted


DAY_KINDS = (weekdays(), month_days(), st.one_of(dates(), yearly_dates()))


@st.composite
def alternatives(draw: st.DrawFn) -> Part:
    """Some groups that must hold at once, in any order."""
    kinds = draw(st.lists(st.sampled_from(DAY_KINDS), max_size=2, unique=True))
    kinds += [windows()] if not kinds or draw(st.booleans()) else []
    groups = [draw(st.lists(kind, min_size=1, max_size=2)) for kind in draw(st.permutations(kinds))]
    text = " ".join(", ".join(text for text, _ in group) for group in groups)

    def wanted(day: date, minute: int) -> bool:
        return all(any(item(day, minute) for _, item in group) for group in groups)

    return text, wanted


@st.composite
def calendars(draw: st.DrawFn) -> tuple[str, Callable[[datetime], bool]]:
    found = draw(st.lists(alternatives(), min_size=1, max_size=3))

    def wanted(local: datetime) -> bool:
        today, minute = local.date(), local.hour * 60 + local.minute
        starts = [(today, minute), (today - DAY, minute + 24 * 60)]
        # Without a window of its own an alternative has the whole day, and no more of the next.
        return any(
            each(day, at)
            for text, each in found
            for day, at in starts
            if ":" in text or at < 24 * 60
        )

    return "; ".join(text for text, _ in found), wanted
