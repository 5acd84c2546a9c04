"""What a beat does beside firing."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import garbage
from tests.processes import wait_until
from tests.records import ticking
from tests.stacks import fresh_stack


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """A collector that is at work only when it is told to be."""
    with garbage.as_elsewhere():
        gc.disable()
        yield
        gc.enable()


def spared() -> float:
    """The share of all objects that the collector does not look at."""
    return gc.get_freeze_count() / (gc.get_freeze_count() + len(gc.get_objects()))


class Cycle:
    """Garbage that only the collector can find."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("undisturbed")
def test_the_collector_is_spared_what_came_with_the_start_and_finds_its_garbage(
    tmp_path: Path,
) -> None:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack, ticking(stack) as scheduler:
        cycle = weakref.ref(Cycle())
        scheduler.tick()
        at_first, still_there = spared(), cycle() is not None

        wait_until(lambda: scheduler.tick() >= 0 and cycle() is None, 10)

        assert spared() > 0.9
    assert at_first > 0.9
    assert still_there
