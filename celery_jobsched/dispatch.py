"""Delivering: pending fires go to the broker in batches, and what became of them is written down.

What is authoritative: the fire's row. A batch whose fate is unknown stays pending and goes again
with new tokens; what was published and could not be marked yet is marked before anything else.

    broker away        all of the batch stays pending; nothing more is claimed meanwhile
    one bad message    batches are halved until it stands alone; it fails once others got through
    database away      what the broker has is remembered and marked as soon as it is back
    no slot free       a verdict by the rule of overlap, which is written down in the same go
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Engine

from .fire import Origin
from .lags import Lags
from .publish import Outcome, Publisher
from .rate import Rate
from .slots import Granted, Slots
from .store import ends, fires, skips
from .store.deliveries import Delivery
from .store.engine import in_one_line
from .store.skips import Run
from .telling import UNWANTED, tell_cancelled, tell_failed, tell_sent, tell_settled
from .tenure import OWNED_FOR, Tenure

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0
#: From the first to the longest.
_DOUBLINGS = 2
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
    owned_for: timedelta = OWNED_FOR

    @property
    def owned_until(self) -> datetime:
        """When another beat may take them."""
        return self.now + self.owned_for

    @property
    def publish_until(self) -> float:
        """The last moment to publish one of them."""
        return self.moment + self.owned_for.total_seconds() - _MARGIN_S


@dataclass
class Dispatcher:
    """Delivers batches and learns from them how the broker is.

    ``connect`` gives a producer or raises; ``disconnect`` drops a connection that went bad;
    ``end_runs`` asks runs to end that others replace.
    """

    publisher: Publisher
    most: int
    connect: Callable[[], Any]
    disconnect: Callable[[], None]
    slots: Slots
    end_runs: Callable[[Sequence[Run]], None]
    #: The zone of jobs that name none.
    zone_name: str = "UTC"
    #: How late what is sent is.
    lags: Lags = field(default_factory=Lags)
    #: How many may be published.
    rate: Rate = field(default_factory=Rate)
    #: How long a batch is this beat's own.
    tenure: Tenure = field(default_factory=Tenure)
    limit: int = 0
    failures: int = 0
    _paused_until: float = 0.0
    _delivered: int = 0
    _suspects: dict[str, int] = field(default_factory=dict)
    _unmarked: tuple[Outcome, Granted, Batch] | None = None

    def __post_init__(self) -> None:
        self.limit = self.most

    @property
    def rests(self) -> bool:
        """Whether the broker is left alone for a moment."""
        return self.publisher.monotonic() < self._paused_until

    @property
    def room(self) -> int:
        """How many to take and publish now, 0 while the rate is used up."""
        return min(self.limit, self.rate.room(self.publisher.monotonic()))

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
        began = self.publisher.monotonic()
        room = self.rate.take(began, len(batch.deliveries))
        granted, outcome = self._publish(batch, batch.deliveries[:room])
        self._learn(outcome, self.publisher.monotonic() - began)
        self.rate.spend(len(outcome.sent) + len(outcome.unknown) - room)
        outcome.left += [each.fire.id for each in batch.deliveries[room:]]
        self._note_lags(outcome, batch)
        self._unmarked = (outcome, granted, batch)
        self.slots.release(self._without_run(outcome, granted))
        self.mark(engine)
        tell_sent(outcome.sent, batch.deliveries)
        return outcome.trouble is None

    def _without_run(self, outcome: Outcome, granted: Granted) -> list[Delivery]:
        """Those that need their slots no more; of one that was taken over a copy may still run."""
        over = {*outcome.cancelled, *(id_ for id_, _ in outcome.failed)}
        ended = set(outcome.sent) if self.publisher.is_eager else set()
        return [
            each
            for each in granted.deliveries
            if each.fire.id in ended or (each.fire.id in over and each.fire.publishes <= 1)
        ]

    def _note_lags(self, outcome: Outcome, batch: Batch) -> None:
        """Note how late the schedule's fires were sent, of those that were sent for the first time.

        One that waited for a slot is not late by this beat's doing. The first one of a job may be
        due before the job was made, at the beginning of that second.
        """
        moment, sent = self.publisher.monotonic(), set(outcome.sent)
        at = batch.now + timedelta(seconds=moment - batch.moment)
        for fire, job in ((it.fire, it.job) for it in batch.deliveries if it.fire.id in sent):
            if fire.origin is Origin.SCHEDULE and fire.is_newcomer:
                made_at = job and job.created_at
                self.lags.note(at - max(fire.due_at, made_at or fire.due_at), moment)

    def _publish(self, batch: Batch, deliveries: Sequence[Delivery]) -> tuple[Granted, Outcome]:
        """Publish those that have the slots they need, once the broker answers."""
        try:
            producer = self.connect()
        except Exception as error:  # noqa: BLE001 - whatever a transport raises: it is away
            left = [each.fire.id for each in deliveries]
            return Granted(deliveries), Outcome(left=left, trouble=error)
        granted = self.slots.grant(deliveries)
        self.tenure.note(self.publisher.monotonic() - batch.moment)
        return granted, self.publisher.publish(granted.deliveries, producer, batch.publish_until)

    def mark(self, engine: Engine) -> None:
        """Write down what became of the last batch, unless that was done."""
        if self._unmarked is None:
            return
        outcome, granted, batch = self._unmarked
        now, owned_until = batch.now, batch.owned_until
        again_at = now + timedelta(seconds=self._wait_of(outcome))
        with engine.begin() as conn:
            self._mark_sent(conn, outcome.sent, granted, now)
            failed = ends.fail(conn, outcome.failed, now, self.zone_name)
            fires.mark_cancelled(conn, outcome.cancelled, UNWANTED)
            fires.put_back(conn, outcome.unknown, owned_until, again_at)
            fires.give_back(conn, outcome.left, owned_until, now)
            ask_at = now + self.slots.again_after
            settled = skips.settle(conn, granted.verdict, owned_until, ask_at)
        self._unmarked = None
        tell_cancelled(outcome.cancelled, granted.deliveries)
        tell_failed(failed)
        tell_settled(settled)
        self.end_runs(settled.ending)

    def end(self, engine: Engine) -> None:
        """Write down, as the beat ends, what could not be written yet: nobody else knows of it."""
        try:
            self.mark(engine)
        except Exception as error:  # noqa: BLE001 - ending must not fail; another beat goes on
            self._unmarked = None
            logger.warning(
                "what was published last is not marked, and will be published again: %s",
                in_one_line(error),
                extra={"action": "publish"},
            )

    def _mark_sent(self, conn: Any, sent: Sequence[str], granted: Granted, now: datetime) -> None:
        if self.publisher.is_eager:
            fires.mark_sent(conn, sent)
            return
        limited = granted.limited
        fires.mark_sent(
            conn,
            [id_ for id_ in sent if id_ not in limited],
            now + timedelta(seconds=self.publisher.settings.resend_after),
        )
        own = [(id_, limited[id_]) for id_ in sent if id_ in limited]
        fires.mark_limited(conn, [(id_, rights, now + rights.renewal) for id_, rights in own])

    @property
    def _pause(self) -> float:
        return float(_FIRST_PAUSE_S * 2 ** min(max(0, self.failures - 1), _DOUBLINGS))

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
        count = len(outcome.unknown or outcome.left)
        self._failed(outcome.trouble, count)
        self.limit = max(1, min(self.limit, count) // 2)
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
        self._paused_until = self.publisher.monotonic() + self._pause
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
