"""APScheduler 2: triggers by field names, and what a job's limits do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from celery_jobsched.fire import Origin
from celery_jobsched.plan import decide, plan_from
from tests.seeds.asking import (
    MINUTE,
    NOW,
    TICK,
    Asker,
    Case,
    made,
    moment,
    never_ending,
    read,
    said,
    theirs,
)


def _cron(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield theirs(expected)
    by_name = dict(given["cron"])
    job = read(starts_at=by_name.pop("start_date", None), cron=by_name)
    yield said(job.next_after(moment(given["from"]) - TICK))


def _date(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield theirs(expected)
    yield said(read(once=given["run_date"]).next_after(moment(given["from"]) - TICK))


def _interval(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield theirs(expected)
    job = read(every=[given["interval_s"], "second"], starts_at=given["start_date"])
    yield said(job.next_after(moment(given["from"]) - TICK))


def _run_times(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield " ".join(said(moment(at)) for at in expected["run_times"])
    start, due = moment(given["start_date"]), moment(given["next_run_time"])
    job = replace(made({"every": [given["interval_s"], "second"]}, start), next_fire_at=due)
    yield " ".join(said(owed.fire_at) for owed in decide(job, moment(given["now"])).fires)


def _max_runs(given: Case, expected: Case, _: str) -> Iterator[str]:
    job = made({"every": [1, "minute"]}, NOW, max_fires=given["max_runs"], misfire="all")
    job = replace(job, fire_count=given["runs"], next_fire_at=NOW)
    if "next_run_time" in expected:
        yield f"next {said(expected['next_run_time'])}"
        yield f"next {said(plan_from(job, NOW).next_fire_at)}"
    else:
        yield f"runs {expected['run_times_returned']} times"
        fires = decide(job, NOW + (given["missed_times"] + 1) * MINUTE).fires
        yield f"runs {sum(owed.origin is Origin.CATCHUP for owed in fires)} times"


def _max_instances(given: Case, expected: Case, url: str) -> Iterator[str]:
    yield expected["raises"]
    limited = {"every": [1, "minute"], "max_concurrency": given["max_instances"]}
    *running, refused = never_ending(url, limited, given["running"])
    assert [fire.state for fire in running] == ["sent"] * given["running"]
    yield f"{refused.state}: {refused.reason}"


def _cron_error(given: Case, expected: Case, url: str) -> Iterator[str]:
    return _cron({"from": "2009-01-01", **given}, expected, url)


ASKERS: dict[str, Asker] = {
    "cron_next": _cron,
    "cron_error": _cron_error,
    "date_next": _date,
    "interval_next": _interval,
    "run_times": _run_times,
    "max_runs": _max_runs,
    "max_instances": _max_instances,
}
