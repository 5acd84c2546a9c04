"""What a storm does: it kills a process each second, and lets one server after another go away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.processes import CeleryProcess
from tests.storm.places import Place

_SHORTEST_S, _LONGEST_S = 0.5, 2.0
#: So long all is there, between one outage and the next.
_CALM_S = (2.0, 5.0)
CUT, STALLED, DROPPED, RESTARTED = "cut", "stalled", "dropped", "restarted"


@dataclass(frozen=True)
class Outage:
    """What was away, how, and from when until when."""

    place: str
    how: str
    since: float
    until: float


@dataclass
class Log:
    """What was done so far; each worker's name is its own."""

    #: When each worker was killed, by name, in seconds of the clock.
    deaths: dict[str, float] = field(default_factory=dict)
    beats_killed: int = 0
    outages: list[Outage] = field(default_factory=list)


class Crew:
    """Processes of one kind: whoever is killed is followed by another one at once."""

    def __init__(self, make: Callable[[int], Any], count: int) -> None:
        self.make = make
        self.members: list[CeleryProcess] = [make(place).start() for place in range(count)]

    @property
    def ready(self) -> list[int]:
        """The places of those that work by now."""
        return [
            place
            for place, each in enumerate(self.members)
            if each.alive() and each.ready_file.exists()
        ]

    def kill(self, place: int) -> CeleryProcess:
        victim = self.members[place]
        victim.kill()
        self.members[place] = self.make(place).start()
        return victim

    def revive(self) -> list[CeleryProcess]:
        """Follow those that ended by themselves, which nobody should; they are returned."""
        ended = [place for place, each in enumerate(self.members) if not each.alive()]
        return [self.kill(place) for place in ended]


class Weather:
    """Kills and outages, each in a thread of its own, until they are told to end."""

    def __init__(
        self, beats: Crew, workers: Crew, places: Sequence[Place], seed: int, each_s: float
    ) -> None:
        self.beats, self.workers, self.places = beats, workers, places
        self.each_s = each_s
        self.log = Log()
        self.fallen: list[CeleryProcess] = []
        self.trouble: list[BaseException] = []
        self._killing, self._cutting = random.Random(seed), random.Random(seed + 1)
        self._over = threading.Event()

    @contextmanager
    def raging(self) -> Iterator[None]:
        """While this lasts, there is a storm; in the end all servers are there."""
        threads = [
            threading.Thread(target=self._told, args=(work,))
            for work in (self._kill_on, self._cut_on)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _told(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told in the end
            self.trouble.append(error)

    def _kill_on(self) -> None:
        while not self._over.wait(self.each_s):
            self.fallen += self.beats.revive() + self.workers.revive()
            crews = (self.beats, self.workers)
            able = [(crew, place) for crew in crews for place in crew.ready]
            if able:
                self._kill(*self._killing.choice(able))

    def _kill(self, crew: Crew, place: int) -> None:
        at = time.time()
        victim = crew.kill(place)
        if crew is self.workers:
            self.log.deaths[name_of(victim)] = at
        else:
            self.log.beats_killed += 1

    def _cut_on(self) -> None:
        while not self._over.wait(self._cutting.uniform(*_CALM_S)):
            place = self._cutting.choice(self.places)
            how = self._cutting.choice((CUT, STALLED, DROPPED, RESTARTED))
            since = time.time()
            self._let_go(place, how)
            self.log.outages.append(Outage(place.name, how, since, time.time()))

    def _let_go(self, place: Place, how: str) -> None:
        if how == DROPPED:
            place.proxy.drop()
            return
        if how == RESTARTED:
            place.server.kill()
            place.server.start()
            return
        if how == CUT:
            place.proxy.cut()
        else:
            place.proxy.stall()
        self._over.wait(self._cutting.uniform(_SHORTEST_S, _LONGEST_S))
        place.proxy.heal()


def name_of(worker: CeleryProcess) -> str:
    """A worker's name, without its host."""
    return worker.command[worker.command.index("-n") + 1].partition("@")[0]
