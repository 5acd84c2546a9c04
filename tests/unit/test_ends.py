"""Reports written down: the contract of the fires' rows, the same on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa

from celery_jobsched.fire import Fire, FireState, Origin, new_id
from celery_jobsched.limits import Limit, Rights
from celery_jobsched.locks import Report
from celery_jobsched.store import ends, fires, pages, tables, watching
from celery_jobsched.store.ends import Applied
from tests.records import Records

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
RIGHTS = Rights((Limit("job a", 1),), 7 * SECOND)
S = FireState


def send(records: Records, *jobs: str, rights: Rights = RIGHTS, sent: bool = True) -> list[str]:
    """A fire of each of *jobs*, sent or pending; their ids."""
    rows = records.jobs()
    for name in {*jobs} - {*rows}:
        records.add(name, every="1 hour")
    ids = {name: row["id"] for name, row in records.jobs().items()}
    new = [
        Fire(new_id(NOW), ids[name], name, f"{n} {new_id(NOW)}", NOW, NOW, Origin.SCHEDULE)
        for n, name in enumerate(jobs)
    ]
    with records.engine.begin() as conn:
        fires.insert_pending(conn, new, "a beat", NOW)
        if sent:
            fires.mark_sent(conn, [fire.id for fire in new], NOW, rights)
    return [fire.id for fire in new]


def report(fire: str, state: FireState, **more: Any) -> Report:
    return Report(fire, state, NOW, NOW - SECOND, "T", worker="w", **more)


def apply(records: Records, *reports: Report) -> Applied:
    with records.engine.begin() as conn:
        return ends.apply(conn, reports, NOW, "UTC")


def row(records: Records, fire: str) -> Any:
    return next(each for each in records.fires() if each["id"] == fire)


def test_all_that_a_report_says_is_on_the_fires_row(records: Records) -> None:
    done, failed, began, bystander = send(records, "a", "b", "c", "d")

    applied = apply(
        records,
        report(began, S.STARTED),
        report(done, S.SUCCEEDED, result="{'ü': 🦊}\n"),
        report(failed, S.FAILED, error='it\'s "quoted" \\ 50 %'),
    )

    assert [(each.job, each.state.value) for each in applied.told] == [
        ("c", "started"),
        ("a", "succeeded"),
        ("b", "failed"),
    ]
    one, two, three = (row(records, id_) for id_ in (done, failed, began))
    assert (one["state"], one["result"], one["error"]) == ("succeeded", "{'ü': 🦊}\n", None)
    assert (two["state"], two["result"], two["error"]) == (
        "failed",
        None,
        'it\'s "quoted" \\ 50 %',
    )
    assert (one["worker"], one["token"], one["check_at"]) == ("w", "T", None)
    assert (one["started_at"], one["finished_at"]) == (NOW - SECOND, NOW)
    assert (three["state"], three["check_at"]) == ("started", NOW + 7 * SECOND)
    assert (three["finished_at"], three["rights"]) == (None, RIGHTS.to_text())
    assert row(records, bystander)["state"] == "sent"


def test_several_reports_of_one_fire_are_one_story(records: Records) -> None:
    (fire,) = send(records, "a", sent=False)

    applied = apply(
        records,
        report(fire, S.STARTED),
        report(fire, S.RETRYING, error="not yet"),
        report(fire, S.SUCCEEDED, result="7"),
        report(fire, S.STARTED),
    )

    found = row(records, fire)
    assert [each.state for each in applied.told] == [S.STARTED, S.RETRYING, S.SUCCEEDED]
    assert (found["state"], found["result"], found["ready_at"]) == ("succeeded", "7", None)


def test_a_report_that_is_read_twice_counts_once(records: Records) -> None:
    (fire,) = send(records, "a")
    reports = [report(fire, S.STARTED), report(fire, S.FAILED, error="boom")]

    first, again = apply(records, *reports), apply(records, *reports)

    assert (len(first.told), again.told) == (2, [])


def test_reports_that_two_beats_read_at_once_count_once(records: Records) -> None:
    sent = send(records, *["a", "b"] * 20)
    reports = [report(fire, S.FAILED, error="boom") for fire in sent]

    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: apply(records, *reports), range(4)))

    assert sorted(len(each.told) for each in applied) == [0, 0, 0, 40]


def test_what_is_handed_back_is_looked_after_by_the_next_beat(records: Records) -> None:
    (fire,) = send(records, "a")

    applied = apply(records, report(fire, S.PENDING, error="the locks are away"))

    assert applied.is_anything_ready
    with records.engine.begin() as conn:
        assert fires.take_ready(conn, NOW, 10, "UTC") == []
        (found,) = watching.take_watched(conn, NOW, 10)
    assert (found.id, found.state) == (fire, S.PENDING)
    assert row(records, fire)["reason"] == "the locks are away"


def test_what_lost_its_slot_waits_for_its_key(records: Records) -> None:
    (fire,) = send(records, "a")

    apply(records, report(fire, S.WAITING, error="full"))

    found = row(records, fire)
    assert (found["state"], found["waiting_for"]) == ("waiting", "job a")
    assert (found["ready_at"], found["check_at"]) == (None, None)


def test_an_end_before_the_beat_could_mark_it_is_not_undone_by_the_mark(records: Records) -> None:
    (fire,) = send(records, "a", sent=False)
    apply(records, report(fire, S.SUCCEEDED))

    with records.engine.begin() as conn:
        fires.mark_sent(conn, [fire], NOW, RIGHTS)

    found = row(records, fire)
    assert (found["state"], found["check_at"]) == ("succeeded", None)
    assert found["sent_at"] is not None


def test_what_a_run_was_sent_with_is_noted_though_it_began_before_the_mark(
    records: Records,
) -> None:
    began, pending = send(records, "a", "b", sent=False)
    apply(records, report(began, S.STARTED))

    with records.engine.begin() as conn:
        fires.mark_limited(conn, [(fire, RIGHTS, NOW) for fire in (began, pending)])

    one, two = row(records, began), row(records, pending)
    assert (one["state"], one["rights"], two["rights"]) == ("started", *[RIGHTS.to_text()] * 2)
    assert (one["check_at"], two["check_at"]) == (NOW + 30 * SECOND, NOW)
    assert None not in (one["sent_at"], two["sent_at"])


def test_what_can_never_be_published_has_failed_but_for_what_others_moved(
    records: Records,
) -> None:
    bad, moved = send(records, "a", "b", sent=False)
    apply(records, report(moved, S.STARTED))

    with records.engine.begin() as conn:
        failed = ends.fail(conn, [(bad, "no such task"), (moved, "too late")], NOW, "UTC")

    assert [(each.report.fire, each.job) for each in failed.told] == [(bad, "a")]
    found = row(records, bad)
    assert (found["state"], found["error"]) == ("failed", "no such task")
    assert (found["finished_at"], found["ready_at"], found["started_at"]) == (NOW, None, None)
    assert records.job("a")["failure_count"] == 1
    assert row(records, moved)["state"] == "started"


def test_a_fire_that_is_gone_and_one_whose_job_is_gone_harm_nobody(records: Records) -> None:
    orphan, fire = send(records, "gone", "a")
    records.run(sa.delete(tables.jobs).where(tables.jobs.c.name == "gone"))

    applied = apply(
        records,
        report("nobody knows it", S.SUCCEEDED),
        report("x" * 5000, S.SUCCEEDED),
        report(orphan, S.FAILED, error="boom"),
        report(fire, S.SUCCEEDED),
    )

    assert [each.job for each in applied.told] == ["gone", "a"]
    assert row(records, orphan)["state"] == "failed"


def test_a_row_that_a_person_spoilt_is_left_alone(records: Records) -> None:
    spoilt, fire = send(records, "a", "a")
    records.run(sa.update(tables.fires).where(tables.fires.c.id == spoilt).values(state="dreams"))

    apply(records, report(spoilt, S.SUCCEEDED), report(fire, S.SUCCEEDED))

    assert row(records, spoilt)["state"] == "dreams"
    assert row(records, fire)["state"] == "succeeded"


def test_a_page_of_reports_takes_a_few_statements(records: Records) -> None:
    sent = send(records, *["a", "b"] * 250)
    count: list[str] = []
    listen = sa.event.listens_for(records.engine, "before_cursor_execute")
    listen(lambda conn, cursor, statement, *rest: count.append(statement))

    apply(records, *(report(fire, S.SUCCEEDED, result="7") for fire in sent))

    assert {each["state"] for each in records.fires()} == {"succeeded"}
    assert len(count) <= 6, count


def test_the_databases_clock_and_the_workers_may_differ(records: Records) -> None:
    (fire,) = send(records, "a")
    with records.engine.connect() as conn:
        now = pages.poll(conn).now
    ahead = Report(fire, S.SUCCEEDED, now + 3600 * SECOND, now + 3599 * SECOND)

    apply(records, ahead)

    assert row(records, fire)["finished_at"] == ahead.at
