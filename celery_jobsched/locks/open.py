"""Which backend the locks have: ``jobsched_lock_backend``, or the Redis that Celery uses anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy.engine import Engine

from . import Locks, Terms
from .database import DatabaseLocks

DATABASE = "database"

_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")


def open_locks(
    backend: str | None,
    conf: Any,
    installation: str,
    engine: Callable[[], Engine],
    terms: Terms | None = None,
) -> Locks:
    """The locks of *backend*: ``database``, a URL of Redis, or None for :func:`usual_backend`.

    Opens nothing. *conf* is Celery's configuration, *installation* the id that the database has,
    *engine* returns this process's engine.

    Raises:
        InvalidSetting: at the first use, where the URL cannot be read.
    """
    wanted = backend or usual_backend(conf)
    if wanted == DATABASE:
        return DatabaseLocks(engine, terms)
    from .redis import RedisLocks

    return RedisLocks(wanted, installation, _options_for(wanted, conf), terms)


def place_of(backend: str | None, conf: Any) -> str:
    """Where the locks are, as a person may see it: the URL without user, password and options."""
    wanted = backend or usual_backend(conf)
    if wanted == DATABASE:
        return DATABASE
    from .redis.client import safe_url

    return safe_url(wanted)


def usual_backend(conf: Any) -> str:
    """The broker's Redis, else the result backend's, else ``database``."""
    return next((url for url, _ in _in_use(conf)), DATABASE)


def _in_use(conf: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each Redis that Celery uses, with the options that it has there."""
    given = (
        (conf.broker_url, conf.broker_transport_options, conf.broker_use_ssl),
        (
            conf.result_backend,
            conf.get("result_backend_transport_options"),
            conf.redis_backend_use_ssl,
        ),
    )
    for url, options, ssl in given:
        if isinstance(url, str) and _is_one_redis(url):
            yield url, {**(options or {}), "ssl": ssl}


def _is_one_redis(url: str) -> bool:
    """Whether all who read *url* reach the same memory: of several brokers each has its own."""
    scheme = url.partition("://")[0]
    return scheme in _SCHEMES and (";" not in url or scheme == "sentinel")


def _options_for(url: str, conf: Any) -> Mapping[str, Any]:
    return next((options for used, options in _in_use(conf) if used == url), {})
