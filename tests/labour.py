"""Who ran what, as the workers themselves know it, and what must hold of that at any moment.

A worker has a message in hand from where it was admitted; a run goes from where the worker begins
with it until its task has ended, or the worker died.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(eq=False)
class Run:
    """A fire in the hand of a worker, which runs it once it has begun."""

    fire: str
    job: str
    worker: str
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    #: When its worker died with it in hand, or before it had said how it ended.
    died_at: datetime | None = None
    #: Whether it was dropped, for it was not admitted.
    is_refused: bool = False
    #: Whether the locks forgot what became of it before a beat had read that.
    is_forgotten: bool = False

    @property
    def is_going(self) -> bool:
        return self.begun_at is not None and self.ended_at is None and self.died_at is None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody may know how it ended."""
        is_any_word_due = self.begun_at is not None or self.is_refused
        return self.is_forgotten or (is_any_word_due and self.died_at is not None)

    def __str__(self) -> str:
        moments = {"from": self.begun_at, "ended": self.ended_at, "died": self.died_at}
        said = [f"{what} {at:%M:%S.%f}" for what, at in moments.items() if at is not None]
        return " ".join([self.job, self.fire, "by", self.worker, *said])


class Labour:
    """The runs of a walk. *alone*: the jobs of which one runs at a time; *broken* is told."""

    def __init__(
        self, alone: Collection[str], broken: list[str], now: Callable[[], datetime]
    ) -> None:
        self._alone, self._broken, self._now = alone, broken, now
        self.runs: list[Run] = []
        self._of: dict[str, list[Run]] = defaultdict(list)

    def take(self, fire: str, job: str, worker: str) -> Run:
        """A worker takes a fire in hand."""
        run = Run(fire, job, worker)
        self.runs.append(run)
        self._of[fire].append(run)
        return run

    def begin(self, run: Run) -> None:
        """It runs: alone where its job has a limit, and again only where nobody can know that it
        has run to its end.
        """
        run.begun_at = self._now()
        for other in self.runs:
            if other is not run and other.is_going and other.job == run.job in self._alone:
                self._broken.append(f"two runs at a time: {other}; {run}")
        for former in self._of[run.fire]:
            if former is not run and former.begun_at and not former.is_unknown:
                self._broken.append(f"runs twice: {former}; {run}")

    def end(self, run: Run) -> None:
        run.ended_at = self._now()

    def refuse(self, fire: str, job: str, worker: str) -> Run:
        """A worker drops a copy, and has not said so yet."""
        refused = self.take(fire, job, worker)
        refused.is_refused = True
        return refused

    def die(self, run: Run) -> None:
        """Its worker died with it in hand, or before it could say how it ended."""
        run.died_at = self._now()

    def forget(self, fires: Iterable[str]) -> None:
        """The locks lost their memory while *fires* were on their way as far as beats know."""
        for run in (run for fire in fires for run in self._of[fire]):
            if run.ended_at is not None or run.died_at is not None:
                run.is_forgotten = True

    @property
    def deaths(self) -> int:
        """Runs whose worker died in them."""
        return sum(run.begun_at is not None and run.died_at is not None for run in self.runs)

    @property
    def unknown(self) -> set[str]:
        """The fires of which nobody may know how a run of them ended."""
        return {run.fire for run in self.runs if run.is_unknown}
