"""The contract of the fires' table, the meta table and the bulk forms, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched.errors import EnvironmentMismatch, JobExistError, JobNotFound
from celery_jobsched.fire import Fire, Origin, clock_key, new_id
from celery_jobsched.job import Job
from celery_jobsched.overlap import Verdict
from celery_jobsched.plan import Missed
from celery_jobsched.store import ends, fires, jobs, meta, skips, tables
from celery_jobsched.store.bulk import insert_rows, update_rows
from celery_jobsched.store.texts import begins_with
from tests.records import Records

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
#: How long a beat owns what it claimed.
OWNED = timedelta(seconds=1.5)
AWKWARD = 'it\'s "quoted", 50 % \\ back\\n, :colon, ünï→🦊\nand a second line'


def fire(n: int, job_id: int = 1) -> Fire:
    at = NOW + n * SECOND
    return Fire(new_id(NOW), job_id, AWKWARD[:200], clock_key(at), at, at, Origin.SCHEDULE)


def write(records: Records, *new: Fire) -> set[str]:
    with records.engine.begin() as conn:
        return fires.insert_pending(conn, new, "a beat", NOW)


def states(records: Records) -> dict[str, str]:
    return {row["id"]: row["state"] for row in records.fires()}


def test_pending_fires_are_owned_by_their_beat_for_a_while(records: Records) -> None:
    one, two = fire(1), fire(2)

    written = write(records, one, two)

    rows = records.fires()
    assert written == {one.id, two.id}
    assert [(row["id"], row["state"], row["fire_at"]) for row in rows] == [
        (one.id, "pending", one.fire_at),
        (two.id, "pending", two.fire_at),
    ]
    assert {(row["job_name"], row["beat"]) for row in rows} == {(one.job_name, "a beat")}
    assert {row["ready_at"] for row in rows} == {NOW + OWNED}


def test_a_fire_that_is_there_does_not_spoil_its_batch(records: Records) -> None:
    first = fire(1)
    write(records, first)
    same_again, other_job, later = fire(1), fire(1, job_id=2), fire(2)

    written = write(records, same_again, other_job, later)

    assert written == {other_job.id, later.id}
    assert set(states(records)) == {first.id, other_job.id, later.id}


def test_missed_instants_are_one_row_and_twice_the_same_is_once(records: Records) -> None:
    job = Job.from_dict("j", {"task": "t", "every": "1 second", "misfire": "skip"})
    job = replace(job, id=7)
    long_ago, lately = Missed(NOW - HOUR, NOW, 3601), Missed(NOW - SECOND, NOW, None)

    for found in ([(job, long_ago)], [(job, long_ago), (job, lately)]):
        with records.engine.begin() as conn:
            fires.insert_missed(conn, found, "a beat", NOW)

    rows = records.fires("j")
    assert [(row["fire_at"], row["until_at"], row["count"]) for row in rows] == [
        (NOW - HOUR, NOW, 3601),
        (NOW - SECOND, NOW, None),
    ]
    assert {(row["state"], row["reason"]) for row in rows} == {("missed", "late: misfire = skip")}
    assert {row["ready_at"] for row in rows} == {None}


def test_only_what_nobody_owns_any_more_is_taken_over(records: Records) -> None:
    mine = fire(1)
    write(records, mine)

    with records.engine.begin() as conn:
        early = fires.take_ready(conn, NOW + SECOND, 10, "UTC")
        taken = fires.take_ready(conn, NOW + 3 * SECOND, 10, "UTC")
        again = fires.take_ready(conn, NOW + 4 * SECOND, 10, "UTC")

    (delivery,) = taken
    assert (early, again) == ([], [])
    assert (delivery.fire.id, delivery.fire.publishes, delivery.job) == (mine.id, 2, None)
    assert delivery.fire.fire_at == mine.fire_at
    assert records.fires()[0]["ready_at"] == NOW + 3 * SECOND + OWNED


def test_what_is_taken_over_comes_with_its_job_as_it_is_now(records: Records) -> None:
    records.add("a", every="1 hour", args='["now"]')
    records.add("broken", every="1 hour", args="{}")
    ids = {name: row["id"] for name, row in records.jobs().items()}
    write(records, fire(1, ids["a"]), fire(2, ids["broken"]))

    with records.engine.begin() as conn:
        taken = {each.fire.job_id: each for each in fires.take_ready(conn, NOW + HOUR, 10, "UTC")}
    good, bad = taken[ids["a"]], taken[ids["broken"]]

    assert good.job is not None
    assert (good.job.args, good.problem) == (["now"], None)
    assert bad.job is None
    assert (bad.problem or "").startswith("args: expected")


def test_beats_that_take_over_at_once_never_take_the_same(records: Records) -> None:
    new = [fire(n) for n in range(200)]
    write(records, *new)

    def take_all(_: int) -> list[str]:
        found: list[str] = []
        for _ in range(40):
            with records.engine.begin() as conn:
                taken = fires.take_ready(conn, NOW + HOUR, 10, "UTC")
            found += [each.fire.id for each in taken]
        return found

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(take_all, range(3)))

    taken = [id_ for share in shares for id_ in share]
    assert sorted(taken) == sorted(each.id for each in new)


def test_a_record_that_cannot_be_read_fails_alone(records: Records) -> None:
    write(records, fire(1), fire(2))
    bad = fire(1).key
    records.run(sa.update(tables.fires).where(tables.fires.c.key == bad).values(origin="the moon"))

    with records.engine.begin() as conn:
        taken = fires.take_ready(conn, NOW + HOUR, 10, "UTC")

    ((broken, problem),) = [(each.fire.id, each.problem) for each in taken if each.problem]
    assert "moon" in problem
    with records.engine.begin() as conn:
        ends.fail(conn, [(broken, "a NUL \0 and half a character \ud800")], NOW, "UTC")
    assert [row["state"] for row in records.fires()] == ["failed", "pending"]


def test_what_became_of_fires_is_marked_once_and_never_undone(records: Records) -> None:
    sent, failed, cancelled, left = (fire(n) for n in range(4))
    write(records, sent, failed, cancelled, left)

    with records.engine.begin() as conn:
        fires.mark_sent(conn, [sent.id])
        ends.fail(conn, [(failed.id, AWKWARD), (sent.id, "too late")], NOW, "UTC")
        fires.mark_cancelled(conn, [cancelled.id, failed.id], "gone")
        fires.put_back(conn, [left.id, sent.id], NOW + OWNED, NOW + HOUR)
        fires.mark_sent(conn, [])

    rows = {row["id"]: row for row in records.fires()}
    assert states(records) == {
        sent.id: "sent",
        failed.id: "failed",
        cancelled.id: "cancelled",
        left.id: "pending",
    }
    assert {id_: row["ready_at"] for id_, row in rows.items() if row["ready_at"]} == {
        left.id: NOW + HOUR
    }
    assert (rows[failed.id]["error"], rows[cancelled.id]["reason"]) == (AWKWARD, "gone")
    assert rows[sent.id]["sent_at"] is not None
    assert rows[sent.id]["error"] is None


def test_what_was_taken_and_not_published_is_as_it_was_before(records: Records) -> None:
    mine, theirs, sent = (fire(n) for n in range(3))
    write(records, mine, theirs, sent)
    with records.engine.begin() as conn:
        fires.mark_sent(conn, [sent.id])
        records_of = [mine.id, theirs.id, sent.id]
        conn.execute(
            sa.update(tables.fires)
            .where(tables.fires.c.id == theirs.id)
            .values(ready_at=NOW + HOUR, publishes=2)
        )
        fires.give_back(conn, records_of, NOW + OWNED, NOW)

    rows = {row["id"]: row for row in records.fires()}
    assert (rows[mine.id]["publishes"], rows[mine.id]["ready_at"]) == (0, NOW)
    assert (rows[theirs.id]["publishes"], rows[theirs.id]["ready_at"]) == (2, NOW + HOUR)
    assert (rows[sent.id]["publishes"], rows[sent.id]["state"]) == (1, "sent")


def test_what_is_given_back_twice_counts_once(records: Records) -> None:
    # The commit of the first time came to nothing, as far as the beat could see.
    left, silent = fire(1), fire(2)
    write(records, left, silent)

    for _ in range(2):
        with records.engine.begin() as conn:
            fires.give_back(conn, [left.id], NOW + OWNED, NOW)
            skips.settle(conn, Verdict(left=[silent.id]), NOW + OWNED, NOW + SECOND)

    assert [(row["ready_at"], row["publishes"]) for row in records.fires()] == [
        (NOW, 0),
        (NOW + SECOND, 0),
    ]


def test_what_another_beat_took_is_not_put_back(records: Records) -> None:
    lost = fire(1)
    write(records, lost)

    with records.engine.begin() as conn:
        fires.take_ready(conn, NOW + 3 * SECOND, 10, "UTC")
        fires.put_back(conn, [lost.id], NOW + OWNED, NOW + HOUR)

    assert [row["ready_at"] for row in records.fires()] == [NOW + 3 * SECOND + OWNED]


def test_bulk_forms_carry_every_kind_of_value(records: Records) -> None:
    columns = ("id", "job_id", "job_name", "key", "fire_at", "origin", "state")
    base = dict(zip(columns, ("", 1, "j", "", NOW, "manual", "pending"), strict=True))
    rows: list[dict[str, Any]] = [
        {
            **base, "id": f"{n}", "key": f"{n}", "error": text, "until_at": at, "count": count,
            "args": args,
        }
        for n, (text, at, count, args) in enumerate(
            [
                (AWKWARD, NOW, 2**40, f'["{"ü" * 3}", null]'),
                (None, None, None, None),
                ("", NOW.replace(microsecond=0), 0, "[]"),
            ]
        )
    ]  # fmt: skip
    changes = [
        {"id": "0", "error": None, "until_at": None, "count": None},
        {"id": "1", "error": AWKWARD, "until_at": NOW, "count": -(2**40)},
        {"id": "nobody", "error": "x", "until_at": NOW, "count": 1},
    ]

    with records.engine.begin() as conn:
        insert_rows(conn, tables.fires, rows)
    before = {row["id"]: row for row in records.fires()}
    with records.engine.begin() as conn:
        found = update_rows(conn, tables.fires, ("id",), changes)
        insert_rows(conn, tables.fires, [])
        assert update_rows(conn, tables.fires, ("id",), []) == 0
    after = {row["id"]: row for row in records.fires()}

    shown = ("error", "until_at", "count")
    for row in rows:
        assert [before[row["id"]][name] for name in (*shown, "args")] == [
            row[name] for name in (*shown, "args")
        ]
    assert found == 2
    for change in changes[:2]:
        assert [after[change["id"]][name] for name in shown] == [change[name] for name in shown]
    assert after["2"] == before["2"]


def test_numbers_with_a_fraction_survive_a_bulk_update(records: Records) -> None:
    records.add("a", every="1 hour")
    id_ = records.job("a")["id"]

    with records.engine.begin() as conn:
        update_rows(conn, tables.jobs, ("id",), [{"id": id_, "jitter": 0.1, "planned": AWKWARD}])

    assert (records.job("a")["jitter"], records.job("a")["planned"]) == (0.1, AWKWARD)


def test_truth_survives_a_bulk_update(records: Records) -> None:
    records.add("a", every="1 hour")
    id_ = records.job("a")["id"]

    with records.engine.begin() as conn:
        update_rows(conn, tables.jobs, ("id",), [{"id": id_, "enabled": False}])
    disabled = records.job("a")["enabled"]
    with records.engine.begin() as conn:
        update_rows(conn, tables.jobs, ("id",), [{"id": id_, "enabled": True}])

    assert (disabled, records.job("a")["enabled"]) == (False, True)


@pytest.mark.parametrize(
    ("text", "beginning", "expected"),
    [
        ("every=1 hour\nenabled=1\n", "every=1 hour\n", True),
        ("every=1 hour\n", "every=1 hour\nenabled=1\n", False),
        ("every=1 hour", "1 hour", False),
        ("every=1 hour", "every_1%", False),
        ("", "every=1 hour", False),
    ],
)
def test_a_text_begins_with_another_letter_by_letter(
    records: Records, text: str, beginning: str, expected: bool
) -> None:
    with records.engine.connect() as conn:
        found = conn.execute(sa.select(begins_with(sa.literal(text), sa.literal(beginning))))

        assert found.scalar_one() is expected


def test_the_first_environment_owns_the_database(records: Records) -> None:
    with records.engine.begin() as conn:
        meta.check_environment(conn, None)
        meta.check_environment(conn, "production")
        meta.check_environment(conn, "production")

        with pytest.raises(EnvironmentMismatch, match=r"'production'.*'staging'"):
            meta.check_environment(conn, "staging")
        with pytest.raises(EnvironmentMismatch, match=r"'production', this beat names none"):
            meta.check_environment(conn, None)


def test_what_is_remembered_stays_and_what_is_noted_changes(records: Records) -> None:
    with records.engine.begin() as conn:
        assert meta.remember(conn, "k", "one") == "one"
        assert meta.remember(conn, "k", "two") == "one"
        meta.note(conn, "k", "three")
        meta.note(conn, "k", "three")
        meta.note(conn, "other", "four")

    assert records.meta() == {"k": "three", "other": "four"}


def test_beats_not_seen_for_a_day_are_forgotten_when_one_comes(records: Records) -> None:
    with records.engine.begin() as conn:
        meta.seen(conn, meta.Sign("old", "host", NOW), NOW)
        meta.seen(conn, meta.Sign("young", "host", NOW), NOW + 2 * HOUR)
        meta.seen(conn, meta.Sign("new", "host", NOW), NOW + 25 * HOUR)
        assert [row["id"] for row in meta.living(conn)] == ["new", "young"]
        meta.gone(conn, "young")
        assert [row["id"] for row in meta.living(conn)] == ["new"]


def test_definitions_are_written_read_replaced_and_deleted(records: Records) -> None:
    job = Job.from_dict(
        AWKWARD[:20], {"task": "t", "every": "1 day", "at": "09:00", "args": [AWKWARD]}
    )
    other = Job.from_dict(job.name, {"task": "u", "cron": "* * * * *", "jitter": 1.5})

    with records.engine.begin() as conn:
        jobs.insert(conn, job, "api")
        with pytest.raises(JobExistError):
            jobs.insert(conn, job, "api")
        assert jobs.find(conn, job.name, "UTC") == job
        jobs.replace(conn, other)
        assert jobs.find(conn, job.name, "UTC") == other
        assert (jobs.has(conn, job.name), jobs.names(conn), jobs.count(conn)) == (
            True,
            [job.name],
            1,
        )
        jobs.delete(conn, job.name)
        for missing in (jobs.delete, lambda conn, name: jobs.find(conn, name, "UTC")):
            with pytest.raises(JobNotFound):
                missing(conn, job.name)
