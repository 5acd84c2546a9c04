"""What a report makes of what is on record of a fire."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import permutations

import pytest

from celery_jobsched.fire import FireState
from celery_jobsched.limits import Limit, Rights
from celery_jobsched.locks import LONGEST_TEXT, Report
from celery_jobsched.record import Record, after

NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
LEASE = 30 * SECOND
RIGHTS = Rights((Limit("key a", 1), Limit("job b", 2)), 7 * SECOND).to_text()
SENT = Record(FireState.SENT, RIGHTS, check_at=NOW)
RUNNING = replace(SENT, state=FireState.STARTED, token="T", worker="w", started_at=NOW)
S = FireState


def report(state: FireState, **more: object) -> Report:
    known = {"token": "T", "worker": "w", "started_at": NOW - SECOND, "error": None}
    return Report("1", state, NOW, **{**known, **more})  # type: ignore[arg-type]


def said(record: Record, it: Report) -> Record:
    found = after(record, it, NOW, LEASE)
    assert found is not None
    return found


def test_a_start_says_where_and_since_when_and_is_looked_after() -> None:
    found = said(SENT, report(S.STARTED))

    assert (found.state, found.worker, found.token) == (S.STARTED, "w", "T")
    assert (found.started_at, found.finished_at) == (NOW - SECOND, None)
    assert (found.ready_at, found.waiting_for, found.check_at) == (None, None, NOW + 7 * SECOND)


def test_a_fire_without_limits_is_looked_after_when_the_usual_lease_is_over() -> None:
    for rights in (None, "{", "[]", '{"limits": 1}'):
        found = said(replace(SENT, rights=rights), report(S.STARTED))

        assert found.check_at == NOW + LEASE


def test_a_cancelled_fire_that_runs_all_the_same_is_on_record_as_it_went() -> None:
    cancelled = Record(S.CANCELLED, RIGHTS, finished_at=NOW - SECOND, reason="its job was paused")

    running, ended = (said(cancelled, report(state)) for state in (S.STARTED, S.SUCCEEDED))

    assert (running.state, running.reason, running.finished_at) == (S.STARTED, None, None)
    assert (ended.state, ended.reason, ended.finished_at) == (S.SUCCEEDED, None, NOW)
    for state in (S.REVOKED, S.EXPIRED, S.LOST, S.PENDING, S.WAITING):
        assert after(cancelled, report(state), NOW, LEASE) is None


@pytest.mark.parametrize("state", [S.SUCCEEDED, S.FAILED, S.REVOKED, S.EXPIRED, S.LOST])
@pytest.mark.parametrize("known", [S.PENDING, S.WAITING, S.SENT, S.STARTED, S.RETRYING])
def test_an_end_ends_whatever_was_open(known: FireState, state: FireState) -> None:
    record = replace(RUNNING, state=known, ready_at=NOW, waiting_for="key a", error="before")

    found = said(record, report(state, result="7"))

    assert (found.state, found.finished_at) == (state, NOW)
    assert (found.result, found.error, found.started_at) == ("7", None, NOW - SECOND)
    assert (found.ready_at, found.waiting_for, found.check_at) == (None, None, None)


def test_what_ended_stays_so_but_a_lost_run_may_turn_out_well() -> None:
    for final in (each for each in FireState if each.is_final and each is not S.CANCELLED):
        told = [each for each in FireState if after(Record(final), report(each), NOW, LEASE)]

        assert told == ([S.SUCCEEDED] if final is S.LOST else []), final


def test_the_end_is_the_same_in_whatever_order_reports_come() -> None:
    reports = [
        report(S.STARTED),
        report(S.RETRYING, error="once"),
        report(S.SUCCEEDED, started_at=NOW, result="7"),
    ]
    for order in permutations(reports):
        record = SENT
        for each in order:
            record = after(record, each, NOW, LEASE) or record

        assert (record.state, record.result, record.error) == (S.SUCCEEDED, "7", None)
        assert (record.started_at, record.check_at) == (NOW, None)


@pytest.mark.parametrize("state", [each for each in FireState if each is not S.PENDING])
def test_the_same_report_says_nothing_a_second_time(state: FireState) -> None:
    found = after(SENT, report(state), NOW, LEASE)

    assert found is None or after(found, report(state), NOW + SECOND, LEASE) is None


def test_a_run_that_began_anew_is_another_one() -> None:
    again = report(S.STARTED, worker="w2", token="T2", started_at=NOW)

    found = said(RUNNING, again)

    assert (found.worker, found.token, found.started_at) == ("w2", "T2", NOW)


def test_an_error_of_an_attempt_stays_until_the_next_one_has_ended() -> None:
    failed = said(RUNNING, report(S.RETRYING, error="not yet"))
    again = said(failed, report(S.STARTED, started_at=NOW))

    assert (failed.error, again.error) == ("not yet", "not yet")
    assert said(again, report(S.SUCCEEDED)).error is None


@pytest.mark.parametrize("known", [S.SENT, S.STARTED, S.RETRYING])
def test_what_is_handed_back_is_looked_after_before_it_is_sent_again(known: FireState) -> None:
    found = said(replace(RUNNING, state=known), report(S.PENDING, error="the locks are away"))

    assert (found.state, found.ready_at, found.check_at) == (S.PENDING, None, NOW)
    assert (found.reason, found.waiting_for) == ("the locks are away", "key a")


@pytest.mark.parametrize("known", [S.PENDING, S.SENT, S.STARTED, S.RETRYING])
def test_what_lost_its_slot_waits_for_the_first_of_its_keys(known: FireState) -> None:
    found = said(replace(RUNNING, state=known), report(S.WAITING, error="full"))

    assert (found.state, found.waiting_for, found.reason) == (S.WAITING, "key a", "full")
    assert (found.ready_at, found.check_at) == (None, None)


def test_where_no_key_is_known_the_beats_find_out_again() -> None:
    found = said(replace(SENT, rights=None), report(S.WAITING))

    assert (found.state, found.check_at, found.waiting_for) == (S.PENDING, NOW, None)


@pytest.mark.parametrize("state", [S.PENDING, S.WAITING])
@pytest.mark.parametrize("known", [S.STARTED, S.RETRYING])
def test_another_copy_that_is_handed_back_is_no_word_on_the_run(
    known: FireState, state: FireState
) -> None:
    record = replace(RUNNING, state=known)

    assert after(record, report(state, token="T2"), NOW, LEASE) is None
    assert after(record, report(state, token=""), NOW, LEASE) is not None


def test_what_a_beat_says_leaves_alone_what_it_does_not_know() -> None:
    found = said(RUNNING, Report("1", S.LOST, NOW, error="its worker is gone"))

    assert (found.worker, found.token, found.started_at) == ("w", "T", NOW)


def test_whatever_a_report_holds_fits_the_columns() -> None:
    found = said(
        SENT, report(S.FAILED, worker="w" * 999, token="T" * 99, error="\x00\ud800" * 5000)
    )

    assert (len(found.worker or ""), len(found.token or "")) == (255, 36)
    assert found.error == "\ufffd" * LONGEST_TEXT
