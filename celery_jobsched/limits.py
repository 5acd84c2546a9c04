"""Limits: how many runs there may be at a time, of a job, and of all jobs that share a key.

Pure. Which of a key's slots are taken is the locks' to know; see ``locks``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from .job import Job

#: Seconds that a slot is held without renewal, where the job does not say.
USUAL_LEASE_S = 30.0
_LONGEST_LEASE_S = 1e11
#: How often a beat or a worker renews what it holds, or more often if a lease is short.
RENEW_EVERY = timedelta(seconds=5)
#: A renewal may be late, or fail, twice.
_RENEWALS_A_LEASE = 3


class Limit(NamedTuple):
    """How many fires may hold *key* at a time; keys are texts of up to 300 characters."""

    key: str
    most: int


@dataclass(frozen=True)
class Rights:
    """What a run needs before it may begin: a slot of each limit, for a lease at a time."""

    limits: tuple[Limit, ...] = ()
    lease: timedelta = timedelta(seconds=USUAL_LEASE_S)

    @property
    def renewal(self) -> timedelta:
        """How often whoever holds its slots renews them."""
        return renewal_of(self.lease)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it needs a slot of."""
        return tuple(key for key, _ in self.limits)

    def to_text(self) -> str:
        """As the record of a fire keeps it."""
        return json.dumps({"limits": self.limits, "lease": self.lease.total_seconds()})

    @classmethod
    def from_text(cls, text: str) -> Rights:
        """What :meth:`to_text` wrote.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it was written by something else.
        """
        said = json.loads(text)
        limits = tuple(Limit(str(key), int(most)) for key, most in said["limits"])
        return cls(limits, lease_of(said["lease"]))


#: No limit, for the usual lease.
NO_LIMIT = Rights()


@dataclass(frozen=True)
class LimitRules:
    """What the configuration says of limits."""

    #: ``jobsched_max_concurrency``: of jobs that say nothing; None: no limit.
    max_concurrency: int | None = None
    #: ``jobsched_limits``: of keys that jobs share.
    shared: Mapping[str, int] = field(default_factory=dict)
    #: ``jobsched_lease``, in seconds.
    lease: float = USUAL_LEASE_S

    def is_free(self, job: Job) -> bool:
        """Whether no limit holds for *job*."""
        return (
            job.concurrency_key is None
            and job.max_concurrency is None
            and self.max_concurrency is None
        )

    def rights_of(self, job: Job, smallest: Mapping[str, int]) -> Rights:
        """What a run of *job* needs.

        A shared key has the limit of the configuration, else the smallest of the jobs that share
        it, which *smallest* has by key, else one slot: whoever shares a key wants to take turns.
        """
        lease = self.lease if job.lease is None else job.lease
        if self.is_free(job):
            return NO_LIMIT if lease == USUAL_LEASE_S else Rights(lease=timedelta(seconds=lease))
        limits = []
        if job.concurrency_key is not None:
            key = job.concurrency_key
            limits.append(Limit(shared_key(key), self.shared.get(key, smallest.get(key, 1))))
        own = self.max_concurrency if job.max_concurrency is None else job.max_concurrency
        if own is not None:
            limits.append(Limit(job_key(job.name), own))
        return Rights(tuple(limits), timedelta(seconds=lease))


def lease_of(seconds: Any) -> timedelta:
    """A lease that was written down in seconds.

    Raises:
        ValueError, TypeError: it is none.
    """
    lease = float(seconds)
    if not 0 < lease < _LONGEST_LEASE_S:
        raise ValueError(f"expected a lease of 0 to {_LONGEST_LEASE_S:g} s, got: {lease!r}")
    return timedelta(seconds=lease)


def renewal_of(lease: timedelta) -> timedelta:
    """How often whoever holds something for *lease* at a time renews it."""
    return min(RENEW_EVERY, lease / _RENEWALS_A_LEASE)


def job_key(name: str) -> str:
    """The key of a job's own limit."""
    return _JOB + name


def shared_key(key: str) -> str:
    """The key that jobs share by *key*: never that of a job's own."""
    return _SHARED + key


def job_of(key: str) -> str | None:
    """The name of the job whose own limit *key* is of; None where jobs share it."""
    return key.removeprefix(_JOB) if key.startswith(_JOB) else None


def shared_of(key: str) -> str | None:
    """The key that jobs share by *key*; None where it is of a job's own limit."""
    return key.removeprefix(_SHARED) if key.startswith(_SHARED) else None


_JOB, _SHARED = "job ", "key "
