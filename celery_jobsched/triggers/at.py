"""At: the wall-clock fields that an interval puts in place of its anchor's.

Only what the fields are and how they are read; which occurrences they move is told in ``every``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from celery_jobsched.errors import InvalidJob, NextFireTimeError

__all__ = ["At", "parse_at", "require_finer"]

_LONGEST_TEXT = 64
_LONGEST_JSON = 255
_EXPECTED = "a time such as 15:30, :30, mon 09:00, 31 03:00, -1 03:00 or 12-24 18:00"
_TEXT = re.compile(
    r"(?:(?P<weekday>[a-z]{3,9}) +"
    r"|(?:(?P<month>[0-9]{1,2})-|(?P<name>[a-z]{3,9}) +)?(?P<day>-1|[0-9]{1,2}) +)?"
    r"(?P<hour>[0-9]{1,2})?:(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?"
)
_NUMBER = re.compile(r"-1|[0-9]{1,2}")
_BOUNDS = {"month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

#: What may be named under each unit: the fields finer than it.
_FINER: dict[str, tuple[str, ...]] = {
    "second": (),
    "minute": ("second",),
    "hour": ("minute", "second"),
    "day": ("hour", "minute", "second"),
    "week": ("weekday", "hour", "minute", "second"),
    "month": ("day", "hour", "minute", "second"),
    "year": ("month", "day", "hour", "minute", "second"),
}


class At(NamedTuple):
    """Wall-clock fields; None keeps the anchor's.

    Weekdays count from Monday = 0; day -1 is the last one of its month.
    """

    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None

    def on_clock(self, local: datetime) -> datetime:
        """*local* with the hour, the minute and the (whole) second that are named."""
        return local.replace(
            hour=local.hour if self.hour is None else self.hour,
            minute=local.minute if self.minute is None else self.minute,
            second=local.second if self.second is None else self.second,
            microsecond=local.microsecond if self.second is None else 0,
        )


def parse_at(value: Any, unit: str) -> At:
    """Read the wall-clock fields of an interval in *unit*: text, or fields (a dict, or as JSON).

    Text names the hour and the minute, or with ":30" the minute (under minute: the second); where
    it names no second, the second is 0. Fields name what they name; months and weekdays have names.

    Raises: InvalidJob (field ``at``); NextFireTimeError for a field that is not finer than *unit*.
    """
    if isinstance(value, str):
        return _worded(value, unit)
    if isinstance(value, Mapping):
        return _of_fields(dict(value), unit, value)
    raise InvalidJob("at", value, _EXPECTED)


@lru_cache(maxsize=4096)
def _worded(value: str, unit: str) -> At:
    fields = _read_json(value) if value.lstrip().startswith("{") else _read(value, unit)
    return _of_fields(fields, unit, value)


def _of_fields(fields: dict[str, Any], unit: str, value: Any) -> At:
    require_finer(fields, unit, value)
    return At(**{name: _number(name, each, value) for name, each in fields.items()})


def require_finer(fields: Mapping[str, Any], unit: str, value: Any) -> None:
    """Refuse *fields* unless they name something, and nothing as coarse as *unit*.

    Only such fields move each occurrence within its own unit, so that the next one is always
    later.

    Raises: NextFireTimeError (showing *value*).
    """
    finer = _FINER[unit]
    named = [name for name, each in fields.items() if each is not None or name not in At._fields]
    if not finer:
        raise NextFireTimeError("at", value, f"no such fields: none is finer than a {unit}")
    if not named or not set(named) <= set(finer):
        raise NextFireTimeError("at", value, f"fields finer than the {unit}: {', '.join(finer)}")


def _read(value: str, unit: str) -> dict[str, Any]:
    readable = len(value) <= _LONGEST_TEXT and value.isascii()
    match = _TEXT.fullmatch(value.strip(" ").lower()) if readable else None
    if not match:
        raise InvalidJob("at", value, _EXPECTED)
    fields = {name: text for name, text in match.groupdict().items() if text}
    if "name" in fields:
        fields["month"] = fields.pop("name")
    if unit == "minute" and fields.keys() == {"minute"}:
        return {"second": fields["minute"]}
    return {"second": "0", **fields}


def _read_json(value: str) -> dict[str, Any]:
    try:
        return dict(json.loads(value if len(value) <= _LONGEST_JSON else ""))
    except ValueError:
        raise InvalidJob("at", value, f"{_EXPECTED}, or its fields as JSON") from None


def _number(name: str, field: Any, value: Any) -> int | None:
    if field is None:
        return None
    if name == "weekday":
        return _named(name, field, _WEEKDAYS, value)
    if name == "month" and isinstance(field, str) and not _NUMBER.fullmatch(field):
        return _named(name, field, _MONTHS, value) + 1
    least, most = _BOUNDS[name]
    number = int(field) if isinstance(field, str) and _NUMBER.fullmatch(field) else field
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or not (least <= number <= most or (name, number) == ("day", -1)):
        last = " or -1 for the last" if name == "day" else ""
        raise InvalidJob("at", value, f"{name} from {least} to {most}{last}")
    return int(number)


def _named(name: str, field: Any, words: tuple[str, ...], value: Any) -> int:
    text = field.lower() if isinstance(field, str) else ""
    for index, word in enumerate(words):
        if text in (word, word[:3]):
            return index
    raise InvalidJob("at", value, f"{name} by its name, such as {words[0][:3]} or {words[0]}")
