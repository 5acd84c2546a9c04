"""The contract of taking sent fires in hand to look after them, the same on every database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched.fire import FireState, new_id
from celery_jobsched.limits import NO_LIMIT, Limit, Rights
from celery_jobsched.store import fires, pages, schema, tables, watching
from celery_jobsched.store.watching import Watched
from tests.records import Records

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
RIGHTS = Rights((Limit("job a", 2),), 7 * SECOND)


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    with Records(database_url) as records:
        schema.prepare(records.engine, True)
        yield records


def look(records: Records) -> pages.Poll:
    with records.engine.connect() as conn:
        return pages.poll(conn)


def add(records: Records, key: str, check_at: datetime | None, **more: Any) -> str:
    now = look(records).now
    row = {
        "id": new_id(now),
        "job_id": 1,
        "job_name": "a",
        "key": key,
        "fire_at": now,
        "origin": "schedule",
        "state": "sent",
        "publishes": 1,
        "sent_at": now,
        "check_at": check_at,
    }
    records.run(sa.insert(tables.fires).values(row | more))
    return str(row["id"])


def take(records: Records, at: datetime, limit: int = 10) -> list[Watched]:
    with records.engine.begin() as conn:
        return watching.take_watched(conn, at, limit)


def row_of(records: Records, id_: str) -> Any:
    return next(row for row in records.fires() if row["id"] == id_)


def test_the_poll_tells_when_to_look_after_the_first_one(records: Records) -> None:
    now = look(records).now
    add(records, "none", None)
    add(records, "later", now + HOUR)
    assert look(records).next_check_at == now + HOUR

    add(records, "first", now)

    assert look(records).next_check_at == now


def test_who_takes_fires_has_them_in_hand_for_a_while(records: Records) -> None:
    now = look(records).now
    old = add(records, "old", now - HOUR, rights=RIGHTS.to_text(), task="other")
    young = add(records, "young", now, state="started", publishes=3)
    add(records, "later", now + HOUR)

    (first,) = take(records, now, limit=1)
    (second,) = take(records, now)

    until = now + watching.HELD_FOR
    assert (first.id, first.state, first.rights, first.task, first.held_until) == (
        old,
        FireState.SENT,
        RIGHTS,
        "other",
        until,
    )
    assert (second.id, second.state, second.publishes, second.rights) == (
        young,
        FireState.STARTED,
        3,
        NO_LIMIT,
    )
    assert take(records, now) == []
    assert [it.id for it in take(records, until)] == [old, young]


def test_whoever_was_taken_since_or_moved_is_not_held_any_more(records: Records) -> None:
    now = look(records).now
    ids = [add(records, key, now) for key in ("kept", "moved", "taken", "gone")]
    page = take(records, now)
    of = tables.fires.c.id
    change = sa.update(tables.fires)
    records.run(change.where(of == ids[1]).values(state="started"))
    records.run(change.where(of == ids[2]).values(check_at=now + HOUR))
    records.run(sa.delete(tables.fires).where(of == ids[3]))

    with records.engine.begin() as conn:
        held = watching.still_held(conn, page)

    assert held == {ids[0]}


def test_each_is_looked_at_again_at_its_own_instant_or_never(records: Records) -> None:
    now = look(records).now
    ids = [add(records, key, now) for key in ("soon", "never")]
    soon, never = take(records, now)

    with records.engine.begin() as conn:
        watching.look_again(conn, [(soon, now + SECOND), (never, None)])

    found = [row_of(records, id_)["check_at"] for id_ in ids]
    assert found == [now + SECOND, None]


def test_what_is_sent_again_is_delivered_with_a_word_that_earlier_copies_are_gone(
    records: Records,
) -> None:
    records.add("a")
    now = look(records).now
    job_id = records.job("a")["id"]
    id_ = add(records, "again", now, job_id=job_id, sent_at=now - HOUR)
    page = take(records, now)

    with records.engine.begin() as conn:
        watching.send_again(conn, page, now)

    assert look(records).next_check_at is None
    with records.engine.begin() as conn:
        (delivery,) = fires.take_ready(conn, now, 10, "UTC")
    assert (delivery.fire.id, delivery.fire.publishes) == (id_, 2)
    assert delivery.fire.copies_since == now


def test_a_row_that_cannot_be_read_is_let_go_alone(records: Records) -> None:
    now = look(records).now
    add(records, "odd", now, state="nonsense", rights="[", sent_at=None)
    add(records, "sound", now)

    odd, sound = sorted(take(records, now), key=lambda it: it.state is FireState.SENT)

    assert odd.state.is_final
    assert sound.state is FireState.SENT
