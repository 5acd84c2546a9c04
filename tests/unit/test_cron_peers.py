"""Cron beside croniter, cronsim, APScheduler and systemd, over random expressions and instants.

Where a peer answers otherwise is listed here, with an example that shows it still does, and told on
the page `docs/why/cron.md`: what it says, and who is right. All else must be the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.cron import Cron, parse_cron, split_cron
from celery_jobsched.triggers.cron.days import EVERY_DAY, EVERY_WEEKDAY
from tests.cron_peers import (
    FIRES,
    HORIZON,
    SYSTEMD,
    UTC,
    Case,
    Expressions,
    ask_apscheduler,
    ask_croniter,
    ask_cronsim,
    ask_systemd,
    is_calendar,
)
from tests.effort import EFFORT
from tests.processes import ROOT

PAGE = ROOT / "docs" / "why" / "cron.md"
_DAY = timedelta(days=1)
needs_systemd = pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not installed")


def ours(case: Case, gap: str = "run") -> list[datetime]:
    trigger = Cron(parse_cron(case.text), clock.zone(case.zone), gap)
    step = trigger.previous_before if case.back else trigger.next_after
    found: list[datetime] = []
    at: datetime | None = case.instant
    while len(found) < FIRES and at is not None and (at := step(at)) is not None:
        found.append(at)
    return found


def is_wildcard(case: Case) -> bool:
    return parse_cron(case.text).wildcard


def near_a_change(case: Case) -> bool:
    """Whether the clocks change between the question and the answers, or a day around them."""
    ends = sorted([case.instant, *ours(case), *ours(case, "skip")])
    first, last = ends[0] - _DAY - clock.EPOCH, ends[-1] + _DAY - clock.EPOCH
    return any(first <= start <= last for start in clock.stretches(clock.zone(case.zone)).starts)


def after_2037(case: Case) -> bool:
    return case.zone != "UTC" and any(each.year > 2037 for each in ours(case))


def lists_every_day(case: Case) -> bool:
    days = parse_cron(case.text).days
    return days.day.numbers == EVERY_DAY or days.weekday.weekdays == EVERY_WEEKDAY


def weekday_is(pattern: str) -> Callable[[Case], bool]:
    return lambda case: bool(re.search(pattern, split_cron(case.text)["day_of_week"]))


def text_has(pattern: str) -> Callable[[Case], bool]:
    return lambda case: bool(re.search(pattern, case.text))


def at(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc, arg-type]


class Difference(NamedTuple):
    """A row of the page: of which cases it speaks, and one of them."""

    row: str
    applies: Callable[[Case], bool]
    example: Case


LORD_HOWE, BERLIN = "Australia/Lord_Howe", "Europe/Berlin"
AFTER_2037 = Difference(
    "after 2037", after_2037, Case("0 12 1 7 *", "Pacific/Auckland", at(2041, 1, 1))
)
CRONSIM = [
    AFTER_2037,
    Difference(
        "a step on a range of one number",
        text_has(r"\b(\d+)-\1/"),
        Case("0 5-5/2 * * *", "UTC", at(2026, 1, 1)),
    ),
    Difference(
        "six fields on the night of a change",
        lambda case: len(case.text.split()) == 6 and not is_wildcard(case) and near_a_change(case),
        Case("0 30 2 * * *", BERLIN, at(2026, 10, 24, 12)),
    ),
    Difference(
        "real time on the night of a change",
        lambda case: is_wildcard(case) and near_a_change(case),
        Case("* 10 5 4 *", LORD_HOWE, at(2026, 4, 1)),
    ),
]
CRONITER = [
    AFTER_2037,
    Difference(
        "a range of one number",
        text_has(r"\b(\d+)-\1\b"),
        Case("0 0 * 8-8 *", "UTC", at(2026, 1, 1)),
    ),
    Difference(
        "a weekday's step to Sunday",
        weekday_is(r"(^|,)[0-7]/"),
        Case("0 0 * * 3/2", "UTC", at(2026, 1, 1)),
    ),
    Difference(
        "a list of all days beside a star in a list",
        lambda case: lists_every_day(case) and bool(re.search(r",\*", case.text)),
        Case("0 0 6,*/3 * 0-6", "UTC", at(2026, 1, 1)),
    ),
    Difference(
        "# or L beside a day of the month",
        lambda case: parse_cron(case.text).days.either and weekday_is("#|[0-7]l")(case),
        Case("0 0 13 * 5#2", "UTC", at(2026, 1, 1)),
    ),
    Difference(
        "any time on the night of a change",
        near_a_change,
        Case("30 2 * * *", BERLIN, at(2026, 10, 24, 12)),
    ),
]
APSCHEDULER = [
    AFTER_2037._replace(
        example=Case("month=7 hour=12", "Pacific/Auckland", at(2041, 1, 1)),
    ),
    Difference(
        "years after 2099",
        lambda case: "/" in split_cron(case.text)["year"] and len(ours(case)) < FIRES,
        Case("year=*/35", "UTC", at(2090, 1, 1)),
    ),
    Difference(
        "any time across a change",
        near_a_change,
        Case("hour=2 minute=30", BERLIN, at(2026, 3, 28, 12)),
    ),
]
SYSTEMDS = [
    Difference(
        "real time when the clocks go back",
        lambda case: is_wildcard(case) and near_a_change(case),
        Case("*/30 2 * * *", BERLIN, at(2026, 10, 24, 12)),
    ),
]
PEERS = {
    "cronsim": (ask_cronsim, CRONSIM),
    "croniter": (ask_croniter, CRONITER),
    "APScheduler": (ask_apscheduler, APSCHEDULER),
}
LISTED = [(name, ask, each) for name, (ask, known) in PEERS.items() for each in known]


def check(cases: list[Case], ask: Callable[[Case], list[datetime]], known: list[Difference]) -> int:
    """How many cases were compared: all but those that the known differences speak of."""
    coming = [case for case in cases if comes(case.text)]
    compared = [case for case in coming if not any(each.applies(case) for each in known)]
    for case in compared:
        assert soon(case, ask(case)) == soon(case, ours(case)), case
    for case in cases:
        assert case in coming or ask(case) == [], case
    return len(compared)


def soon(case: Case, found: list[datetime]) -> list[datetime]:
    return [each for each in found if each < case.instant + HORIZON]


def comes(text: str) -> bool:
    """Whether the expression has a date; it is refused for no other reason."""
    try:
        return bool(parse_cron(text))
    except InvalidJob as refused:
        if "a date that comes" in refused.expected:
            return False
        raise


def test_cronsim_finds_the_same() -> None:
    make = Expressions(Random(1))
    weekdays = ["5L", "0L", "7L", "2#1", "7#5", "0#3"]

    texts = [make.crontab(["L", "LW", "L"], weekdays) for _ in range(1500 * EFFORT)]

    assert check([make.case(text) for text in texts], ask_cronsim, CRONSIM) > 1000


def test_croniter_finds_the_same() -> None:
    make = Expressions(Random(2))
    weekdays = ["5L", "0L", "2#1", "6#5"]

    texts = [make.crontab(["L"], weekdays) for _ in range(2000 * EFFORT)]

    assert check([make.case(text) for text in texts], ask_croniter, CRONITER) > 1000


def test_apscheduler_finds_the_same() -> None:
    make = Expressions(Random(3))

    cases = [make.case(make.named())._replace(back=False) for _ in range(1200 * EFFORT)]

    assert check(cases, ask_apscheduler, APSCHEDULER) > 700


@needs_systemd
def test_systemd_finds_the_same() -> None:
    make = Expressions(Random(4))
    compared = 0

    for _ in range(22 * EFFORT):
        instant = make.case("").instant
        texts = [make.crontab(["L", "L-3"], ["5L", "0L", "2#1", "6#4"]) for _ in range(100)]
        texts = [text for text in texts if comes(text) and is_calendar(text)]
        cases = [make.case(text)._replace(instant=instant, back=False) for text in texts]
        cases = [case for case in cases if not any(each.applies(case) for each in SYSTEMDS)]

        assert ask_systemd(cases) == [ours(case, "skip") for case in cases]
        compared += len(cases)

    assert compared > 800


@pytest.mark.parametrize(
    ("ask", "known"),
    [(ask, known) for _, ask, known in LISTED],
    ids=[f"{name}: {known.row}" for name, _, known in LISTED],
)
def test_a_known_difference_is_one_still(
    ask: Callable[[Case], list[datetime]], known: Difference
) -> None:
    assert known.applies(known.example)
    assert ask(known.example) != ours(known.example)


@needs_systemd
@pytest.mark.parametrize("known", SYSTEMDS, ids=lambda known: known.row)
def test_a_known_difference_to_systemd_is_one_still(known: Difference) -> None:
    assert known.applies(known.example)
    assert ask_systemd([known.example]) != [ours(known.example, "skip")]


def test_the_page_tells_each_known_difference() -> None:
    told = re.findall(r"^\| (\w+) \| ([^|]+?) \|", PAGE.read_text(), re.MULTILINE)

    known = {(name, each.row) for name, _, each in LISTED}
    known |= {("systemd", each.row) for each in SYSTEMDS}

    assert known == {row for row in told if row[0] != "who"}
