"""Why a job ran, or did not: what was so at that instant, and not what is so now."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import Jobs
from celery_jobsched.fire import new_id
from celery_jobsched.store.tables import beats, changes
from tests.functional.test_looks import codes, record
from tests.persons import Person, runs

UTC = timezone.utc
HOUR = timedelta(hours=1)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def changed(person: Person, at: datetime, since: int = 0) -> None:
    """Say of the changes of "daily" that they were made then, but for the first *since* of them."""
    mine = sa.select(changes.c.id).where(changes.c.job_name == "daily").order_by(changes.c.id)
    with person.records.engine.begin() as conn:
        ids = conn.execute(mine).scalars().all()[since:]
        conn.execute(sa.update(changes).where(changes.c.id.in_(ids)).values(changed_at=at))


@pytest.fixture
def daily(person: Person) -> Person:
    """A job of every noon, made long ago."""
    person.jobs.add("daily", task="proj.note", cron="0 12 * * *")
    person.beat()
    person.records.edit("daily", created_at=NOON - 100 * HOUR)
    changed(person, NOON - 100 * HOUR)
    return person


def test_an_instant_is_judged_by_the_schedule_of_its_time(daily: Person) -> None:
    daily.jobs.modify("daily", every="5 seconds", cron=None, starts_at=NOON, by="anna")
    daily.beat()
    changed(daily, NOON + HOUR, 1)
    daily.jobs.modify("daily", every="7 seconds")
    changed(daily, NOON + 2 * HOUR, 2)

    owed = daily.jobs.explain("daily", NOON)
    not_owed = daily.jobs.explain("daily", NOON - HOUR)
    between = daily.jobs.explain("daily", NOON + HOUR + timedelta(seconds=5))
    since = daily.jobs.explain("daily", NOON + 3 * HOUR + timedelta(seconds=2))

    assert owed.summary.endswith("12:00 UTC: it did not fire.")
    steps = {step.code: step.text for step in owed.steps}
    assert steps["owed"] == "by its schedule of that time: every day at 12:00 UTC"
    assert steps["schedule"].startswith("changed by anna")
    assert "cron 0 12 * * * -> None" in steps["schedule"]
    assert not_owed.summary.endswith("nothing was owed then: its schedule was another one.")
    assert not_owed.steps[0].text == "its schedule was: every day at 12:00 UTC"
    assert between.steps[0].text.startswith("by its schedule of that time: every 5 seconds")
    assert since.summary.endswith("nothing is owed then.")


def test_of_an_instant_at_which_the_row_was_in_error_that_is_said(daily: Person) -> None:
    daily.records.edit("daily", cron="0 25 * * *")
    daily.beat()
    changed(daily, NOON - HOUR, 1)
    daily.records.edit("daily", cron=None, every="5 seconds")
    daily.beat()
    changed(daily, NOON + HOUR, 2)

    told = daily.jobs.explain("daily", NOON)

    assert told.summary.endswith("12:00 UTC: its row could not be read then.")
    assert told.steps[0].text.startswith("cron: expected hour from 0 to 23")
    assert "cron 0 25 * * * -> None" in told.steps[1].text
    earlier = daily.jobs.explain("daily", NOON - 24 * HOUR)
    assert earlier.summary.endswith("12:00 UTC: it did not fire.")
    assert "cron 0 12 * * * -> 0 25 * * *" in earlier.steps[-1].text


def test_what_fell_due_just_now_is_left_to_nobody(small_person: Person) -> None:
    person, now = small_person, datetime.now(UTC)
    person.jobs.add("job", task="proj.note", cron="* * * * *")
    person.beat()
    minute = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    person.records.edit("job", created_at=minute - HOUR, next_fire_at=minute, due_at=now)
    person.records.run(sa.insert(beats).values(id="b", name="h:1", started_at=now, seen_at=now))

    told = Jobs(person.app(jobsched_poll_interval=60)).explain("job")
    person.records.edit("job", due_at=now - timedelta(seconds=14))
    late = person.jobs.explain("job", minute)

    assert told.summary.endswith(": it is due just now.")
    assert told.steps[-1].text == "1 beat ticks, and one looks within 1m 0s"
    assert ": it has been due for 1" in late.summary
    assert late.summary.endswith("s, and no beat has taken it.")


@pytest.mark.parametrize(
    ("state", "columns", "code", "said"),
    [
        ("failed", {"error": "away"}, 3, "failed, it could not be sent"),
        ("failed", {"sent_at": NOON, "worker": "w"}, 3, "failed, it did not run"),
        ("failed", {"sent_at": NOON, "error": "boom"}, 0, "failed"),
        ("failed", {"sent_at": NOON, "worker": "w", "started_at": NOON}, 0, "failed"),
        ("succeeded", {"sent_at": NOON}, 0, "ran, and succeeded"),
    ],
)  # fmt: skip
def test_the_exit_code_says_whether_it_ran(
    small_person: Person, state: str, columns: dict[str, Any], code: int, said: str
) -> None:
    small_person.jobs.add("job", task="proj.note", cron="0 12 * * *")
    record(small_person, "job", NOON, state, **columns)

    told = runs(small_person)("explain", "job")

    assert told.exit_code == code
    assert told.output.splitlines()[0].endswith(f": {said}.")


SLOT = '{"limits": [["key db", 1]], "lease": 30.0}'


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"state": "sent", "check_at": NOON}, "sent {at}, no worker has taken it"),
        (
            {"state": "started", "check_at": NOON, "started_at": NOON - HOUR, "worker": "w"},
            "sent {at}, running since {at} on w",
        ),
        (
            {"state": "succeeded", "started_at": NOON - HOUR, "finished_at": NOON + HOUR},
            "sent {at}, running since {at}, ended {end}",
        ),
    ],
    ids=["sent", "started", "succeeded"],
)
def test_what_was_skipped_names_who_held_the_slot_then(
    small_person: Person, columns: dict[str, Any], said: str
) -> None:
    for name in ("skips", "holds"):
        small_person.jobs.add(name, task="proj.note", cron="0 12 * * *", concurrency_key="db")
    gone = {"state": "succeeded", "sent_at": NOON - 2 * HOUR, "finished_at": NOON - HOUR}
    record(small_person, "holds", NOON - 2 * HOUR, rights=SLOT, **gone)
    record(small_person, "holds", NOON - 3 * HOUR, "sent", sent_at=NOON - HOUR, check_at=NOON)
    holder = record(small_person, "holds", NOON - HOUR, sent_at=NOON - HOUR, rights=SLOT, **columns)
    reason = "overlap = skip: 1 of 1 slots of 'key db' are taken"
    record(small_person, "skips", NOON, "skipped", reason=reason)

    told = codes(small_person, "skips")["slot"]

    at, end = (f"{each:%a %Y-%m-%d %H:%M} UTC" for each in (NOON - HOUR, NOON + HOUR))
    words = said.format(at=at, end=end)
    assert told == f"{reason}; held by fire {holder[-8:]} of holds ({words})"


def test_the_first_fire_of_a_job_is_not_late_before_the_job_was_made(small_person: Person) -> None:
    small_person.jobs.add("job", task="proj.note", every="5 seconds")
    made = NOON + timedelta(seconds=0.9)
    small_person.records.edit("job", created_at=made)
    claimed = made + timedelta(seconds=0.1)
    record(small_person, "job", NOON, "sent", sent_at=claimed, id=new_id(claimed), publishes=1)

    told, found = codes(small_person, "job"), small_person.jobs.status().fires

    assert told["claimed"].endswith(", 0.1s after the job was made")
    assert found.greatest_lag == timedelta(seconds=0.1)


def test_why_a_run_was_asked_to_end_stands_beside_its_end(small_person: Person) -> None:
    small_person.jobs.add("job", task="proj.note", cron="0 12 * * *")
    record(
        small_person, "job", NOON, "revoked", sent_at=NOON, started_at=NOON, finished_at=NOON,
        worker="w", error="terminated", reason="asked to end: replaced by 01a1", publishes=2,
    )  # fmt: skip

    assert small_person.jobs.view("job").marks == "~"
    told, history = codes(small_person, "job"), runs(small_person)("history", "job").output

    assert told["ended"].endswith(": revoked: terminated (asked to end: replaced by 01a1)")
    assert told["sent"].endswith(", for the 2nd time")
    assert "terminated; asked to end: replaced by 01a1" in history
