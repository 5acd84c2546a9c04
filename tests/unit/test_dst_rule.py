"""THE DST RULE, sentence by sentence: each in March and in October, on both halves of the Earth.

A case names what fires (in UTC) in the six hours before and after a change of the clocks. Each
sentence about gaps stands beside its twin about folds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from celery_jobsched.clock import TICK, UTC
from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job

AROUND = timedelta(hours=6)


class Change(NamedTuple):
    """A change of the clocks: where, and when in UTC."""

    zone: str
    at: datetime


def change(zone: str, *fields: int) -> Change:
    return Change(zone, datetime(*fields, tzinfo=UTC))  # type: ignore[arg-type]


#: 02:00 -> 03:00, and 03:00 -> 02:00.
BERLIN_GAP, BERLIN_FOLD = "Berlin, 29 March", "Berlin, 25 October"
#: The same in the south, where spring is in September.
AUCKLAND_GAP, AUCKLAND_FOLD = "Auckland, 27 September", "Auckland, 5 April"
#: Half an hour: 02:00 -> 02:30, and 02:00 -> 01:30.
LORD_HOWE_GAP, LORD_HOWE_FOLD = "Lord Howe, 4 October", "Lord Howe, 5 April"
CHANGES = {
    BERLIN_GAP: change("Europe/Berlin", 2026, 3, 29, 1),
    BERLIN_FOLD: change("Europe/Berlin", 2026, 10, 25, 1),
    AUCKLAND_GAP: change("Pacific/Auckland", 2026, 9, 26, 14),
    AUCKLAND_FOLD: change("Pacific/Auckland", 2026, 4, 4, 14),
    LORD_HOWE_GAP: change("Australia/Lord_Howe", 2026, 10, 3, 15, 30),
    LORD_HOWE_FOLD: change("Australia/Lord_Howe", 2026, 4, 4, 15),
}
#: A local time that the change leaves out, or shows twice.
INSIDE = {
    BERLIN_GAP: "2026-03-29 02:30",
    BERLIN_FOLD: "2026-10-25 02:30",
    AUCKLAND_GAP: "2026-09-27 02:30",
    AUCKLAND_FOLD: "2026-04-05 02:30",
    LORD_HOWE_GAP: "2026-10-04 02:15",
    LORD_HOWE_FOLD: "2026-04-05 01:45",
}
SKIP, BOTH = {"dst_gap": "skip"}, {"dst_fold": "both"}
#: The moment of each jump; the first and the second time that each time inside is shown.
JUMPS = {BERLIN_GAP: ["01:00"], AUCKLAND_GAP: ["14:00"], LORD_HOWE_GAP: ["15:30"]}
FIRSTS = {BERLIN_FOLD: ["00:30"], AUCKLAND_FOLD: ["13:30"], LORD_HOWE_FOLD: ["14:45"]}
TWICE = {
    BERLIN_FOLD: ["00:30", "01:30"],
    AUCKLAND_FOLD: ["13:30", "14:30"],
    LORD_HOWE_FOLD: ["14:45", "15:15"],
}
NONE: dict[str, list[str]] = {BERLIN_GAP: [], AUCKLAND_GAP: [], LORD_HOWE_GAP: []}

Case = tuple[dict[str, Any], str, list[str]]


def fixed_times(place: str) -> list[dict[str, Any]]:
    """The time inside the change of *place*, in each way to name it as a fixed time."""
    day, time = INSIDE[place].split()
    year, month, date = (int(part) for part in day.split("-"))
    hour, minute = (int(part) for part in time.split(":"))
    return [
        {"cron": f"{minute} {hour} * * *"},
        {"cron": f"0 {minute} {hour} * * *"},
        {"cron": f"0 {minute} {hour} * * * {year}"},
        {"cron": f"{minute} {hour} {date} {month} *"},
        {"cron": f"hour={hour} minute={minute}"},
        {"cron": {"month": month, "day": date, "hour": hour, "minute": minute}},
        {"celery": f"crontab {minute} {hour} * * *"},
        {"every": "day", "at": time},
        {"every": "day", "starts_at": BEFORE[place]},
        {"every": "week", "at": f"sun {time}"},
        {"every": "month", "at": f"{date} {time}"},
        {"every": "year", "at": f"{month}-{date} {time}"},
    ]


#: The same local time two weeks earlier, in UTC.
BEFORE = {
    BERLIN_GAP: "2026-03-15 01:30",
    BERLIN_FOLD: "2026-10-11 00:30",
    AUCKLAND_GAP: "2026-09-12 14:30",
    AUCKLAND_FOLD: "2026-03-21 13:30",
    LORD_HOWE_GAP: "2026-09-19 15:45",
    LORD_HOWE_FOLD: "2026-03-21 14:45",
}


def in_each_way(expected: dict[str, list[str]], **options: str) -> list[Case]:
    return [
        ({**definition, **options}, place, fires)
        for place, fires in expected.items()
        for definition in fixed_times(place)
    ]


def once(expected: dict[str, list[str]], **options: str) -> list[Case]:
    return [({"once": INSIDE[place], **options}, place, f) for place, f in expected.items()]


RULE: dict[str, list[Case]] = {
    "a fixed time in a gap fires as the clocks jump": in_each_way(JUMPS),
    "and with dst_gap = skip it does not fire": in_each_way(NONE, **SKIP),
    "a fixed time in a fold fires the first time": in_each_way(FIRSTS),
    "and with dst_fold = both it fires both times": in_each_way(TWICE, **BOTH),
    "the option for gaps says nothing of folds": in_each_way(FIRSTS, **SKIP),
    "the option for folds says nothing of gaps": in_each_way(JUMPS, **BOTH),
    "once in a gap fires as the clocks jump": once(JUMPS),
    "once in a fold fires the first time": once(FIRSTS),
    "and with dst_fold = both each time": once(TWICE, **BOTH),
    "several times in one gap are one fire": [
        ({"cron": "0,20,40 2 * * *"}, BERLIN_GAP, ["01:00"]),
        ({"cron": "0,20,40 2 * * *"}, AUCKLAND_GAP, ["14:00"]),
        ({"cron": "0,10,20 2 * * *"}, LORD_HOWE_GAP, ["15:30"]),
        ({"cron": "0 0,30 2 * * *"}, BERLIN_GAP, ["01:00"]),
    ],
    "several times in one fold are one fire each": [
        ({"cron": "0,20,40 2 * * *"}, BERLIN_FOLD, ["00:00", "00:20", "00:40"]),
        ({"cron": "0,20,40 2 * * *"}, AUCKLAND_FOLD, ["13:00", "13:20", "13:40"]),
        ({"cron": "30,40,50 1 * * *"}, LORD_HOWE_FOLD, ["14:30", "14:40", "14:50"]),
        ({"cron": "0 0,30 2 * * *"}, BERLIN_FOLD, ["00:00", "00:30"]),
    ],
    "a time in a gap and the time of the jump are one fire": [
        ({"cron": "0 2,3 * * *"}, BERLIN_GAP, ["01:00"]),
        ({"cron": "0 2,3 * * *"}, AUCKLAND_GAP, ["14:00"]),
        ({"cron": "0,30 2 * * *"}, LORD_HOWE_GAP, ["15:30"]),
    ],
    "a time in a fold and the time that it ends with are two": [
        ({"cron": "0 2,3 * * *"}, BERLIN_FOLD, ["00:00", "02:00"]),
        ({"cron": "0 2,3 * * *"}, AUCKLAND_FOLD, ["13:00", "15:00"]),
        ({"cron": "0,30 1,2 * * *"}, LORD_HOWE_FOLD, ["14:00", "14:30", "15:30", "16:00"]),
    ],
    "a time in a gap and a later one are two fires": [
        ({"cron": "30 2,3 * * *"}, BERLIN_GAP, ["01:00", "01:30"]),
        ({"cron": "30 2,3 * * *"}, AUCKLAND_GAP, ["14:00", "14:30"]),
        ({"cron": "15,45 2 * * *"}, LORD_HOWE_GAP, ["15:30", "15:45"]),
    ],
    "a wildcard in a gap follows real time": [
        ({"cron": "*/30 2 * * *"}, BERLIN_GAP, []),
        ({"cron": "*/30 2 * * *"}, AUCKLAND_GAP, []),
        ({"cron": "*/15 2 * * *"}, LORD_HOWE_GAP, ["15:30", "15:45"]),
        (
            {"cron": "30 */2 * * *", **BOTH},
            BERLIN_GAP,
            ["19:30", "21:30", "23:30", "02:30", "04:30", "06:30"],
        ),
        ({"cron": "0 */30 2 * * *"}, BERLIN_GAP, []),
        ({"cron": "hour=2 minute=*/30"}, AUCKLAND_GAP, []),
        ({"celery": "crontab */30 2 * * *"}, BERLIN_GAP, []),
    ],
    "a wildcard in a fold follows real time": [
        ({"cron": "*/30 2 * * *"}, BERLIN_FOLD, ["00:00", "00:30", "01:00", "01:30"]),
        ({"cron": "*/30 2 * * *"}, AUCKLAND_FOLD, ["13:00", "13:30", "14:00", "14:30"]),
        (
            {"cron": "*/15 1 * * *"},
            LORD_HOWE_FOLD,
            ["14:00", "14:15", "14:30", "14:45", "15:00", "15:15"],
        ),
        (
            {"cron": "30 */2 * * *", **SKIP},
            BERLIN_FOLD,
            ["20:30", "22:30", "00:30", "01:30", "03:30", "05:30"],
        ),
        ({"cron": "0 */30 2 * * *"}, BERLIN_FOLD, ["00:00", "00:30", "01:00", "01:30"]),
        ({"cron": "hour=2 minute=*/30"}, AUCKLAND_FOLD, ["13:00", "13:30", "14:00", "14:30"]),
        ({"celery": "crontab */30 2 * * *"}, BERLIN_FOLD, ["00:00", "00:30", "01:00", "01:30"]),
    ],
    "the seconds do not make a wildcard": [
        ({"cron": "*/30 30 2 * * *"}, BERLIN_GAP, ["01:00"]),
        ({"cron": "*/30 30 2 * * *"}, BERLIN_FOLD, ["00:30", "00:30:30"]),
        ({"cron": "*/30 15 2 * * *"}, LORD_HOWE_GAP, ["15:30"]),
        ({"cron": "*/30 45 1 * * *"}, LORD_HOWE_FOLD, ["14:45", "14:45:30"]),
    ],
    "what elapses does not see the change": [
        ({"every": "3 hours", "starts_at": "2026-01-01 00:30"}, place, fires)
        for place, fires in {
            BERLIN_GAP: ["21:30", "00:30", "03:30", "06:30"],
            BERLIN_FOLD: ["21:30", "00:30", "03:30", "06:30"],
            AUCKLAND_GAP: ["09:30", "12:30", "15:30", "18:30"],
            AUCKLAND_FOLD: ["09:30", "12:30", "15:30", "18:30"],
            LORD_HOWE_GAP: ["09:30", "12:30", "15:30", "18:30", "21:30"],
            LORD_HOWE_FOLD: ["09:30", "12:30", "15:30", "18:30"],
        }.items()
    ],
    "a minute of each hour keeps to the clock, and none comes twice": [
        ({"every": "2 hours", "at": ":45", "starts_at": "2026-01-01"}, place, fires)
        for place, fires in {
            BERLIN_GAP: ["20:45", "22:45", "00:45", "02:45", "04:45", "06:45"],
            BERLIN_FOLD: ["20:45", "22:45", "00:45", "02:45", "04:45", "06:45"],
            # The zone is half an hour off the others in winter, and the clock with it.
            LORD_HOWE_GAP: ["10:15", "12:15", "14:15", "16:45", "18:45", "20:45"],
            LORD_HOWE_FOLD: ["10:45", "12:45", "14:45", "16:15", "18:15", "20:15"],
        }.items()
    ],
}
CASES = [(rule, *case) for rule, cases in RULE.items() for case in cases]


@pytest.mark.parametrize(("rule", "definition", "place", "fires"), CASES)
def test_the_rule(rule: str, definition: dict[str, Any], place: str, fires: list[str]) -> None:
    zone, moment = CHANGES[place]
    first = {"starts_at": "2026-01-01 00:00"} if "every" in definition else {}
    job = Job.from_dict("j", {"task": "t", "timezone": zone, **first, **definition})

    found = walked(job, moment - AROUND, moment + AROUND)

    assert [said(each) for each in found] == fires
    assert walked_back(job, moment - AROUND, moment + AROUND) == found


def walked(job: Job, start: datetime, end: datetime) -> list[datetime]:
    """The instants in [start, end]."""
    found = [start - TICK]
    while (at := job.next_after(found[-1])) is not None and at <= end:
        found.append(at)
    return found[1:]


def walked_back(job: Job, start: datetime, end: datetime) -> list[datetime]:
    found = [end + TICK]
    while (at := job.previous_before(found[-1])) is not None and at >= start:
        found.append(at)
    return found[:0:-1]


def said(instant: datetime) -> str:
    return f"{instant:%H:%M:%S}".removesuffix(":00")


@pytest.mark.parametrize("place", JUMPS)
def test_once_in_a_gap_that_is_skipped_is_refused(place: str) -> None:
    definition = {"task": "t", "timezone": CHANGES[place].zone, "once": INSIDE[place], **SKIP}

    with pytest.raises(InvalidJob, match="once: expected at least one instant that comes"):
        Job.from_dict("j", definition)
