"""What becomes of fires that got no slot: the rules of ``overlap``. Pure.

    skip      it does not run
    wait      it waits for a slot, behind those that wait already
    latest    it waits in the place of its job's older ones, which do not run
    replace   the same, and the oldest run of its job is asked to end

A fire that no schedule owes always waits, however many do: somebody asked for it. So does one that
may have been published before: a copy of it may still run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .fire import Fire
from .job import Job

#: The rule of jobs that name none.
USUAL_OVERLAP = "skip"
SUPERSEDED = "superseded by a later fire"


@dataclass(frozen=True)
class Refused:
    """A fire that got no slot, of *key* above all, and why."""

    fire: Fire
    job: Job
    key: str
    reason: str
    #: All that it needs a slot of.
    keys: tuple[str, ...] = ()
    #: The fires that hold slots of these.
    holders: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """The rule that holds for it."""
        if not (self.fire.origin.is_clock and self.fire.is_newcomer):
            return "wait"
        return self.job.overlap or USUAL_OVERLAP

    @property
    def supersedes(self) -> bool:
        """Whether it takes the place of older fires of its job."""
        return self.rule in {"latest", "replace"}


@dataclass(frozen=True)
class Skip:
    """A fire that does not run, and why; whether its job's ``max_fires`` counted it."""

    fire: Fire
    reason: str
    is_counted: bool = False


@dataclass
class Verdict:
    """What is to become of fires that got no slot."""

    skipped: list[Skip] = field(default_factory=list)
    #: With the key that they wait for.
    waiting: list[tuple[Fire, str]] = field(default_factory=list)
    #: Those that take the place of their job's older ones.
    superseding: list[Refused] = field(default_factory=list)
    #: Those whose job's oldest run is to end.
    replacing: list[Refused] = field(default_factory=list)
    #: Nobody knows whether there is a slot for them: they are asked for again.
    left: list[str] = field(default_factory=list)


def judge(refused: Sequence[Refused], queues: Mapping[str, Counter[int]], most: int) -> Verdict:
    """What becomes of *refused*, of each job the oldest first.

    *queues* tells how many fires of each job wait for each key; *most* is how many may.
    """
    verdict = Verdict()
    lengths = Counter({key: queue.total() for key, queue in queues.items()})
    newest = {each.fire.job_id: each for each in refused if each.supersedes}
    for each in refused:
        if not each.fire.is_newcomer:
            verdict.waiting.append((each.fire, each.key))
        elif each.rule == "skip":
            verdict.skipped.append(_skip(each, f"overlap = skip: {each.reason}"))
        elif each.supersedes and newest[each.fire.job_id] is not each:
            verdict.skipped.append(_skip(each, SUPERSEDED))
        else:
            _enqueue(verdict, each, queues, lengths, most)
    return verdict


def _enqueue(
    verdict: Verdict,
    each: Refused,
    queues: Mapping[str, Counter[int]],
    lengths: Counter[str],
    most: int,
) -> None:
    has_place = each.supersedes and queues.get(each.key, Counter())[each.fire.job_id] > 0
    if not has_place and each.fire.origin.is_clock and lengths[each.key] >= most:
        reason = f"overlap = {each.rule}: {most} fires wait for {each.key!r} already"
        verdict.skipped.append(_skip(each, reason))
        return
    lengths[each.key] += not has_place
    verdict.waiting.append((each.fire, each.key))
    if each.supersedes:
        verdict.superseding.append(each)
    if each.rule == "replace":
        verdict.replacing.append(each)


def _skip(each: Refused, reason: str) -> Skip:
    return Skip(each.fire, reason, each.job.max_fires is not None)
