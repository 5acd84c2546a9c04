"""akjob: dates, intervals and days of the week, within windows; and refusals of two seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from celery_jobsched.job import Job
from tests.seeds.asking import (
    DAY,
    MINUTE,
    NOW,
    SECOND,
    Asker,
    Case,
    made,
    moment,
    planned,
    ran,
    read,
    said,
    theirs,
)

#: The weekday of NOW, and the one after it.
_TODAY, _TOMORROW = "wed", "thu"


def _validation(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield theirs(expected)
    bounds = {name: given[name] for name in given if name == "misfire_grace_time"}
    made(_of_akjob({"run_every": "1 min", **given}), NOW, **bounds)
    yield "accepted"


def _limit(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield _outcome(expected)
    job = made(_of_akjob(given), NOW)
    seconds = [NOW + n * SECOND for n in range(6 * 60 + 31)]
    down = range(121, 180) if "daemon_down" in given else ()
    counts, _unused = ran(planned(job), (at for n, at in enumerate(seconds) if n not in down))
    yield _outcome({name: _told(name, job, counts, expected[name]) for name in expected})


def _told(name: str, job: Job, counts: list[int], expected: Any) -> Any:
    """Our number for what they call *name*."""
    if name == "row_kept":
        return job.on_end != "delete"
    if name == "first_run":
        return "immediately" if counts[0] else expected
    if name == "runs_at_least":
        return min(sum(counts), expected)
    minutes = name.removeprefix("runs_within_").removesuffix("min") if "_" in name else "6.5"
    return sum(counts[: int(float(minutes) * 60) + 1])


def _outcome(found: Case) -> str:
    words = {
        "row_kept": lambda kept: "kept" if kept else "deleted",
        "first_run": lambda when: "first at once" if when == "immediately" else "first a minute on",
    }
    said = (words.get(name, lambda n, name=name: f"{name.replace('_', ' ')} {n}") for name in found)
    return ", ".join(word(value) for word, value in zip(said, found.values(), strict=True))


def _timeout(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield " ".join(expected["output"])
    job = read(
        once=NOW, max_fires=given["run_count_limit"], options={"time_limit": given["timeout"]}
    )
    yield f"Celery's time_limit {job.options['time_limit']}"


def _missing_day(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield "none in June"
    days = ",".join(map(str, given["monthly_days"]))
    yield said(read(cron=f"0 0 {days} 6 *").next_after(NOW))


def _candidate(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield "allowed" if expected["allowed"] else "not allowed"
    zone = "America/Phoenix" if "active_time_tz_offset" in given else "UTC"
    at = moment(f"2030-05-16T{given['candidate'][:5]}:00")
    job = read(once=at, timezone=zone, only_during=given["active_time"])
    yield "allowed" if job.next_after(NOW) == at else "not allowed"


def _storage(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield f"{expected['stored_integer_seconds']} seconds"
    yield read(every="day", timezone=timedelta(days=2, hours=2, minutes=25)).zone_name


def _kind_of_limit(given: Case) -> Asker:
    by_key = {"timeout": _timeout, "monthly_days": _missing_day, "candidate": _candidate}
    return next((asker for key, asker in by_key.items() if key in given), _limit)


def _of_akjob(given: Case) -> Case:
    """A definition of akjob's as one of ours."""
    found: Case = {"timezone": "UTC"}
    for name, value in given.items():
        found.update(_AKJOB[name](value) if name in _AKJOB else {})
    only = [
        found.pop("only_during", ""),
        _between(given, "active_date"),
        _between(given, "active_time"),
    ]
    return found | ({"only_during": " ".join(filter(None, only))} if any(only) else {})


_AKJOB: dict[str, Callable[[Any], Case]] = {
    "dates": lambda dates: {"once": [_near(each) for each in dates]},
    "run_every": lambda text: {"every": text.replace(" min", " minute").replace(" s", " seconds")},
    "job_enabled": lambda value: {"enabled": value},
    "run_count_limit": lambda value: {"max_fires": value},
    "delete_on_run_count_limit": lambda _: {"on_end": "delete"},
    "weekly_days": lambda _: {"cron": f"5 12 * * {_TODAY}"},
    "active_weekly_days": lambda days: {"only_during": _TODAY if "today" in days else _TOMORROW},
    "active_months": lambda _: {"only_during": "jun"},
}


def _near(text: str) -> datetime:
    """What "now+4min" or "now+2d" means."""
    number = text.removeprefix("now").removesuffix(" min").removesuffix("min").removesuffix("d")
    return NOW + int(number) * (DAY if text.endswith("d") else MINUTE)


def _between(given: Case, kind: str) -> str:
    """A window of akjob's as a calendar's text; half of one where half is given."""
    form, join = ("%H:%M", "-") if kind == "active_time" else ("%Y-%m-%d", "..")
    edges = [given.get(f"{kind}_begin"), given.get(f"{kind}_end")]
    said = [f"{_near(each):{form}}" if "now" in (each or "") else each or "" for each in edges]
    return join.join(said) if any(edges) else ""


def _of_a_kind(given: Case, expected: Case, url: str) -> Iterator[str]:
    return _kind_of_limit(given)(given, expected, url)


ASKERS: dict[str, Asker] = {
    "limit": _of_a_kind,
    "validation": _validation,
    "storage": _storage,
}
