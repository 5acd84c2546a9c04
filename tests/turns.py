"""Turns of the processes that run the tests side by side: a test that measures time runs alone.

Others share the floor; whoever is `alone` waits until it is empty. Who waits holds the door, so
that nobody else comes in meanwhile. Tests that run alone one after the other have one turn: between
two of them, everybody would begin something, and have to be waited for.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, alone: bool) -> Iterator[None]:
    """Wait for a turn among the processes that know *folder*."""
    with (folder / "door").open("a") as door, (folder / "floor").open("a") as floor:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


class Turns:
    """The turns of this process, among those that know *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()
        self._is_kept = False

    @contextmanager
    def next(self, alone: bool, alone_next: bool) -> Iterator[None]:
        """The turn of a test: kept for the one that follows where both run alone."""
        if not self._is_kept:
            self._folder.mkdir(exist_ok=True)
            self._held.enter_context(turn(self._folder, alone))
        self._is_kept = alone and alone_next
        try:
            yield
        finally:
            if not self._is_kept:
                self._held.close()
