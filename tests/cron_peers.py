"""What other schedulers answer to a cron expression, and random expressions to ask them.

A peer is asked with the text that it reads itself; expressions are in the signs that it knows.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import islice
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from croniter import CroniterBadDateError, croniter
from cronsim import CronSim

from celery_jobsched.triggers.cron import numbers_of, parse_cron, split_cron

UTC = timezone.utc
FIRES = 3
#: How far ahead answers are compared: a search has an end for some.
HORIZON = timedelta(days=50 * 365)
SYSTEMD = shutil.which("systemd-analyze")
ZONES = ("UTC", "UTC", "Europe/Berlin", "Pacific/Auckland", "Australia/Lord_Howe")
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
PLACES = ("1st mon", "2nd fri", "5th sun", "last thu", "last", "1st tue,3rd tue")
_FIRST, _YEARS = datetime(2000, 1, 1, tzinfo=UTC), 36
_ITERATION = re.compile(r"(?:Next elapse|Iter\. #\d+): ... (\S+ \S+) UTC")


class Case(NamedTuple):
    """A question: which fires follow *instant* (or, going back, came before it)."""

    text: str
    zone: str
    instant: datetime
    back: bool = False


def zone_of(case: Case) -> tzinfo:
    return UTC if case.zone == "UTC" else ZoneInfo(case.zone)


def ask_cronsim(case: Case) -> list[datetime]:
    local = case.instant.astimezone(zone_of(case))
    return [each.astimezone(UTC) for each in islice(CronSim(case.text, local, case.back), FIRES)]


def ask_croniter(case: Case) -> list[datetime]:
    local = case.instant.astimezone(zone_of(case))
    text = re.sub(r"\b([0-7])L", r"L\1", case.text)
    days = [split_cron(case.text)[name][0] for name in ("day", "day_of_week")]
    asked = croniter(text, local, day_or="*" not in days, second_at_beginning=True)
    step = asked.get_prev if case.back else asked.get_next
    try:
        return [step(datetime).astimezone(UTC) for _ in range(FIRES)]
    except CroniterBadDateError:
        return []


def ask_apscheduler(case: Case) -> list[datetime]:
    zone = zone_of(case)
    given = dict(pair.split("=") for pair in re.split(r" (?=\w+=)", case.text))
    end = case.instant + HORIZON  # else it searches till the year 9999
    trigger, found, at = CronTrigger(timezone=zone, end_date=end, **given), [], case.instant
    for _ in range(FIRES):
        at = trigger.get_next_fire_time(None, (at + timedelta.resolution).astimezone(zone))
        if at is None:
            break
        at = at.astimezone(UTC)
        found.append(at)
    return found


def ask_systemd(cases: list[Case]) -> list[list[datetime]]:
    """The answers to cases of one instant."""
    base = f"--base-time={cases[0].instant:%Y-%m-%d %H:%M:%S} UTC"
    asked = [on_calendar(case) for case in cases]
    assert SYSTEMD is not None
    answer = subprocess.run(
        [SYSTEMD, "calendar", f"--iterations={FIRES}", base, *asked],
        capture_output=True, text=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
    ).stdout  # fmt: skip
    parts = [part for part in answer.split("\n\n") if "elapse" in part]
    return [[_instant(found) for found in _ITERATION.findall(part)] for part in parts]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_calendar(text: str) -> bool:
    """Whether OnCalendar= of systemd can say it: a day must match by both fields."""
    texts = split_cron(text)
    both = "*" in (texts["day"][0], texts["day_of_week"][0])
    return both and (texts["day"] == "*" or not re.search("#|l", texts["day_of_week"]))


def on_calendar(case: Case) -> str:
    """An expression as OnCalendar= of systemd.time(7)."""
    texts = split_cron(case.text)
    weekdays, day = texts["day_of_week"], "-" + _calendar_field(texts["day"], 1, 31)
    if nth := re.fullmatch(r"([0-7])#([1-4])", weekdays):
        weekdays, day = nth[1], f"-{7 * int(nth[2]) - 6}..{7 * int(nth[2])}"
    if last := re.fullmatch(r"([0-7])l", weekdays):
        weekdays, day = last[1], "~07/1"
    if from_end := re.fullmatch(r"l(?:-(\d+))?", texts["day"]):
        day = f"~{int(from_end[1] or 0) + 1:02}"
    on = numbers_of(parse_cron(f"0 0 * * {weekdays}").days.weekday.weekdays)
    names = ",".join(WEEKDAYS[number].title() for number in on)
    date = f"{_calendar_field(texts['year'], 1970, 2099)}-{_calendar_field(texts['month'], 1, 12)}"
    minute, second = (_calendar_field(texts[name], 0, 59) for name in ("minute", "second"))
    time = f"{_calendar_field(texts['hour'], 0, 23)}:{minute}:{second}"
    return f"{names} {date}{day} {time} {case.zone}"


def _calendar_field(text: str, least: int, most: int) -> str:
    for number, name in enumerate(MONTHS, 1):
        text = text.replace(name, str(number))
    # Steps without an end and ranges of one number are written otherwise: systemd 252 loses the
    # first of a day after `0/14`, and refuses `8..8`.
    text = re.sub(r"(?<![-\d])(\d+)/", rf"\1-{most}/", text.replace("*/", f"{least}/"))
    return re.sub(r"\b(\d+)-\1\b(/\d+)?", r"\1", text).replace("-", "..")


class Expressions:
    """Random expressions in the signs that all know, and in those that a peer knows besides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def case(self, text: str) -> Case:
        seconds = self.random.randrange(_YEARS * 365 * 86400)
        instant = _FIRST + timedelta(seconds=seconds)
        return Case(text, self.random.choice(ZONES), instant, self.random.random() < 0.5)

    def crontab(self, days: list[str], weekdays: list[str], seconds: bool = True) -> str:
        """Five fields or six; *days* and *weekdays*: signs that these fields may hold besides."""
        fields = [
            self.field(0, 59, 0.3),
            self.field(0, 23),
            self.field(1, 31, words=days),
            self.field(1, 12, 0.6, words=MONTHS),
            self.field(0, 7, words=[*WEEKDAYS, *weekdays]),
        ]
        if seconds and self.random.random() < 0.3:
            fields.insert(0, self.field(0, 59, 0.2))
        return " ".join(fields)

    def named(self) -> str:
        """Fields by name, some of them left out."""
        fields = {
            "year": self.field(2000, 2040, 0.9),
            "month": self.field(1, 12, 0.7),
            "day": self.field(1, 31, 0.6, words=PLACES),
            "week": self.field(1, 53, 0.8),
            "day_of_week": self.random.choice(["*", "*", "*", "mon-fri", "sat,sun", "wed"]),
            "hour": self.field(0, 23),
            "minute": self.field(0, 59),
            "second": self.field(0, 59, 0.8),
        }
        given = {name: text for name, text in fields.items() if text != "*"} or {"hour": "*"}
        return " ".join(f"{name}={text}" for name, text in given.items())

    def field(self, least: int, most: int, star: float = 0.4, words: object = ()) -> str:
        if self.random.random() < star:
            return "*"
        if isinstance(words, list | tuple) and words and self.random.random() < 0.3:
            return str(self.random.choice(words))
        count = self.random.choice([1, 1, 1, 2, 3])
        return ",".join(self.item(least, most) for _ in range(count))

    def item(self, least: int, most: int) -> str:
        first, last = sorted(self.random.choices(range(least, most + 1), k=2))
        forms = [
            f"{first}",
            f"{first}-{last}",
            f"{first}-{last}/{self.step(last - first)}",
            f"{first}/{self.step(most - first)}",
            f"*/{self.step(most - least)}",
        ]
        return self.random.choice(forms if first < last else forms[:2])

    def step(self, most: int) -> int:
        return self.random.randint(1, max(1, most))
