"""What several of these tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hands import Hands, by_hand
from tests.scenes import heard, scene, unheard
from tests.services import DATABASES

__all__ = ["heard", "scene", "unheard"]


@pytest.fixture(params=DATABASES)
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hands]:
    with by_hand(request.param, tmp_path) as hands:
        yield hands


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Hands]:
    with by_hand("sqlite", tmp_path) as hands:
        yield hands
