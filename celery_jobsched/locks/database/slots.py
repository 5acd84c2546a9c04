"""Slots in two tables: who holds which key, and a row a key to lock before its slots are counted.

Keys are locked in the database's order of them, so that no two calls wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    """The slots of some keys, which the caller has locked: changed here, written together."""

    def __init__(self, conn: Connection, keys: Iterable[str], moment: Moment) -> None:
        self._now = moment.now
        self._silent = bool(moment.silent_for)
        self._there = _read(conn, sorted(set(keys)))
        self._slots = dict(self._there)
        self._held = Counter(key for key, _ in self._slots if self._is_held(key, _))

    def take(self, hold: Hold, silent: bool | None = None) -> bool:
        """Hold a slot of each key, or none where one is missing; whether they are held."""
        silent = self._silent if silent is None else silent
        wanted = [(stored(key), most) for key, most in hold.limits]
        for key, most in wanted:
            if not self._is_held(key, hold.fire) and (silent or self._held[key] >= most):
                return False
        self._prolong(hold)
        return True

    def keep(self, hold: Hold) -> bool:
        """Hold a slot of each key whatever the limits, unless one was released lately."""
        if self.is_released(hold):
            return False
        self._prolong(hold)
        return True

    def queue(self, hold: Hold) -> bool:
        """The same for a fire that does not run: over a limit only where the memory was lost."""
        if self.is_released(hold):
            return False
        return self.keep(hold) if self._silent else self.take(hold)

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
        is_there = [(row["key"], row["fire"]) in self._there for row in rows]
        update_rows(conn, slots, ("key", "fire"), _chosen(rows, is_there, True))
        insert_rows(conn, slots, _chosen(rows, is_there, False))
        over = {key for (key, _), slot in self._slots.items() if slot.until <= self._now}
        if over:
            _delete_over(conn, over, self._now)

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
    found: dict[str, list[Holder]] = {}
    for (key, fire), slot in _read(conn, sorted(set(keys))).items():
        if not slot.released and slot.until > now:
            found.setdefault(key, []).append(Holder(fire, slot.until))
    return {key: sorted(held, key=lambda holder: holder.until) for key, held in found.items()}


def prune(conn: Connection, now: datetime, limit: int) -> None:
    """Delete what is over of at most *limit* keys."""
    over = sa.select(slots.c.key).where(slots.c.until_at <= now).distinct().limit(limit)
    keys = conn.execute(over).scalars().all()
    if keys:
        lock(conn, keys)
        _delete_over(conn, keys, now)


def _read(conn: Connection, keys: list[str]) -> dict[tuple[str, str], Slot]:
    if not keys:
        return {}
    rows = conn.execute(sa.select(slots).where(slots.c.key.in_(keys)))
    return {(key, fire): Slot(until, released) for key, fire, until, released in rows}


def _delete_over(conn: Connection, keys: Iterable[str], now: datetime) -> None:
    conn.execute(sa.delete(slots).where(slots.c.key.in_(list(keys)), slots.c.until_at <= now))


def _row(key: str, fire: str, slot: Slot) -> dict[str, Any]:
    return {"key": key, "fire": fire, "until_at": slot.until, "released": slot.released}


def _chosen(rows: list[dict[str, Any]], flags: list[bool], wanted: bool) -> list[dict[str, Any]]:
    return [row for row, flag in zip(rows, flags, strict=True) if flag is wanted]
