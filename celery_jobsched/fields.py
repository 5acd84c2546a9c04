"""One reader for each column of a job: any value in, the canonical one out, or ``InvalidJob``.

Values come as Python (``[3, "hour"]``, a datetime) or as a table's text; what is read is the same.
What a trigger's own text means is not known here: see ``triggers``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from json import JSONDecoder
from typing import Any

from kombu.utils import json

from .clock import zone
from .errors import InvalidJob
from .triggers.calendar_text import read_calendar
from .triggers.once import parse_once

Reader = Callable[[str, Any], Any]

_LONGEST = 200
#: Before it, the clocks of some zones would show a year that Python does not have.
_FIRST_YEAR = 2
_FLAGS: dict[str | int, bool] = {
    "true": True, "1": True, "yes": True, 1: True,
    "false": False, "0": False, "no": False, 0: False,
}  # fmt: skip
#: NUL, and the halves of characters: what not every database takes in a text.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
#: What is longer takes longer to read than a beat has for one row.
_LONGEST_JSON = 2**18


def text(limit: int) -> Reader:
    """A text of at most *limit* characters, none of them a control character."""

    def read(field: str, value: Any) -> str:
        if not isinstance(value, str):
            raise InvalidJob(field, value, "a text")
        if not 0 < len(value) <= limit or not value.isprintable() or not value.strip():
            raise InvalidJob(field, value, f"a text of 1 to {limit} printable characters")
        return value

    return read


def long_text(field: str, value: Any) -> str:
    """A text of any lines."""
    if not is_writable(value):
        raise InvalidJob(field, value, "a text of whole characters, none of them NUL")
    return str(value)


def is_writable(value: Any) -> bool:
    """Whether it is a text that every database takes, in a row and in a question."""
    return isinstance(value, str) and not _UNWRITABLE.search(value)


def keyword(field: str, value: Any) -> str:
    """A word or several; blanks around it would never be found by the text without them."""
    found: str = text(255)(field, value)
    if found != found.strip():
        raise InvalidJob(field, value, "a text without blanks around it")
    return found


def word(*choices: str) -> Reader:
    """One of *choices*, in any case."""

    def read(field: str, value: Any) -> str:
        found = value.strip().lower() if isinstance(value, str) else None
        if found not in choices:
            raise InvalidJob(field, value, "one of " + ", ".join(choices))
        return str(found)

    return read


def flag(field: str, value: Any) -> bool:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    key = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(key, str | int) or key not in _FLAGS:
        raise InvalidJob(field, value, "true or false")
    return _FLAGS[key]


def whole(least: int) -> Reader:
    """A whole number of at least *least*."""

    def read(field: str, value: Any) -> int:
        number = _number(value)
        if number is None or number != int(number) or not least <= number <= 2**31 - 1:
            raise InvalidJob(field, value, f"a whole number of at least {least}")
        return int(number)

    return read


def seconds(least: float) -> Reader:
    """A number of seconds of at least *least*, or a timedelta."""

    def read(field: str, value: Any) -> float:
        number = value.total_seconds() if isinstance(value, timedelta) else _number(value)
        if number is None or not least <= number <= 1e10:
            raise InvalidJob(field, value, f"a number of seconds of at least {least:g}")
        return float(number)

    return read


def instant(field: str, value: Any, zone_name: str = "UTC") -> datetime:
    """An instant; one without a zone is local time of *zone_name*, in the table it is UTC."""
    try:
        found = parse_once(value, zone(zone_name)) if _may_be_instant(value) else ()
    except InvalidJob:
        found = ()
    if len(found) != 1 or found[0].year < _FIRST_YEAR:
        raise InvalidJob(field, value, "a date and time, such as 2027-01-31 09:00")
    return found[0]


def timezone_name(field: str, value: Any) -> str:
    """The name of a time zone that pytz knows."""
    name = value if isinstance(value, str) else getattr(value, "zone", getattr(value, "key", value))
    zone(name)
    return str(name)


def calendar(field: str, value: Any) -> str:
    """A calendar's text, as it was written; what its names stand for is not asked."""
    read_calendar(field, value)
    return str(value).strip()


def json_list(field: str, value: Any) -> list[Any]:
    """A list that JSON can carry."""
    found = _json(field, list(value) if isinstance(value, tuple | set | frozenset) else value)
    if not isinstance(found, list):
        raise InvalidJob(field, value, "a JSON list, such as [1, 2]")
    return found


def json_object(field: str, value: Any) -> dict[str, Any]:
    """A mapping of texts to what JSON can carry."""
    found = _json(field, dict(value) if isinstance(value, Mapping) else value)
    if not isinstance(found, dict):
        raise InvalidJob(field, value, 'a JSON object, such as {"key": 1}')
    return found


_FOREIGN = {
    "task_id": "the fire's id is the task's id",
    "connection": "the beat has its own",
    "producer": "the beat has its own",
    "eta": "the schedule says when",
    "countdown": "the schedule says when",
    "chain": "link says what comes afterwards",
    "chord": "link says what comes afterwards",
}
#: The headers by which a worker knows what to run, and as which task: they win over the job's.
_CELERYS_HEADERS = frozenset({
    "lang", "task", "id", "root_id", "parent_id", "group", "group_index", "retries", "timelimit",
    "eta", "expires", "argsrepr", "kwargsrepr", "origin", "ignore_result",
})  # fmt: skip


def options(field: str, value: Any) -> dict[str, Any]:
    """What ``apply_async`` takes beside args and kwargs, less what is the scheduler's own."""
    found = json_object(field, value)
    for name, why in _FOREIGN.items():
        if name in found:
            raise InvalidJob(field, value, f"no {name} ({why})")
    if found.get("serializer", "json") not in {"json", "yaml", "msgpack"}:
        raise InvalidJob(field, value, "a serializer of json, yaml or msgpack")
    headers = found.get("headers") or {}
    if not isinstance(headers, dict):
        raise InvalidJob(field, value, "headers that are a JSON object")
    if celerys := _CELERYS_HEADERS & headers.keys():
        raise InvalidJob(field, value, f"no header {sorted(celerys)[0]} (it is Celery's own)")
    for name in ("link", "link_error"):
        if not all(_names_task(each) for each in _listed(found.get(name))):
            raise InvalidJob(field, value, f'{name} as {{"task": "proj.task"}}, or a list of such')
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _names_task(signature: Any) -> bool:
    return isinstance(signature, dict) and isinstance(signature.get("task"), str | dict)


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return _number_of(value.strip())
    if isinstance(value, int) and abs(value) > 10**15:
        return None
    return value if math.isfinite(value) else None


def _number_of(text: str) -> float | None:
    if len(text) > 30 or not text.isascii() or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _may_be_instant(value: Any) -> bool:
    return isinstance(value, datetime) or (isinstance(value, str) and len(value) < 64)


def _finite(text: str) -> float:
    """A number of JSON, which NaN and Infinity are to Python alone, and 1e999 to nobody."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a finite number, not {text[:_LONGEST]}")
    return number


# What kombu's own loads would make anew for each text.
_decode = JSONDecoder(
    object_hook=json.object_hook, parse_float=_finite, parse_constant=_finite
).decode


def _json(field: str, value: Any) -> Any:
    """*value* as JSON would give it back: what the worker will get."""
    try:
        given = value if isinstance(value, str) else json.dumps(value)
        if len(given) > _LONGEST_JSON:
            raise ValueError(f"of at most {_LONGEST_JSON} characters")
        found = _decode(given)
    except Exception as error:  # noqa: BLE001 - what decodes {"__type__": …} may raise anything
        raise InvalidJob(field, value, f"JSON ({_said(error)})"[:_LONGEST]) from None
    return found


def _said(error: Exception) -> str:
    """The message of *error*, or its kind where that is all it says in words."""
    said = error.args[0] if error.args else None
    return said if isinstance(said, str) else type(error).__name__


def to_json(value: Any) -> str:
    """*value* as the table keeps it."""
    return str(json.dumps(value))


def plain(value: Any) -> Any:
    """*value* in what JSON has: a column's instant as its text, one in a list as the table has it.

    What comes of it is read as the same again.
    """
    return (
        value.isoformat() if isinstance(value, datetime) else JSONDecoder().decode(to_json(value))
    )
