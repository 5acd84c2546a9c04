"""Rules of the product, broken: to see that a test notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from celery_jobsched import aftercare, beat, dispatch
from celery_jobsched.locks import Answer
from celery_jobsched.locks.database import slots
from celery_jobsched.store import fires, planning
from celery_jobsched.worker import channel


def mark_before_publishing() -> None:
    """A beat that dies in between leaves a fire that is sent on record alone."""
    deliver = dispatch.Dispatcher.deliver

    def broken(self: Any, engine: Any, batch: Any) -> bool:
        with engine.begin() as conn:
            fires.mark_sent(conn, [each.fire.id for each in batch.deliveries])
        return deliver(self, engine, batch)

    dispatch.Dispatcher.deliver = broken  # type: ignore[method-assign]


def take_nothing_over() -> None:
    """What a dead beat claimed is delivered by nobody."""
    beat.Scheduler._take_over = lambda *_: False  # type: ignore[method-assign]


def admit_every_copy() -> None:
    """A worker does not ask whether another copy ran."""
    channel.Channel.ask = lambda *_: Answer.FIRST  # type: ignore[method-assign]


def take_slots_without_asking() -> None:
    """Who wants a slot has it, however many hold one."""
    slots.Slots.take = slots.Slots.keep  # type: ignore[method-assign]


def renew_without_holder() -> None:
    """A renewal gives a slot to one that has none: to a fire that ended, or beyond the limit."""
    slots.Slots.queue = slots.Slots.keep  # type: ignore[method-assign]
    slots.Slots.is_released = lambda *_: False  # type: ignore[method-assign]


def tell_silent_locks_of_all() -> None:
    """A beat renews whatever has not ended while the locks are silent, whatever the limits."""
    queue = slots.Slots.queue

    def broken(self: Any, hold: Any) -> bool:
        return self.keep(hold) if self._silent else queue(self, hold)

    slots.Slots.queue = broken  # type: ignore[method-assign]
    aftercare._may_queue = lambda *_: True


def drop_the_unique_key(engine: sa.Engine) -> None:
    """An instant may have any number of records."""
    with engine.begin() as conn:
        conn.execute(sa.text("ALTER TABLE jobsched_fires DROP CONSTRAINT jobsched_fires_once"))


def plan_edits_from_long_ago() -> None:
    """The past of an edit ends at a look that was before it."""
    planning._end_of_past = lambda conn, now: now


BREAKAGES: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        mark_before_publishing,
        take_nothing_over,
        admit_every_copy,
        take_slots_without_asking,
        plan_edits_from_long_ago,
        tell_silent_locks_of_all,
    )
}
