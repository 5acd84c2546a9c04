"""A Redis client for each kind of URL that Celery or redis-py knows; nothing is opened yet.

redis://:password@host:6379/0        rediss://…          one server, and with TLS
unix:///path?db=0                    redis+socket:///path?virtual_host=0
sentinel://host1:26379;sentinel://host2:26379/0          with the option master_name
redis+cluster://host:7000            rediss+cluster://…  any node of a cluster

"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from ...errors import InvalidSetting

_WANTED = "jobsched_lock_backend: expected database or a URL of Redis"
#: What a Redis that is away, or does not answer as it should, raises here.
TROUBLE = (redis.RedisError, RedisClusterException, OSError)

#: A connection that was closed meanwhile is opened again, once. No other second try: redis-py's
#: own would hold its caller for seconds.
_AT_ONCE: dict[str, Any] = {"retry": Retry(NoBackoff(), 1, (redis.ConnectionError,))}
_Sentinel: Any = Sentinel
_CERTIFICATES = {"CERT_NONE": "none", "CERT_OPTIONAL": "optional", "CERT_REQUIRED": "required"}


def make_client(url: str, options: Mapping[str, Any], timeout: float) -> Any:
    """A client whose every wait for an answer ends after *timeout* seconds.

    *options* are Celery's transport options: ``master_name``, ``sentinel_kwargs``,
    ``min_other_sentinels``; and ``ssl``, what Celery's ``broker_use_ssl`` has.

    Raises:
        InvalidSetting: the URL cannot be read; what is in it is not told.
        redis.RedisError: a cluster, which is asked at once for its nodes, does not answer.
    """
    scheme = url.partition("://")[0]
    if scheme not in _MAKERS:
        raise InvalidSetting(f"{_WANTED} ({', '.join(_MAKERS)})")
    if scheme == "sentinel" and not options.get("master_name"):
        raise InvalidSetting("jobsched_lock_backend: expected the option master_name, got: none")
    settings: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "decode_responses": True,
    }
    try:
        return _MAKERS[scheme](url, options, settings)
    except (redis.ConnectionError, redis.TimeoutError, RedisClusterException):
        raise
    except (ValueError, TypeError, redis.RedisError):
        # What these say may quote the URL, and its password with it.
        raise InvalidSetting(f"{_WANTED}, got: one that cannot be read") from None


def on_one_connection(client: Any) -> Any:
    """The same client on a connection that it keeps, for one call at a time; a cluster's as it is.

    It saves a third of what a call costs its caller: a pool looks at each connection it lends.
    """
    return client if isinstance(client, RedisCluster) else client.client()


def safe_url(url: str) -> str:
    """*url* as a person may see it: each server of it, without user, password and options."""
    return ";".join(_safe(part) for part in url.split(";"))


def _safe(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _server(url: str, options: Mapping[str, Any], settings: dict[str, Any]) -> Any:
    plain = _as_redis_py(url, options)
    client = redis.Redis.from_url(plain, **_AT_ONCE, **settings, **_tls(options))
    # What the URL asks for is first read when a connection is made, which does not connect yet.
    client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    return client


def _cluster(url: str, options: Mapping[str, Any], settings: dict[str, Any]) -> Any:
    plain = _as_redis_py(url.replace("+cluster", "", 1), options)
    # One more try, so that a node that went away is looked for at its successor.
    again = Retry(NoBackoff(), 1)
    return RedisCluster.from_url(plain, retry=again, **settings, **_tls(options))


def _socket(url: str, options: Mapping[str, Any], settings: dict[str, Any]) -> Any:
    parts = urlsplit(url)
    database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
    return redis.Redis(
        unix_socket_path=unquote(parts.path),
        db=int(database.strip("/") or 0),
        **_AT_ONCE,
        **_credentials(parts.username, parts.password),
        **settings,
    )


def _sentinel(url: str, options: Mapping[str, Any], settings: dict[str, Any]) -> Any:
    parts = [urlsplit(each) for each in url.split(";")]
    database = next((path for each in parts if (path := each.path.strip("/"))), "0")
    waits = {name: settings[name] for name in ("socket_timeout", "socket_connect_timeout")}
    watchers = _Sentinel(
        [(each.hostname, each.port or 26379) for each in parts],
        min_other_sentinels=options.get("min_other_sentinels", 0),
        sentinel_kwargs={**_AT_ONCE, **waits, **(options.get("sentinel_kwargs") or {})},
    )
    who = _credentials(parts[0].username, parts[0].password)
    return watchers.master_for(
        options["master_name"],
        db=int(database),
        ssl=bool(options.get("ssl")),
        **_AT_ONCE,
        **who,
        **settings,
        **_tls(options),
    )


_MAKERS = {
    "redis": _server,
    "rediss": _server,
    "unix": _server,
    "redis+socket": _socket,
    "sentinel": _sentinel,
    "redis+cluster": _cluster,
    "rediss+cluster": _cluster,
}


def _as_redis_py(url: str, options: Mapping[str, Any]) -> str:
    for celery, theirs in _CERTIFICATES.items():
        url = url.replace(f"ssl_cert_reqs={celery}", f"ssl_cert_reqs={theirs}")
    # As in Celery: broker_use_ssl makes redis:// encrypted.
    return url.replace("redis://", "rediss://", 1) if options.get("ssl") else url


def _tls(options: Mapping[str, Any]) -> dict[str, Any]:
    asked = options.get("ssl")
    return dict(asked) if isinstance(asked, Mapping) else {}


def _credentials(user: str | None, password: str | None) -> dict[str, Any]:
    return {
        "username": unquote(user) if user else None,
        "password": unquote(password) if password else None,
    }
