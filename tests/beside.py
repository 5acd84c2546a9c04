"""Long plays of real processes, side by side: each of them mostly waits for time to pass.

@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Plays[Played]:
    return beside(play, STACKS, tmp_path_factory.mktemp("plays"))

@pytest.fixture(scope="module", params=STACKS)
def played(request: pytest.FixtureRequest, plays: Plays[Played]) -> Played:
    return plays[request.param].result()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
#: What came of the play on each stack, or why there was none: all of them are over.
Plays = Mapping[Any, Future[T]]


def beside(play: Callable[[Any, Path], T], stacks: Sequence[Any], folder: Path) -> Plays[T]:
    """Play on each of *stacks*, in a folder of its own."""
    with ThreadPoolExecutor(len(stacks)) as pool:
        return {it: pool.submit(play, it, _made(folder / str(n))) for n, it in enumerate(stacks)}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
