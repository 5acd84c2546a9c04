"""Jobs of APScheduler 3: what ``add_job`` was called with, as mappings, or its own job objects.

Its stores hold pickles, which are never read here: a program that has such a store opens it itself
and hands over ``scheduler.get_jobs()``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from .. import fields as read
from ..clock import UTC
from ..errors import InvalidJob, shown
from .draft import Draft, drafted

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OBJECTS = {"DateTrigger": "date", "IntervalTrigger": "interval", "CronTrigger": "cron"}
_UNITS = ("weeks", "days", "hours", "minutes", "seconds")
_FIELDS = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_BOUNDS = ("start_date", "end_date", "timezone", "jitter")
_JOB = (
    "id", "name", "func", "args", "kwargs", "trigger", "executor", "jobstore", "coalesce",
    "misfire_grace_time", "max_instances", "next_run_time", "replace_existing", "version",
)  # fmt: skip
#: A number that is a weekday: not a step, nor which one of the month.
_NUMBER = re.compile(r"(?<![0-9/#])[0-6](?![0-9])")


def of_jobs(jobs: Iterable[Any], zone_name: str) -> list[Draft]:
    """The drafts of jobs, or of a mapping of ids to them; without a zone, in *zone_name*."""
    if isinstance(jobs, Mapping):
        jobs = [{"id": id_, **dict(each)} for id_, each in jobs.items()]
    found = [dict(each) if isinstance(each, Mapping) else _state_of(each) for each in jobs]
    return [drafted(each.get("id"), _fill, each, zone_name) for each in found]


def _state_of(job: Any) -> dict[str, Any]:
    """What a job object says of itself."""
    names = ("id", "name", "func_ref", *(each for each in _JOB if each not in {"id", "name"}))
    state = {name: getattr(job, name) for name in names if hasattr(job, name)}
    return state | {"func": state.pop("func_ref", None)}


def _fill(draft: Draft, given: dict[str, Any], zone_name: str) -> None:
    draft.definition |= {"task": _task(draft, given.get("func")), "max_concurrency": 1}
    trigger, rest = _trigger(given)
    zone_name = _set_zone(draft, rest) or zone_name
    if trigger == "interval" and rest.get("start_date") is None:
        rest["start_date"] = given.get("next_run_time")
    _TRIGGERS[trigger](draft, rest, zone_name)
    if "next_run_time" in given and given["next_run_time"] is None:
        draft.definition["enabled"] = False
    if given.get("max_instances") is not None:
        draft.definition["max_concurrency"] = given["max_instances"]
    if given.get("name") not in (None, draft.name):
        draft.definition["description"] = given["name"]
    _set_misfire(draft, given)
    for name in ("executor", "jobstore"):
        if given.get(name) not in (None, "default"):
            draft.say(name, f"left out ({shown(given[name])}): workers run the jobs")
    draft.set_call(list(given.get("args") or ()), given.get("kwargs"), None)


def _task(draft: Draft, func: Any) -> str:
    """The task of a function: of a module's, the one that Celery would name so."""
    if callable(func):
        func = f"{func.__module__}:{func.__qualname__}"
    if not isinstance(func, str) or not func:
        raise InvalidJob("func", func, "a function, or its reference such as proj.tasks:run")
    task = func.replace(":", ".")
    draft.say("func", f"becomes the task {task!r}, which workers have to know")
    return task


def _set_misfire(draft: Draft, given: Mapping[str, Any]) -> None:
    """One that is too late is left there; without a limit it never is."""
    if "misfire_grace_time" not in given:
        return
    if given["misfire_grace_time"] is None:
        draft.definition["misfire"] = "all" if given.get("coalesce") is False else "once"
        return
    draft.definition |= {"misfire": "skip", "misfire_grace_time": given["misfire_grace_time"]}
    if given.get("coalesce"):
        draft.say("coalesce", "each fire that is within the grace time is made")


def _trigger(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind of a trigger and its arguments, wherever they stand."""
    trigger = given.get("trigger")
    rest = {name: value for name, value in given.items() if name not in _JOB}
    if isinstance(trigger, str):
        kind, found = trigger, rest
    elif isinstance(trigger, Mapping):
        found = dict(trigger)
        kind = found.pop("type", None)
    else:
        kind, found = _of_object(trigger)
    if not isinstance(kind, str) or kind not in _TRIGGERS:
        raise InvalidJob("trigger", trigger, f"one of {', '.join(_TRIGGERS)}")
    if found is not rest and rest:
        name = next(iter(rest))
        raise InvalidJob(name, rest[name], f"one of {', '.join(_JOB)}")
    return kind, found


def _of_object(trigger: Any) -> tuple[Any, dict[str, Any]]:
    names = ("run_date", *_BOUNDS)
    state = {name: getattr(trigger, name) for name in names if hasattr(trigger, name)}
    kind = _OBJECTS.get(type(trigger).__name__)
    if kind == "interval":
        state["seconds"] = trigger.interval.total_seconds()
    if kind == "cron":
        state |= {each.name: str(each) for each in trigger.fields if not each.is_default}
    return kind, state


def _date(draft: Draft, given: dict[str, Any], zone_name: str) -> None:
    _require_known(given, ("run_date",))
    draft.definition["once"] = read.instant("run_date", given.get("run_date"), zone_name)


def _interval(draft: Draft, given: dict[str, Any], zone_name: str) -> None:
    from ..triggers.celery import to_text

    _set_bounds(draft, given, zone_name)
    _require_known(given, _UNITS)
    try:
        interval = timedelta(**given)
    except (TypeError, OverflowError):
        raise InvalidJob("interval", given, f"numbers of {', '.join(_UNITS)}") from None
    if "starts_at" in draft.definition:
        draft.definition["every"] = [interval.total_seconds(), "second"]
    else:
        draft.definition["celery"] = to_text(interval)


def _cron(draft: Draft, given: dict[str, Any], zone_name: str) -> None:
    _set_bounds(draft, given, zone_name)
    _require_known(given, _FIELDS)
    fields = {name: value for name, value in given.items() if value is not None}
    if "day_of_week" in fields:
        fields["day_of_week"] = _weekdays(fields["day_of_week"])
    draft.definition["cron"] = fields


def _weekdays(value: Any) -> str:
    """Weekdays by name: 0 is Monday there."""
    return _NUMBER.sub(lambda match: _WEEKDAYS[int(match[0])], str(value).lower())


def _set_zone(draft: Draft, given: dict[str, Any]) -> str | None:
    zone = given.pop("timezone", None)
    if zone is not None:
        name = "UTC" if zone is UTC else read.timezone_name("timezone", zone)
        draft.definition["timezone"] = name
    return draft.definition.get("timezone")


def _set_bounds(draft: Draft, given: dict[str, Any], zone_name: str) -> None:
    for theirs, ours in (("start_date", "starts_at"), ("end_date", "ends_at")):
        if (value := given.pop(theirs, None)) is not None:
            draft.definition[ours] = read.instant(theirs, value, zone_name)
    if (jitter := given.pop("jitter", None)) is not None:
        draft.definition["jitter"] = jitter


def _require_known(given: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name, value in given.items():
        if name not in names:
            raise InvalidJob(name, value, f"one of {', '.join((*names, *_BOUNDS))}")


_TRIGGERS: dict[str, Callable[[Draft, dict[str, Any], str], None]] = {
    "date": _date,
    "interval": _interval,
    "cron": _cron,
}
