"""A report as the text in which a backend keeps it."""

from __future__ import annotations

import json
from datetime import datetime

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
        return Report(
            fire=said["fire"],
            state=FireState(said["state"]),
            at=datetime.fromisoformat(said["at"]),
            started_at=_instant(said.get("started_at")),
            token=said.get("token", ""),
            retries=said.get("retries", 0),
            worker=said.get("worker", ""),
            result=said.get("result"),
            error=said.get("error"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _cut(text: str | None) -> str | None:
    return None if text is None else printable(text[:LONGEST_TEXT])
