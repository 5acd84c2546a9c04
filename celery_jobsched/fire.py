"""A fire: one instant of one job, from claim to result, and the moves its state may make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from .clock import UTC

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ID_LENGTH = 36
#: In the order of one millisecond.
_PLACES = 0x1000


class Origin(str, Enum):
    """Why a fire exists."""

    SCHEDULE = "schedule"
    CATCHUP = "catchup"
    MANUAL = "manual"
    KEYWORD = "keyword"
    BACKFILL = "backfill"
    #: The task that a job's ``on_success`` or ``on_failure`` names.
    FOLLOW_UP = "follow-up"

    @property
    def is_clock(self) -> bool:
        """Whether the job's schedule owes it: such fires end with their job."""
        return self in {Origin.SCHEDULE, Origin.CATCHUP}


class FireState(str, Enum):
    """Where a fire is on its way."""

    PENDING = "pending"
    WAITING = "waiting"
    SENT = "sent"
    STARTED = "started"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVOKED = "revoked"
    EXPIRED = "expired"
    LOST = "lost"
    MISSED = "missed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected of it (a lost or cancelled one may run all the same)."""
        return self not in _OPEN

    def may_become(self, other: FireState) -> bool:
        """Whether *other* may follow; a report may overtake those before it."""
        return other in MOVES.get(self, frozenset())


_OPEN = {
    FireState.PENDING,
    FireState.WAITING,
    FireState.SENT,
    FireState.STARTED,
    FireState.RETRYING,
}
_ENDS = {
    FireState.SUCCEEDED,
    FireState.FAILED,
    FireState.REVOKED,
    FireState.EXPIRED,
    FireState.LOST,
}
_RUNS = {FireState.STARTED, FireState.RETRYING} | _ENDS

#: state -> the states that may follow it.
MOVES: Mapping[FireState, frozenset[FireState]] = {
    FireState.PENDING: frozenset(
        {FireState.WAITING, FireState.SENT, FireState.SKIPPED, FireState.CANCELLED} | _RUNS
    ),
    FireState.WAITING: frozenset(
        {FireState.PENDING, FireState.SENT, FireState.SKIPPED, FireState.CANCELLED} | _RUNS
    ),
    FireState.SENT: frozenset({FireState.PENDING, FireState.WAITING} | _RUNS),
    FireState.STARTED: frozenset(
        {FireState.RETRYING, FireState.PENDING, FireState.WAITING} | _ENDS
    ),
    FireState.RETRYING: frozenset(
        {FireState.STARTED, FireState.PENDING, FireState.WAITING} | _ENDS
    ),
    FireState.LOST: frozenset({FireState.SUCCEEDED}),
    # By a copy that a beat had published and could not note before it died.
    FireState.CANCELLED: frozenset(
        {FireState.STARTED, FireState.RETRYING, FireState.SUCCEEDED, FireState.FAILED}
    ),
}


@dataclass(frozen=True)
class Fire:
    """One row of ``jobsched_fires`` on its way to the broker."""

    id: str
    job_id: int
    job_name: str
    key: str
    fire_at: datetime
    due_at: datetime
    origin: Origin
    publishes: int = 1
    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    #: Its own, where it is not the job's: of a follow-up.
    task: str | None = None
    #: The key that it waited for and is to have a slot of now.
    waiting_for: str | None = None
    #: Since when there can be copies of it that count, where not since it was made.
    copies_since: datetime | None = None

    @property
    def is_follow_up(self) -> bool:
        """Whether it runs what follows another fire of the job, and not the job's own task."""
        return self.task is not None

    @property
    def is_newcomer(self) -> bool:
        """Whether it has no place among those that wait for slots, and cannot hold any yet.

        What was given to a broker once may be on its way to a worker.
        """
        return self.waiting_for is None and self.publishes <= 1


def new_id(now: datetime, place: int | None = None) -> str:
    """A random id that sorts by time, and then by *place*: RFC 9562's UUID version 7.

    The order keeps the primary key's index compact and makes age a range of it.
    """
    random = int.from_bytes(os.urandom(10), "big")
    if place is None:
        return _uuid7(now, random)
    later, place = divmod(place, _PLACES)
    return _uuid7(now + later * _MILLISECOND, place << 62 | random & 0x3FFFFFFFFFFFFFFF)


def made_at(id_: str) -> datetime:
    """When a fire of that id was made, to the millisecond.

    Raises:
        ValueError: it is none that :func:`new_id` makes.
    """
    if len(id_) != _ID_LENGTH:
        raise ValueError(f"expected an id of {_ID_LENGTH} characters")
    return _EPOCH + int(id_[:13].replace("-", ""), 16) * _MILLISECOND


def oldest_id(at: datetime) -> str:
    """What sorts before every id made at *at* or later; before 1970 none was made."""
    return _uuid7(max(at, _EPOCH), 0)


def clock_key(fire_at: datetime) -> str:
    """What a schedule's fire is known by, once for each job and instant."""
    return fire_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _uuid7(at: datetime, random: int) -> str:
    # Floor division is what -1 ms before the epoch needs as well; no float rounds the time.
    milliseconds = (at - _EPOCH) // _MILLISECOND & 0xFFFFFFFFFFFF
    bits = milliseconds << 80 | 0x7 << 76 | (random >> 62 & 0xFFF) << 64
    text = f"{bits | 0b10 << 62 | random & 0x3FFFFFFFFFFFFFFF:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
