"""pykit's jobscheduler: every and at from the last fire, a pass each minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from celery import Celery

from celery_jobsched import Jobs, Scheduler
from celery_jobsched.errors import JobschedError
from tests.records import Records, settle
from tests.seeds.asking import (
    NOW,
    SECOND,
    Asker,
    Case,
    made,
    moment,
    never_ending,
    planned,
    ran,
    said,
    theirs,
)


def _next_fire(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield theirs(expected)
    last = moment(given["last_fire"])
    yield said(made(given["conf"], last, starts_at=last).next_after(last))


def _first_start(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield _start(expected["fires_at_once"], moment(expected["next_fire"]))
    now = moment(given["now"])
    (fires,), following = ran(planned(made(given["conf"], now)), [now])
    yield _start(bool(fires), following)


def _start(at_once: bool, following: datetime | None) -> str:
    return f"{'at once, then' if at_once else 'first'} {said(following)}"


def _backlog(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield _counts(expected["fires"], moment(expected["next_fire_after"]))
    first = moment(given["reloaded_next_fire"])
    ticks = [moment(f"{first.date()}T{tick}+08:00") for tick in given["ticks"]]
    yield _counts(*ran(replace(made(given["conf"], first), next_fire_at=first), ticks))


def _sub_tick(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield _counts(expected["fires"], moment(expected["next_fire_after"]))
    first, *_, last = (moment(f"2018-03-06T{tick}+08:00") for tick in given["ticks"])
    seconds = [first + n * SECOND for n in range((last - first) // SECOND + 1)]
    found, following = ran(planned(made(given["conf"], first)), seconds)
    minutes = [sum(found[at + 1 : at + 61]) for at in range(0, len(found) - 1, 60)]
    yield _counts([found[0], *minutes], following)


def _counts(found: list[int], following: datetime | None) -> str:
    return f"fires {', '.join(map(str, found))}; next {said(following)}"


def _misconfigured(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield f"fires {', '.join(map(str, expected['fires']))}"
    yield f"reads {made(given['conf'], NOW).every}"


def _concurrence(given: Case, expected: Case, url: str) -> Iterator[str]:
    yield f"{expected['starts']} of {given['ticks']} start"
    found = never_ending(url, given["conf"], given["ticks"] - 1)
    yield f"{sum(fire.state == 'sent' for fire in found)} of {given['ticks']} start"


def _filter(given: Case, expected: Case, url: str) -> Iterator[str]:
    yield f"fires {expected['fires']}"
    conf = {"jobsched_database_url": url, "broker_url": "memory://"}
    conf["jobsched_jobs"] = {"seed": {"task": "t", "every": "hour"}}
    app = Celery(set_as_current=False, config_source=conf, jobsched_filter=lambda job: False)
    beat = Scheduler(app)
    settle(beat)
    beat.close()
    with Records(url) as records:
        yield f"fires {len(records.fires())}"


def _api(given: Case, expected: Case, url: str) -> Iterator[str]:
    yield str(expected["raises"] or "does nothing")
    jobs = Jobs(Celery(set_as_current=False, jobsched_database_url=url))
    jobs.prepare()
    try:
        if "add_job" in given["call"]:
            jobs.add("seed", task="t", every="day")
            jobs.add("seed", task="t", every="day")
        jobs.remove("unknown")
        yield "does nothing"
    except JobschedError as error:
        yield type(error).__name__


ASKERS: dict[str, Asker] = {
    "next_fire_time": _next_fire,
    "next_fire_time_dst": _next_fire,
    "first_start": _first_start,
    "backlog": _backlog,
    "sub_tick_interval": _sub_tick,
    "misconfiguration": _misconfigured,
    "concurrence": _concurrence,
    "filter": _filter,
    "api": _api,
}
