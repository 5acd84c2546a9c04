"""A program of many processes that want the same few slots, and of which some are always killed.

    python -m tests.claimants '{"kind": "redis", "url": …, "seconds": 3, …}'

Each process takes a slot when it can, renews it for a random while, and releases it; a fire's id
is never used twice. Whatever happens is a line of its own in the journal, with the machine's
monotonic time. The parent kills and replaces, and looks at what the backend counts meanwhile.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from celery_jobsched.limits import Limit
from celery_jobsched.locks import Hold, Locks, Terms
from celery_jobsched.locks.database import DatabaseLocks
from celery_jobsched.locks.redis import RedisLocks
from celery_jobsched.store.engine import make_engine

KEY = "the key"
#: Time passes while it is waited for.
_NEVER = threading.Event()


@dataclass(frozen=True)
class Game:
    """What is played, as the test and the program agree on it."""

    kind: str
    url: str
    installation: str
    journal: str
    seconds: float
    claimants: int
    limit: int
    lease_s: float
    poll_s: float
    kills_a_second: float

    def as_text(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Event:
    """A line of the journal: `took`, `kept` and `left` of a fire, `killed`, `saw`."""

    what: str
    at: float
    pid: int
    fire: str = ""
    #: How long the lease lasts at least: it began somewhere in the call.
    until: float = 0
    #: How many the backend counts.
    count: int = 0


def events(journal: Path) -> Iterator[Event]:
    return (Event(**json.loads(line)) for line in journal.read_text().splitlines())


@contextmanager
def opened(game: Game) -> Iterator[Locks]:
    """Locks of this process; a fork has to open its own."""
    if game.kind == "redis":
        yield RedisLocks(game.url, game.installation, timeout=10)
        return
    engine = make_engine(game.url, 10)
    yield DatabaseLocks(lambda: engine, Terms())
    engine.dispose()


class Claimant:
    """One process of the game, until it is killed or the time is over."""

    def __init__(self, game: Game, locks: Locks, end: float) -> None:
        self.game, self.locks, self.end = game, locks, end
        self.journal = os.open(game.journal, os.O_WRONLY | os.O_APPEND)
        self.dice = random.Random()
        self.pid = os.getpid()

    def play(self) -> None:
        while time.monotonic() < self.end:
            fire = f"{self.pid} {self.dice.random():.17f}"[:36]
            hold = Hold(fire, (Limit(KEY, self.game.limit),), timedelta(seconds=self.game.lease_s))
            if self._asks("took", "acquire", hold):
                self._works(hold)
            _NEVER.wait(self.dice.uniform(0, self.game.poll_s))

    def _works(self, hold: Hold) -> None:
        until = time.monotonic() + self.dice.uniform(0, self.game.lease_s)
        while time.monotonic() < until:
            _NEVER.wait(self.dice.uniform(0, self.game.lease_s / 4))
            if not self._asks("kept", "renew", hold):
                self.note("left", hold.fire)
                return
        self.note("left", hold.fire)
        self.locks.release([hold])

    def _asks(self, what: str, verb: str, hold: Hold) -> bool:
        began = time.monotonic()
        (granted,) = getattr(self.locks, verb)([hold])
        if granted:
            self.note(what, hold.fire, until=began + self.game.lease_s)
        return bool(granted)

    def note(self, what: str, fire: str = "", pid: int = 0, **more: float) -> None:
        line = json.dumps(asdict(Event(what, time.monotonic(), pid or self.pid, fire, **more)))
        os.write(self.journal, f"{line}\n".encode())


def start(game: Game, whistle: int) -> int:
    """The id of a new claimant's process, which waits until *whistle* says when it is to end."""
    child = os.fork()
    if child:
        return child
    try:
        with opened(game) as locks:
            locks.holders([KEY])
            Claimant(game, locks, float(os.read(whistle, 32))).play()
        os._exit(0)
    finally:
        os._exit(1)


def main(game: Game) -> int:
    whistle, blow = os.pipe()
    living = [start(game, whistle) for _ in range(game.claimants)]
    with opened(game) as locks:
        locks.holders([KEY])
        end = time.monotonic() + game.seconds
        for _ in living:
            os.write(blow, f"{end:<32}".encode())
        referee = Claimant(game, locks, end)
        next_kill = time.monotonic()
        while time.monotonic() < end:
            referee.note("saw", count=len(locks.holders([KEY])[KEY]))
            if time.monotonic() >= next_kill:
                next_kill += 1 / game.kills_a_second
                pid = living.pop(referee.dice.randrange(len(living)))
                os.kill(pid, signal.SIGKILL)
                referee.note("killed", pid=pid)
                os.waitpid(pid, 0)
                os.write(blow, f"{end:<32}".encode())
                living.append(start(game, whistle))
            _NEVER.wait(0.005)
    return max(os.waitpid(pid, 0)[1] for pid in living)


if __name__ == "__main__":
    sys.exit(1 if main(Game(**json.loads(sys.argv[1]))) else 0)
