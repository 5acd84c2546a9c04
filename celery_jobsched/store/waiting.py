"""The queues of keys: which fires wait for a slot, and whose turn it is. Oldest first, by id.

``waiting_for`` is the place in a queue. A fire whose turn has come is pending and keeps it until
it is sent: so nobody takes its turn for free, whichever beat looks, and whatever becomes of the
one that woke it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..fire import FireState
from ..limits import LimitRules, job_of, shared_of
from ..tenure import OWNED_FOR
from .deliveries import Delivery, deliveries_of
from .engine import skips_locked
from .tables import fires, jobs

#: Of a fire that has a place in a queue; a person may have ended one by its state alone.
_IS_IN_LINE = fires.c.state.in_([FireState.WAITING.value, FireState.PENDING.value])


def smallest_limits(conn: Connection, shared: Collection[str]) -> dict[str, int]:
    """The smallest limit of the jobs that share each of these keys; 1 where none of them says."""
    if not shared:
        return {}
    query = (
        sa.select(jobs.c.concurrency_key, sa.func.min(jobs.c.max_concurrency))
        .where(jobs.c.concurrency_key.in_(shared))
        .group_by(jobs.c.concurrency_key)
    )
    return {key: most if _is_limit(most) else 1 for key, most in conn.execute(query)}


def limits_of(conn: Connection, keys: Collection[str], rules: LimitRules) -> dict[str, int]:
    """How many slots each of *keys* has now; without those that nothing limits any more."""
    names = {key: name for key in keys if (name := job_of(key)) is not None}
    shared = {key: name for key in keys if (name := shared_of(key)) is not None}
    own = _own_limits(conn, set(names.values()), rules)
    known = smallest_limits(conn, set(shared.values()) - set(rules.shared)) | dict(rules.shared)
    found = {key: own[name] for key, name in names.items() if name in own}
    return found | {key: known[name] for key, name in shared.items() if name in known}


def queues(conn: Connection, keys: Collection[str]) -> dict[str, Counter[int]]:
    """How many fires of each job wait for a slot of each of *keys*; keys without any are left out.

    Those whose turn has come count: they have no slot yet.
    """
    found: dict[str, Counter[int]] = defaultdict(Counter)
    if keys:
        query = (
            sa.select(fires.c.waiting_for, fires.c.job_id, sa.func.count())
            .where(fires.c.waiting_for.in_(keys), _IS_IN_LINE)
            .group_by(fires.c.waiting_for, fires.c.job_id)
        )
        for key, job_id, count in conn.execute(query):
            found[key][job_id] = count
    return dict(found)


def keys_after(conn: Connection, key: str, limit: int) -> list[str]:
    """The first *limit* keys behind *key*, in order, that anybody waits for."""
    query = (
        sa.select(fires.c.waiting_for)
        .where(fires.c.waiting_for > key)
        .distinct()
        .order_by(fires.c.waiting_for)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def wake(
    conn: Connection,
    free: Mapping[str, int],
    now: datetime,
    limit: int,
    zone_name: str,
    owned_for: timedelta = OWNED_FOR,
) -> list[Delivery]:
    """Give the oldest of each queue their turn, as many as slots are *free*, *limit* in all.

    They are pending and this beat's own for a while. Who has a turn already counts.
    """
    ids = _next_in_turn(conn, free)[:limit]
    query = (
        sa.select(fires)
        .where(fires.c.id.in_(ids), fires.c.state == FireState.WAITING.value)
        .order_by(fires.c.id)
        .with_for_update(skip_locked=skips_locked(conn))
    )
    rows = conn.execute(query).mappings().all() if ids else []
    if not rows:
        return []
    woken = sa.update(fires).where(fires.c.id.in_([row["id"] for row in rows]))
    conn.execute(
        woken.values(
            state=FireState.PENDING.value,
            ready_at=now + owned_for,
            publishes=fires.c.publishes + 1,
        )
    )
    return deliveries_of(conn, rows, zone_name)


def _next_in_turn(conn: Connection, free: Mapping[str, int]) -> list[str]:
    """The ids of those who wait in the first *free* places of each queue, the oldest first."""
    place = sa.func.row_number().over(partition_by=fires.c.waiting_for, order_by=fires.c.id)
    queue = (
        sa.select(fires.c.id, fires.c.waiting_for, fires.c.state, place.label("place"))
        .where(fires.c.waiting_for.in_(list(free)), _IS_IN_LINE)
        .subquery()
    )
    query = sa.select(queue).where(
        queue.c.place <= max(free.values()), queue.c.state == FireState.WAITING.value
    )
    rows = conn.execute(query.order_by(queue.c.id))
    # MariaDB takes texts that differ in trailing spaces for the same.
    most = {key.rstrip(" "): count for key, count in free.items()}
    return [row.id for row in rows if row.place <= most[row.waiting_for.rstrip(" ")]]


def _own_limits(conn: Connection, names: Collection[str], rules: LimitRules) -> dict[str, int]:
    if not names:
        return {}
    query = sa.select(jobs.c.name, jobs.c.max_concurrency).where(jobs.c.name.in_(names))
    usual = rules.max_concurrency
    found = {name: usual if most is None else most for name, most in conn.execute(query)}
    return {name: most for name, most in found.items() if most is not None and _is_limit(most)}


def _is_limit(most: Any) -> bool:
    """Whether a column holds a limit; SQLite keeps whatever was written there."""
    return isinstance(most, int) and most >= 1
