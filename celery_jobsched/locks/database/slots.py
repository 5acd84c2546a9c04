"""Slots in two tables: who holds which key, and a row a key to lock before its slots are counted.

Keys are locked in the database's order of them, so that no two calls wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ...store.bulk import insert_rows, update_rows
from ...store.tables import slot_keys, slots
from .. import Hold, Holder
from .memory import Moment


@dataclass(frozen=True)
class Slot:
    """A row of the table: a holder, or the tombstone of one."""

    until: datetime
    released: bool


class Count(NamedTuple):
    """How many rows of a key are holders, and how many only wait to be deleted."""

    held: int
    over: int


def lock(conn: Connection, keys: Iterable[str]) -> None:
    """Let nobody else touch the slots of *keys* until this transaction ends."""
    wanted = sorted(set(keys))
    if not wanted:
        return
    query = sa.select(slot_keys.c.key).where(slot_keys.c.key.in_(wanted))
    ordered = query.order_by(slot_keys.c.key).with_for_update()
    found = set(conn.execute(ordered).scalars())
    insert_rows(conn, slot_keys, [{"key": key} for key in wanted if key not in found])


def keys_of(holds: Iterable[Hold]) -> Iterator[str]:
    """The keys of holds, as the tables have them."""
    return (stored(limit.key) for hold in holds for limit in hold.limits)


def stored(key: str) -> str:
    """*key* as it is kept: MariaDB takes texts that differ in trailing spaces for the same."""
    return key.rstrip(" ")


class Slots:
    """The slots of some holds, whose keys are locked: changed here, written together."""

    def __init__(self, conn: Connection, holds: Sequence[Hold], moment: Moment) -> None:
        self._now = moment.now
        self._silent = bool(moment.silent_for)
        self._hears_of_runs_alone = moment.hears_of_runs_alone
        self._there = _own(conn, holds)
        self._slots = dict(self._there)
        found = counts(conn, keys_of(holds), self._now)
        self._held = Counter({key: count.held for key, count in found.items()})
        self._littered = [key for key, count in found.items() if count.over]

    def take(self, hold: Hold) -> bool:
        """Hold a slot of each key, or none where one is missing; whether they are held.

        None is kept that runs are in need of, of which a lost memory heard late.
        """
        return self._take(hold, self._silent)

    def keep(self, hold: Hold) -> bool:
        """Hold a slot of each key whatever the limits, unless one was released lately."""
        if self.is_released(hold):
            return False
        self._prolong(hold)
        return True

    def queue(self, hold: Hold) -> bool:
        """The same for a fire that does not run, which is no fact: the limits hold."""
        return not self.is_released(hold) and self._take(hold, self._hears_of_runs_alone)

    def release(self, hold: Hold) -> None:
        """Leave tombstones in the place of what was held."""
        for key in keys_of([hold]):
            self._put(key, hold.fire, Slot(self._now + hold.lease, released=True))

    def is_released(self, hold: Hold) -> bool:
        """Whether a slot of the hold was released less than a lease ago."""
        return any(
            slot.released and slot.until > self._now
            for key in keys_of([hold])
            if (slot := self._slots.get((key, hold.fire)))
        )

    def write(self, conn: Connection) -> None:
        """Write what changed, and delete what is over."""
        changed = {at: slot for at, slot in self._slots.items() if self._there.get(at) != slot}
        rows = [_row(*at, changed[at]) for at in sorted(changed)]
        known = [row for row in rows if (row["key"], row["fire"]) in self._there]
        new = [row for row in rows if (row["key"], row["fire"]) not in self._there]
        update_rows(conn, slots, ("key", "fire"), known)
        insert_rows(conn, slots, new)
        if self._littered:
            _delete_over(conn, self._littered, self._now)

    def _take(self, hold: Hold, silent: bool) -> bool:
        for key, most in ((stored(key), most) for key, most in hold.limits):
            mine = self._is_held(key, hold.fire)
            if (silent and not mine) or self._held[key] - mine >= most:
                return False
        self._prolong(hold)
        return True

    def _prolong(self, hold: Hold) -> None:
        until = self._now + hold.lease
        for key in keys_of([hold]):
            known = self._slots.get((key, hold.fire))
            later = max(until, known.until) if known and not known.released else until
            self._put(key, hold.fire, Slot(later, released=False))

    def _put(self, key: str, fire: str, slot: Slot) -> None:
        self._held[key] -= self._is_held(key, fire)
        self._slots[key, fire] = slot
        self._held[key] += self._is_held(key, fire)

    def _is_held(self, key: str, fire: str) -> bool:
        slot = self._slots.get((key, fire))
        return slot is not None and not slot.released and slot.until > self._now


def holders(conn: Connection, keys: Iterable[str], now: datetime) -> dict[str, list[Holder]]:
    """Who holds each key that anybody holds, whose lease ends first coming first."""
    query = sa.select(slots).where(slots.c.key.in_(sorted(set(keys))), _is_held(now))
    found: dict[str, list[Holder]] = {}
    for row in conn.execute(query.order_by(slots.c.until_at, slots.c.fire)):
        found.setdefault(row.key, []).append(Holder(row.fire, row.until_at))
    return found


def counts(conn: Connection, keys: Iterable[str], now: datetime) -> dict[str, Count]:
    """How many hold each of *keys* that has any row."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    held = sa.func.sum(sa.case((_is_held(now), 1), else_=0))
    over = sa.func.sum(sa.case((slots.c.until_at <= now, 1), else_=0))
    query = sa.select(slots.c.key, held, over).where(slots.c.key.in_(wanted))
    rows = conn.execute(query.group_by(slots.c.key))
    return {key: Count(int(held), int(over)) for key, held, over in rows}


def prune(conn: Connection, now: datetime, limit: int) -> None:
    """Delete what is over of at most *limit* keys, and the keys of which nothing is left."""
    over = sa.select(slots.c.key).where(slots.c.until_at <= now).distinct().limit(limit)
    keys = conn.execute(over).scalars().all()
    if keys:
        lock(conn, keys)
        _delete_over(conn, keys, now)
        used = sa.select(slots.c.key).where(slots.c.key.in_(keys)).distinct()
        unused = set(keys) - set(conn.execute(used).scalars())
        conn.execute(sa.delete(slot_keys).where(slot_keys.c.key.in_(unused)))


def _own(conn: Connection, holds: Sequence[Hold]) -> dict[tuple[str, str], Slot]:
    """What the fires of these holds have, by key and fire."""
    fires = sorted({hold.fire for hold in holds if hold.limits})
    if not fires:
        return {}
    rows = conn.execute(sa.select(slots).where(slots.c.fire.in_(fires)))
    return {(row.key, row.fire): Slot(row.until_at, row.released) for row in rows}


def _is_held(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(slots.c.until_at > now, slots.c.released.is_(sa.false()))


def _delete_over(conn: Connection, keys: Iterable[str], now: datetime) -> None:
    conn.execute(sa.delete(slots).where(slots.c.key.in_(list(keys)), slots.c.until_at <= now))


def _row(key: str, fire: str, slot: Slot) -> dict[str, Any]:
    return {"key": key, "fire": fire, "until_at": slot.until, "released": slot.released}
