"""Named calendars in the table: how jobs are planned with them, and woken when one is edited."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from celery_jobsched.store import calendars, claims, jobs, pages, planning, replan, schema, tables
from celery_jobsched.store.pages import Claimant, Claimed
from tests.records import Records
from tests.services import DATABASES, fresh_database

BEAT = Claimant("a beat")
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
#: The days from now on that a test is about, far enough ahead for no clock to matter.
NEVER = "2001-01-01"


def now_of(records: Records) -> datetime:
    with records.engine.connect() as conn:
        return pages.poll(conn).now


def midnight(records: Records) -> datetime:
    """The next but one: far enough not to come while a test runs."""
    return now_of(records).replace(hour=0, minute=0, second=0, microsecond=0) + 2 * DAY


def put(records: Records, **definitions: Any) -> None:
    """Write calendars as SQL would."""
    for name, definition in definitions.items():
        chosen = tables.calendars.c.name == name
        records.run(sa.delete(tables.calendars).where(chosen))
        records.run(sa.insert(tables.calendars).values(name=name, definition=definition))


def edit(records: Records, name: str, definition: str) -> None:
    chosen = sa.update(tables.calendars).where(tables.calendars.c.name == name)
    records.run(chosen.values(definition=definition))


def kept(records: Records) -> dict[str, Any]:
    return {row["name"]: row for row in records._rows(sa.select(tables.calendars))}


def is_edited(records: Records) -> bool:
    with records.engine.connect() as conn:
        return pages.poll(conn).has_edited_calendar


def plan(records: Records, limit: int = 2000) -> Claimed:
    now = now_of(records)
    with records.engine.begin() as conn:
        return planning.plan_edited(conn, now, now, limit, BEAT)


def claim(records: Records, at: datetime | None = None) -> Claimed:
    with records.engine.begin() as conn:
        return claims.claim_due(conn, at or pages.poll(conn).now, 100, BEAT)


def wake(records: Records) -> dict[Any, str]:
    """Wake what names edited calendars, as a beat does; what is wrong with them."""
    with records.engine.begin() as conn:
        edited = calendars.edited(conn)
    after: int | None = 0
    while after is not None:
        with records.engine.begin() as conn:
            after = replan.wake_named(conn, [each.name for each in edited], after)
    with records.engine.begin() as conn:
        return calendars.note(conn, edited)


def settle(records: Records) -> None:
    while is_edited(records):
        wake(records)
    plan(records)


def next_fire(records: Records, name: str) -> datetime:
    return records.job(name)["next_fire_at"]


@contextmanager
def queries(records: Records) -> Iterator[list[str]]:
    found: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(records.engine, "before_cursor_execute", note)
    yield found
    event.remove(records.engine, "before_cursor_execute", note)


def test_a_new_calendar_is_edited_until_its_jobs_were_woken(records: Records) -> None:
    assert not is_edited(records)

    put(records, holidays="12-25")
    assert is_edited(records)
    assert wake(records) == {}

    assert not is_edited(records)
    assert kept(records)["holidays"]["planned"] == "12-25"
    edit(records, "holidays", "12-26")
    assert is_edited(records)


def test_a_row_is_planned_with_the_calendars_that_it_names(records: Records) -> None:
    day = midnight(records)
    put(records, holidays=f"{day:%F}", shop="00:00-24:00")
    records.add("a", cron="0 0 * * *", not_during="holidays", only_during="shop",
                starts_at=day - HOUR)  # fmt: skip

    plan(records)

    assert records.job("a")["error"] is None
    assert next_fire(records, "a") == day + DAY


def test_a_page_that_names_no_calendar_costs_no_query_more(records: Records) -> None:
    put(records, holidays="12-25")
    for name in "abc":
        records.add(name, every="1 hour", only_during="mon-sun")
    with queries(records) as made:
        plan(records)
    assert not [query for query in made if "jobsched_calendars" in query and "wake_at" not in query]

    records.add("d", every="1 hour", not_during="holidays")
    records.add("e", every="1 hour", not_during="holidays; sat")
    with queries(records) as made:
        plan(records)
    found = [query for query in made if "FROM jobsched_calendars" in query]
    assert len([query for query in found if "wake_at" not in query]) == 1


def test_an_edited_calendar_plans_the_jobs_that_name_it_anew_and_no_others(
    records: Records,
) -> None:
    day = midnight(records)
    put(records, holidays=NEVER, bank_holidays=NEVER)
    columns = {"cron": "0 0 * * *", "starts_at": day}
    records.add("a", not_during="sat, sun; holidays", **columns)
    records.add("b", not_during="bank_holidays", **columns)
    records.add("c", **columns)
    records.add("d", not_during="mon-sun 10:00-11:00", **columns)
    settle(records)
    for name in "abcd":
        records.edit(name, next_fire_at=day - HOUR, due_at=day - HOUR)

    edit(records, "holidays", f"{day:%F}")
    settle(records)

    weekdays = [day + k * DAY for k in range(1, 4) if (day + k * DAY).weekday() < 5]
    found = {name: next_fire(records, name) for name in "abcd"}
    # The name of b's is a part of it: that b is planned anew, to the same, does no harm.
    assert found["a"] == weekdays[0]
    assert found["b"] == day
    assert (found["c"], found["d"]) == (day - HOUR, day - HOUR)


def test_what_is_due_when_a_calendar_is_edited_fires_if_it_is_still_allowed(
    records: Records,
) -> None:
    now = now_of(records).replace(microsecond=0)
    put(records, open=NEVER, closed=NEVER)
    for name in ("open", "closed"):
        records.add(name, every="1 hour", created_at=now - SECOND, not_during=name)
    settle(records)

    edit(records, "open", "2001-01-02")
    edit(records, "closed", f"{now - SECOND:%F}")
    settle(records)
    claimed = claim(records)

    assert [each.fire.job_name for each in claimed.deliveries] == ["open"]
    assert claimed.missed == []
    tomorrow = (now - SECOND).replace(hour=0, minute=0, second=0) + DAY
    assert next_fire(records, "closed") >= tomorrow
    assert records.fires("closed") == []


def test_an_edit_of_a_calendar_never_fires_for_the_past(records: Records) -> None:
    now = now_of(records)
    put(records, closed=f"{now:%F}, {now + DAY:%F}")
    records.add("a", every="1 second", created_at=now - HOUR, misfire="all", not_during="closed")
    settle(records)

    edit(records, "closed", NEVER)
    settle(records)

    assert next_fire(records, "a") >= now.replace(microsecond=0)


def test_a_job_that_names_what_is_missing_says_so_until_it_is_there(records: Records) -> None:
    records.add("a", every="1 hour", not_during="holidays")
    records.add("b", every="1 hour")

    planned = plan(records)

    assert [error.field for error in planned.broken] == ["not_during"]
    assert "there is none named holidays" in records.job("a")["error"]
    assert next_fire(records, "a") is None
    assert next_fire(records, "b") is not None

    put(records, holidays=NEVER)
    settle(records)
    assert records.job("a")["error"] is None
    assert next_fire(records, "a") is not None


def test_a_calendar_that_cannot_be_read_hurts_its_own_jobs_and_heals(records: Records) -> None:
    put(records, holidays="12-25", others="12-26")
    for name in ("holidays", "others"):
        records.add(name, every="1 hour", starts_at=midnight(records), not_during=name)
    settle(records)

    edit(records, "holidays", "12-32")
    said = wake(records)
    plan(records)

    assert said["holidays"].startswith("definition: expected dates that exist, not '12-32'")
    assert kept(records)["holidays"]["error"] == said["holidays"]
    assert "in the calendar holidays: dates that exist" in records.job("holidays")["error"]
    assert records.job("others")["error"] is None
    assert not is_edited(records)

    edit(records, "holidays", "12-31")
    settle(records)
    assert kept(records)["holidays"]["error"] is None
    assert records.job("holidays")["error"] is None


def test_a_job_whose_calendar_is_deleted_lacks_it_when_it_comes_due(records: Records) -> None:
    made_at = now_of(records).replace(microsecond=0)
    put(records, holidays=NEVER)
    records.add("a", every="1 hour", created_at=made_at, not_during="holidays")
    settle(records)

    records.run(sa.delete(tables.calendars))
    assert not is_edited(records)
    claimed = claim(records)

    assert [error.field for error in claimed.broken] == ["not_during"]
    assert "none named holidays" in records.job("a")["error"]
    assert records.fires("a") == []


def test_what_was_claimed_is_delivered_though_its_calendar_is_gone(records: Records) -> None:
    made_at = now_of(records).replace(microsecond=0)
    put(records, holidays=NEVER)
    records.add("a", every="1 hour", created_at=made_at, not_during="holidays")
    settle(records)
    claim(records)
    records.run(sa.delete(tables.calendars))

    id_ = records.job("a")["id"]
    with records.engine.begin() as conn:
        job = jobs.by_id(conn, [id_], "UTC")[id_]

    assert isinstance(job, jobs.Job)
    assert job.nominal(made_at) == made_at.replace(tzinfo=None)


def test_jobs_are_woken_in_pages_by_any_number_of_beats(records: Records) -> None:
    put(records, holidays=NEVER)
    columns = {"task": "t", "every": "1 hour", "starts_at": midnight(records)}
    rows = [{"name": f"j{n}", "not_during": "holidays" if n % 2 else None, **columns}
            for n in range(2400)]  # fmt: skip
    records.run(sa.insert(tables.jobs), rows)
    plan(records, 3000)
    edit(records, "holidays", "2001-01-02")

    pages_of_ids = []
    after: int | None = 0
    while after is not None:
        with records.engine.begin() as conn:
            after = replan.wake_named(conn, ["holidays"], after)
        pages_of_ids.append(after)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: wake(records), range(2)))

    awake = {name for name, row in records.jobs().items() if row["planned"] == jobs.WOKEN}
    assert len(pages_of_ids) == 3
    assert awake == {f"j{n}" for n in range(2400) if n % 2}
    assert not is_edited(records)


def test_what_is_edited_again_while_jobs_are_woken_is_not_noted(records: Records) -> None:
    put(records, holidays="12-25", others="12-26")
    with records.engine.begin() as conn:
        seen = calendars.edited(conn)

    edit(records, "holidays", "12-31")
    with records.engine.begin() as conn:
        calendars.note(conn, seen)

    assert is_edited(records)
    with records.engine.begin() as conn:
        assert [each.definition for each in calendars.edited(conn)] == ["12-31"]


@pytest.mark.parametrize("kind", [kind for kind in DATABASES if kind != "sqlite"])
def test_waking_waits_for_a_page_that_is_being_planned_with_the_old_calendar(
    kind: str, tmp_path: Any
) -> None:
    with fresh_database(kind, tmp_path) as url, Records(url) as records:
        schema.prepare(records.engine, True)
        day = midnight(records)
        put(records, holidays=NEVER)
        wake(records)
        records.add("a", cron="0 0 * * *", starts_at=day, not_during="holidays")
        now = now_of(records)

        with ThreadPoolExecutor(1) as pool, records.engine.begin() as conn:
            planning.plan_edited(conn, now, now, 10, BEAT)
            edit(records, "holidays", f"{day:%F}")
            waking = pool.submit(wake, records)
            with pytest.raises(TimeoutError):
                waking.result(timeout=0.3)
            conn.commit()
            waking.result(timeout=5)
        plan(records)

        assert next_fire(records, "a") == day + DAY


def test_the_jobs_of_a_configuration_get_its_calendars_and_others_keep_theirs(
    records: Records,
) -> None:
    put(records, mine="12-25", taken="12-26")

    def sync(**wanted: str) -> list[str]:
        with records.engine.begin() as conn:
            return calendars.sync(conn, "config:proj", wanted)

    assert sync(a="sat", b="sun", taken="mon") == ["taken"]
    wake(records)
    assert sync(a="sat", b="sun; mon") == []

    found = {name: (row["definition"], row["source"]) for name, row in kept(records).items()}
    assert found == {
        "mine": ("12-25", "sql"),
        "taken": ("12-26", "sql"),
        "a": ("sat", "config:proj"),
        "b": ("sun; mon", "config:proj"),
    }
    with records.engine.begin() as conn:
        assert [each.name for each in calendars.edited(conn)] == ["b"]
    assert sync() == []
    assert set(kept(records)) == {"mine", "taken"}


def test_whatever_stands_in_the_table_is_told_once_and_wakes_nobody_for_ever(
    sqlite_url: str,
) -> None:
    with Records(sqlite_url) as records:
        schema.prepare(records.engine, True)
        records.add("a", every="1 hour", not_during="holidays")
        insert = "INSERT INTO jobsched_calendars (name, definition) VALUES "
        records.run(sa.text(insert + "('holidays', CAST(x'ff31' AS TEXT))"))
        records.run(sa.text(insert + "(CAST(x'ff' AS TEXT), '12-25'), (x'00', x'00')"))
        records.run(sa.text(insert + "('mon', '12-25'), ('', '12-25'), ('a b', '12-25')"))

        said = wake(records)
        plan(records)

        assert len(said) == 6
        assert not is_edited(records)
        assert "in the calendar holidays: a text" in records.job("a")["error"]

        edit(records, "holidays", "12-25")
        settle(records)
        assert records.job("a")["error"] is None
