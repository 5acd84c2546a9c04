"""A fire's id, its key, and the moves of its state."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from celery_jobsched.fire import MOVES, FireState, Origin, clock_key, new_id, oldest_id

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
MILLISECOND = timedelta(milliseconds=1)
OPEN = {"pending", "waiting", "sent", "started", "retrying"}


def test_an_id_is_a_version_7_uuid_of_its_millisecond() -> None:
    made = uuid.UUID(new_id(NOW))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(NOW.timestamp() * 1000)
    assert str(made) == str(made).lower()


def test_ids_sort_by_time_as_text() -> None:
    instants = [NOW + k * MILLISECOND for k in (-86_400_000, -1, 0, 1, 1000, 10**10)]

    ids = [new_id(each) for each in instants]

    assert ids == sorted(ids)


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id(NOW) for _ in range(10_000)}) == 10_000


def test_the_oldest_id_of_a_moment_parts_older_from_younger() -> None:
    border = oldest_id(NOW)

    assert all(new_id(NOW - MILLISECOND) < border for _ in range(100))
    assert all(border <= new_id(NOW) for _ in range(100))
    assert uuid.UUID(border).version == 7


def test_no_id_is_older_than_a_moment_before_1970() -> None:
    # Where records are kept for a hundred years: none of them is too old.
    assert oldest_id(NOW - timedelta(days=36500)) < new_id(NOW)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (NOW, "2030-01-01T12:00:00.123456Z"),
        (NOW.replace(microsecond=0), "2030-01-01T12:00:00.000000Z"),
        (
            NOW.astimezone(timezone(timedelta(hours=5, minutes=30))),
            "2030-01-01T12:00:00.123456Z",
        ),
    ],
)
def test_a_key_is_the_instant_in_utc_whatever_its_zone(instant: datetime, expected: str) -> None:
    assert clock_key(instant) == expected


def test_states_are_open_or_final() -> None:
    assert {state.value for state in FireState if not state.is_final} == OPEN


def test_every_open_state_can_still_end() -> None:
    for state in (each for each in FireState if not each.is_final):
        assert state.may_become(FireState.SUCCEEDED), state
        assert state.may_become(FireState.LOST), state


def test_a_final_state_stays_but_what_was_lost_or_cancelled_may_run_all_the_same() -> None:
    moves = {(one, two) for one in FireState for two in FireState if one.may_become(two)}

    from_final = {(one, two) for one, two in moves if one.is_final}
    ran = (FireState.STARTED, FireState.RETRYING, FireState.SUCCEEDED, FireState.FAILED)
    assert from_final == {
        (FireState.LOST, FireState.SUCCEEDED),
        *((FireState.CANCELLED, state) for state in ran),
    }
    assert all(one is not two for one, two in moves)
    assert set(MOVES) == {one for one, _ in moves}


def test_only_what_was_not_sent_is_skipped_or_cancelled() -> None:
    for end in (FireState.SKIPPED, FireState.CANCELLED):
        assert {one for one in FireState if one.may_become(end)} == {
            FireState.PENDING,
            FireState.WAITING,
        }


def test_a_retry_whose_slot_was_lost_waits_for_one_again() -> None:
    assert FireState.RETRYING.may_become(FireState.WAITING)


def test_what_the_clock_owes_ends_with_its_job() -> None:
    assert {origin for origin in Origin if origin.is_clock} == {Origin.SCHEDULE, Origin.CATCHUP}
