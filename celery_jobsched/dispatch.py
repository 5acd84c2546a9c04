"""Delivering: pending fires go to the broker in batches, and what became of them is written down.

What is authoritative: the fire's row. A batch whose fate is unknown stays pending and goes again
with new tokens; what was published and could not be marked yet is marked before anything else.

    broker away        all of the batch stays pending; nothing more is claimed meanwhile
    one bad message    batches are halved until it stands alone; it fails once others got through
    database away      what the broker has is remembered and marked as soon as it is back
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Engine

from . import events
from .fire import Fire
from .publish import Outcome, Publisher
from .store import fires
from .store.fires import OWNED_FOR, Delivery

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0
_MARGIN_S = 0.5
#: A broker that refuses a message does so at once; one that took longer is not asked again.
_PROMPT_S = 1.0


@dataclass(frozen=True)
class Batch:
    """Fires that this beat took at *now*, by the database's clock, and at *moment*, by its own.

    They are its own for a while. Near the end of it nothing more of them is published: where it is
    not sure that they are still its own, it acts as though they were not.
    """

    deliveries: Sequence[Delivery]
    now: datetime
    moment: float

    @property
    def owned_until(self) -> datetime:
        """When another beat may take them."""
        return self.now + OWNED_FOR

    @property
    def publish_until(self) -> float:
        """The last moment to publish one of them."""
        return self.moment + OWNED_FOR.total_seconds() - _MARGIN_S


@dataclass
class Dispatcher:
    """Delivers batches and learns from them how the broker is.

    ``connect`` gives a producer or raises; ``disconnect`` drops a connection that went bad.
    """

    publisher: Publisher
    most: int
    connect: Callable[[], Any]
    disconnect: Callable[[], None]
    limit: int = 0
    failures: int = 0
    _paused_until: float = 0.0
    _delivered: int = 0
    _suspects: dict[str, int] = field(default_factory=dict)
    _unmarked: tuple[Outcome, datetime] | None = None

    def __post_init__(self) -> None:
        self.limit = self.most

    @property
    def rests(self) -> bool:
        """Whether the broker is left alone for a moment."""
        return time.monotonic() < self._paused_until

    def may_claim(self) -> bool:
        """Whether the broker takes fires, as far as we know; asks it after a failure and a pause.

        While it does not, nothing is claimed: an outage is the misfire rule's business afterwards.
        """
        if self.rests:
            return False
        if self.failures:
            try:
                self.connect()
            except Exception as error:  # noqa: BLE001 - whatever a transport raises: it is away
                self._failed(error, 0)
                return False
            self._recovered()
        return True

    def deliver(self, engine: Engine, batch: Batch) -> bool:
        """Publish a batch and mark what became of it; whether the broker took it."""
        deliveries, began = batch.deliveries, time.monotonic()
        try:
            outcome = self.publisher.publish(deliveries, self.connect(), batch.publish_until)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises: it is away
            outcome = Outcome(unknown=[each.fire.id for each in deliveries], trouble=error)
        self._learn(outcome, time.monotonic() - began)
        self._unmarked = (outcome, batch.owned_until)
        self.mark(engine)
        _tell(outcome, {each.fire.id: each.fire for each in deliveries})
        return outcome.trouble is None

    def mark(self, engine: Engine) -> None:
        """Write down what became of the last batch, unless that was done."""
        if self._unmarked is None:
            return
        outcome, owned_until = self._unmarked
        again_at = owned_until - OWNED_FOR + timedelta(seconds=self._wait_of(outcome))
        with engine.begin() as conn:
            fires.mark_sent(conn, outcome.sent)
            fires.mark_failed(conn, outcome.failed)
            fires.mark_cancelled(conn, outcome.cancelled, "its job was paused or deleted")
            fires.put_back(conn, outcome.unknown, owned_until, again_at)
        self._unmarked = None

    @property
    def _pause(self) -> float:
        return float(min(_FIRST_PAUSE_S * 2 ** max(0, self.failures - 1), _LONGEST_PAUSE_S))

    def _wait_of(self, outcome: Outcome) -> float:
        """A suspect waits longer than the broker rests: others must get through before it."""
        if any(id_ in self._suspects for id_ in outcome.unknown):
            return _LONGEST_PAUSE_S
        return self._pause if self.rests else 0.0

    def _learn(self, outcome: Outcome, seconds: float) -> None:
        self._delivered += len(outcome.sent)
        for id_ in outcome.sent if self._suspects else ():
            self._suspects.pop(id_, None)
        if outcome.trouble is None:
            if outcome.sent:
                self.limit = self._more(outcome)
                self._recovered()
            return
        self._failed(outcome.trouble, len(outcome.unknown))
        self.limit = max(1, min(self.limit, len(outcome.unknown)) // 2)
        if seconds < _PROMPT_S and self._answers():
            self._narrow(outcome)

    def _more(self, outcome: Outcome) -> int:
        """How many to take next: twice as many, or half of what this time was too short for."""
        if outcome.left:
            return max(1, len(outcome.sent) // 2)
        return min(self.limit * 2, self.most)

    def _narrow(self, outcome: Outcome) -> None:
        """The broker answers, so a message is at fault: halves of the batch go at once."""
        if len(outcome.unknown) == 1:
            self._suspect(outcome, outcome.unknown[0])
        else:
            self._paused_until = 0.0

    def _suspect(self, outcome: Outcome, id_: str) -> None:
        """The broker answers and yet does not take this one: it fails once others got through."""
        if self._suspects.setdefault(id_, self._delivered) < self._delivered:
            del self._suspects[id_]
            outcome.failed.append((id_, f"{type(outcome.trouble).__name__}: {outcome.trouble}"))
            outcome.unknown.remove(id_)
        self._recovered()

    def _answers(self) -> bool:
        try:
            self.connect()
        except Exception:  # noqa: BLE001 - whatever a transport raises: it is away
            return False
        return True

    def _failed(self, error: BaseException, count: int) -> None:
        self.failures += 1
        self._paused_until = time.monotonic() + self._pause
        self.publisher.forget()
        self.disconnect()
        logger.log(
            logging.ERROR if self.failures == 1 else logging.DEBUG,
            "the broker took none of %d fires, they stay pending: %s",
            count,
            error,
            extra={"action": "publish"},
        )

    def _recovered(self) -> None:
        if self.failures:
            logger.warning("the broker takes fires again", extra={"action": "publish"})
        self.failures = 0


def _tell(outcome: Outcome, known: dict[str, Fire]) -> None:
    for id_ in outcome.sent if events.fire_sent.receivers else ():
        fire = known[id_]
        told = {"job": fire.job_name, "fire_id": id_, "fire_at": fire.fire_at}
        events.fire_sent.send(sender=None, origin=fire.origin.value, **told)
    for id_, problem in outcome.failed:
        fire = known[id_]
        told = {"job": fire.job_name, "fire_id": id_, "fire_at": fire.fire_at}
        logger.error("job %r: fire %s failed: %s", fire.job_name, id_, problem, extra=told)
        events.fire_failed.send(sender=None, error=problem, **told)
