"""What the garbage collector is spared in a process of the tests.

A beat thaws, sweeps and freezes all that there is, once after its start: see `upkeep.Upkeep`. Here
that would be thousands of tests with their modules, for the beat of each test; and in processes
that are forked, a copy of each page of what they share.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_freeze, _unfreeze = gc.freeze, gc.unfreeze


def keep() -> None:
    """Keep from the collector, for good, what is here now, and let no beat change that."""
    gc.collect()
    _freeze()
    gc.freeze = gc.unfreeze = _nothing


@contextmanager
def as_elsewhere() -> Iterator[None]:
    """A collector of which nothing is kept, and that does what a beat says."""
    gc.freeze, gc.unfreeze = _freeze, _unfreeze
    gc.unfreeze()
    yield
    gc.unfreeze()
    keep()


def _nothing() -> None:
    """Neither freeze nor thaw."""
