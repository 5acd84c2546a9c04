"""Why an instant of a job is on no record, or is still to come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..clock import TICK
from ..job import Job
from ..plan import due_at, is_spent
from ..views import JobState, duration
from .facts import (
    Explanation,
    Facts,
    Step,
    alive,
    answer_no,
    beats_in_words,
    is_due,
    paused_in_words,
)
from .former import Former, former_of

#: For so long at least it is no wonder that no beat has taken what is due.
_JUST_NOW = timedelta(seconds=1)


def of_now(facts: Facts, job: Job) -> Explanation:
    """Why a job that never fired did not."""
    if not job.enabled:
        return answer_no(facts, "it is paused, and has not fired yet", paused_in_words(facts))
    return answer_no(facts, "it has not fired yet", *_coming(facts, job, facts.now))


def of_instant(facts: Facts, job: Job, at: datetime) -> Explanation:
    """Why *job* has no record of *at*.

    Raises:
        InvalidJob: its calendars, or its own trigger, cannot tell.
    """
    if job.lacks and facts.view.next_fire_at is None:
        return answer_no(
            facts, "this process cannot tell when it fires", Step("row", None, job.lacks)
        )
    then = former_of(facts, job, at)
    if then is not None:
        return _of_former(facts, job, at, then)
    if job.next_after(at - TICK) != at:
        return _not_owed(facts, job, at)
    owed = Step("owed", True, f"by its schedule: {facts.view.words}")
    if due_at(job, at) > facts.now:
        return _to_come(facts, job, at, owed)
    why, step = _why_not(facts, job, at)
    return answer_no(facts, why, owed, step)


def _of_former(facts: Facts, job: Job, at: datetime, then: Former) -> Explanation:
    """Of an instant at which the row said something else than it does now."""
    changed = Step("schedule", False, then.said(facts))
    if job.first_past is not None and at < job.first_past:
        return answer_no(facts, *_not_made(facts))
    if then.trouble is not None:
        step = Step("row", False, then.trouble)
        return answer_no(facts, "its row could not be read then", step, changed)
    if then.job is None:
        return answer_no(facts, "its schedule was another one then", changed)
    words = then.job.describe()
    if then.job.next_after(at - TICK) != at:
        step = Step("owed", False, f"its schedule was: {words}")
        why = "nothing was owed then: its schedule was another one"
        return answer_no(facts, why, step, changed)
    owed = Step("owed", True, f"by its schedule of that time: {words}")
    why, step = _paused_or_old(facts, at) or _NO_RECORD
    return answer_no(facts, why, owed, step, changed)


def _not_owed(facts: Facts, job: Job, at: datetime) -> Explanation:
    around = list(_around(facts, job, at))
    if job.starts_at is not None and at < job.starts_at:
        step = Step("owed", False, f"it starts {facts.said(job.starts_at)}")
    elif job.ends_at is not None and at > job.ends_at:
        step = Step("owed", False, f"it ended {facts.said(job.ends_at)}")
    elif job.has_calendars and job.times.next_after(at - TICK) == at:
        rules = {"only_during": job.only_during, "not_during": job.not_during}
        text = ", ".join(f"{name} {value}" for name, value in rules.items() if value)
        step = Step("calendar", False, f"its schedule names it, its calendars exclude it: {text}")
        return answer_no(facts, "outside its calendars, nothing is owed then", step, *around)
    else:
        step = Step("owed", False, f"its schedule is: {facts.view.words}")
    return answer_no(facts, "nothing is owed then", step, *around)


def _around(facts: Facts, job: Job, at: datetime) -> Iterator[Step]:
    before, after = job.previous_before(at), job.next_after(at)
    if before is not None:
        yield Step("before", None, facts.said(before))
    if after is not None:
        yield Step("after", None, facts.said(after))


def _to_come(facts: Facts, job: Job, at: datetime, owed: Step) -> Explanation:
    if not job.enabled:
        until = facts.view.paused_until
        if until is None or until > at:
            return answer_no(
                facts, "it is to come, but the job is paused", owed, paused_in_words(facts)
            )
    if is_spent(job):
        return answer_no(facts, "it is to come, but the job has no fires left", owed, _spent(job))
    due = due_at(job, at)
    more = [Step("jitter", None, f"due at {facts.said(due)}")] if due != at else []
    return answer_no(facts, f"it is to come, in {duration(due - facts.now)}", owed, *more)


def _why_not(facts: Facts, job: Job, at: datetime) -> tuple[str, Step]:
    """Why an instant that the schedule names, and that is past, is on no record."""
    if job.first_past is not None and at < job.first_past:
        return _not_made(facts)
    if is_due(facts) and facts.view.next_fire_at is not None and at >= facts.view.next_fire_at:
        return _due(facts, job, at)
    known = _paused_or_old(facts, at)
    if known is not None:
        return known
    if is_spent(job):
        return "the job has no fires left", _spent(job)
    if not job.enabled:
        return "the job is paused", paused_in_words(facts)
    return _NO_RECORD


_NO_RECORD = (
    "it did not fire",
    Step("record", False, "none: it came due while its row was edited or could not be read"),
)


def _not_made(facts: Facts) -> tuple[str, Step]:
    return "the job was not made yet", Step("made", False, facts.said(facts.created_at))


def _paused_or_old(facts: Facts, at: datetime) -> tuple[str, Step] | None:
    paused = _paused_at(facts, at)
    if paused is not None:
        return "the job was paused", paused
    if at < facts.kept_since:
        text = f"records are kept since {facts.said(facts.kept_since)}"
        return "records so old are no longer kept", Step("record", None, text)
    return None


def _due(facts: Facts, job: Job, at: datetime) -> tuple[str, Step]:
    """Of an instant that is due, and that no beat has taken."""
    late = facts.now - max(at, facts.view.due_at or at)
    is_refused = job.lacks or facts.refusal is not None
    if late < max(_JUST_NOW, 2 * facts.poll) and alive(facts) and not (is_refused or facts.freeze):
        text = f"{beats_in_words(facts)}, and one looks within {duration(facts.poll)}"
        return "it is due just now", Step("claimed", None, text)
    why = f"it has been due for {duration(late)}, and no beat has taken it"
    return why, Step("claimed", False, _refused(facts, job))


def _refused(facts: Facts, job: Job) -> str:
    if job.lacks:
        return f"{beats_in_words(facts)}; {job.lacks} in this process, and perhaps in theirs"
    if facts.refusal is not None:
        return f"{beats_in_words(facts)}; {facts.refusal}, and perhaps there"
    if not alive(facts):
        return beats_in_words(facts)
    return f"{beats_in_words(facts)}: it is left to other beats, or the broker is away"


def _paused_at(facts: Facts, at: datetime) -> Step | None:
    """The pause that lay over an instant, by the record of changes, else by the row."""
    since = facts.view.paused_at
    if facts.view.state is JobState.PAUSED and since is not None and since <= at:
        return paused_in_words(facts)
    for change in facts.changes:
        if change.at > at or change.paused is None:
            continue
        if not change.paused:
            return None
        who = f" by {change.by}" if change.by else ""
        note = f': "{change.note}"' if change.note else ""
        return Step("paused", False, f"paused{who} {facts.said(change.at)}{note}")
    return None


def _spent(job: Job) -> Step:
    return Step("limit", False, f"max_fires = {job.max_fires}, and so many were sent")


def _coming(facts: Facts, job: Job, now: datetime) -> Iterator[Step]:
    following = facts.view.next_fire_at
    if following is not None:
        yield Step("next", True, facts.said(following))
    elif job.keyword is not None:
        yield Step("next", None, f"when its keyword is called: {job.keyword}")
    else:
        yield Step("next", False, "it has no fires left, or no beat has planned it yet")
    yield Step("beats", bool(alive(facts)), beats_in_words(facts))
