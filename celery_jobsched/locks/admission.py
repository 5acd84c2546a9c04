"""The admission table: which copy of a fire may run. Pure; what follows is for the backends to do.

Redis decides by itself, in ``redis/admissions.lua``, line for line the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from . import Admission, Answer, Copy, CopyState


def judge(
    copy: Copy, record: Admission | None, now: datetime, born_at: datetime, oldest: timedelta
) -> Answer:
    """Whether *copy* may run, slots aside; *born_at* is since when the memory is whole."""
    answer = standing(copy, record, born_at)
    # A retry tells when its run was published; its own message may be a second old.
    is_too_old = copy.published_at < now - oldest and answer is not Answer.RETRY
    return Answer.TOO_OLD if is_too_old else answer


def standing(copy: Copy, record: Admission | None, born_at: datetime) -> Answer:
    """How *copy* stands to what is known of its fire."""
    if record is None:
        is_forgotten = copy.number > 1 and born_at > copy.made_at
        return Answer.FORGOTTEN if is_forgotten else Answer.FIRST
    if record.state is CopyState.ENDED:
        return Answer.ENDED
    if record.token == copy.token:
        return _same_token(copy, record)
    return _other_token(record)


def is_of(copy: Copy, record: Admission) -> bool:
    """Whether the record is of this very copy, in the hands of this worker."""
    known = (record.token, record.retries, record.worker)
    return known == (copy.token, copy.retries, copy.worker)


def is_passed(copy: Copy, record: Admission | None) -> bool:
    """Whether another copy has taken the place of this one, which a worker has in hand."""
    if record is None or is_of(copy, record):
        return False
    if record.state is CopyState.ENDED:
        return True
    if record.token == copy.token and record.retries != copy.retries:
        return record.retries > copy.retries
    return record.alive


def _same_token(copy: Copy, record: Admission) -> Answer:
    if copy.retries != record.retries:
        return Answer.RETRY if copy.retries > record.retries else Answer.OUTDATED
    is_reserved = record.state is CopyState.RESERVED
    if is_reserved and (record.worker == copy.worker or not record.alive):
        return Answer.AGAIN
    # A lease that is alive shows a worker that has it: Redis delivers again what it takes long to
    # acknowledge, RabbitMQ whatever a lost connection had in hand.
    return Answer.IN_HAND if record.alive else Answer.RETURNED


def _other_token(record: Admission) -> Answer:
    if record.alive:
        return Answer.OTHER
    if record.state is CopyState.RESERVED or record.redelivered:
        return Answer.REPLACES
    return Answer.LOST
