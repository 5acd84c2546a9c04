"""What to do about a fire that was sent and has not ended. Pure: what is known comes in.

    nobody has taken it     its slot is renewed: the time in a queue is not the run's; where it
                            stays so for long, it is sent again, for its message may be gone
    a worker has it         whoever has it renews its lease: look again when that could be over
    its lease is over       the broker brought its copy again meanwhile, so that it may run again:
                            it is sent again; else it is lost

Nothing is decided while the locks are silent: then they do not know yet what workers know. What may
be in a queue has its slot renewed, and no other: a run whose worker died had lost it before.
Whether a fire that was sent is in a queue or in a worker without the plugin cannot be seen. Where
nobody ever reported anything, nothing is sent again, and the result backend alone says how it ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from .fire import FireState
from .limits import RENEW_EVERY
from .locks import Admission, CopyState
from .store.watching import Watched

#: How long after the end of a lease, or of a wait, we look.
_A_MOMENT = timedelta(seconds=1)
#: So often we look while the locks are silent: in the last quarter of it they hear of queues.
_WHILE_SILENT = RENEW_EVERY / 2
#: How long the report of an end may be on its way.
_ON_ITS_WAY = timedelta(seconds=30)
#: No wait is doubled more often: it is over a year then.
_MOST_DOUBLINGS = 20


class Do(Enum):
    """What follows for a fire."""

    #: Look again later; a slot that it holds is renewed where ``renews`` says so.
    WAIT = "wait"
    SEND_AGAIN = "send again"
    LOSE = "lose"
    #: Look no more: nobody will say how it ended.
    LET_GO = "let go"


@dataclass(frozen=True)
class Decision:
    """What follows for a fire, unless the result backend knows its end where that is asked."""

    do: Do
    #: From now on; of ``WAIT`` alone.
    again_in: timedelta = timedelta(0)
    #: Whether its slot is renewed until then.
    renews: bool = False
    #: Whether the result backend is asked before.
    asks: bool = False
    #: Of ``SEND_AGAIN``: whether an earlier copy may still be in a queue.
    may_arrive: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Sight:
    """What a beat knows beside a fire and its admission record."""

    now: datetime
    #: The locks have been told again what they had forgotten, or never forgot.
    is_whole: bool
    #: No report of an end that is long past is still unread.
    has_read: bool
    #: Workers say what becomes of fires, as far as one knows.
    is_heard: bool
    resend_after: timedelta
    max_queue_time: timedelta


def decide(fire: Watched, record: Admission | None, sight: Sight, leaves_result: bool) -> Decision:
    """What follows for *fire*; *leaves_result*: the result backend will know how it ended."""
    if fire.state.is_final:
        return Decision(Do.LET_GO)
    if not sight.is_whole:
        return _wait(fire, _WHILE_SILENT) if _may_queue(fire, record) else _LEFT_ALONE
    if record is None:
        return _unknown(fire, sight, leaves_result)
    if record.state is CopyState.ENDED:
        return _ended(fire, record, sight)
    if record.alive:
        return Decision(Do.WAIT, _until_over(fire, record, sight))
    if record.redelivered:
        return _again("its worker is gone, and the broker brought it again")
    if record.state is CopyState.RESERVED:
        return _queued(fire, max(fire.sent_at, record.until), sight)
    return _LOST


def put_off(fire: Watched, what: Decision, time: timedelta) -> Decision:
    """Wait instead of *what*, for that time; a fire that is to be sent again keeps its slot."""
    return _wait(fire, time) if what.do is Do.SEND_AGAIN else Decision(Do.WAIT, time)


_LEFT_ALONE = Decision(Do.WAIT, _WHILE_SILENT)
_LOST = Decision(Do.LOSE, asks=True, reason="its worker is gone: nobody renewed its lease")


def _unknown(fire: Watched, sight: Sight, leaves_result: bool) -> Decision:
    """No copy of it was admitted, or nobody remembers."""
    if fire.state in {FireState.STARTED, FireState.RETRYING}:
        return _LOST
    if sight.is_heard or fire.state is FireState.PENDING:
        return _queued(fire, fire.sent_at, sight)
    return _unheard(fire, sight, leaves_result)


def _may_queue(fire: Watched, record: Admission | None) -> bool:
    """Whether its message may be in a queue: else a worker has it, who renews its slot, or had."""
    if record is None:
        return fire.state is not FireState.STARTED
    return record.state is CopyState.RESERVED


def _queued(fire: Watched, since: datetime, sight: Sight) -> Decision:
    """Its message is in a queue since then, or gone."""
    if fire.state is FireState.PENDING:
        return _again("a worker gave it back")
    if sight.now - since >= sight.max_queue_time:
        said = f"no worker took it within {sight.max_queue_time.total_seconds():g} seconds"
        return Decision(Do.LOSE, asks=True, reason=said)
    doublings = min(max(fire.publishes - 1, 0), _MOST_DOUBLINGS)
    patience = min(sight.resend_after * 2**doublings, sight.max_queue_time)
    rest = patience - (sight.now - since)
    if rest > timedelta(0):
        return _wait(fire, rest)
    return replace(_again("no worker took it"), may_arrive=True)


def _unheard(fire: Watched, sight: Sight, leaves_result: bool) -> Decision:
    """It may be in a queue, may run, may have ended: no worker tells."""
    age = sight.now - fire.sent_at
    if leaves_result:
        if age >= sight.max_queue_time:
            return Decision(Do.LET_GO, asks=True)
        return _wait(fire, max(age, sight.resend_after), asks=True)
    rest = max(fire.rights.lease, sight.resend_after) - age
    return Decision(Do.WAIT, rest) if rest > timedelta(0) else Decision(Do.LET_GO)


def _ended(fire: Watched, record: Admission, sight: Sight) -> Decision:
    """Its end was said, and not yet read."""
    if sight.has_read and sight.now - record.until > _ON_ITS_WAY:
        said = "it ended, and the report that says how was lost"
        return Decision(Do.LOSE, asks=True, reason=said)
    return Decision(Do.WAIT, RENEW_EVERY)


def _again(reason: str) -> Decision:
    return Decision(Do.SEND_AGAIN, asks=True, reason=reason)


def _wait(fire: Watched, longest: timedelta, asks: bool = False) -> Decision:
    """Look again after that time, or sooner, to renew its slot."""
    if not fire.rights.limits:
        return Decision(Do.WAIT, longest, asks=asks)
    often = min(fire.rights.renewal, longest)
    return Decision(Do.WAIT, often, renews=True, asks=asks)


def _until_over(fire: Watched, record: Admission, sight: Sight) -> timedelta:
    """How long until its lease could be over, by a clock that need not go as the database's."""
    rest = max(record.until - sight.now, timedelta(0)) + _A_MOMENT
    return min(rest, max(2 * fire.rights.lease, timedelta(minutes=1)))
