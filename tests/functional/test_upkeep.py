"""What a beat does beside firing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.records import ticking
from tests.stacks import fresh_stack


@pytest.fixture
def unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
def test_soon_after_the_start_the_collector_is_spared_all_that_came_with_it(tmp_path: Path) -> None:
    with fresh_stack("sqlite", "filesystem", tmp_path) as stack, ticking(stack) as scheduler:
        scheduler.tick()
        at_first = gc.get_freeze_count()

        wait_until(lambda: scheduler.tick() >= 0 and gc.get_freeze_count() > at_first, 10)

        spared = gc.get_freeze_count() / (gc.get_freeze_count() + len(gc.get_objects()))
    assert at_first == 0
    assert spared > 0.9
