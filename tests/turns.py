"""Turns of the processes that run the tests side by side: a test that measures time runs alone.

Others share the floor; whoever is `alone` waits until it is empty. Who waits holds the door, so
that nobody else comes in meanwhile.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, alone: bool) -> Iterator[None]:
    """Wait for a turn among the processes that know *folder*."""
    with (folder / "door").open("a") as door, (folder / "floor").open("a") as floor:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
