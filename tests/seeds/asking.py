"""What the askers share: a case's values as ours, and a job that is run by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from celery import Celery

from celery_jobsched.job import Job
from celery_jobsched.plan import decide, plan_new
from celery_jobsched.testing import Beat, Clock, Fire

UTC = timezone.utc
TICK, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
#: A Wednesday in May, where a case says only "now".
NOW = datetime(2030, 5, 15, 12, 0, tzinfo=UTC)

Case = dict[str, Any]


def never_ending(url: str, definition: dict[str, Any], minutes: int) -> list[Fire]:
    """What becomes of the fires of a job whose runs never end, from NOW on for so long."""
    conf = {
        "jobsched_database_url": url,
        "jobsched_lock_backend": "database",
        "broker_url": "memory://",
        "jobsched_jobs": {"seed": {"task": "t", "lease": DAY.total_seconds(), **definition}},
    }
    app = Celery(set_as_current=False, config_source=conf)
    with Beat(app, Clock(NOW)) as beat:
        beat.run(minutes=minutes)
        return beat.fires("seed")


Asker = Callable[[Case, Case, str], Iterator[str]]


def theirs(expected: Case) -> str:
    """The instant that they expect, or that they refuse it; pykit's own error by its name."""
    raised = expected.get("raises")
    if raised:
        return raised if raised == "NextFireTimeError" else "refused"
    found = expected.get("next_fire", expected.get("next_fire_pykit"))
    return said(found and moment(found))


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def said(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}Z" if instant else "none"


def read(**definition: Any) -> Job:
    return Job.from_dict("seed", {"task": "t", **definition})


def made(conf: Case, now: datetime, **more: Any) -> Job:
    """A job of pykit's spellings, as though its row was made at *now*."""
    definition = {"func": "t", "timezone": "Asia/Shanghai", **conf, **more}
    return replace(Job.from_dict("seed", definition), id=1, created_at=now)


def planned(job: Job) -> Job:
    return replace(job, next_fire_at=plan_new(job).next_fire_at)


def ran(job: Job, ticks: Iterable[datetime]) -> tuple[list[int], datetime | None]:
    """How many fires of *job*, which is planned, come out at each of *ticks*; its next instant."""
    found = []
    for now in ticks:
        plan = decide(job, now)
        found.append(len(plan.fires))
        last = plan.fires[-1].fire_at if plan.fires else job.last_fire_at
        count = job.fire_count + len(plan.fires)
        job = replace(job, next_fire_at=plan.next_fire_at, last_fire_at=last, fire_count=count)
    return found, job.next_fire_at
