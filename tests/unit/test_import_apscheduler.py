"""Jobs of APScheduler 3 fire when its own triggers say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from celery_jobsched.clock import UTC
from celery_jobsched.importers import apscheduler
from celery_jobsched.importers.draft import Draft
from celery_jobsched.job import Job

NOW = datetime(2026, 11, 20, 22, 45, 10, tzinfo=UTC)
ZONE = "Europe/Paris"


def note() -> None:
    """A function for jobs to name."""


def drafted(**given: Any) -> Draft:
    (draft,) = apscheduler.of_jobs([{"id": "a", "func": "proj.tasks:note", **given}], ZONE)
    return draft


def job_of(draft: Draft) -> Job:
    assert draft.refusal is None
    return Job.from_dict(draft.name, draft.definition, ZONE)


def refused(draft: Draft) -> str | None:
    return draft.refusal and draft.refusal.field


TRIGGERS = [
    ("interval", {"minutes": 10, "start_date": "2026-11-01 00:00:03"}),
    ("interval", {"weeks": 1, "days": 1, "start_date": "2026-11-01", "end_date": "2026-12-01"}),
    ("cron", {"hour": 2, "minute": "*/15"}),
    ("cron", {"day_of_week": "mon-fri", "hour": "9-17/2", "timezone": "US/Pacific"}),
    ("cron", {"day_of_week": "0,2-4", "hour": 3}),
    ("cron", {"day": "last", "hour": 0, "start_date": "2026-12-15"}),
    ("cron", {"day": "2nd wed", "month": "1-6", "hour": 12}),
    ("cron", {"week": "*/2", "day_of_week": 6}),
    ("date", {"run_date": "2026-12-24 18:00:00"}),
]


@pytest.mark.parametrize(("kind", "given"), TRIGGERS, ids=str)
@pytest.mark.parametrize("is_object", [False, True], ids=["mapping", "object"])
def test_a_job_fires_when_its_trigger_says(kind: str, given: Any, is_object: bool) -> None:
    scheduler = BackgroundScheduler(timezone=ZONE)
    theirs = scheduler.add_job(note, kind, id="a", **given)
    given = theirs if is_object else {"id": "a", "func": note, "trigger": kind, **given}

    (draft,) = apscheduler.of_jobs([given], ZONE)
    ours = job_of(draft).upcoming(NOW, 5)

    assert ours == fires_of(theirs.trigger, 5)
    assert job_of(draft).task == f"{__name__}.note"


def fires_of(trigger: Any, count: int) -> list[datetime]:
    found: list[datetime] = []
    previous, now = None, NOW
    while len(found) < count and (at := trigger.get_next_fire_time(previous, now)) is not None:
        found.append(at.astimezone(UTC))
        previous, now = at, at + timedelta(microseconds=1)
    return found


def test_a_crontab_expression_keeps_its_rule_of_days() -> None:
    trigger = CronTrigger.from_crontab("0 9 13 * fri", timezone=ZONE)
    job = BackgroundScheduler(timezone=ZONE).add_job(note, trigger, id="a")

    (draft,) = apscheduler.of_jobs([job], ZONE)

    assert job_of(draft).upcoming(NOW, 3) == fires_of(trigger, 3)


def test_an_interval_without_a_start_goes_on_with_its_next_run() -> None:
    due = NOW + timedelta(seconds=7)

    going_on = drafted(trigger="interval", hours=1, next_run_time=due)
    fresh = drafted(trigger="interval", hours=1)

    assert job_of(going_on).upcoming(NOW, 2) == [due, due + timedelta(hours=1)]
    assert job_of(fresh).upcoming(NOW, 1) == [NOW + timedelta(hours=1)]


def test_what_a_job_may_do_at_once_and_too_late_is_carried_over() -> None:
    usual = job_of(drafted(trigger="interval", hours=1))
    given = drafted(
        trigger={"type": "cron", "hour": 3, "jitter": 30}, max_instances=3, coalesce=False,
        misfire_grace_time=None, args=[1], kwargs={"x": 2}, name="Nightly", next_run_time=None,
    )  # fmt: skip
    bounded = job_of(drafted(trigger="cron", hour=3, misfire_grace_time=30))

    job = job_of(given)

    assert (usual.max_concurrency, usual.misfire, usual.enabled) == (1, None, True)
    assert (job.max_concurrency, job.misfire, job.jitter) == (3, "all", 30)
    assert (job.args, job.kwargs, job.description, job.enabled) == ([1], {"x": 2}, "Nightly", False)
    assert (bounded.misfire, bounded.misfire_grace_time) == ("skip", 30)


def test_what_has_no_counterpart_is_said() -> None:
    draft = drafted(
        trigger="cron", hour=3, executor="processes", jobstore="default", coalesce=True,
        misfire_grace_time=60,
    )  # fmt: skip

    assert [each.field for each in draft.notes] == ["func", "coalesce", "executor"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "trigger"),
        ({"trigger": "calendar"}, "trigger"),
        ({"trigger": OrTrigger([IntervalTrigger(hours=1)])}, "trigger"),
        ({"trigger": "cron", "hours": 3}, "hours"),
        ({"trigger": {"type": "cron", "hour": 3}, "hour": 4}, "hour"),
        ({"trigger": "cron", "hour": 3, "func": None}, "func"),
        ({"trigger": "date"}, "run_date"),
        ({"trigger": "interval", "hours": 1, "timezone": "Mars"}, "timezone"),
    ],
)
def test_a_job_that_cannot_be_carried_over_is_left_out(given: Any, field: str) -> None:
    assert refused(drafted(**given)) == field


def test_a_mapping_of_ids_is_a_list_of_jobs() -> None:
    jobs = {"a": {"func": "proj:note", "trigger": "interval", "seconds": 5}, "b": {}}

    first, second = apscheduler.of_jobs(jobs, ZONE)

    assert (first.name, job_of(first).task) == ("a", "proj.note")
    assert refused(second) == "func"
