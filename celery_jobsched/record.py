"""What is on record of a fire on its way, and what a report makes of it.

Pure. A report may overtake those before it, come twice, or come of a copy that another one
replaced: what it cannot say any more it does not say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .clock import UTC
from .errors import printable
from .fire import FireState
from .limits import Rights
from .locks import LONGEST_TEXT, Report

_RUNNING = {FireState.STARTED, FireState.RETRYING}
_BACK = {FireState.PENDING, FireState.WAITING}
_LONGEST_WORKER = 255
_LONGEST_TOKEN = 36


@dataclass(frozen=True)
class Record:
    """The part of a fire's row that reports change; ``rights`` they only read."""

    state: FireState
    rights: str | None = None
    ready_at: datetime | None = None
    waiting_for: str | None = None
    check_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str | None = None
    token: str | None = None
    reason: str | None = None
    result: str | None = None
    error: str | None = None


def after(record: Record, report: Report, now: datetime, lease: timedelta) -> Record | None:
    """*record* with what *report* says, or None where that changes nothing.

    Who runs is looked after when the lease could be over: the one that it was sent with, else
    *lease*.
    """
    if not _is_heeded(record, report):
        return None
    idle = replace(record, state=report.state, ready_at=None, waiting_for=None, check_at=None)
    if report.state in _BACK:
        return _back(idle, report, now)
    if record.state is FireState.CANCELLED:
        idle = replace(idle, reason=None, finished_at=None)
    ran = replace(
        idle,
        started_at=_utc(report.started_at) or record.started_at,
        worker=_text(report.worker, _LONGEST_WORKER) or record.worker,
        token=_text(report.token, _LONGEST_TOKEN) or record.token,
    )
    if report.state in _RUNNING:
        ran = replace(ran, check_at=now + _lease(record, lease))
    if report.state.is_final:
        ran = replace(ran, finished_at=_utc(report.at))
    if report.state is FireState.STARTED:
        return ran
    return replace(ran, result=_text(report.result), error=_text(report.error))


def _is_heeded(record: Record, report: Report) -> bool:
    if report.state is record.state and report.state in _RUNNING:
        # Another run than the one that is known: its worker died, and a copy came again.
        return (report.token, report.started_at) != (record.token, record.started_at)
    if report.state in _BACK and record.state in _RUNNING:
        # What a worker says that refused another copy is no word on the run.
        known = record.state.may_become(report.state)
        return known and report.token in {"", record.token}
    return record.state.may_become(report.state)


def _back(idle: Record, report: Report, now: datetime) -> Record:
    """To the beats again: to be sent, or to wait for a slot where it is known of which keys.

    Either has its place in the queue, for its turn had come before. It is not sent before a beat
    has asked whether another copy of it runs, or did.
    """
    keys = _keys(idle)
    told = replace(idle, reason=_text(report.error), waiting_for=keys[0] if keys else None)
    if report.state is FireState.WAITING and keys:
        return told
    return replace(told, state=FireState.PENDING, check_at=now)


def _keys(record: Record) -> tuple[str, ...]:
    rights = _rights(record)
    return rights.keys if rights else ()


def _lease(record: Record, usual: timedelta) -> timedelta:
    rights = _rights(record)
    return rights.lease if rights else usual


def _rights(record: Record) -> Rights | None:
    if record.rights is None:
        return None
    try:
        return Rights.from_text(record.rights)
    except (ValueError, TypeError, KeyError, AttributeError):  # another release's, or a person's
        return None


def _utc(instant: datetime | None) -> datetime | None:
    return instant and instant.astimezone(UTC)


def _text(text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    return None if text is None else printable(text[:longest])
