"""What a run needs: the slots of its own limit and of a key that it shares, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from celery_jobsched.job import Job
from celery_jobsched.limits import Limit, LimitRules, Rights

SHARED = {"concurrency_key": "disk"}


@pytest.mark.parametrize(
    ("definition", "rules", "smallest", "limits"),
    [
        ({}, LimitRules(), {}, []),
        ({}, LimitRules(max_concurrency=3), {}, [("job nightly", 3)]),
        ({"max_concurrency": 2}, LimitRules(max_concurrency=3), {}, [("job nightly", 2)]),
        (SHARED, LimitRules(), {}, [("key disk", 1)]),
        (SHARED, LimitRules(), {"disk": 4}, [("key disk", 4)]),
        (SHARED, LimitRules(shared={"disk": 7}), {"disk": 4}, [("key disk", 7)]),
        (SHARED, LimitRules(shared={"net": 7}), {}, [("key disk", 1)]),
        (
            {**SHARED, "max_concurrency": 2},
            LimitRules(shared={"disk": 7}),
            {"disk": 2},
            [("key disk", 7), ("job nightly", 2)],
        ),
    ],
)
def test_a_run_needs_a_slot_of_each_limit(
    definition: dict[str, Any],
    rules: LimitRules,
    smallest: Mapping[str, int],
    limits: list[tuple[str, int]],
) -> None:
    job = Job.from_dict("nightly", {"task": "t", "every": "1 hour", **definition})

    rights = rules.rights_of(job, smallest)

    assert rights.limits == tuple(Limit(*limit) for limit in limits)


def test_a_jobs_own_lease_goes_before_the_usual_one() -> None:
    given = {"task": "t", "every": "1 hour"}

    usual = LimitRules(lease=12).rights_of(Job.from_dict("a", given), {})
    own = LimitRules(lease=12).rights_of(Job.from_dict("a", {**given, "lease": 90}), {})

    assert (usual.lease, own.lease) == (timedelta(seconds=12), timedelta(seconds=90))


def test_a_job_of_a_keys_name_does_not_share_its_slots() -> None:
    given = {"task": "t", "every": "1 hour", "max_concurrency": 1}
    namesake = LimitRules().rights_of(Job.from_dict("disk", given), {})
    sharer = LimitRules().rights_of(Job.from_dict("a", {**given, **SHARED}), {})

    assert not set(namesake.keys) & set(sharer.keys)


def test_rights_come_back_from_the_text_of_a_record() -> None:
    rights = Rights((Limit('key "ü" {x}', 3), Limit("job a", 1)), timedelta(seconds=7.5))

    assert Rights.from_text(rights.to_text()) == rights


@pytest.mark.parametrize("lease", ["1e300", "Infinity", "NaN", "-1", "0"])
def test_a_lease_that_nobody_can_keep_is_no_lease(lease: str) -> None:
    with pytest.raises(ValueError, match="a lease of"):
        Rights.from_text(f'{{"limits": [], "lease": {lease}}}')
