"""How hard the searches of the tests try.

`JOBSCHED_EFFORT=100 python -m pytest tests/unit/test_fuzz.py` tries a hundred times as much as a
plain run does, and elsewhere each time; a plain run tries the same each time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import _lru_cache_wrapper
from typing import TypeVar

from hypothesis import HealthCheck, settings

from tests.pace import paced

T = TypeVar("T")
_TRIED_FOR = 5.0
EFFORT = int(os.environ.get("JOBSCHED_EFFORT", "1"))


def examples(count: int) -> settings:
    """The settings of a search that tries *count* examples in a plain run."""
    return settings(
        max_examples=count * EFFORT,
        deadline=None,
        derandomize=EFFORT == 1,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def within(seconds: float, call: Callable[[], T]) -> T:
    """What *call* returns; the quickest try, with empty caches, takes less than *seconds* of CPU.

    The rest is the machine's: a virtual one counts as ours what it gives to others, 300 ms at once.
    """
    took: list[float] = []
    while sum(took) < _TRIED_FOR:
        began = time.thread_time()
        found = call()
        took.append(time.thread_time() - began)
        if took[-1] < paced(seconds):
            return found
        _forget()
    raise AssertionError(f"took {took} seconds, expected less than {seconds}")


def _forget() -> None:
    """Empty all caches: what was read once must be read anew."""
    for name, module in list(sys.modules.items()):
        if name.startswith("celery_jobsched"):
            for value in vars(module).values():
                if isinstance(value, _lru_cache_wrapper):
                    value.cache_clear()
