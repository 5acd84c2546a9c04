"""Slots for fires on their way: who gets one, and whose turn it is.

    claimed, taken over ──▶ grant ──▶ published, with what their runs need
    waiting ──▶ woken ────────┘ └──▶ a verdict by the rule of overlap: see ``overlap``

What is authoritative: the locks say who holds a slot, the fires' rows who waits. A fire that has
its slot and is not sent yet stays pending: whoever delivers it next takes the slot again, as the
same holder. A newcomer never overtakes one that waits for any of its keys.

    the locks are away     what needs a slot stays pending, and asks again in a moment
    their memory is lost   they grant nothing for a while, though no key is full: the same
    a key is full          a verdict
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .errors import LocksAway
from .limits import Limit, LimitRules, Rights
from .locks import Hold, Locks
from .overlap import Refused, Verdict, judge
from .runtime import Runtime
from .store import waiting
from .store.deliveries import Delivery

logger = logging.getLogger(__name__)

#: At how many keys a tick looks for who waits there.
_KEYS_AT_ONCE = 100
_HOLDS_AT_ONCE = 1000
_FIRST_REST_S = 1.0
_LONGEST_REST_S = 5.0


@dataclass
class Granted:
    """Fires to publish, each with what its run needs, and what becomes of the others."""

    deliveries: Sequence[Delivery] = ()
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def limited(self) -> dict[str, Rights]:
        """What the runs of those need that a limit holds for, by the fires' ids."""
        found = {each.fire.id: each.rights for each in self.deliveries}
        return {id_: rights for id_, rights in found.items() if rights.limits}


class Slots:
    """One beat's way to the slots.

    *locks* gives them when it is asked; *wants* says whether a fire is to be published at all.
    """

    def __init__(
        self,
        runtime: Runtime,
        locks: Callable[[], Locks],
        wants: Callable[[Delivery], bool],
    ) -> None:
        settings = runtime.settings
        self._runtime, self._locks, self._wants = runtime, locks, wants
        self._rules = LimitRules(settings.max_concurrency, settings.limits, settings.lease)
        self._looked_until = ""
        self._rest_s = 0.0
        self._rests_until = 0.0

    @property
    def again_after(self) -> timedelta:
        """When to ask again what nobody could say."""
        return timedelta(seconds=max(self._rest_s, _FIRST_REST_S))

    def grant(self, deliveries: Sequence[Delivery]) -> Granted:
        """Take the slots that *deliveries* need; asks nobody where they need none."""
        if all(each.job is None or self._rules.is_free(each.job) for each in deliveries):
            return Granted([self._with_rights(each, {}) for each in deliveries])
        with_rights = self._all_with_rights(deliveries)
        asking = [each for each in with_rights if each.rights.limits and self._wants(each)]
        asked = {each.fire.id for each in asking}
        try:
            granted, verdict = self._decided(asking)
        except LocksAway as error:
            self._miss(error)
            granted, verdict = set(), Verdict(left=list(asked))
        go = granted | ({each.fire.id for each in with_rights} - asked)
        return Granted([each for each in with_rights if each.fire.id in go], verdict)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Free the slots of fires that do not run after all."""
        holds = [_hold(each) for each in deliveries if each.rights.limits]
        try:
            if holds:
                self._locks().release(holds)
        except LocksAway as error:
            logger.debug("the slots of %d fires are free after a lease: %s", len(holds), error)

    def woken(self, now: datetime, limit: int, owned_for: timedelta) -> list[Delivery]:
        """Those whose turn it is, on a page of the keys that somebody waits for; now pending."""
        if self._rests:
            return []
        with self._runtime.reading() as conn:
            keys = waiting.keys_after(conn, self._looked_until, _KEYS_AT_ONCE)
            most = waiting.limits_of(conn, keys, self._rules)
        self._looked_until = keys[-1] if len(keys) == _KEYS_AT_ONCE else ""
        try:
            free = self._locks().free([Limit(key, most[key]) for key in keys if key in most])
        except LocksAway as error:
            self._miss(error)
            return []
        turns = {key: free.get(key, limit) for key in keys if free.get(key, limit)}
        if not turns:
            return []
        with self._runtime.engine.begin() as conn:
            return waiting.wake(conn, turns, now, limit, self._runtime.zone_name, owned_for)

    def _with_rights(self, delivery: Delivery, smallest: Mapping[str, int]) -> Delivery:
        # A follow-up is a word about its job's run, and no run of it.
        if delivery.job is None or delivery.fire.is_follow_up:
            return delivery
        rights = self._rules.rights_of(delivery.job, smallest)
        return delivery if rights is delivery.rights else replace(delivery, rights=rights)

    def _all_with_rights(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        shared = {each.job.concurrency_key for each in deliveries if each.job}
        unsaid = {key for key in shared if key is not None} - set(self._rules.shared)
        smallest: Mapping[str, int] = {}
        if unsaid:
            with self._runtime.reading() as conn:
                smallest = waiting.smallest_limits(conn, unsaid)
        return [self._with_rights(each, smallest) for each in deliveries]

    def _decided(self, asking: Sequence[Delivery]) -> tuple[set[str], Verdict]:
        """The ids of those that have their slots now, and what becomes of the others."""
        if not asking:
            return set(), Verdict()
        if self._rests:
            return set(), Verdict(left=[each.fire.id for each in asking])
        queues = self._queues(asking)
        behind = {each.fire.id for each in asking if _is_behind(each, queues)}
        granted = self._acquire([each for each in asking if each.fire.id not in behind])
        refused = [each for each in asking if each.fire.id not in granted]
        found, unclear = self._reasons(refused, queues) if refused else ([], [])
        if unclear:
            granted |= self._acquire(unclear)
        verdict = judge(found, queues, self._runtime.settings.max_waiting)
        verdict.left += [each.fire.id for each in unclear if each.fire.id not in granted]
        self._found()
        return granted, verdict

    def _queues(self, asking: Sequence[Delivery]) -> dict[str, Counter[int]]:
        keys = {key for each in asking for key in each.rights.keys}
        with self._runtime.reading() as conn:
            return waiting.queues(conn, keys)

    def _acquire(self, asking: Sequence[Delivery]) -> set[str]:
        taken: set[str] = set()
        for start in range(0, len(asking), _HOLDS_AT_ONCE):
            page = asking[start : start + _HOLDS_AT_ONCE]
            answers = self._locks().acquire([_hold(each) for each in page])
            taken |= {each.fire.id for each, has in zip(page, answers, strict=True) if has}
        return taken

    def _reasons(
        self, refused: Sequence[Delivery], queues: Mapping[str, Counter[int]]
    ) -> tuple[list[Refused], list[Delivery]]:
        """Why each was refused; and those of which nobody can say: they may ask once more.

        A slot was given back in between, or the locks grant nothing because their memory was lost.
        """
        keys = {key for each in refused for key in each.rights.keys}
        held = {
            key: [holder.fire for holder in holders]
            for key, holders in self._locks().holders(sorted(keys)).items()
        }
        found: list[Refused] = []
        unclear: list[Delivery] = []
        for each in refused:
            reason = _reason(each, held, queues)
            if reason is None:
                unclear.append(each)
            else:
                found.append(reason)
        return found, unclear

    @property
    def _rests(self) -> bool:
        return self._runtime.clock.monotonic() < self._rests_until

    def _miss(self, error: LocksAway) -> None:
        if not self._rest_s:
            logger.error(
                "the locks are away, fires with a limit stay pending: %s",
                error,
                extra={"action": "locks"},
            )
        self._rest_s = min(2 * self._rest_s or _FIRST_REST_S, _LONGEST_REST_S)
        self._rests_until = self._runtime.clock.monotonic() + self._rest_s

    def _found(self) -> None:
        if self._rest_s:
            logger.warning("the locks answer again", extra={"action": "locks"})
        self._rest_s = 0.0


def _hold(delivery: Delivery) -> Hold:
    return Hold(delivery.fire.id, delivery.rights.limits, delivery.rights.lease)


def _is_behind(newcomer: Delivery, queues: Mapping[str, Counter[int]]) -> bool:
    """Whether others wait for what it needs."""
    return newcomer.fire.is_newcomer and any(key in queues for key in newcomer.rights.keys)


def _reason(
    refused: Delivery, held: Mapping[str, list[str]], queues: Mapping[str, Counter[int]]
) -> Refused | None:
    """Which key it lacks a slot of; None where there seems to be one of each."""
    fire, job, keys = refused.fire, refused.job, refused.rights.keys
    # What it holds itself it may have had to give way with: see ``Locks.acquire``.
    others = {key: [id_ for id_ in held[key] if id_ != fire.id] for key in keys}
    if job is None:
        raise ValueError(f"expected a fire with a job, got fire {fire.id} without one")
    holders = tuple(id_ for key in keys for id_ in others[key])
    for key, most in refused.rights.limits:
        count = len(others[key])
        if count >= most:
            said = f"{count} of {most} slots of {key!r} are taken"
            return Refused(fire, job, key, said, keys, holders)
    if _is_behind(refused, queues):
        key = next(key for key in keys if key in queues)
        said = f"others wait for a slot of {key!r}"
        return Refused(fire, job, key, said, keys, holders)
    return None
