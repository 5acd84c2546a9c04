"""redbeat's hashes: ``definition`` and ``meta``, JSON with types of its own.

Its own decoder is not used, so that nothing but these types is made. A crontab has no zone there:
it is in the application's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from .. import clock
from ..errors import InvalidJob
from .draft import Draft, drafted, mapping
from .redbeat_rules import rule_of

_CRONTAB = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
#: How the text begins that a pickle is written as, and what it has to name.
_PICKLE, _LAZY = "gA", b"BeatLazyFunc"

#: A key, and what its hash holds: the definition and what it remembers; None where it lacks one.
Hash = tuple[str, str | None, str | None]


def of_hashes(hashes: Iterable[Hash], prefix: str) -> list[Draft]:
    """The drafts of the entries under these keys, which begin with *prefix*."""
    return [drafted(key.removeprefix(prefix), _fill, *texts) for key, *texts in hashes]


def _fill(draft: Draft, definition: str | None, meta: str | None) -> None:
    given = _read("definition", definition)
    kept = _read("meta", meta) if meta else {}
    draft.definition["task"] = given.get("task")
    last_run_at = _decoded("last_run_at", kept.get("last_run_at"))
    _set_schedule(draft, given.get("schedule"), last_run_at)
    args, kwargs, options = (_decoded(each, given.get(each)) for each in _CALL)
    draft.set_call(args, kwargs, options)
    if not given.get("enabled", True):
        draft.definition["enabled"] = False


_CALL = ("args", "kwargs", "options")


def _set_schedule(draft: Draft, value: Any, last_run_at: Any) -> None:
    schedule = dict(mapping("schedule", value, "interval, crontab or rrule"))
    kind = schedule.pop("__type__", None)
    if kind == "interval":
        _set_interval(draft, schedule, last_run_at)
    elif kind == "crontab":
        fields = ("".join(str(schedule.get(name, "*")).split()) for name in _CRONTAB)
        draft.definition["celery"] = " ".join(("crontab", *fields))
    elif kind == "rrule":
        draft.definition |= rule_of(schedule)
    else:
        raise InvalidJob("schedule", value, "interval, crontab or rrule")


def _set_interval(draft: Draft, schedule: Mapping[str, Any], last_run_at: Any) -> None:
    from celery.schedules import schedule as interval

    try:
        every = timedelta(seconds=schedule["every"])
    except (TypeError, KeyError, ValueError, OverflowError):
        raise InvalidJob("schedule", dict(schedule), "a number of seconds as every") from None
    draft.set_schedule(interval(every, bool(schedule.get("relative"))), last_run_at)


def _read(name: str, text: str | None) -> Mapping[str, Any]:
    try:
        return mapping(name, json.loads(text or ""), "a JSON object")
    except (ValueError, RecursionError) as error:
        raise InvalidJob(name, text, f"a JSON object ({error})") from None


def _decoded(name: str, value: Any) -> Any:
    """*value* with its datetimes as such.

    Raises:
        InvalidJob: there is another type in it, or a pickle.
    """
    if isinstance(value, list):
        return [_decoded(name, each) for each in value]
    if isinstance(value, str) and _is_lazy(value):
        raise InvalidJob(name, value, "no BeatLazyFunc, which is pickled")
    if not isinstance(value, dict):
        return value
    if "__type__" not in value:
        return {key: _decoded(name, each) for key, each in value.items()}
    return _datetime(name, value)


def _datetime(name: str, value: dict[str, Any]) -> datetime:
    fields = {key: each for key, each in value.items() if key not in {"__type__", "timezone"}}
    try:
        if value["__type__"] != "datetime":
            raise ValueError(value["__type__"])
        local = datetime(**fields)  # noqa: DTZ001 - its zone stands beside it
        zone = value.get("timezone", "UTC")
        if isinstance(zone, int | float):
            return local.replace(tzinfo=timezone(timedelta(seconds=zone)))
        found, *_ = clock.instants_of(local, clock.zone(zone)) or (None,)
    except (TypeError, ValueError, OverflowError):
        found = None
    if found is None:
        raise InvalidJob(name, value, "a datetime with a zone, and no other type")
    return found


def _is_lazy(text: str) -> bool:
    if not text.startswith(_PICKLE):
        return False
    try:
        return _LAZY in base64.b64decode(text, validate=True)
    except ValueError:
        return False
