"""Where the services of the tests are, and fresh databases on them; brokers are in `stacks`.

Everything made here has a name of its own and is gone afterwards. A service that is
missing skips its tests at home and fails them in CI: `require` is the one who decides.
"""

from __future__ import annotations

import functools
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection
from sqlalchemy import URL, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

#: service -> the variable that says where it is, and where it is when that is not set. PyMySQL
#: reads all certificates of the machine for each connection to a server that has none, unless told.
ADDRESSES = {
    "postgresql": (
        "JOBSCHED_TEST_POSTGRESQL_URL",
        "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    ),
    "mysql": ("JOBSCHED_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306/?ssl_disabled=true"),
    "redis": ("JOBSCHED_TEST_REDIS_URL", "redis://127.0.0.1:6379"),
    "rabbitmq": ("JOBSCHED_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672"),
}

DATABASES = ("sqlite", "postgresql", "mysql")

#: What the reason of every skip for a missing service begins with.
MISSING = "missing service: "


def address(service: str) -> str:
    """The URL under which *service* is looked for."""
    variable, usual = ADDRESSES[service]
    return os.environ.get(variable) or usual


def required() -> bool:
    """Whether a missing service fails a test: in CI, or when asked for."""
    return any(
        os.environ.get(variable, "").lower() in {"1", "true", "yes"}
        for variable in ("CI", "JOBSCHED_REQUIRE_SERVICES")
    )


def require(service: str) -> None:
    """Go on when *service* answers; else skip the test, or fail it where it is required."""
    trouble = unavailable(service)
    if trouble:
        give_up(f"{service} ({trouble})")


def require_program(name: str) -> str:
    """The path of the program *name*; without it the test is skipped or failed."""
    return shutil.which(name) or give_up(f"{name} (no such program)")


def give_up(what: str) -> Any:
    """End the test because *what* is missing: a failure where it is required, else a skip."""
    if required():
        pytest.fail(MISSING + what, pytrace=False)
    pytest.skip(MISSING + what)


@functools.cache
def unavailable(service: str) -> str | None:
    """Why *service* cannot be used, in one line; None when it can. Asked once a run."""
    if service not in ADDRESSES:
        return None
    try:
        _PROBES[service](address(service))
    except Exception as error:  # noqa: BLE001  whatever it is, the service cannot be used
        return f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"
    return None


def _probe_database(url: str) -> None:
    engine = _admin(make_url(url))
    with engine.connect() as conn:
        conn.execute(text("SELECT 1"))


def _probe_redis(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
        client.ping()


def _probe_rabbitmq(url: str) -> None:
    with Connection(url, connect_timeout=3) as connection:
        connection.connect()


_PROBES: dict[str, Callable[[str], None]] = {
    "postgresql": _probe_database,
    "mysql": _probe_database,
    "redis": _probe_redis,
    "rabbitmq": _probe_rabbitmq,
}


def unique_name() -> str:
    """A name that no other test and no other run has."""
    return f"jobsched_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The SQLAlchemy URL of a new empty database of *kind*, one of `DATABASES`."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / unique_name()}.db"
        return
    require(kind)
    url = make_url(address(kind)).set(database=unique_name())
    _administer(kind, f"CREATE DATABASE {url.database}")
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        _drop(kind, str(url.database))


def _drop(kind: str, name: str) -> None:
    """Drop the database with whatever connections are left; MariaDB would wait for them."""
    if kind == "postgresql":
        _administer(kind, f"DROP DATABASE {name} WITH (FORCE)")
        return
    left = _administer(kind, f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")
    for connection_id in left:
        with suppress(OperationalError):  # it may have ended by itself meanwhile
            _administer(kind, f"KILL {connection_id}")
    _administer(kind, f"DROP DATABASE {name}")


def drop_users(kind: str, names: Iterable[str]) -> None:
    """Drop users of the server *kind*, whose database is gone."""
    for name in names:
        user = f"ROLE IF EXISTS {name}" if kind == "postgresql" else f"USER IF EXISTS {name}@'%'"
        _administer(kind, f"DROP {user}")


def databases(kind: str) -> set[str]:
    """The names of all databases of the server *kind*."""
    if kind == "postgresql":
        return set(_administer(kind, "SELECT datname FROM pg_database"))
    return set(_administer(kind, "SHOW DATABASES"))


def _administer(kind: str, statement: str) -> list[Any]:
    with _admin(make_url(address(kind))).connect() as conn:
        result = conn.execute(text(statement))
        return list(result.scalars()) if result.returns_rows else []


def _admin(url: URL) -> Engine:
    return create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 3},
    )
