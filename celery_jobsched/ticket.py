"""What a message says for admission: which locks to ask, and for which slots.

A beat writes it into the ``jobsched`` header, beside what tells a task its fire; the plugin in a
worker reads it. A message without it is run without a question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .fire import Fire, made_at
from .limits import Limit, Rights


@dataclass(frozen=True)
class Ticket:
    """One message's ticket."""

    #: The id of the beats' installation: each has locks of its own.
    installation: str
    #: Where the beats have the locks, as ``locks.open.place_of`` tells it.
    place: str
    #: A slot of each of these keys the run will hold, for a lease at a time.
    limits: tuple[Limit, ...]
    lease: timedelta
    #: Since when there can have been messages of the fire.
    made_at: datetime
    published_at: datetime
    #: The alias of the fire's database, where the beats have several.
    database: str | None = None

    @classmethod
    def of(
        cls,
        fire: Fire,
        rights: Rights,
        installation: str,
        place: str,
        now: datetime,
        database: str | None = None,
    ) -> Ticket:
        """The ticket of a message of *fire* that is published *now*."""
        first = fire.copies_since or _made_at(fire)
        return cls(installation, place, rights.limits, rights.lease, first, now, database)

    def to_header(self) -> dict[str, Any]:
        """The entries of the header that are the ticket."""
        beside = {} if self.database is None else {"database": self.database}
        return {
            **beside,
            "installation": self.installation,
            "locks": self.place,
            "limits": [list(limit) for limit in self.limits],
            "lease": self.lease.total_seconds(),
            "made_at": self.made_at.isoformat(),
            "published_at": self.published_at.isoformat(),
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Ticket:
        """The ticket in *header*.

        Raises:
            KeyError, TypeError, ValueError: there is none, or none that this release can read.
        """
        return cls(
            installation=_text(header["installation"]),
            place=_text(header["locks"]),
            limits=tuple(Limit(_text(key), int(most)) for key, most in header["limits"]),
            lease=_lease(header["lease"]),
            made_at=_instant(header["made_at"]),
            published_at=_instant(header["published_at"]),
            database=_text(header["database"]) if "database" in header else None,
        )


def _made_at(fire: Fire) -> datetime:
    try:
        return made_at(fire.id)
    except ValueError:  # a row that somebody else wrote
        return fire.due_at


def _text(value: Any, longest: int = 300) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"expected a text of up to {longest} characters")
    return value


def _lease(value: Any) -> timedelta:
    lease = timedelta(seconds=float(value))
    if lease <= timedelta(0):
        raise ValueError("expected a lease of some time")
    return lease


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("expected an instant with an offset")
    return instant
