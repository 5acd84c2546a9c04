"""Pruning: by age, by count of each job, in small batches, by one beat at a time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched.fire import new_id
from celery_jobsched.store import meta, pruning, tables
from celery_jobsched.store.engine import database_now
from tests.records import Records, settle, ticking
from tests.stacks import fresh_stack

NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def write(
    records: Records, job: int, count: int, made_at: datetime = NOW - 2 * DAY, **columns: Any
) -> list[str]:
    """Records of *count* fires of a job, a second apart from each other; their ids."""
    rows = [
        {
            "id": new_id(made_at + n * SECOND),
            "job_id": job,
            "job_name": f"job {job}",
            "key": f"{made_at} {n}",
            "fire_at": made_at + n * SECOND,
            "origin": "schedule",
            "state": "succeeded",
            **columns,
        }
        for n in range(count)
    ]
    records.run(sa.insert(tables.fires), rows)
    return [row["id"] for row in rows]


def ids(records: Records, job: int) -> list[str]:
    return [row["id"] for row in records.fires(f"job {job}")]


def prune_all(records: Records, most: int, limit: int = 1000, before: datetime = NOW - DAY) -> int:
    """Go through all that there is; in how many batches."""
    reached, batches, has_more = "", 0, True
    while has_more:
        with records.engine.begin() as conn:
            pruned = pruning.prune_by_count(conn, most, before, reached, limit)
        assert pruned.deleted <= limit
        reached, has_more, batches = pruned.reached, pruned.has_more, batches + 1
    return batches


def test_what_is_kept_for_a_century_is_kept(records: Records) -> None:
    known = write(records, 1, 5)

    with records.engine.begin() as conn:
        deleted = pruning.prune_by_age(conn, NOW - 36500 * DAY, 3)

    assert (deleted, ids(records, 1)) == (0, known)


def test_finished_records_go_by_age_a_few_at_a_time(records: Records) -> None:
    write(records, 1, 5, NOW - HOUR)
    (still_open,) = write(records, 2, 1, NOW - HOUR, state="pending", ready_at=NOW)
    (young,) = write(records, 3, 1, NOW)

    with records.engine.begin() as conn:
        counts = [pruning.prune_by_age(conn, NOW - SECOND, 3) for _ in range(3)]

    assert counts == [3, 2, 0]
    assert {row["id"] for row in records.fires()} == {still_open, young}


def test_a_job_keeps_its_newest_records_and_a_few_more(records: Records) -> None:
    busy, quiet = write(records, 1, 500), write(records, 2, 99)

    prune_all(records, 100)

    kept = ids(records, 1)
    assert 100 <= len(kept) <= 200
    assert kept == busy[-len(kept) :]
    assert ids(records, 2) == quiet


def test_what_a_copy_may_be_queued_of_and_what_is_not_over_stays(records: Records) -> None:
    write(records, 1, 300, NOW - 3 * DAY)
    still_open = write(records, 1, 5, NOW - 2 * DAY, state="sent", check_at=NOW)
    young = write(records, 1, 300, NOW - HOUR)

    prune_all(records, 100)

    assert set(still_open + young) <= set(ids(records, 1))
    # The newest of the old ones may lie behind the last that was looked for.
    assert len(ids(records, 1)) < len(still_open + young) + 100


def test_each_batch_is_small_and_goes_on_where_the_last_one_ended(records: Records) -> None:
    for job in range(1, 31):
        write(records, job, 100)

    batches = prune_all(records, 10, limit=200)

    assert batches > 10
    assert max(Counter(row["job_id"] for row in records.fires()).values()) <= 60


def test_an_id_that_somebody_made_up_is_pruned_like_any_other(records: Records) -> None:
    write(records, 1, 100)
    records.run(sa.update(tables.fires).values(id="0 " + tables.fires.c.key))

    prune_all(records, 10)

    assert 10 <= len(ids(records, 1)) <= 60


def test_one_beat_at_a_time_has_the_lease(records: Records) -> None:
    def asks(beat: str, at: datetime) -> bool:
        with records.engine.begin() as conn:
            return meta.lease(conn, "it", beat, at, at + HOUR)

    assert (asks("a", NOW), asks("b", NOW), asks("a", NOW + SECOND)) == (True, False, True)
    assert asks("b", NOW + HOUR) is False
    assert asks("b", NOW + HOUR + SECOND) is True
    with records.engine.begin() as conn:
        meta.give_up(conn, "it", "a")
    assert asks("a", NOW + HOUR + SECOND) is False
    with records.engine.begin() as conn:
        meta.give_up(conn, "it", "b")
    assert asks("a", NOW + HOUR + SECOND) is True


def test_a_lease_of_a_clock_that_was_set_back_is_free(records: Records) -> None:
    with records.engine.begin() as conn:
        assert meta.lease(conn, "it", "dead since", NOW + 365 * DAY, NOW + 365 * DAY + HOUR)

        assert meta.lease(conn, "it", "a", NOW, NOW + HOUR)


def test_a_lease_that_a_person_wrote_over_is_free(records: Records) -> None:
    with records.engine.begin() as conn:
        meta.note(conn, "it", "mine!")

        assert meta.lease(conn, "it", "a", NOW, NOW + HOUR)


@pytest.mark.parametrize("count", [10, 40])
def test_a_beat_prunes_all_jobs_and_again_when_it_may_keep_fewer(
    tmp_path: Path, count: int
) -> None:
    conf = {"jobsched_history_count": count, "jobsched_max_queue_time": 3600.0}
    with (
        fresh_stack("sqlite", "filesystem", tmp_path, **conf) as stack,
        Records(stack.database_url) as records,
    ):
        with ticking(stack) as scheduler:
            settle(scheduler)
        two_days_ago = now_of(records) - 2 * DAY
        for job in (1, 2, 3):
            write(records, job, 200, two_days_ago)
        old = write(records, 4, 3, two_days_ago - 40 * DAY)

        for most in (count, count // 2):
            stack.conf["jobsched_history_count"] = most
            with ticking(stack) as scheduler:
                settle(scheduler)
            kept = Counter(row["job_name"] for row in records.fires())
            assert set(kept) == {"job 1", "job 2", "job 3"}
            assert all(most <= number <= most + 60 for number in kept.values()), kept
            assert records.meta()["pruned"].split()[0] == str(most)
            assert "pruning" not in records.meta()
        assert old


def test_a_beat_leaves_it_to_the_one_that_prunes_already(tmp_path: Path) -> None:
    with (
        fresh_stack("sqlite", "filesystem", tmp_path) as stack,
        Records(stack.database_url) as records,
        ticking(stack) as first,
    ):
        settle(first)
        write(records, 1, 3, now_of(records) - 40 * DAY)

        with ticking(stack) as second:
            settle(second)

        assert len(records.fires()) == 3
        assert records.meta()["pruning"].endswith(first.id)


def now_of(records: Records) -> datetime:
    with records.engine.connect() as conn:
        return conn.execute(sa.select(database_now())).scalar_one()
