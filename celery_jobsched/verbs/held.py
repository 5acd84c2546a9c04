"""Who holds the slots that a fire wants: now by the locks, at a past instant by the record."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from ..errors import LocksAway
from ..fire import made_at
from ..job import Job
from ..limits import job_key, shared_key
from ..runtime import Runtime
from ..store import history, jobs, meta
from ..views import FireView
from .facts import Holding

#: A fire is marked as sent a moment after its slot was taken.
_A_MOMENT = timedelta(seconds=1)
#: How many fires are named, and how many of the jobs that share a key are looked at.
_SHOWN, _SHARING = 3, 100


def held_now(runtime: Runtime, conn: Connection, key: str) -> list[Holding] | None:
    """Who holds the slots of *key*; None where the locks are away."""
    installation = meta.value_of(conn, "installation") or ""
    locks = runtime.locks(installation)
    try:
        held = locks.holders([key]).get(key, [])
    except LocksAway:
        return None
    finally:
        locks.close()
    known = history.by_ids(conn, [each.fire for each in held])
    return [Holding(each.fire, each.until, known.get(each.fire)) for each in held]


def held_then(conn: Connection, job: Job, skipped: FireView, at: datetime) -> list[FireView]:
    """Some of the fires that held the slots which *skipped* did not get, the last sent first.

    *at*: of one record for several instants, the one that is asked about.
    """
    shared = job.concurrency_key
    keys = {job_key(job.name): None} | ({} if shared is None else {shared_key(shared): shared})
    for key, share in keys.items():
        if repr(key) in (skipped.reason or ""):
            ids = [job.id or 0] if share is None else jobs.sharing(conn, share, _SHARING)
            found = history.on_their_way(conn, ids, _decided_at(skipped, at) + _A_MOMENT)
            return [each for each in found if key in each.slots][:_SHOWN]
    return []


def _decided_at(skipped: FireView, at: datetime) -> datetime:
    try:
        return max(at, made_at(skipped.id))
    except ValueError:  # a row that somebody else wrote
        return at
