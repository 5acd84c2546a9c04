"""The sources by name: where each is kept where nobody says, and which room reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..errors import InvalidSource, shown
from . import (
    apscheduler,
    beat_schedule,
    django_celery_beat,
    places,
    pykit,
    redbeat,
    shelf,
    sqlalchemy_celery_beat,
)
from .draft import Draft


class Here(NamedTuple):
    """The application that is imported into, as far as sources concern it."""

    conf: Any
    zone_name: str
    database_url: str
    now: datetime
    #: How long to wait for an answer, in seconds.
    timeout: float


def drafts_from(source: str, place: Any, here: Here) -> list[Draft]:
    """The drafts of all that *source* holds; *place* None: where it usually is.

    Raises:
        InvalidSource: there is no such source, or its place cannot be read.
        InvalidJob: a shelf holds what must not be read.
        ConnectionError, sqlalchemy.exc.DBAPIError: its server does not answer.
    """
    reader = _READERS.get(source)
    if reader is None:
        raise InvalidSource(f"expected one of {', '.join(_READERS)}, got: {shown(source)}")
    return reader(place, here)


def _beat_schedule(place: Any, here: Here) -> list[Draft]:
    given = here.conf.beat_schedule if place is None else _attribute(place)
    if not isinstance(given, Mapping) and hasattr(given, "conf"):
        given = given.conf.beat_schedule
    return beat_schedule.of_entries(_mapping("beat_schedule", given))


def _django_celery_beat(place: Any, here: Here) -> list[Draft]:
    theirs = django_celery_beat
    url = place or here.database_url
    return theirs.of_tables(*places.tables(url, theirs.TASKS, theirs.SCHEDULES, None))


def _sqlalchemy_celery_beat(place: Any, here: Here) -> list[Draft]:
    theirs = sqlalchemy_celery_beat
    url = place or here.conf.get("beat_dburi") or "sqlite:///schedule.db"
    schema = here.conf.get("beat_schema")
    return theirs.of_tables(*places.tables(url, theirs.TASKS, theirs.SCHEDULES, schema))


def _redbeat(place: Any, here: Here) -> list[Draft]:
    conf = here.conf
    prefix = conf.get("redbeat_key_prefix") or "redbeat:"
    url = place or conf.get("redbeat_redis_url") or conf.broker_url
    options = conf.get("redbeat_redis_options") or conf.broker_transport_options or {}
    asked = conf.get("redbeat_redis_use_ssl") or conf.broker_use_ssl
    found = places.hashes(url, {**options, "ssl": asked}, f"{prefix}:schedule", here.timeout)
    return redbeat.of_hashes(found, prefix)


def _celerybeat_schedule(place: Any, here: Here) -> list[Draft]:
    return shelf.of_entries(places.shelf(str(place or here.conf.beat_schedule_filename)))


def _apscheduler(place: Any, here: Here) -> list[Draft]:
    found = _kept("apscheduler", place)
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        raise InvalidSource(f"apscheduler: expected a list of jobs, got: {shown(found)}")
    return apscheduler.of_jobs(found, here.zone_name)


def _pykit(place: Any, here: Here) -> list[Draft]:
    return pykit.of_jobs(_mapping("pykit", _kept("pykit", place)), here.zone_name, here.now)


_READERS: dict[str, Callable[[Any, Here], list[Draft]]] = {
    "beat_schedule": _beat_schedule,
    "django-celery-beat": _django_celery_beat,
    "redbeat": _redbeat,
    "sqlalchemy-celery-beat": _sqlalchemy_celery_beat,
    "celerybeat-schedule": _celerybeat_schedule,
    "apscheduler": _apscheduler,
    "pykit": _pykit,
}

#: What can be imported from.
SOURCES = tuple(_READERS)


def _kept(source: str, place: Any) -> Any:
    """What *place* is, or leads to: ``module:attribute``, or a file of JSON."""
    if place is None:
        raise InvalidSource(f"{source}: expected a file of JSON or module:attribute, got: none")
    if isinstance(place, str) and not place.endswith(".json"):
        return places.attribute(place)
    return places.json_file(place) if isinstance(place, str) else place


def _attribute(place: Any) -> Any:
    return places.attribute(place) if isinstance(place, str) else place


def _mapping(source: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise InvalidSource(f"{source}: expected a mapping of names to jobs, got: {shown(value)}")
    return value
