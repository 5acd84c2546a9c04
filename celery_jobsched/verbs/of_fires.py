"""What became of a fire, from its record, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from ..errors import InvalidJob
from ..fire import FireState, Origin, made_at
from ..job import Job
from ..plan import grace
from ..views import FireView, duration
from ..words.english import ordinal
from .facts import Explanation, Facts, Holding, Step, beat_in_words, beats_in_words

_RAN = {
    FireState.STARTED.value, FireState.RETRYING.value, FireState.SUCCEEDED.value,
    FireState.LOST.value,
}  # fmt: skip
#: Where the reason has a step of its own.
_REASON_IS_TOLD = {FireState.SKIPPED.value, FireState.CANCELLED.value}


def of_fire(facts: Facts, fire: FireView) -> Explanation:
    """What became of *fire*."""
    steps = [*_owed(facts, fire), *_taken(facts, fire), *_slot(facts, fire), *_sent(facts, fire)]
    steps += [*_run(facts, fire), *_advice(fire)]
    at = facts.at if fire.until_at and facts.at else fire.fire_at
    ran = _ran(fire)
    summary = f"{fire.job} at {facts.said(at)}: {_outcome(fire)}."
    return Explanation(fire.job, at, ran, summary, tuple(steps), fire)


def _ran(fire: FireView) -> bool:
    if fire.state == FireState.FAILED.value:
        return fire.sent_at is not None and not _was_discarded(fire)
    return fire.state in _RAN or (fire.state == FireState.SENT.value and fire.check_at is None)


def _was_discarded(fire: FireView) -> bool:
    """Whether its worker could not begin with it: of each other run it says since when."""
    return fire.worker is not None and fire.started_at is None


def _outcome(fire: FireView) -> str:
    took = f" in {duration(fire.took)}" if fire.took is not None else ""
    words = {
        "pending": "not sent yet",
        "waiting": "waits for a slot",
        "sent": "sent; no worker has said yet that it began",
        "started": "running",
        "retrying": "between two tries",
        "succeeded": f"ran, and succeeded{took}",
        "failed": f"failed{took}",
        "revoked": "revoked before its end",
        "expired": "expired before a worker took it",
        "lost": "ran, and was lost",
        "missed": "missed, it did not run",
        "skipped": "skipped, it did not run",
        "cancelled": "cancelled, it did not run",
    }
    if fire.state == FireState.SENT.value and fire.check_at is None:
        return "sent; how it ended is not known"
    if fire.state == FireState.FAILED.value and fire.sent_at is None:
        return "failed, it could not be sent"
    if fire.state == FireState.FAILED.value and _was_discarded(fire):
        return "failed, it did not run"
    return words.get(fire.state, fire.state)


def _owed(facts: Facts, fire: FireView) -> Iterator[Step]:
    words = facts.view.words or facts.view.schedule
    own = {
        Origin.SCHEDULE.value: f"by its schedule: {words}",
        Origin.CATCHUP.value: f"by its schedule ({words}), made up for after it was missed",
        Origin.KEYWORD.value: "its keyword was called",
        Origin.MANUAL.value: "by hand",
        Origin.BACKFILL.value: "by a backfill",
    }
    text = own.get(fire.origin, fire.origin)
    if _is_why_by_hand(fire):
        text += f": {fire.reason}"
    if fire.until_at is not None and fire.until_at != fire.fire_at:
        many = "many" if fire.count is None else str(fire.count)
        span = f"{facts.said(fire.fire_at)} to {facts.said(fire.until_at)}"
        text += f"; one record for {many} instants, {span}"
    yield Step("owed", True, text)


def _is_why_by_hand(fire: FireView) -> bool:
    """Whether its reason says who wanted it, and why."""
    by_hand = fire.origin in {Origin.MANUAL.value, Origin.BACKFILL.value}
    return by_hand and (fire.reason or "").startswith("run by")


def _taken(facts: Facts, fire: FireView) -> Iterator[Step]:
    made, beat = _made_at(fire), beat_in_words(facts, fire.beat)
    if fire.state == FireState.MISSED.value:
        yield Step("late", False, _missed(facts, fire, made))
        return
    if not Origin(fire.origin).is_clock:
        if made is not None:
            yield Step("written", True, facts.said(made))
        return
    if fire.due_at is not None and fire.due_at != fire.fire_at:
        yield Step("jitter", None, f"due at {facts.said(fire.due_at)}")
    if made is not None:
        yield Step("claimed", True, f"{facts.said(made)} by {beat}{_behind(facts, fire, made)}")


def _behind(facts: Facts, fire: FireView, claimed_at: datetime) -> str:
    """How late it was claimed; a job's first fire may be due before the job was made."""
    since, what = fire.due_at or fire.fire_at, "it was due"
    # SQLite keeps whatever was written there.
    if isinstance(facts.created_at, datetime) and facts.created_at > since:
        since, what = facts.created_at, "the job was made"
    late = claimed_at - since
    return f", {duration(late)} after {what}" if late > timedelta(0) else ""


def _missed(facts: Facts, fire: FireView, made: datetime | None) -> str:
    found = "found out too late"
    if made is not None:
        found = f"found out {facts.said(made)}, {duration(made - fire.fire_at)} late"
    job = facts.job
    if isinstance(job, Job):
        with suppress(InvalidJob):
            found += f"; {duration(grace(job, fire.fire_at))} is allowed (misfire_grace_time)"
    return f"{found}; {fire.reason or 'too late'}; no beat had taken it by then"


def _slot(facts: Facts, fire: FireView) -> Iterator[Step]:
    if fire.state == FireState.WAITING.value:
        yield Step("slot", False, f"waits for one of {fire.waiting_for!r}; {_held(facts)}")
    elif fire.slots and fire.state != FireState.PENDING.value:
        keys = " and ".join(repr(key) for key in fire.slots)
        yield Step("slot", True, f"it was granted a slot of {keys}")
    elif fire.state in {FireState.SKIPPED.value, FireState.CANCELLED.value} and fire.reason:
        code = "slot" if fire.state == FireState.SKIPPED.value else "cancelled"
        by = "; held by " + "; ".join(_held_then(facts, each) for each in facts.held_then)
        yield Step(code, False, fire.reason + (by if facts.held_then else ""))


def _held(facts: Facts) -> str:
    if facts.holders is None:
        return "the locks do not say now who holds it"
    if not facts.holders:
        return "nobody holds one now: a beat grants it in a moment"
    return "held by " + "; ".join(_holder(facts, each) for each in facts.holders)


def _holder(facts: Facts, held: Holding) -> str:
    if held.fire is None:
        return f"fire {held.id[-8:]}"
    fire = held.fire
    where = f" on {fire.worker}" if fire.worker else ""
    since = f"running since {facts.said(fire.started_at)}" if fire.started_at else fire.state
    return f"fire {held.id[-8:]} of {fire.job} ({facts.said(fire.fire_at)}, {since}{where})"


def _held_then(facts: Facts, fire: FireView) -> str:
    """Who held a slot at an instant that is past, by the record."""
    said = f"sent {facts.said(fire.sent_at)}" if fire.sent_at else fire.state
    if fire.started_at is None:
        said += f", no worker {'had' if fire.finished_at else 'has'} taken it"
    else:
        said += f", running since {facts.said(fire.started_at)}"
    if fire.finished_at is not None:
        said += f", ended {facts.said(fire.finished_at)}"
    where = f" on {fire.worker}" if fire.worker else ""
    return f"fire {fire.id[-8:]} of {fire.job} ({said}{where})"


def _sent(facts: Facts, fire: FireView) -> Iterator[Step]:
    if fire.state == FireState.PENDING.value:
        yield Step("sent", False, _unsent(facts, fire))
    elif fire.sent_at is not None:
        often = f", for the {ordinal(fire.publishes)} time" if fire.publishes > 1 else ""
        yield Step("sent", True, f"{facts.said(fire.sent_at)}{often}")


def _unsent(facts: Facts, fire: FireView) -> str:
    if fire.ready_at is not None and fire.ready_at > facts.now:
        return f"to be sent {facts.said(fire.ready_at)}"
    return f"ready to be sent; {beats_in_words(facts)}, or the broker is away"


def _run(facts: Facts, fire: FireView) -> Iterator[Step]:
    if fire.started_at is not None:
        waited = f", {duration(fire.waited)} after it was sent" if fire.waited is not None else ""
        yield Step("worker", True, f"{fire.worker}: began {facts.said(fire.started_at)}{waited}")
    if fire.finished_at is not None and fire.state != FireState.MISSED.value:
        good = fire.state == FireState.SUCCEEDED.value
        yield Step("ended", good, f"{facts.said(fire.finished_at)}: {_ending(fire)}")
    elif fire.error and fire.state != FireState.SUCCEEDED.value:
        yield Step("error", False, fire.error)


def _ending(fire: FireView) -> str:
    said = fire.error or fire.result
    ending = f"{fire.state}: {said}" if said else fire.state
    is_told = fire.state in _REASON_IS_TOLD or _is_why_by_hand(fire)
    return ending if is_told or not fire.reason else f"{ending} ({fire.reason})"


def _advice(fire: FireView) -> Iterator[Step]:
    if fire.state == FireState.SKIPPED.value:
        text = "a higher max_concurrency lets both run; overlap = wait runs it afterwards"
        yield Step("hint", None, text)
    elif fire.state == FireState.MISSED.value:
        yield Step("hint", None, "misfire = all makes up for each instant, once for the newest")


def _made_at(fire: FireView) -> datetime | None:
    try:
        return made_at(fire.id)
    except ValueError:
        return None
