"""The contract of claiming and planning, the same on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from celery_jobsched.store import claims, jobs, meta, pages, planning, replan, schema, tables
from celery_jobsched.store.pages import Claimant, Claimed, Window
from tests.records import Records

BEAT = Claimant("a beat")
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def now_of(records: Records) -> datetime:
    with records.engine.connect() as conn:
        return pages.poll(conn).now


def plan(records: Records, since: datetime | None = None, limit: int = 100) -> Claimed:
    now = now_of(records)
    with records.engine.begin() as conn:
        return planning.plan_edited(conn, now, since or now, limit, BEAT)


def claim(records: Records, limit: int = 100, at: datetime | None = None) -> Claimed:
    with records.engine.begin() as conn:
        return claims.claim_due(conn, at or pages.poll(conn).now, limit, BEAT)


def whole_second(records: Records) -> datetime:
    return now_of(records).replace(microsecond=0)


def test_the_poll_tells_the_time_and_that_there_is_nothing_to_do(records: Records) -> None:
    with records.engine.connect() as conn:
        look = pages.poll(conn)

    assert abs(look.now - datetime.now(timezone.utc)) < 5 * SECOND
    assert (look.next_wake_at, look.next_ready_at, look.has_edited) == (None, None, False)


def test_a_new_row_is_edited_then_planned_then_due(records: Records) -> None:
    made_at = whole_second(records)
    records.add("a", every="1 hour", created_at=made_at)
    with records.engine.connect() as conn:
        assert pages.poll(conn).has_edited

    planned = plan(records)

    assert (planned.rows, planned.deliveries) == (1, [])
    assert records.job("a")["next_fire_at"] == made_at
    with records.engine.connect() as conn:
        look = pages.poll(conn)
    assert (look.has_edited, look.next_wake_at) == (False, made_at)


def test_an_instant_that_was_just_written_is_owed_unless_the_job_repeats(records: Records) -> None:
    records.add("alone", once="2040-01-01T00:00:00Z")
    records.add("repeats", once="2040-01-01T00:00:00Z", rrule="FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1")
    plan(records)
    written = whole_second(records) - SECOND
    for name in ("alone", "repeats"):
        records.edit(name, once=written.isoformat())

    plan(records)

    assert records.job("alone")["next_fire_at"] == written
    assert records.job("repeats")["next_fire_at"] > written


def test_a_date_that_mariadb_alone_has_spoils_its_own_row(mysql_url: str) -> None:
    with Records(mysql_url) as records:
        schema.prepare(records.engine, True)
        for name in ("bad", "good"):
            records.add(name, every="1 hour")
        with records.engine.begin() as conn:
            conn.exec_driver_sql("SET SESSION sql_mode = ''")
            conn.exec_driver_sql("UPDATE jobsched_jobs SET starts_at = 0 WHERE name = 'bad'")
            conn.exec_driver_sql("SET SESSION sql_mode = DEFAULT")

        planned = plan(records)

        assert [(error.job, error.field) for error in planned.broken] == [("bad", "starts_at")]
        assert records.job("good")["next_fire_at"] is not None


def test_claiming_writes_a_pending_fire_and_moves_the_job_on(records: Records) -> None:
    made_at = whole_second(records)
    records.add("a", every="1 hour", created_at=made_at, args="[1]", kwargs='{"k": "ü"}')
    plan(records)

    claimed = claim(records)

    (delivery,) = claimed.deliveries
    (row,) = records.fires()
    job = records.job("a")
    assert (row["state"], row["beat"], row["fire_at"]) == ("pending", "a beat", made_at)
    assert (row["id"], row["publishes"]) == (delivery.fire.id, 1)
    assert now_of(records) < row["ready_at"] <= now_of(records) + 2 * SECOND
    assert delivery.job is not None
    assert (delivery.job.args, delivery.job.kwargs) == ([1], {"k": "ü"})
    assert job["next_fire_at"] == job["due_at"] == made_at + HOUR
    assert (job["last_fire_at"], job["fire_count"]) == (made_at, 1)
    assert claim(records).rows == 0


def test_a_page_limit_counts_fires_and_the_rest_stays_due(records: Records) -> None:
    made_at = whole_second(records) - 45 * MINUTE
    for name in "abc":
        records.add(name, every="10 minutes", misfire="all", created_at=made_at)
    plan(records)

    first, second, third = (claim(records, limit=6) for _ in range(3))

    assert [len(each.deliveries) for each in (first, second, third)] == [10, 5, 0]
    assert len({(row["job_id"], row["key"]) for row in records.fires()}) == 15


def test_the_rows_of_a_round_are_all_looked_at_beside_what_came_due_since(records: Records) -> None:
    made_at = whole_second(records)
    for name in "abcdefgh":
        records.add(name, every="1 hour", created_at=made_at - (name < "e") * SECOND)
    plan(records)
    older = [records.job(name)["id"] for name in "abcd"]
    window = Window(made_at - SECOND / 2, older)

    with records.engine.begin() as conn:
        claimed = claims.claim_due(conn, pages.poll(conn).now, 4, BEAT, window)

    assert [delivery.fire.job_name for delivery in claimed.deliveries[:2]] == ["e", "f"]
    assert len(claimed.deliveries) == 4
    assert claimed.left_from == made_at - SECOND


def test_an_instant_that_is_taken_already_does_not_spoil_the_page(records: Records) -> None:
    made_at = whole_second(records)
    for name in "abc":
        records.add(name, every="1 hour", created_at=made_at)
    plan(records)
    claim(records)
    records.edit("b", next_fire_at=made_at, due_at=made_at, last_fire_at=None)
    records.edit("c", next_fire_at=made_at - HOUR, due_at=made_at - MINUTE, last_fire_at=None)
    records.run(sa.delete(tables.fires).where(tables.fires.c.job_name == "c"))

    claimed = claim(records)

    assert {each.fire.job_name for each in claimed.deliveries} == {"c"}
    assert [row["state"] for row in records.fires("b")] == ["pending"]
    assert records.job("b")["next_fire_at"] == made_at + HOUR


def test_beats_that_claim_at_once_never_claim_the_same(records: Records) -> None:
    made_at = whole_second(records)
    rows = [
        {"name": f"j{n}", "task": "t", "every": "1 hour", "created_at": made_at} for n in range(300)
    ]
    records.run(sa.insert(tables.jobs), rows)
    plan(records, limit=300)

    def take_all(_: int) -> list[str]:
        found: list[str] = []
        while (claimed := claim(records, limit=10)).rows or not everything_is_claimed():
            found += [each.fire.job_name for each in claimed.deliveries]
        return found

    def everything_is_claimed() -> bool:
        return all(row["last_fire_at"] for row in records.jobs().values())

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(take_all, range(3)))

    assert sorted(name for share in shares for name in share) == sorted(row["name"] for row in rows)
    assert len(records.fires()) == 300


def test_an_edit_of_the_schedule_counts_from_the_moment_it_was_found(records: Records) -> None:
    since = whole_second(records)
    records.add("a", every="1 hour", created_at=since - 90 * MINUTE)
    plan(records)
    claim(records)

    records.edit("a", every="20 minutes")
    plan(records, since)

    assert records.job("a")["next_fire_at"] == since + 10 * MINUTE
    (change,) = records._rows(sa.select(tables.changes))
    assert "every=1 hour\n" in change["was"]
    assert "every=20 minutes\n" in change["became"]


def test_an_edit_that_leaves_the_schedule_keeps_what_is_due(records: Records) -> None:
    made_at = whole_second(records) - MINUTE
    records.add("a", every="1 hour", created_at=made_at, misfire_grace_time=120)
    plan(records)

    records.edit("a", misfire="skip")
    plan(records)

    assert records.job("a")["next_fire_at"] == made_at
    assert [each.fire.fire_at for each in claim(records).deliveries] == [made_at]


@pytest.mark.parametrize(
    ("column", "bad", "good"),
    [
        ("cron", "61 * * * *", "1 * * * *"),
        ("timezone", "Europe/Atlantis", "Europe/Berlin"),
        ("misfire", "never", "once"),
        ("options", '{"countdown": 3}', '{"priority": 3}'),
        ("max_fires", 0, 3),
    ],
)
def test_a_row_that_cannot_be_read_says_why_and_is_mended_by_an_edit(
    records: Records, column: str, bad: Any, good: Any
) -> None:
    records.add("good", cron="* * * * *")
    records.add("bad", **{"cron": "* * * * *", column: bad})

    planned = plan(records)

    assert [(error.job, error.field) for error in planned.broken] == [("bad", column)]
    assert records.job("bad")["error"].startswith(f"{column}: expected")
    assert (records.job("bad")["next_fire_at"], plan(records).rows) == (None, 0)
    assert records.job("good")["next_fire_at"] is not None

    records.edit("bad", **{column: good})
    assert plan(records).broken == []
    assert records.job("bad")["error"] is None
    assert records.job("bad")["next_fire_at"] is not None


def test_a_pause_with_an_end_wakes_by_itself_and_fires_nothing_for_its_time(
    records: Records,
) -> None:
    now = whole_second(records)
    records.add("a", every="1 hour", created_at=now - 3 * HOUR - MINUTE)
    records.edit("a", enabled=False, paused_until=now - SECOND, paused_by="me")
    plan(records)

    assert claim(records).deliveries == []
    plan(records)

    job = records.job("a")
    assert (job["enabled"], job["paused_until"], job["paused_by"]) == (True, None, None)
    assert job["next_fire_at"] == now + 59 * MINUTE
    assert records.fires() == []


def test_a_pause_that_ends_wakes_no_row_that_cannot_be_read_until_it_is_mended(
    records: Records,
) -> None:
    now = whole_second(records)
    records.add("a", cron="never", enabled=False, paused_until=now - HOUR)
    plan(records)

    assert (claim(records).rows, plan(records).rows) == (0, 0)

    records.edit("a", cron="0 0 1 1 *")
    plan(records)
    claim(records)
    plan(records)
    assert (records.job("a")["enabled"], records.job("a")["error"]) == (True, None)


def test_the_end_of_a_former_pause_does_not_undo_that_a_row_is_disabled(records: Records) -> None:
    now = whole_second(records)
    records.add("a", every="1 hour", paused_until=now - HOUR)
    plan(records)

    records.edit("a", enabled=False)
    plan(records)
    plan(records)
    claim(records)

    job = records.job("a")
    assert (job["enabled"], job["paused_until"], job["next_fire_at"]) == (False, None, None)
    assert plan(records).rows == 0


def test_a_pause_ends_at_its_instant_whatever_offset_it_is_written_with(sqlite_url: str) -> None:
    with Records(sqlite_url) as records:
        schema.prepare(records.engine, True)
        now = whole_second(records)
        for name, ends_at in (("over", now - HOUR), ("on", now + HOUR)):
            for hours in (-5, 0, 9):
                there = ends_at.astimezone(timezone(hours * HOUR))
                text = f"'{there.isoformat()}'"
                records.add(f"{name} {hours}", every="1 hour", enabled=False)
                records.run(
                    sa.text(
                        f"UPDATE jobsched_jobs SET paused_until = {text} "
                        f"WHERE name = '{name} {hours}'"
                    )
                )
        plan(records)
        claim(records)

        enabled = {name for name, job in records.jobs().items() if job["enabled"]}

    assert enabled == {"over -5", "over 0", "over 9"}


def test_a_row_that_was_made_at_the_epoch_is_planned_once(records: Records) -> None:
    records.add("a", every="1 day", created_at=datetime(1970, 1, 1, tzinfo=timezone.utc))
    plan(records)

    assert plan(records).rows == 0
    assert len(claim(records).deliveries) == 1


def test_mending_the_name_of_a_row_mends_it(records: Records) -> None:
    records.add("a\nb", every="1 hour")
    assert [error.field for error in plan(records).broken] == ["name"]

    records.run(sa.update(tables.jobs).values(name="a"))
    plan(records)

    assert records.job("a")["error"] is None


def test_large_arguments_of_rows_that_cannot_be_read_hold_back_no_others(
    records: Records,
) -> None:
    for n in range(20):
        records.add(f"broken {n}", cron="never", args=f'["{"x" * 2**20}"]')
    records.add("a", every="1 hour")

    plan(records)

    assert records.job("a")["planned"]
    assert plan(records).rows == 0


def test_another_planner_plans_all_anew_and_keeps_what_is_due(records: Records) -> None:
    now = whole_second(records)
    for name in ("due", "ahead", "soon"):
        records.add(name, every="1 hour", created_at=now - 30 * MINUTE)
    plan(records)
    claim(records)
    wrong = {"due": now - SECOND, "ahead": now + 5 * HOUR, "soon": now + 10 * SECOND}
    for name, at in wrong.items():
        records.edit(name, next_fire_at=at, due_at=at)
    with records.engine.begin() as conn:
        assert replan.needed(conn, "UTC") is None
        meta.note(conn, "planned_by", "an older planner")

    with records.engine.begin() as conn:
        after = replan.needed(conn, "UTC")
        assert after == 0
        while after is not None:
            after = replan.next_page(conn, after, "UTC")
        assert replan.needed(conn, "UTC") is None
    planned = plan(records, since=now)

    following = {name: row["next_fire_at"] for name, row in records.jobs().items()}
    assert planned.rows == 2
    assert following == {
        "due": now - SECOND,
        "ahead": now + 30 * MINUTE,
        "soon": now + 30 * MINUTE,
    }


@pytest.mark.parametrize("jitter", [None, 600])
def test_what_comes_due_while_all_is_planned_anew_is_not_lost(
    records: Records, jitter: int | None
) -> None:
    fire_at = whole_second(records) + 30 * SECOND
    records.add("a", every="1 hour", created_at=fire_at - HOUR, jitter=jitter)
    plan(records, since=fire_at - MINUTE)
    records.edit("a", next_fire_at=fire_at, due_at=fire_at, last_fire_at=fire_at - HOUR)

    with records.engine.begin() as conn:
        jobs.wake_page(conn, 0, 100)
    plan(records, since=fire_at + SECOND)

    assert records.job("a")["next_fire_at"] == fire_at


def test_an_id_is_never_used_again(records: Records) -> None:
    records.add("first", once="2030-01-01")
    first = records.job("first")["id"]
    records.run(sa.delete(tables.jobs))

    records.add("second", once="2030-01-01")

    assert records.job("second")["id"] > first


def test_a_yes_that_is_only_text_is_refused_by_the_database(sqlite_url: str) -> None:
    with Records(sqlite_url) as records:
        schema.prepare(records.engine, True)

        with pytest.raises(DatabaseError, match="jobsched_jobs_enabled"):
            records.run(
                sa.text("INSERT INTO jobsched_jobs (name, task, enabled) VALUES ('a', 't', 'true')")
            )


def test_polling_and_claiming_are_compiled_once(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    records.add("a", every="1 second", created_at=whole_second(records) - SECOND)
    plan(records)
    claim(records)

    with caplog.at_level("INFO", logger="sqlalchemy.engine.Engine"):
        claim(records, at=now_of(records) + 2 * SECOND)

    uncached = [said for said, note in pairwise(caplog.messages) if note.startswith("[no key")]
    assert [said for said in uncached if "SAVEPOINT" not in said] == []
