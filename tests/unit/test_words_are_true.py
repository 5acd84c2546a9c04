# ruff: noqa: DTZ001 - the reader knows no zones
"""Words are never wrong: they are read back, by a reader that knows English and no cron.

And what differs in its fires differs in its words, over the nights when the clocks change.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timezone
from itertools import islice, product
from typing import Any

import pytest

from celery_jobsched import InvalidJob, Job
from tests.reader import DAY, read

UTC = timezone.utc
MADE_AT = [datetime(2026, 11, day, 2, 52, 22, tzinfo=UTC) for day in (29, 30)]


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
