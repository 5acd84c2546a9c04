"""Looking at jobs and their fires: found by the one filter, told in sentences."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import InvalidJob, JobNotFound, Jobs
from celery_jobsched.fire import new_id
from celery_jobsched.store.tables import beats, fires
from celery_jobsched.views import JobState
from tests.persons import Person

UTC = timezone.utc
HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


def this_hour() -> datetime:
    return now().replace(minute=0, second=0, microsecond=0)


def record(person: Person, job: str, at: datetime, state: str, **columns: Any) -> str:
    """Write a fire's record as beats and workers would."""
    row: dict[str, Any] = {
        "id": new_id(at),
        "job_id": person.records.job(job)["id"],
        "job_name": job,
        "key": f"{at.isoformat()} {columns.get('origin', '')}",
        "fire_at": at,
        "due_at": at,
        "origin": "schedule",
        "state": state,
    }
    person.records.run(sa.insert(fires).values(row | columns))
    return str(row["id"])


def stand(person: Person) -> None:
    """A job in each state."""
    jobs, records = person.jobs, person.records
    for name in ("fine", "fails", "runs", "late", "paused"):
        jobs.add(name, task=f"proj.{name}", cron="0 0 1 1 *", labels={"team": "ops"})
    jobs.add("of a keyword", task="proj.note", keyword="k", labels={"team": "fin", "size": 3})
    jobs.add("over", task="proj.note", once="2001-01-01", description="of 100% long_ago")
    records.add("broken", task="proj.fail", cron="0 25 * * *")
    person.beat()
    jobs.pause("paused", note="lunch", by="anna")
    person.beat()
    records.edit("fails", failure_count=2)
    records.edit("late", due_at=now() - HOUR, next_fire_at=now() - HOUR)
    record(person, "runs", this_hour() - 5 * HOUR, "succeeded")
    record(person, "runs", this_hour(), "started", check_at=now() + HOUR)
    jobs.add("new", task="proj.note", every="1 hour")


def test_jobs_are_found_with_their_state_the_worst_first(person: Person) -> None:
    stand(person)

    found = [view for view in person.jobs.find() if not view.name.startswith("celery.")]

    assert [(view.name, view.state.value) for view in found] == [
        ("broken", "error"),
        ("late", "late"),
        ("fails", "failing"),
        ("runs", "running"),
        ("fine", "ok"),
        ("new", "new"),
        ("of a keyword", "waiting"),
        ("paused", "paused"),
        ("over", "done"),
    ]
    by_name = {view.name: view for view in found}
    assert by_name["runs"].marks == "+>"
    assert by_name["broken"].words is None
    assert "cron: expected" in (by_name["broken"].error or "")
    assert by_name["fine"].words == "on the 1st of January at 00:00 UTC"
    assert (by_name["paused"].paused_by, by_name["paused"].paused_note) == ("anna", "lunch")


def test_one_filter_chooses_jobs(person: Person) -> None:
    stand(person)

    def names(*words: str, **given: Any) -> list[str]:
        return [view.name for view in person.jobs.find(*words, **given)]

    assert names("state:failing,late") == ["late", "fails"]
    assert names(state="paused") == names("task:proj.PAUSED") == ["paused"]
    assert names("task:proj.f*") == ["broken", "fails", "fine"]
    assert names("task:proj.f") == []
    assert names("name:ail state:failing") == ["fails"]
    assert names("name:f????") == ["fails"]
    assert names("label:team=fin") == names(labels={"size": "3"}) == ["of a keyword"]
    assert names("label:team=ops state:ok") == ["fine"]
    assert names("label:team", limit=2) == ["late", "fails"]
    assert names("label:nothing") == []
    assert names("100%") == names(text="LONG_AGO") == ["over"]
    assert names("%") == ["over"]
    assert names("source:sql") == ["broken"]
    counts = person.jobs.listed("label:team", 1).counts
    assert counts[JobState.PAUSED] == 1
    assert sum(counts.values()) == 6


@pytest.mark.parametrize("words", ["state:great", "task:"])
def test_a_filter_that_cannot_be_used_is_refused(small_person: Person, words: str) -> None:
    with pytest.raises(InvalidJob, match=r"^(state|task): expected"):
        small_person.jobs.find(words)


def test_the_history_has_what_ran_and_what_did_not(person: Person) -> None:
    person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
    start = this_hour() - 5 * HOUR
    record(
        person, "hourly", start, "succeeded",
        sent_at=start + timedelta(seconds=1),
        started_at=start + timedelta(seconds=3),
        finished_at=start + timedelta(seconds=63),
    )  # fmt: skip
    record(person, "hourly", start + HOUR, "missed", until_at=start + 2 * HOUR, count=2)
    record(person, "hourly", start + 3 * HOUR, "skipped", reason="overlap = skip: full")

    history = person.jobs.history("hourly")

    assert [each.state for each in history] == ["skipped", "missed", "succeeded"]
    ran = history[-1]
    spans = (ran.late, ran.waited, ran.took)
    assert spans == tuple(timedelta(seconds=n) for n in (1, 2, 60))
    assert [each.state for each in person.jobs.history("hourly", state="missed")] == ["missed"]
    assert len(person.jobs.history("hourly", limit=1)) == 1
    assert len(person.jobs.history("hourly", since=start + HOUR)) == 2
    assert json.dumps(ran.to_dict())
    person.jobs.remove("hourly")
    assert len(person.jobs.history("hourly")) == 3
    with pytest.raises(JobNotFound):
        person.jobs.history("nobody")
    with pytest.raises(InvalidJob, match=r"^state: expected one of pending"):
        person.jobs.history("hourly", state="great")


def codes(person: Person, name: str, at: Any = None) -> dict[str, str]:
    return {step.code: step.text for step in person.jobs.explain(name, at).steps}


@pytest.fixture
def hourly(small_person: Person) -> Person:
    """An hourly job that was made long ago, and that a beat has planned."""
    small_person.jobs.add("hourly", task="proj.note", cron="0 * * * *")
    small_person.beat()
    small_person.records.edit("hourly", created_at=now() - 1000 * HOUR)
    return small_person


def test_a_run_is_explained_from_its_claim_to_its_end(hourly: Person) -> None:
    at = this_hour() - HOUR
    seconds = [at + timedelta(seconds=n) for n in (1, 2, 62)]
    id_ = record(
        hourly, "hourly", at, "failed", beat="gone", publishes=1, worker="celery@w1",
        sent_at=seconds[0], started_at=seconds[1], finished_at=seconds[2], error="boom",
        rights='{"limits": [["job hourly", 1]], "lease": 30.0}',
    )  # fmt: skip

    told = hourly.jobs.explain("hourly", at)

    assert told.ran
    assert told.summary == f"hourly at {at:%a %Y-%m-%d %H:%M} UTC: failed in 1m 0s."
    assert [step.code for step in told.steps] == [
        "owed", "claimed", "slot", "sent", "worker", "ended",
    ]  # fmt: skip
    assert [step.ok for step in told.steps] == [True, True, True, True, True, False]
    assert told.steps[2].text == "it was granted a slot of 'job hourly'"
    assert "celery@w1" in told.steps[4].text
    assert told.steps[5].text.endswith("failed: boom")
    assert str(hourly.jobs.explain("hourly", id_)) == str(told)
    assert str(hourly.jobs.explain("hourly", id_[-8:])) == str(told)
    assert str(hourly.jobs.explain("hourly")) == str(told)
    assert json.dumps(told.to_dict())
    with pytest.raises(InvalidJob, match=r"^job 'hourly': at: expected the id of a fire"):
        hourly.jobs.explain("hourly", "0123456789ab")


def test_what_was_missed_or_skipped_says_why_and_what_to_set(hourly: Person) -> None:
    at = this_hour() - 10 * HOUR
    record(
        hourly, "hourly", at, "missed", id=new_id(at + 4 * HOUR), until_at=at + 2 * HOUR, count=3,
        reason="late: misfire = once", finished_at=at + 4 * HOUR,
    )  # fmt: skip
    record(hourly, "hourly", at + 5 * HOUR, "skipped", reason="overlap = skip: 'job x' is full")

    missed = hourly.jobs.explain("hourly", at + HOUR)
    skipped = hourly.jobs.explain("hourly", at + 5 * HOUR)

    assert (missed.ran, skipped.ran) == (False, False)
    assert "one record for 3 instants" in missed.steps[0].text
    assert f"{at + HOUR:%H:%M} UTC: missed" in missed.summary
    assert "4h 0m late; 1m 0s is allowed" in missed.steps[1].text
    assert codes(hourly, "hourly", at + 5 * HOUR)["slot"] == "overlap = skip: 'job x' is full"
    assert "overlap = wait" in codes(hourly, "hourly", at + 5 * HOUR)["hint"]


def test_who_waits_is_told_who_holds_the_slot(hourly: Person) -> None:
    at = this_hour()
    record(hourly, "hourly", at, "waiting", waiting_for="job hourly")

    assert "nobody holds one now" in codes(hourly, "hourly", at)["slot"]


def test_an_instant_that_is_not_owed_says_what_is_around(small_person: Person) -> None:
    jobs = small_person.jobs
    jobs.add(
        "daily", task="proj.note", cron="0 9 * * *", timezone="Europe/Paris",
        not_during="sat, sun", starts_at="2026-11-02", ends_at="2026-11-30 12:00",
    )  # fmt: skip

    at_eight = jobs.explain("daily", "2026-11-20 08:00")
    weekend = jobs.explain("daily", "2026-11-21 09:00")
    early = jobs.explain("daily", "2026-10-20 09:00")
    late = jobs.explain("daily", "2026-12-01 09:00")

    assert at_eight.summary == "daily at Fri 2026-11-20 08:00 CET: nothing is owed then."
    around = {step.code: step.text for step in at_eight.steps}
    assert around["before"] == "Thu 2026-11-19 09:00 CET"
    assert around["after"] == "Fri 2026-11-20 09:00 CET"
    assert weekend.steps[0].code == "calendar"
    assert "not_during sat, sun" in weekend.steps[0].text
    assert early.steps[0].text == "it starts Mon 2026-11-02 01:00 CET"
    assert late.steps[0].text == "it ended Mon 2026-11-30 13:00 CET"


def test_an_instant_without_a_record_says_why_there_is_none(hourly: Person) -> None:
    at = this_hour() - 2 * HOUR
    jobs, records = hourly.jobs, hourly.records

    unknown = jobs.explain("hourly", at)
    old = jobs.explain("hourly", this_hour() - 900 * HOUR)
    to_come = jobs.explain("hourly", this_hour() + 2 * HOUR)
    records.edit("hourly", created_at=at + HOUR)
    young = jobs.explain("hourly", at)
    records.edit("hourly", created_at=now() - 1000 * HOUR, due_at=at, next_fire_at=at)
    late = jobs.explain("hourly")
    records.run(sa.insert(beats).values(id="b", name="h:1", started_at=at, seen_at=now()))
    late_with_beat = jobs.explain("hourly", at)
    records.edit("hourly", due_at=None, next_fire_at=None)
    jobs.pause("hourly", note="lunch", by="anna")
    records.edit("hourly", paused_at=at - HOUR)
    records.run(
        sa.text(f"UPDATE jobsched_changes SET changed_at = '{at - HOUR:%Y-%m-%d %H:%M:%S}'")
    )
    paused = jobs.explain("hourly", at)
    paused_then = jobs.explain("hourly", this_hour() + 2 * HOUR)

    assert unknown.summary.endswith("it did not fire.")
    assert "no longer kept" in old.summary
    assert "it is to come, in 1h" in to_come.summary
    assert "not made yet" in young.summary
    assert late.at == at
    assert "no beat has taken it" in late.summary
    assert late.steps[-1].text == "no beat is alive"
    assert late_with_beat.steps[-1].text.startswith("1 beat ticks: it is left to other beats")
    assert paused.summary.endswith("the job was paused.")
    assert paused.steps[-1].text.startswith("paused by anna")
    assert paused.steps[-1].text.endswith(': "lunch"')
    assert "the job is paused" in paused_then.summary


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (False, "1 beat ticks; jobsched_filter says no here, and perhaps there"),
        (None, "1 beat ticks; jobsched_filter answered None, not True or False, and perhaps there"),
        (True, "1 beat ticks: it is left to other beats, or the broker is away"),
    ],
)
def test_what_the_filter_of_this_application_refuses_is_told(
    hourly: Person, answer: Any, said: str
) -> None:
    asked: list[str] = []
    at = this_hour() - HOUR
    hourly.records.edit("hourly", due_at=at, next_fire_at=at)
    hourly.records.run(sa.insert(beats).values(id="b", name="h:1", started_at=at, seen_at=now()))
    app = hourly.app(jobsched_filter=lambda job: asked.append(job["name"]) or answer)

    told = Jobs(app).explain("hourly")

    assert told.steps[-1].text == said
    assert asked == ["hourly"]


def test_an_instant_of_another_schedule_names_the_change(hourly: Person) -> None:
    hourly.jobs.modify("hourly", cron="30 * * * *", by="anna")

    told = codes(hourly, "hourly", this_hour() - HOUR + timedelta(minutes=30))

    assert "cron 0 * * * * -> 30 * * * *" in told["schedule"]
    assert told["schedule"].startswith("changed by anna")


def test_a_row_that_cannot_be_read_is_explained(small_person: Person) -> None:
    small_person.records.add("bad", cron="0 25 * * *")

    told = small_person.jobs.explain("bad")

    assert told.summary == "bad: its row cannot be read."
    assert told.steps[0].text.startswith("cron: expected")
    with pytest.raises(JobNotFound):
        small_person.jobs.explain("nobody")


def test_a_job_that_never_fired_says_what_comes(small_person: Person) -> None:
    small_person.jobs.add("later", task="proj.note", cron="0 0 1 1 *")
    small_person.jobs.add("of a keyword", task="proj.note", keyword="k")
    small_person.beat()

    assert codes(small_person, "later")["beats"] == "no beat is alive"
    assert codes(small_person, "later")["next"].endswith("-01-01 00:00 UTC")
    assert codes(small_person, "of a keyword")["next"] == "when its keyword is called: k"


def test_the_load_to_come_is_counted_hour_by_hour(small_person: Person) -> None:
    jobs = small_person.jobs
    start = datetime(2030, 1, 1, tzinfo=UTC)
    jobs.add("hourly", task="proj.note", cron="0 * * * *")
    jobs.add("at 2", task="proj.note", cron="0,30 2 * * *")
    jobs.add("off", task="proj.note", cron="* * * * *", enabled=False)
    jobs.add("few", task="proj.note", cron="*/10 * * * *", max_fires=3)
    small_person.records.add("bad", cron="0 25 * * *")

    load = jobs.simulate(start, start + 4 * HOUR)

    assert load.hours == dict(
        zip((start + n * HOUR for n in range(4)), (1 + 3, 1, 1 + 2, 1), strict=True)
    )
    assert load.busiest == (start, 2, ("hourly", "few"))
    assert load.left_out == ["bad"]
    assert (load.fires, jobs.simulate(start, start + HOUR, "name:hourly").fires) == (9, 1)
