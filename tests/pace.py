"""Times as this machine can keep them now: promises are made for one of ordinary speed, unloaded.

assert took < paced(2)      two seconds there, and as many more here as all else takes longer
"""

from __future__ import annotations

import time

# What the work below takes there; one that is faster gets no less time for it.
_ORDINARY_S = 0.012


def paced(seconds: float) -> float:
    """*seconds*, or more of them where the machine is slow, or busy with something else."""
    return seconds * max(_AT_FIRST, _slowness())


def _slowness() -> float:
    begun = time.perf_counter()
    sum(n * n for n in range(200_000))
    return max(1.0, (time.perf_counter() - begun) / _ORDINARY_S)


_AT_FIRST = _slowness()
