"""A report as the text in which a backend keeps it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ..clock import UTC
from ..errors import printable
from ..fire import FireState
from . import LONGEST_TEXT, Report


def to_text(report: Report) -> str:
    """*report* as JSON; a result or an error is cut to :data:`.LONGEST_TEXT` characters."""
    known = {
        "fire": report.fire,
        "state": report.state.value,
        "at": report.at.isoformat(),
        "started_at": report.started_at and report.started_at.isoformat(),
        "token": report.token,
        "retries": report.retries,
        "worker": report.worker,
        "result": _cut(report.result),
        "error": _cut(report.error),
    }
    return json.dumps({name: value for name, value in known.items() if value not in (None, "")})


def from_text(text: str) -> Report | None:
    """The report of *text*; None where another release says in it what this one cannot read."""
    try:
        said = json.loads(text)
        started_at, result, error = (said.get(name) for name in ("started_at", "result", "error"))
        return Report(
            fire=_text(said["fire"]),
            state=FireState(said["state"]),
            at=_instant(said["at"]),
            started_at=None if started_at is None else _instant(started_at),
            token=_text(said.get("token", "")),
            retries=int(said.get("retries", 0)),
            worker=_text(said.get("worker", "")),
            result=None if result is None else _text(result),
            error=None if error is None else _text(error),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _cut(text: str | None) -> str | None:
    return None if text is None else printable(text[:LONGEST_TEXT])
