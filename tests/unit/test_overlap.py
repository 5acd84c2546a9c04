"""What becomes of fires that got no slot, by the rule of their job."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from celery_jobsched.fire import Fire, Origin
from celery_jobsched.job import Job
from celery_jobsched.overlap import SUPERSEDED, Refused, Verdict, judge

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)
KEY = "job 1"


def refused(n: int, overlap: str | None, job_id: int = 1, **of_fire: Any) -> Refused:
    at = NOW + timedelta(seconds=n)
    job = Job.from_dict(
        str(job_id), {"task": "t", "every": "1 second", "overlap": overlap, "max_concurrency": 1}
    )
    fire = Fire(str(n), job_id, job.name, str(n), at, at, Origin.SCHEDULE)
    return Refused(replace(fire, **of_fire), job, KEY, "it is taken", (KEY,), ("holder",))


def told(verdict: Verdict) -> dict[str, str]:
    waiting = {fire.id: f"waits for {key}" for fire, key in verdict.waiting}
    return waiting | {skip.fire.id: skip.reason for skip in verdict.skipped}


def ids(refusals: list[Refused]) -> list[str]:
    return [each.fire.id for each in refusals]


@pytest.mark.parametrize("overlap", [None, "skip"])
def test_skip_runs_none(overlap: str | None) -> None:
    verdict = judge([refused(1, overlap), refused(2, overlap)], {}, 100)

    assert told(verdict) == dict.fromkeys(("1", "2"), "overlap = skip: it is taken")


def test_wait_keeps_as_many_as_may_wait() -> None:
    queues = {KEY: Counter({7: 1})}

    verdict = judge([refused(n, "wait") for n in (1, 2, 3)], queues, 3)

    too_many = "overlap = wait: 3 fires wait for 'job 1' already"
    assert told(verdict) == {"1": "waits for job 1", "2": "waits for job 1", "3": too_many}
    assert (verdict.superseding, verdict.replacing) == ([], [])


@pytest.mark.parametrize("overlap", ["latest", "replace"])
def test_only_the_newest_of_a_job_waits(overlap: str) -> None:
    fires = [refused(1, overlap), refused(2, overlap, job_id=2), refused(3, overlap)]

    verdict = judge(fires, {}, 100)

    assert told(verdict) == {"1": SUPERSEDED, "2": "waits for job 1", "3": "waits for job 1"}
    assert ids(verdict.superseding) == ["2", "3"]
    assert ids(verdict.replacing) == (["2", "3"] if overlap == "replace" else [])


def test_who_takes_another_ones_place_needs_no_room() -> None:
    full = {KEY: Counter({1: 1, 7: 2})}

    verdict = judge([refused(1, "latest"), refused(2, "latest", job_id=2)], full, 3)

    assert told(verdict) == {
        "1": "waits for job 1",
        "2": "overlap = latest: 3 fires wait for 'job 1' already",
    }


@pytest.mark.parametrize("origin", [Origin.MANUAL, Origin.KEYWORD, Origin.BACKFILL])
@pytest.mark.parametrize("overlap", ["skip", "latest", "replace"])
def test_what_somebody_asked_for_waits(origin: Origin, overlap: str) -> None:
    asked = [refused(n, overlap, origin=origin) for n in (1, 2)]

    verdict = judge([*asked, refused(3, overlap)], {}, 100)

    assert [fire.id for fire, _ in verdict.waiting][:2] == ["1", "2"]
    assert [skip for skip in verdict.skipped if skip.fire.origin is origin] == []


@pytest.mark.parametrize("known", [{"waiting_for": KEY}, {"publishes": 2}])
@pytest.mark.parametrize("overlap", ["skip", "latest"])
def test_who_had_a_turn_or_may_run_keeps_its_place(known: dict[str, Any], overlap: str) -> None:
    full = {KEY: Counter({7: 100})}

    verdict = judge([refused(1, overlap, **known)], full, 100)

    assert told(verdict) == {"1": "waits for job 1"}
    assert verdict.superseding == []


@pytest.mark.parametrize("origin", [Origin.MANUAL, Origin.BACKFILL, Origin.KEYWORD])
def test_what_somebody_asked_for_waits_however_many_do(origin: Origin) -> None:
    verdict = judge([refused(1, "skip", origin=origin)], {KEY: Counter({7: 3})}, 3)

    assert told(verdict) == {"1": "waits for job 1"}
