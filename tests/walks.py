"""A program that lets beats walk at random, and says where a rule did not hold.

    python -m tests.walks '{"first": 0, "count": 100, "folder": …}'

Some beats share a database and a clock that is set. Each is a thread that goes on only when it is
told to: before each of its steps it waits for its turn, may be left there for seconds, or killed.
Meanwhile jobs are edited by SQL, a worker's hand runs messages, and after each commit the rules are
looked at. All of it follows from the seed of the walk.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

from celery_jobsched.store.engine import make_engine
from tests.breakage import BREAKAGES
from tests.forks import ended, started
from tests.grounds import Ground, Walks
from tests.lasting import LastingGround
from tests.worlds import put_rows, rows_of


@dataclass
class Walk:
    """What came of the walk of a seed."""

    point: int
    trouble: str = ""
    fires: int = 0
    crashes: int = 0
    #: Runs whose worker died in them.
    deaths: int = 0
    ran: list[Any] = field(default_factory=list)


class Places:
    """The databases of walks: files that are copies of one, or servers' whose rows are."""

    def __init__(self, walks: Walks) -> None:
        self.folder, self.urls = Path(walks.folder), walks.urls
        for url in self.urls or [self._file("template")]:
            warm = Ground(walks, 0, url)
            warm.beat.settle()
            warm.beat.close()
        self._rows = [self._of(url, rows_of) for url in self.urls]

    @contextmanager
    def lent(self, seed: int, lane: int) -> Iterator[str]:
        """A database as it is before a walk."""
        if self.urls:
            self._of(self.urls[lane], partial(put_rows, rows=self._rows[lane]))
            yield self.urls[lane]
            return
        for source in self.folder.glob("template.db*"):
            shutil.copy(source, source.with_name(source.name.replace("template", f"walk{seed}")))
        yield self._file(f"walk{seed}")
        for source in self.folder.glob(f"walk{seed}.db*"):
            source.unlink()

    def _file(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.db"

    def _of(self, url: str, work: Callable[[Engine], Any]) -> Any:
        engine = make_engine(url, 10)
        try:
            return work(engine)
        finally:
            engine.dispose()


def walk(walks: Walks, places: Places, seed: int, lane: int) -> Walk:
    """One walk, in a process of its own."""
    dice = random.Random(seed)
    os.urandom = dice.randbytes  # type: ignore[assignment]
    found = Walk(seed)
    with places.lent(seed, lane) as url:
        ground = (LastingGround if walks.lasting else Ground)(walks, seed, url)
        try:
            ground.walk()
            found.trouble = ground.trouble or "; ".join(ground.rules.broken[:5])
        except Exception:  # noqa: BLE001 - whatever it is, the seed is told
            found.trouble = traceback.format_exc()
    found.fires, found.crashes = len(ground.rules.seen), ground.crashes
    found.deaths = ground.deaths
    return found


def main(walks: Walks) -> list[dict[str, Any]]:
    logging.disable(logging.CRITICAL)
    if walks.broken:
        BREAKAGES[walks.broken]()
    places = Places(walks)
    waiting: deque[tuple[int, int, int]] = deque()
    found: list[Walk] = []
    for number, seed in enumerate(range(walks.first, walks.first + walks.count)):
        if len(waiting) >= walks.at_once:
            found.append(ended(*waiting.popleft(), Walk))
        lane = number % walks.at_once
        waiting.append((seed, *started(partial(walk, walks, places, seed, lane))))
    found += [ended(*each, Walk) for each in waiting]
    return [asdict(each) for each in found]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Walks(**json.loads(sys.argv[1])))))
