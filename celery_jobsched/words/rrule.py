"""Recurrence rules in words: as they are written, since each of their parts says what it says."""

from __future__ import annotations

__all__ = ["of_rrule"]

#: Characters of a rule that are told.
_LONGEST = 200


def of_rrule(text: str) -> str:
    """A canonical text on one line."""
    line = text.replace("\n", " ")
    return (
        f"rrule {line if len(line) <= _LONGEST else f'{line[:_LONGEST]}… ({len(line)} characters)'}"
    )
