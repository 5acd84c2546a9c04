# ruff: noqa: DTZ001 - the reader knows no zones
"""Words are never wrong: they are read back, by a reader that knows English and no cron.

And what differs in its fires differs in its words, over the nights when the clocks change.
"""

from __future__ import annotations

import random
import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import islice, product
from typing import Any

import pytest

from celery_jobsched import InvalidJob, Job

UTC = timezone.utc
MADE_AT = [datetime(2026, 11, day, 2, 52, 22, tzinfo=UTC) for day in (29, 30)]
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


def made(definition: dict[str, Any], zone: str, made_at: datetime) -> Job | None:
    """A saved job, where the definition is one: some dates never come, and Celery knows no "?"."""
    try:
        job = Job.from_dict("-", {"task": "-", **definition}, zone)
    except InvalidJob:
        return None
    return replace(job, created_at=made_at)


def field(dice: random.Random, least: int, most: int, *signs: str) -> str:
    """A field of a cron expression, of any form, at random."""
    a, b, c, d = numbers = sorted(dice.sample(range(least, most + 1), 4))
    stepped = [f"*/{dice.randint(1, min(most, 12))}", f"{a}/{dice.randint(1, min(most, 12))}"]
    listed = [f"{a},{c}", f"{a}-{b},{c}-{d}", ",".join(map(str, numbers))]
    signed = [",".join(dice.sample(signs, dice.randint(1, 2)))] if signs else []
    return dice.choice(["*", "*", "*", str(a), f"{a}-{b}", *stepped, *listed, *signed])


DAY_SIGNS = ("L", "LW", "L-3", "15W", "1W", "31W", "13", "L-2W", "L,L-3")
WEEKDAY_SIGNS = ("5L", "5#2", "1#5", "0#1", "MON#3")
BOUNDS: tuple[Any, ...] = (
    (0, 59), (0, 23), (1, 28, *DAY_SIGNS), (1, 12), (0, 6, *WEEKDAY_SIGNS)
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_words_are_read_back_as_the_instants_that_fire(seed: int) -> None:
    dice = random.Random(seed)
    told = 0

    for _ in range(250):
        cron = " ".join(field(dice, *bounds) for bounds in BOUNDS)
        job = made({"cron": cron}, "UTC", MADE_AT[0])
        words = job.describe().removesuffix("UTC").rstrip(", ") if job else "cron"
        if job is None or words.startswith("cron "):
            continue
        told += 1
        start = datetime(dice.randint(1990, 2036), dice.randint(1, 12), 1, dice.randint(0, 23))
        fired = [at.replace(tzinfo=None) for at in job.upcoming(start.replace(tzinfo=UTC), 366)]
        year = start + 366 * DAY
        assert [at for at in islice(read(words).instants(start), 366) if at < year] == [
            at for at in fired if at < year
        ], (cron, words)

    assert told > 100


CRON = (
    ["", "", "", "0", "0", "30", "*", "*/10", "0-59/10", "0,30"],
    ["*", "0", "30", "*/15", "*/30", "0,30", "0-59/30", "0/30", "*/60", "0,15,30,45", "5-7"],
    ["*", "0-23", "2", "*/12", "0,12", "0/12", "2,3", "*/24", "1-3", "*/1", "0-22/2", "*/2"],
    ["*", "*", "?", "1-31", "13", "*/2", "1-31/2", "31", "28-31", "1-30", "L", "31,L", "LW", "13W"],
    ["*", "*", "1-12", "*/3", "1,4,7,10", "3,10", "mar,oct"],
    ["*", "*", "?", "1-5", "mon-fri", "0-6", "5", "0,6", "6,7", "*/2", "0/2", "5L", "5#4,5#5", "7"],
    ["", "", "", "*", "2027", "2026-2028", "2026,2027,2028"],
)
NAMED = [
    f"{fine} {coarse}".strip()
    for fine in (
        "hour=2",
        "hour=2 minute=0",
        "hour=2 second=0",
        "minute=*/30",
        "hour=*",
        "hour=*/1",
    )
    for coarse in ("", "day=last", "day=31", "day=last fri", "week=12-14", "day_of_week=mon-fri")
]
EVERY = {
    ("15 minutes", "900 seconds", "60 minutes", "1 day", "1 month", "1 year"): [None],
    ("1 hour", "2 hours"): [None, ":00", ":30", {"minute": 30}, {"minute": 30, "second": 0}],
    ("1 day", "2 days"): ["02:30", "2:30:00", ":30", "00:00"],
    ("1 week", "2 weeks"): ["mon 02:30", "02:30", "fri 00:00"],
    ("1 month", "2 months"): [f"{day} 02:30" for day in (-1, 31, 30, 29, 28, 13)],
    ("1 year", "2 years"): [f"{day} 02:30" for day in ("3-31", "mar -1", "3-28", "10-31", "-1")],
}
CELERY = ["schedule 900.0", "schedule 3600.0", "schedule 3600.0 relative", "schedule 86400.0"]
INTERVALS: list[dict[str, Any]] = [
    {"every": every, "at": at, "month_end": end}
    for units, ats in EVERY.items()
    for every, at, end in product(units, ats, ("clamp", "skip"))
] + [{"celery": each} for each in CELERY]
RULES = [{}, {}, {"dst_gap": "skip"}, {"dst_fold": "both"}, {"dst_gap": "run"}]
#: Shortly before the clocks change.
STARTS = (datetime(2027, 3, 28, tzinfo=UTC), datetime(2027, 10, 30, 23, 30, tzinfo=UTC))


def drawn(dice: random.Random) -> dict[str, Any]:
    second, *fields, year = (dice.choice(field) for field in CRON)
    cron = " ".join(fields)
    full = f"{second} {cron} {year}".strip() if second else cron
    kinds = [{"cron": full}, {"celery": f"crontab {cron}"}, {"cron": dice.choice(NAMED)}]
    kinds += [kinds[0], dice.choice(INTERVALS)]
    return dice.choice(kinds) | dice.choice(RULES)


def test_what_has_the_same_words_fires_at_the_same_instants() -> None:
    dice = random.Random(20261121)
    by_words: dict[str, dict[str, Job]] = defaultdict(dict)

    for definition, made_at in product([*map(drawn, [dice] * 3000), *INTERVALS], MADE_AT):
        if job := made(definition, "Europe/Berlin", made_at):
            by_words[job.describe()][f"{definition} of {made_at}"] = job

    alike = {words: jobs for words, jobs in by_words.items() if len(jobs) > 1}
    assert len(alike) > 200
    for words, jobs in alike.items():
        fires = {
            tuple(at for start in STARTS for at in job.upcoming(start, 50)): definition
            for definition, job in jobs.items()
        }
        assert len(fires) == 1, (words, list(fires.values()))
