"""What a message says for admission: which locks to ask, and for which slots.

A beat writes it into the ``jobsched`` header, beside what tells a task its fire; the plugin in a
worker reads it. A message without it is run without a question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .errors import shown
from .fields import is_writable
from .fire import Fire, made_at
from .limits import Limit, Rights, lease_of

_GREATEST = 2**31 - 1


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
            KeyError, TypeError, ValueError, OverflowError: there is none, or none that this release
            can read.
        """
        return cls(
            installation=text_in(header["installation"]),
            place=text_in(header["locks"]),
            limits=tuple(Limit(text_in(key), whole_in(most)) for key, most in header["limits"]),
            lease=lease_of(header["lease"]),
            made_at=_instant(header["made_at"]),
            published_at=_instant(header["published_at"]),
            database=text_in(header["database"]) if "database" in header else None,
        )


def _made_at(fire: Fire) -> datetime:
    try:
        return made_at(fire.id)
    except ValueError:  # a row that somebody else wrote
        return fire.due_at


def text_in(value: Any, longest: int = 300) -> str:
    """A text of a header, which each backend of the locks can keep.

    Raises:
        ValueError: it is none.
    """
    if not is_writable(value) or len(value) > longest:
        raise ValueError(f"expected a text of up to {longest} characters")
    return str(value)


def whole_in(value: Any) -> int:
    """A number of a header, the same.

    Raises:
        ValueError, TypeError, OverflowError: it is none.
    """
    number = int(value)
    if abs(number) > _GREATEST:
        raise ValueError(f"expected a number of up to {_GREATEST}, got: {shown(number)}")
    return number


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("expected an instant with an offset")
    return instant
