"""redbeat's rrule, which is dateutil's by its arguments, as the text that RFC 5545 has for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ..errors import InvalidJob

_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: dateutil's arguments, and the parts of a rule.
_NUMBERS = {
    "interval": "INTERVAL", "count": "COUNT", "bysetpos": "BYSETPOS", "bymonth": "BYMONTH",
    "bymonthday": "BYMONTHDAY", "byyearday": "BYYEARDAY", "byweekno": "BYWEEKNO",
    "byhour": "BYHOUR", "byminute": "BYMINUTE", "bysecond": "BYSECOND",
}  # fmt: skip
_OFFSETS = {"dtstart_tz", "until_tz"}
_KNOWN = {"freq", "dtstart", "until", "wkst", "byweekday", "byeaster", *_NUMBERS, *_OFFSETS}


def rule_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a job for a rule; its local times are at the fixed offset of its start.

    Raises:
        InvalidJob: the rule has what RFC 5545 has no word for.
    """
    unknown = sorted(given.keys() - _KNOWN)
    if unknown or given.get("byeaster") is not None:
        name = (unknown or ["byeaster"])[0]
        raise InvalidJob(name, given.get(name), "a part that RFC 5545 has")
    offset = given.get("dtstart_tz") or 0
    zone_name = _zone(offset)
    try:
        parts = ["FREQ=" + _frequency(given["freq"]), *_parts(given)]
        start = given.get("dtstart")
        lines = [] if start is None else [f"DTSTART:{_local(start, offset)}"]
        lines.append("RRULE:" + ";".join(parts))
        return {"rrule": "\n".join(lines), "timezone": zone_name}
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, OSError):
        raise InvalidJob("schedule", dict(given), "an rrule of redbeat's") from None


def _parts(given: Mapping[str, Any]) -> list[str]:
    found = [
        f"{part}={_numbers(given[name])}"
        for name, part in _NUMBERS.items()
        if given.get(name) is not None and (name, given[name]) != ("interval", 1)
    ]
    if given.get("until") is not None:
        found.append(f"UNTIL={_local(given['until'], 0)}Z")
    if given.get("byweekday") is not None:
        found.append("BYDAY=" + ",".join(_DAYS[_day(each)] for each in _listed(given["byweekday"])))
    if given.get("wkst") is not None:
        found.append(f"WKST={_DAYS[_day(given['wkst'])]}")
    return found


def _frequency(value: Any) -> str:
    return value.upper() if isinstance(value, str) else _FREQUENCIES[value]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _numbers(value: Any) -> str:
    return ",".join(str(int(each)) for each in _listed(value))


def _day(value: Any) -> int:
    """The weekday of a number, or of dateutil's own; the n of ``MO(n)`` is not kept there."""
    number = value["wkday"] if isinstance(value, Mapping) else value
    if not 0 <= number <= 6:
        raise ValueError(number)
    return int(number)


def _local(timestamp: float, offset_minutes: float) -> str:
    zone = timezone(timedelta(minutes=offset_minutes))
    return f"{datetime.fromtimestamp(timestamp, zone):%Y%m%dT%H%M%S}"


def _zone(offset_minutes: float) -> str:
    """The zone of a fixed offset; those of whole hours have names, of the opposite sign."""
    if offset_minutes == 0:
        return "UTC"
    hours, rest = divmod(offset_minutes, 60) if isinstance(offset_minutes, int | float) else (0, 1)
    if rest or not -12 <= hours <= 14:
        raise InvalidJob("dtstart", offset_minutes, "an offset of whole hours")
    return f"Etc/GMT{-int(hours):+d}"
