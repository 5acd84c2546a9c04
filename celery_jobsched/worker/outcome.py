"""Results and errors as the texts that stay on record: bounded, whatever a task came up with."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]

from ..locks import LONGEST_TEXT

_AT_ONCE = 0.0


def exception_in(info: Any) -> Any:
    """The exception of a pool's ``ExceptionInfo``, as the task raised it."""
    error = getattr(info, "exception", info)
    # billiard wraps what comes from a child, to carry its traceback.
    return error.exc if isinstance(error, ExceptionWithTraceback) else error


def error_text(error: Any) -> str:
    """``type: message``, without a traceback."""
    # What could not be pickled comes from a child as its name and a text.
    name = getattr(error, "exc_cls_name", None) or type(error).__name__
    said = _text_of(error, str)
    return f"{name}: {said}" if said else str(name)


def result_text(value: Any) -> str:
    """What a task returned: from a pool it comes as its ``repr`` already."""
    return value[:LONGEST_TEXT] if isinstance(value, str) else _text_of(value, repr)


def stored_text(value: Any) -> str:
    """What a result backend gives back: the value itself."""
    return _text_of(value, repr)


def seconds_until(when: Any, now: datetime) -> float:
    """How long a retry waits. Celery says it in seconds, or as an instant: a naive one is UTC."""
    if isinstance(when, datetime):
        aware = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        return max((aware - now).total_seconds(), _AT_ONCE)
    return max(float(when), _AT_ONCE) if isinstance(when, int | float) else _AT_ONCE


def _text_of(value: Any, told: Any) -> str:
    try:
        return str(told(value))[:LONGEST_TEXT]
    except Exception as error:  # noqa: BLE001 - a task's own __str__ and __repr__ may raise anything
        return f"<{type(value).__name__}: {type(error).__name__} where its text was asked for>"
