"""A reader that knows English and no cron: what a sentence says, taken literally."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)
MONTHS = "January February March April May June July August September October November December"
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
TIME = r"\d\d:\d\d"
HOURS = (
    r"every hour from \d+ to \d+|every \d+\w\w hour from 0 to \d+|every hour|the hours [\d, and]+\d"
)
AT_TIMES = re.compile(rf"at ({TIME}(?:(?:, | and ){TIME})*)")
AT_MINUTES = re.compile(rf"at ((?:(?:, | and )?:\d\d)+) past ({HOURS})")
EVERY_N = re.compile(
    rf"every (?:(\d+) )?minutes? (by the clock|from {TIME} to {TIME}|of (?:{HOURS}))"
)
On = Callable[[datetime], bool]


@dataclass(frozen=True)
class Reading:
    """What a sentence says: on which days, and at which minutes of each."""

    on: On
    minutes: list[int]

    def instants(self, start: datetime) -> Iterator[datetime]:
        """The instants strictly after *start*, for some years."""
        midnight = start.replace(hour=0, minute=0)
        for day in (midnight + DAY * k for k in range(3000)):
            if self.on(day):
                for minute in self.minutes:
                    if (at := day + timedelta(minutes=minute)) > start:
                        yield at


def read(sentence: str) -> Reading:
    for form, minutes in (AT_TIMES, at_times), (AT_MINUTES, at_minutes), (EVERY_N, every_n):
        if found := form.search(sentence):
            rest = sentence[: found.start()] + sentence[found.end() :]
            return Reading(read_days(rest), sorted(minutes(*found.groups())))
    raise AssertionError(f"cannot read: {sentence}")


def at_times(times: str) -> list[int]:
    return [minute_of(time) for time in re.findall(TIME, times)]


def at_minutes(minutes: str, hours: str) -> list[int]:
    return [
        60 * hour + int(minute)
        for hour in read_hours(hours)
        for minute in re.findall(r"\d\d", minutes)
    ]


def every_n(n: str | None, when: str) -> list[int]:
    step = range(0, 24 * 60, int(n or 1))
    if when.startswith("of "):
        hours = read_hours(when)
        return [minute for minute in step if minute // 60 in hours]
    first, last = map(minute_of, re.findall(TIME, when) or ["00:00", "23:59"])
    return [minute for minute in step if first <= minute <= last]


def read_hours(text: str) -> list[int]:
    numbers = [int(each) for each in re.findall(r"\d+", text)]
    if "from" in text:
        *step, first, last = numbers
        return list(range(first, last + 1, *step))
    return numbers or list(range(24))


def read_days(text: str) -> On:
    text, months = read_months(text)
    if " or on " in text:
        here, there = map(read_kind, text.split(" or on "))
        return lambda day: day.month in months and (here(day) or there(day))
    if " that fall on " in text:
        here, there = map(read_kind, text.split(" that fall on "))
        return lambda day: day.month in months and here(day) and there(day)
    on = read_kind(text)
    return lambda day: day.month in months and on(day)


def read_kind(text: str) -> On:
    """Places in the month, or else weekdays, or else every day."""
    places: list[On] = []
    for form, place in PLACES.items():
        places += [place(*found.groups()) for found in re.finditer(form, text)]
        text = re.sub(form, "", text)
    if places:
        return lambda day: any(place(day) for place in places)
    weekdays = set(range(5)) if "weekday" in text else names_in(text, WEEKDAYS)
    return lambda day: not weekdays or day.weekday() in weekdays


def weekday_nearest(day: datetime, to: int) -> bool:
    """Whether no other day from Monday to Friday of the month is as near to day *to* of it."""
    month = [day.replace(day=each) for each in range(1, last_of(day) + 1)]
    work = [each.day for each in month if each.weekday() < 5]
    return to <= last_of(day) and day.day == min(work, key=lambda each: abs(each - to))


def last_of(day: datetime) -> int:
    return monthrange(day.year, day.month)[1]


def is_nth(day: datetime, n: str, weekday: str) -> bool:
    alike = [each for each in range(1, last_of(day) + 1) if (each - day.day) % 7 == 0]
    if day.weekday() != WEEKDAYS.split().index(weekday):
        return False
    return alike[-1] == day.day if n == "last" else day.day in alike[int(n[0]) - 1 : int(n[0])]


WEEKDAY = WEEKDAYS.replace(" ", "|")
#: Each form of naming a place in the month, and what it means; the longest forms first.
PLACES: dict[str, Callable[..., On]] = {
    r"the weekday nearest to the (\d+)\w\w day before the last": (
        lambda n: lambda day: weekday_nearest(day, last_of(day) - int(n))
    ),
    r"the weekday nearest to the (\d+)\w\w": lambda n: lambda day: weekday_nearest(day, int(n)),
    r"the (last) weekday": lambda _: lambda day: weekday_nearest(day, last_of(day)),
    r"the (\d+)\w\w day before the last": lambda n: lambda day: day.day == last_of(day) - int(n),
    r"the last (\d+) days": lambda n: lambda day: day.day > last_of(day) - int(n),
    r"the (last) day": lambda _: lambda day: day.day == last_of(day),
    rf"the (\d\w\w|last) ({WEEKDAY})": lambda n, name: lambda day: is_nth(day, n, name),
    r"(odd|even) days": lambda which: lambda day: day.day % 2 == (which == "odd"),
    r"(\d+)(?:st|nd|rd|th) to (\d+)(?:st|nd|rd|th)": (
        lambda first, last: lambda day: int(first) <= day.day <= int(last)
    ),
    r"(\d+)(?:st|nd|rd|th)": lambda n: lambda day: day.day == int(n),
}


def read_months(text: str) -> tuple[str, set[int]]:
    found = re.search(rf" ?(?:in|of|from) ({MONTHS.replace(' ', '|')}).*", text)
    if not found:
        return text, set(range(1, 13))
    return text[: found.start()], {month + 1 for month in names_in(found[0], MONTHS)}


def names_in(text: str, names: str) -> set[int]:
    """The numbers of the names that a text has; "A to B" is all from the one to the other."""
    order = names.split()
    found = [order.index(each) for each in re.findall(names.replace(" ", "|"), text)]
    return (
        set(range(found[0], found[-1] + 1)) if re.search(r"[a-y]s? to [A-Z]", text) else set(found)
    )


def minute_of(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


DATE = r"(\d+ [A-Z][a-z][a-z](?: \d{4})?)"
WINDOW = re.compile(rf"from ({TIME}) to before ({TIME})( of the next day)?")


def read_calendar(sentence: str) -> On:
    """Whether a local time belongs to the calendar that the words tell."""
    parts = [read_alternative(each) for each in re.split(r" or (?=on |in |from |always)", sentence)]
    return lambda local: any(part(local) for part in parts)


def read_alternative(text: str) -> On:
    windows = WINDOW.findall(text)
    on = read_calendar_days(WINDOW.sub("", text))

    def wanted(local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        for start, end, next_day in windows or [("00:00", "24:00", "")]:
            until = minute_of(end) + 24 * 60 * bool(next_day)
            if minute_of(start) <= minute < until and on(local):
                return True
            if minute + 24 * 60 < until and on(local - DAY):
                return True
        return False

    return wanted


def read_calendar_days(text: str) -> On:
    if not re.search(DATE, text):
        return read_days(text.replace("always", ""))
    weekdays, falls, dates = text.rpartition(" that fall on ")
    on = read_kind(weekdays)
    spans = [(first, last or first) for first, last in re.findall(rf"{DATE}(?: to {DATE})?", dates)]
    return lambda day: (not falls or on(day)) and any(lies_in(day, *span) for span in spans)


def lies_in(day: datetime, first: str, last: str) -> bool:
    """Whether it lies in a span of dates, both included; without years it may go round the end."""
    here = (day.month, day.day)
    (a, first_year), (b, last_year) = date_of(first), date_of(last)
    if first_year and last_year:
        return (first_year, *a) <= (day.year, *here) <= (last_year, *b)
    return a <= here <= b if a <= b else here >= a or here <= b


def date_of(text: str) -> tuple[tuple[int, int], int]:
    day, month, *year = text.split()
    order = [name[:3] for name in MONTHS.split()]
    return (order.index(month) + 1, int(day)), int(year[0]) if year else 0
