"""Single instants in words: "once, 24 Dec 2026 18:00"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from .english import MOST_ITEMS, listed, moment

__all__ = ["of_instants"]


def of_instants(instants: Sequence[datetime], zone: tzinfo) -> str:
    """The instants, as the clocks of *zone* show them; of many, how many from when to when."""
    if len(instants) > MOST_ITEMS:
        first, last = moment(instants[0], zone), moment(instants[-1], zone)
        return f"{len(instants)} times from {first} to {last}"
    text = listed([moment(each, zone) for each in instants])
    return f"once, {text}" if len(instants) == 1 else f"{len(instants)} times, {text}"
