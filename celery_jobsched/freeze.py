"""A freeze: while it lasts, no beat claims what schedules owe. And a drain, of one beat. Pure.

What is on its way goes on, and so does what a person asks for: runs by hand, keywords, backfills.
What came due meanwhile is the misfire rule's business afterwards. A beat that is drained publishes
nothing at all: the others do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar

_F = TypeVar("_F", bound="Freeze")


@dataclass(frozen=True)
class Freeze:
    """Since when, until when (None: until somebody thaws), by whom, and why."""

    since: datetime | None = None
    until: datetime | None = None
    by: str | None = None
    note: str | None = None

    SAID: ClassVar[str] = "all schedules are frozen"

    def holds(self, now: datetime) -> bool:
        """Whether it lasts."""
        return self.until is None or self.until > now

    def to_text(self) -> str:
        """As ``jobsched_meta`` keeps it."""
        return json.dumps(asdict(self), default=datetime.isoformat, ensure_ascii=False)

    @classmethod
    def from_text(cls: type[_F], text: str) -> _F:
        """What a row says; one that cannot be read holds until somebody takes it away."""
        try:
            found: dict[str, Any] = json.loads(text)
            since, until = (_instant(found.get(name)) for name in ("since", "until"))
            return cls(since, until, found.get("by"), found.get("note"))
        except (ValueError, TypeError, AttributeError):
            return cls(note=text)

    def __str__(self) -> str:
        who = f" by {self.by}" if self.by else ""
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        until = f", until {self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else ""
        note = f": {self.note}" if self.note else ""
        return f"{self.SAID}{who}{since}{until}{note}"


class Drain(Freeze):
    """The same of one beat, until somebody undoes it or the beat ends."""

    SAID = "drained"


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"expected an instant with an offset, got: {text!r}")
    return found
