"""What a job owes at a moment: which instants fire, which were missed, when to look again.

Pure: time comes in as an argument, nothing is read or written. Lateness is judged here alone, and
finding out is bounded work however long a job slept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .clock import TICK
from .fire import Origin, clock_key
from .job import Job

_LEAST_GRACE = timedelta(seconds=5)
_MOST_GRACE = timedelta(seconds=60)
_COUNTED = 1000

#: The most instants of one job that one decision fires; the rest stays due.
FIRES_AT_ONCE = 100


@dataclass(frozen=True)
class Owed:
    """An instant that fires."""

    fire_at: datetime
    due_at: datetime
    origin: Origin


@dataclass(frozen=True)
class Missed:
    """Instants that will not fire, as one: both ends inclusive.

    ``count`` is None where counting would cost more than it tells.
    """

    fire_at: datetime
    until_at: datetime
    count: int | None


@dataclass(frozen=True)
class Plan:
    """What a job owes, oldest first, and its next instant; None when it has none left.

    ``due_at`` without an instant: this process cannot tell. One that can finds out from there on.
    """

    fires: tuple[Owed, ...] = ()
    missed: Missed | None = None
    next_fire_at: datetime | None = None
    due_at: datetime | None = None


def decide(job: Job, now: datetime, catchup_limit: int = 100) -> Plan:
    """Partition the instants that *job* owes at *now* into those that fire and those missed.

    Instants younger than the grace time fire; of the older ones the misfire rule says which.
    """
    first = _first_owed(job)
    if first is None or due_at(job, first) > now:
        return _until(job, first)
    newest = _newest_missed(job, first, now - grace(job, first))
    late, missed = _settle(job, first, newest, catchup_limit) if newest else ([], None)
    timely, after = _timely(job, newest, first, now)
    fires = [_owed(job, at, Origin.CATCHUP) for at in late]
    fires += [_owed(job, at, Origin.SCHEDULE) for at in timely]
    left = None if job.max_fires is None else max(0, job.max_fires - job.fire_count)
    if left is not None and len(fires) >= left:
        return Plan(tuple(fires[:left]), missed)
    return replace(_until(job, after), fires=tuple(fires), missed=missed)


def plan_from(job: Job, since: datetime) -> Plan:
    """Where *job* stands after an edit whose past ends at *since*: nothing fires for before."""
    if not job.enabled or is_spent(job):
        return Plan()
    start = max(since, job.last_fire_at) if job.last_fire_at else since
    if job.lacks:
        return Plan(due_at=start + TICK)
    return _until(job, job.next_after(start))


def plan_kept(job: Job) -> Plan:
    """Where *job* stands after an edit that left alone what says when: as before it."""
    if job.lacks:
        return Plan(next_fire_at=job.next_fire_at, due_at=job.next_fire_at)
    return _until(job, job.next_fire_at)


def plan_new(job: Job) -> Plan:
    """Where a job stands that was never planned: its past ends with the second it was made in."""
    made_at = job.first_past
    if made_at is None:
        raise ValueError("expected a job with created_at, got one without")
    return plan_from(job, made_at - TICK)


def decided(job: Job, due_at: datetime) -> Job:
    """*job*, due at that instant, with its next one where a process that lacks it planned it."""
    if job.next_fire_at is not None or job.custom is None or not job.enabled:
        return job
    return replace(job, next_fire_at=job.next_after(due_at - TICK))


def heeds_keyword(job: Job, now: datetime) -> bool:
    """Whether its keyword fires *job* at *now*."""
    has_begun = job.starts_at is None or job.starts_at <= now
    return job.enabled and has_begun and awaits_keyword(job, now)


def awaits_keyword(job: Job, now: datetime) -> bool:
    """Whether its keyword may still fire *job* at *now* or later: then it has not ended."""
    is_over = job.ends_at is not None and job.ends_at < now
    return job.keyword is not None and not is_over and not is_spent(job)


def grace(job: Job, fire_at: datetime) -> timedelta:
    """How late a fire of that instant may be; by default its interval, 5 to 60 seconds."""
    if job.misfire_grace_time is not None:
        return timedelta(seconds=job.misfire_grace_time)
    following = job.next_after(fire_at)
    if following is None:
        return _MOST_GRACE
    return min(max(following - fire_at, _LEAST_GRACE), _MOST_GRACE)


def due_at(job: Job, fire_at: datetime) -> datetime:
    """The instant with its jitter: a hash of job and instant, the same in every beat.

    The jitter stays below the interval, so that fires keep their order.
    """
    if not job.jitter:
        return fire_at
    following = job.next_after(fire_at)
    room = timedelta(seconds=job.jitter)
    if following is not None:
        room = min(room, following - fire_at)
    seed = f"{job.id if job.id is not None else job.name} {clock_key(fire_at)}"
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    return fire_at + room * (int.from_bytes(digest, "big") / 2**64)


def is_spent(job: Job) -> bool:
    """Whether *job* has fired as often as it may."""
    return job.max_fires is not None and job.fire_count >= job.max_fires


def _until(job: Job, fire_at: datetime | None) -> Plan:
    if fire_at is None:
        return Plan()
    return Plan(next_fire_at=fire_at, due_at=due_at(job, fire_at))


def _owed(job: Job, fire_at: datetime, origin: Origin) -> Owed:
    return Owed(fire_at, due_at(job, fire_at), origin)


def _first_owed(job: Job) -> datetime | None:
    """The oldest instant not yet taken; dedupe does not depend on any history."""
    if not job.enabled or is_spent(job) or job.next_fire_at is None:
        return None
    if job.last_fire_at is not None and job.next_fire_at <= job.last_fire_at:
        return job.next_after(job.last_fire_at)
    if job.has_calendars:
        # What a calendar excludes that was edited since is no longer owed.
        return job.next_after(job.next_fire_at - TICK)
    return job.next_fire_at


def _newest_missed(job: Job, first: datetime, limit: datetime) -> datetime | None:
    """The newest instant, *first* or later, that was due before *limit*."""
    if due_at(job, first) >= limit:
        return None
    found = job.previous_before(limit)
    if found is not None and found > first and due_at(job, found) >= limit:
        found = job.previous_before(found)  # jitter stays below the interval: one step is enough
    return first if found is None else max(found, first)


def _settle(
    job: Job, first: datetime, newest: datetime, catchup_limit: int
) -> tuple[list[datetime], Missed | None]:
    """Which of the missed instants, *first* to *newest*, fire after all; the rest as one."""
    wanted = {"skip": 0, "once": 1, "all": catchup_limit}[job.misfire or "once"]
    fired: list[datetime] = []
    until: datetime | None = newest
    while until is not None and until >= first and len(fired) < wanted:
        fired.append(until)
        until = job.previous_before(until)
    fired.reverse()
    if until is None or until < first:
        return fired, None
    return fired, Missed(first, until, _count(job, first, until))


def _timely(
    job: Job, newest_missed: datetime | None, first: datetime, now: datetime
) -> tuple[list[datetime], datetime | None]:
    """The instants that are due and not missed, and the one that follows them."""
    at = job.next_after(newest_missed) if newest_missed else first
    found: list[datetime] = []
    while at is not None and len(found) < FIRES_AT_ONCE and due_at(job, at) <= now:
        found.append(at)
        at = job.next_after(at)
    return found, at


def _count(job: Job, first: datetime, last: datetime) -> int | None:
    """How many instants from *first* to *last*, both inclusive; None when they are many."""
    quick = getattr(job.trigger, "count_between", None)
    if quick is not None and (known := quick(first - TICK, last)) is not None:
        return int(known)
    counted, at = 1, first
    while at < last and counted <= _COUNTED:
        following = job.next_after(at)
        if following is None:
            break
        counted, at = counted + 1, following
    return counted if counted <= _COUNTED else None
