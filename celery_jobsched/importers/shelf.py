"""Celery's shelf, ``celerybeat-schedule``: a file of pickles.

Unpickling can run anything, so this one makes a few known classes alone and refuses every other
name, whatever it is: what Celery's own schedulers write needs no more. Entries become plain values;
none of them is Celery's ``ScheduleEntry``.
"""

from __future__ import annotations

import datetime
import io
import pickle
import zoneinfo
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..errors import InvalidJob, shown
from .draft import Draft, drafted

_WANTED = "none but Celery's own schedules, datetimes and zones"


class Entry(NamedTuple):
    """What a pickled ``ScheduleEntry`` says of itself, in its order."""

    name: Any = None
    task: Any = None
    last_run_at: Any = None
    total_run_count: Any = None
    schedule: Any = None
    args: Any = None
    kwargs: Any = None
    options: Any = None


def of_entries(pickled: bytes) -> list[Draft]:
    """The drafts of the shelf's ``entries``, a pickle.

    Raises:
        InvalidJob: it holds something else than Celery's schedules and plain values.
    """
    try:
        found = _Reader(io.BytesIO(pickled)).load()
    except InvalidJob:
        raise
    except Exception as error:
        raise InvalidJob("entries", pickled, f"a pickle of Celery's entries ({error})") from error
    if not isinstance(found, dict):
        raise InvalidJob("entries", found, "a mapping of names to entries")
    return [drafted(name, _fill, entry) for name, entry in found.items()]


def _fill(draft: Draft, entry: Any) -> None:
    if not isinstance(entry, Entry):
        raise InvalidJob("entry", entry, "an entry of Celery's")
    draft.definition["task"] = entry.task
    draft.set_schedule(entry.schedule, entry.last_run_at)
    draft.set_call(entry.args, entry.kwargs, entry.options)


class _Reader(pickle.Unpickler):
    """An unpickler that knows these names and no others."""

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module, name))
        if known is None:
            raise InvalidJob("entries", f"{module}.{name}", _WANTED)
        return known()

    def persistent_load(self, pid: Any) -> Any:
        raise InvalidJob("entries", pid, "no references to elsewhere")


def _celerys(name: str) -> Callable[[], Any]:
    def schedule() -> Any:
        from celery import schedules

        return getattr(schedules, name)

    return schedule


def _of_pytz(key: Any, offset_seconds: Any = None, *_: Any) -> datetime.tzinfo:
    """A zone of pytz's, which is pickled with the offset that it had at that time."""
    if offset_seconds is None:
        return zoneinfo.ZoneInfo(key)
    return datetime.timezone(datetime.timedelta(seconds=offset_seconds))


def _of_zoneinfo(key: Any, *_: Any) -> datetime.tzinfo:
    return zoneinfo.ZoneInfo(key)


def _attribute(owner: Any, name: Any) -> Any:
    """The one attribute that is asked for by name: how a ZoneInfo is made from its pickle."""
    if owner is not zoneinfo.ZoneInfo or name != "_unpickle":
        raise InvalidJob("entries", f"an attribute {shown(name)}", _WANTED)
    return _of_zoneinfo


def _utc() -> Any:
    return datetime.timezone.utc


def _just(value: Any) -> Callable[[], Any]:
    return lambda: value


def _known(names: Iterable[tuple[str, str, Any]]) -> dict[tuple[str, str], Callable[[], Any]]:
    return {(module, name): _just(value) for module, name, value in names}


_KNOWN: dict[tuple[str, str], Callable[[], Any]] = {
    ("celery.schedules", "schedule"): _celerys("schedule"),
    ("celery.schedules", "crontab"): _celerys("crontab"),
    ("celery.schedules", "solar"): _celerys("solar"),
    **_known([
        ("celery.beat", "ScheduleEntry", Entry),
        ("datetime", "datetime", datetime.datetime),
        ("datetime", "timedelta", datetime.timedelta),
        ("datetime", "timezone", datetime.timezone),
        ("zoneinfo", "ZoneInfo", zoneinfo.ZoneInfo),
        ("zoneinfo", "ZoneInfo._unpickle", _of_zoneinfo),
        ("builtins", "getattr", _attribute),
        ("pytz", "_UTC", _utc),
        ("pytz", "_p", _of_pytz),
        ("builtins", "set", set),
        ("builtins", "frozenset", frozenset),
    ]),
}  # fmt: skip
