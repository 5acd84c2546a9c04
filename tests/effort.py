"""How hard the searches of the tests try.

`JOBSCHED_EFFORT=100 python -m pytest tests/unit/test_fuzz.py` tries a hundred times as much as a
plain run does, and elsewhere each time; a plain run tries the same each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EFFORT = int(os.environ.get("JOBSCHED_EFFORT", "1"))


def examples(count: int) -> settings:
    """The settings of a search that tries *count* examples in a plain run."""
    return settings(
        max_examples=count * EFFORT,
        deadline=None,
        derandomize=EFFORT == 1,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
