"""The load to come, job by job."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from celery_jobsched.job import Job
from celery_jobsched.simulation import Simulation

START = datetime(2030, 1, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("after", "fires"), [(0, 3), (2, 3), (5, 1), (6, 0)])
def test_fires_before_the_first_moment_count_for_those_that_a_job_has_left(
    after: int, fires: int
) -> None:
    definition = {"task": "t", "every": "1 hour", "starts_at": START, "max_fires": 10}
    job = Job.from_dict("job", definition, "UTC")
    load = Simulation(START + after * HOUR, START + (after + 3) * HOUR)

    load.add(replace(job, created_at=START, fire_count=4, next_fire_at=START))

    assert load.fires == fires
