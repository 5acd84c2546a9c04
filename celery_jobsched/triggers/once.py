"""Once: one or more instants, written down.

Reading follows ISO 8601 as people and databases write it; a naive time is the job's local time.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob

__all__ = ["Once", "parse_once"]

_LONGEST_TEXT = 100_000
_MOST_INSTANTS = 2_000
_EXPECTED = "instants such as 2026-12-24 18:00 or 2026-12-24T18:00:00+01:00, parted by commas"
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)? ?"
    r"(Z|z|[+-]\d\d(?::?[0-5]\d(?::?[0-5]\d)?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Once:
    """A trigger: these instants (aware UTC, ascending, each once) and no others."""

    instants: tuple[datetime, ...]

    def next_after(self, instant: datetime) -> datetime | None:
        """The first of them strictly later than *instant*."""
        index = bisect_right(self.instants, instant)
        return self.instants[index] if index < len(self.instants) else None

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last of them strictly earlier than *instant*."""
        index = bisect_left(self.instants, instant)
        return self.instants[index - 1] if index else None


def parse_once(
    value: Any, zone: tzinfo, gap: str = "run", fold: str = "first"
) -> tuple[datetime, ...]:
    """Read instants: aware UTC, ascending, each once.

    *value* is a datetime, a text of one or more (commas, semicolons or line ends part them), or a
    list of both. A naive one is local in *zone* by the DST rule; a date alone is its midnight.

    Raises: InvalidJob (field ``once``), also when nothing is left.
    """
    found: set[datetime] = set()
    for part in _parts(value):
        moment = part if isinstance(part, datetime) else _read(part, value)
        found.update(_instants(moment, zone, gap, fold, value))
        if len(found) > _MOST_INSTANTS:
            raise InvalidJob("once", value, f"at most {_MOST_INSTANTS} instants")
    if not found:
        raise InvalidJob("once", value, "at least one instant that comes")
    return tuple(sorted(found))


def _parts(value: Any) -> Iterable[Any]:
    values = value if isinstance(value, (list, tuple)) else [value]
    for each in values:
        if not isinstance(each, (str, datetime)) or len(values) > _MOST_INSTANTS:
            raise InvalidJob("once", value, _EXPECTED)
        yield from _texts(each) if isinstance(each, str) else [each]


def _texts(text: str) -> list[str]:
    if len(text) > _LONGEST_TEXT:
        raise InvalidJob("once", text, f"a text of at most {_LONGEST_TEXT} characters")
    parts = [each for part in re.split(r"[,;\r\n]", text) if (each := part.strip())]
    if len(parts) > _MOST_INSTANTS:
        raise InvalidJob("once", text, f"at most {_MOST_INSTANTS} instants")
    return parts


def _read(text: str, value: Any) -> datetime:
    match = _ISO.fullmatch(text)
    if not match:
        raise InvalidJob("once", value, _EXPECTED)
    year, month, day, hour, minute, second, fraction, offset = match.groups(default="")
    try:
        return datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int(fraction[:6].ljust(6, "0")), _offset(offset),
        )  # fmt: skip
    except ValueError as error:
        raise InvalidJob("once", value, f"a date and a time that exist ({error})") from None


def _offset(text: str) -> tzinfo | None:
    if not text or text in "Zz":
        return clock.UTC if text else None
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    size = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-size if text[0] == "-" else size)


def _instants(
    moment: datetime, zone: tzinfo, gap: str, fold: str, value: Any
) -> tuple[datetime, ...]:
    try:
        if moment.utcoffset() is None:
            return clock.instants_of(moment.replace(tzinfo=None), zone, gap, fold)
        return (moment.astimezone(clock.UTC),)
    except Exception as error:  # noqa: BLE001 - a foreign tzinfo may raise anything
        raise InvalidJob("once", value, f"{_EXPECTED} ({error})") from None
