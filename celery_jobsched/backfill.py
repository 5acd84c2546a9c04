"""Which instants of the past a backfill fires, and what it leaves out, with the reason.

Pure. An instant may fire once: where it is no longer on record whether it did, it is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from .clock import TICK
from .job import Job


class LeftOut(NamedTuple):
    """What a backfill did not fire: ``unknown``, ``to_come``, ``limit`` or ``fired``, and words."""

    code: str
    text: str


@dataclass(frozen=True)
class Backfill:
    """The instants that a backfill fires, oldest first, the ids of their fires, and what it left.

    The ids are empty of one that was only looked at.
    """

    instants: tuple[datetime, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    ids: tuple[str, ...] = ()


def chosen(
    job: Job, start: datetime, end: datetime, limit: int, now: datetime, kept_since: datetime
) -> Backfill:
    """The instants of *job* from *start* to *end*, both included, *limit* of them at most.

    *kept_since*: since when the records of its fires are whole. What is older cannot have fired
    where the job is younger still.
    """
    left: list[LeftOut] = []
    if end > now:
        end = now
        left.append(LeftOut("to_come", f"after {_iso(now)}: its schedule fires these"))
    is_known_before = job.created_at or kept_since
    found: list[datetime] = []
    unknown: list[datetime] = []
    at = job.next_after(start - TICK)
    while at is not None and at <= end and len(found) < limit:
        if is_known_before <= at < kept_since:
            unknown.append(at)
            at = job.next_after(kept_since - TICK)
            continue
        found.append(at)
        at = job.next_after(at)
    if unknown:
        until = min(kept_since, end)
        text = f"from {_iso(unknown[0])} to {_iso(until)}: records so old are no longer kept"
        left.append(LeftOut("unknown", text))
    if at is not None and at <= end:
        left.append(LeftOut("limit", f"from {_iso(at)} on: the limit is {limit} fires"))
    return Backfill(tuple(found), tuple(left))


def fired_already(instants: list[datetime]) -> LeftOut:
    """What is left out because it fired, or is about to."""
    shown = ", ".join(map(_iso, instants[:3])) + (", …" if len(instants) > 3 else "")
    return LeftOut("fired", f"{len(instants)} that fired already: {shown}")


def _iso(at: datetime) -> str:
    return at.isoformat(" ", "seconds")
