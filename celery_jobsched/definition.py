"""Reading a definition: the keys of a mapping, or the columns of a row, as canonical values.

Each value is read by itself; whether they go together is the job's to say.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from . import fields as read
from .clock import zone
from .errors import InvalidJob, shown
from .triggers.calendar import names_in
from .triggers.celery import to_text
from .triggers.cron import parse_cron
from .triggers.custom import parse_custom
from .triggers.every import parse_at, parse_every
from .triggers.once import parse_once
from .triggers.rrule import parse_rrule

#: The columns that hold calendars, and so may name others.
CALENDARS = ("only_during", "not_during")

#: Spellings of older schedulers, read as the columns they mean.
SPELLINGS = {"func": "task", "concurrence_n": "max_concurrency", "schedule": "celery"}

_READERS: dict[str, read.Reader] = {
    "task": read.text(255),
    "args": read.json_list,
    "kwargs": read.json_object,
    "options": read.options,
    "labels": read.json_object,
    "description": read.long_text,
    "starts_at": read.instant,
    "ends_at": read.instant,
    "max_fires": read.whole(1),
    "jitter": read.seconds(0),
    "misfire": read.word("skip", "once", "all"),
    "misfire_grace_time": read.seconds(0.001),
    "overlap": read.word("skip", "wait", "latest", "replace"),
    "lease": read.seconds(1),
    "month_end": read.word("clamp", "skip"),
    "dst_gap": read.word("run", "skip"),
    "dst_fold": read.word("first", "both"),
    "on_end": read.word("keep", "delete"),
    "enabled": read.flag,
    "timezone": read.timezone_name,
    "max_concurrency": read.whole(1),
    "concurrency_key": read.keyword,
    "max_failures": read.whole(1),
    "on_success": read.keyword,
    "on_failure": read.keyword,
    "only_during": read.calendar,
    "not_during": read.calendar,
    "on_excluded": read.word("skip", "next", "previous"),
    "keyword": read.keyword,
}
_KNOWN = frozenset(_READERS) | {"every", "at", "cron", "once", "rrule", "celery", "custom"}


def by_column(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with older spellings of its keys as the columns they mean."""
    return {SPELLINGS.get(key, key): value for key, value in definition.items()}


def named(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition's values by column name; nulls are left out.

    Raises:
        InvalidJob: a key is none that a job has, or a column is named twice.
    """
    if not isinstance(definition, Mapping):
        raise InvalidJob("definition", definition, "a mapping of column names to values")
    found = {}
    for key, value in definition.items():
        name = SPELLINGS.get(key, key)
        if name not in _KNOWN:
            said = key[:64] if isinstance(key, str) else shown(key)
            near = difflib.get_close_matches(said, sorted(_KNOWN), 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise InvalidJob(said, value, f"a field that jobs have{hint}")
        if name in found:
            raise InvalidJob(name, value, f"one value, not one as {name!r} and one as {key!r}")
        if value is not None:
            found[name] = value
    return found


def calendar_names(given: Mapping[Any, Any]) -> frozenset[str]:
    """The names of calendars that a definition, or a row, names; none where they can't be read."""
    return frozenset(name for column in CALENDARS for name in _names_in(given.get(column)))


def read_values(given: Mapping[str, Any], default_timezone: str) -> dict[str, Any]:
    """The canonical values of *given*, each read by itself.

    Raises:
        InvalidJob: names the field, what was expected and what came.
    """
    if "task" not in given:
        raise InvalidJob("task", None, "the name of a task")
    found = {name: _READERS[name](name, value) for name, value in given.items() if name in _READERS}
    here = found.get("timezone", default_timezone)
    if "every" in given:
        found["every"] = _every_text(given["every"])
    if "at" in given:
        unit = parse_every(given["every"])[1] if "every" in given else "day"
        found["at"] = _at_text(given["at"], unit)
    if "cron" in given:
        found["cron"] = parse_cron(given["cron"]).text
    if "once" in given:
        gap, fold = found.get("dst_gap", "run"), found.get("dst_fold", "first")
        instants = parse_once(given["once"], zone(here), gap, fold)
        found["once"] = ", ".join(instant.isoformat(" ") for instant in instants)
    if "rrule" in given:
        found["rrule"] = parse_rrule(given["rrule"]).text
    if "celery" in given:
        found["celery"] = _celery_text(given["celery"])
    if "custom" in given:
        found["custom"] = " ".join(filter(None, parse_custom(given["custom"])))
    return found


def _every_text(value: Any) -> str:
    n, unit = parse_every(value)
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"


def _at_text(value: Any, unit: str) -> str:
    parse_at(value, unit)
    return value.strip() if isinstance(value, str) else read.to_json(dict(value))


def _celery_text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else to_text(value)


def _names_in(text: Any) -> frozenset[str]:
    try:
        return frozenset() if text is None else names_in("", text)
    except InvalidJob:
        return frozenset()


def checked(columns: Mapping[str, Any], default_timezone: str) -> dict[str, Any]:
    """The canonical values of a row's schedule and rules.

    Raises:
        InvalidJob: names the column, not the job.
    """
    found = read_values({"task": "-", **columns}, default_timezone)
    del found["task"]
    return found
