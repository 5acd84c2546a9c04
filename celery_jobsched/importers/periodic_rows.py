"""What the tables of django-celery-beat have in common with those made after them.

A row of periodic tasks says what to run, and which row of one of four tables says when. Instants
without a zone are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from ..errors import InvalidJob
from ..triggers.celery import to_text
from .draft import Draft, drafted, moment

Row = Mapping[str, Any]
#: Rows by their id, by the kind of schedule.
Schedules = Mapping[str, Mapping[Any, Row]]

#: The kinds of schedules, as the tables' names begin.
KINDS = ("interval", "crontab", "solar", "clocked")
_PERIODS = ("days", "hours", "minutes", "seconds", "microseconds")
_CRONTAB = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_OPTIONS = ("queue", "exchange", "routing_key", "priority")


def of_rows(
    tasks: list[Row], schedules: Schedules, key_of: Callable[[Row], tuple[str, Any]]
) -> list[Draft]:
    """The drafts of periodic tasks; *key_of* a row tells the kind and the id of its schedule."""
    return [drafted(row["name"], _fill, row, schedules, key_of) for row in tasks]


def _fill(
    draft: Draft, row: Row, schedules: Schedules, key_of: Callable[[Row], tuple[str, Any]]
) -> None:
    draft.definition["task"] = row["task"]
    kind, id_ = key_of(row)
    when = schedules.get(kind, {}).get(id_)
    if when is None:
        raise InvalidJob("schedule", f"{kind} {id_}", "a schedule that is there")
    _SETTERS[kind](draft, row, when)
    draft.set_call(row["args"], row["kwargs"], _options(row))
    if row.get("expires") is not None:
        draft.end_at("expires", row["expires"])
    if row.get("description"):
        draft.definition["description"] = row["description"]
    if not row["enabled"]:
        draft.definition["enabled"] = False
    if row.get("one_off"):
        _once_only(draft, row, kind)


def _interval(draft: Draft, row: Row, when: Row) -> None:
    period, every = when["period"], when["every"]
    if period not in _PERIODS or not isinstance(every, int):
        raise InvalidJob("interval", f"{every} {period}", f"a number of {', '.join(_PERIODS)}")
    try:
        interval = timedelta(**{period: every})
    except OverflowError:
        raise InvalidJob("interval", f"{every} {period}", "at most 1000 years") from None
    draft.definition["celery"] = to_text(interval)
    last_run_at = row["last_run_at"]
    if last_run_at is None and row.get("start_time") is None:
        last_run_at = row.get("date_changed")
    draft.count_from(interval, last_run_at, row.get("start_time"))


def _crontab(draft: Draft, row: Row, when: Row) -> None:
    fields = ("".join(str(when[name]).split()) or "*" for name in _CRONTAB)
    draft.definition["celery"] = " ".join(("crontab", *fields))
    if when.get("timezone"):
        draft.definition["timezone"] = str(when["timezone"])
    _start(draft, row)


def _solar(draft: Draft, row: Row, when: Row) -> None:
    place = f"{float(when['latitude'])} {float(when['longitude'])}"
    draft.definition["celery"] = f"solar {when['event']} {place}"
    _start(draft, row)


def _clocked(draft: Draft, row: Row, when: Row) -> None:
    draft.definition["once"] = moment("clocked_time", when["clocked_time"])


_SETTERS: dict[str, Callable[[Draft, Row, Row], None]] = {
    "interval": _interval,
    "crontab": _crontab,
    "solar": _solar,
    "clocked": _clocked,
}


def _start(draft: Draft, row: Row) -> None:
    """The instant that no fire comes before, of a schedule that counts from nothing."""
    if row.get("start_time") is None:
        return
    draft.definition["starts_at"] = moment("start_time", row["start_time"])
    if row["last_run_at"] is None:
        draft.say("start_time", "no run at that very time: the first is the schedule's next")


def _once_only(draft: Draft, row: Row, kind: str) -> None:
    if kind != "clocked":
        draft.definition["max_fires"] = 1
    if row["enabled"] and row.get("total_run_count"):
        draft.definition["enabled"] = False
        draft.say("one_off", "it has run: disabled")


def _options(row: Row) -> dict[str, Any]:
    found = {name: row.get(name) for name in _OPTIONS}
    if row.get("expire_seconds") is not None:
        found["expires"] = row["expire_seconds"]
    if row.get("headers"):
        found["headers"] = _headers(row["headers"])
    return found


def _headers(text: Any) -> dict[str, Any]:
    from ..fields import json_object

    return json_object("headers", text)
