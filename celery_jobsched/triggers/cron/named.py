"""Cron by the names of its fields, as APScheduler has it: ``hour=9 day_of_week=mon-fri``.

All fields must match. Those left out take their least value where they are finer than the finest
one given (no hour: midnight), and every value where they are coarser; ``week`` (the ISO week) and
``day_of_week`` every value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from celery_jobsched.errors import shown
from celery_jobsched.triggers.cron.fields import CronFields
from celery_jobsched.triggers.cron.items import FIELDS, read_fields

__all__ = ["read_named", "split_named", "text_of"]

#: What a field is that is left out and finer than the finest given.
_LEAST = {"month": "1", "day": "1", "hour": "0", "minute": "0", "second": "0"}
_ORDER = tuple(FIELDS)
_NAMES = ", ".join(_ORDER)
_LONGEST_TEXT = 255
_HIGHEST = 9999
#: A number where a weekday is meant: not behind # (which one of the month) nor / (the step).
_NUMBERED = re.compile(r"(?:^|[,-])[0-9]")


def text_of(value: Mapping[Any, Any] | str) -> str:
    """The canonical text of fields by name, given as a mapping, as its JSON, or as text.

    Raises: ValueError, saying what was expected.
    """
    given = dict(value) if isinstance(value, Mapping) else _read_text(value)
    fields = {name: _field_text(name, each) for name, each in given.items() if each is not None}
    if not fields:
        raise ValueError(f"at least one of {_NAMES}")
    return " ".join(f"{name}={fields[name]}" for name in FIELDS if name in fields)


def split_named(text: str) -> dict[str, str]:
    """The text of each field by its name, in lower case, those left out filled in.

    Raises: ValueError, saying what was expected.
    """
    given = _read_text(text_of(text))
    finest = max(_ORDER.index(name) for name in given)
    return {
        name: given.get(name, _LEAST.get(name, "*") if place > finest else "*")
        for place, name in enumerate(_ORDER)
    }


def read_named(text: str) -> CronFields:
    """The fields of a text such as ``hour=9 day_of_week=mon-fri``.

    Raises: ValueError, saying which field expected what.
    """
    texts = split_named(text)
    weekday = texts["day_of_week"]
    if _NUMBERED.search(weekday):
        raise ValueError(
            f"day of week by name, mon to sun, not {shown(weekday)}"
            " (0 is Sunday to cron and Monday to APScheduler)"
        )
    return read_fields(texts, text_of(text))


def _read_text(text: str) -> dict[str, Any]:
    if text.startswith("{"):
        return _read_json(text)
    given: dict[str, Any] = {}
    name = ""
    for word in _joined(text).split(" "):
        key, sign, value = word.partition("=")
        if sign and key not in given:
            given[name := key] = value
        elif name and not sign:
            given[name] += f" {word}"  # day=4th wed
        else:
            raise ValueError(f"each field once, as hour=9 day_of_week=mon-fri, not {shown(word)}")
    return given


def _read_json(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text, object_pairs_hook=list)
    except ValueError:
        raise ValueError('fields by name as JSON, such as {"hour": 9}') from None
    if len(given) != len(dict(given)):
        raise ValueError("each field once")
    return dict(given)


def _field_text(name: Any, value: Any) -> str:
    if name not in FIELDS:
        raise ValueError(f"fields named {_NAMES}, not {shown(name)}")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST:
        return str(value)
    readable = isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.isascii()
    if not readable or not value.strip():
        raise ValueError(f"{name} as a number or a text, not {shown(value)}")
    return _joined(value)


def _joined(text: str) -> str:
    """*text* in lower case, with one space between words and none around commas and signs."""
    return re.sub(r" *([,=]) *", r"\1", re.sub(" +", " ", text.strip(" ").lower()))
