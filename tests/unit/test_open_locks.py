"""Where the locks are kept, by what the configuration says."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_jobsched.errors import InvalidSetting, LocksAway
from celery_jobsched.locks import Locks
from celery_jobsched.locks.open import open_locks, place_of, usual_backend
from celery_jobsched.store.engine import make_engine
from tests.services import fresh_database

REDIS = "redis://:secret@broker:6379/0"
SENTINELS = "sentinel://h1:26379;sentinel://h2:26379/2"


def conf(**given: Any) -> Any:
    return Celery(set_as_current=False, config_source=given).conf


def opened(backend: str | None, **given: Any) -> Locks:
    engine = sa.create_engine("sqlite://")
    return open_locks(backend, conf(**given), "an id", lambda: engine)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"broker_url": REDIS}, REDIS),
        ({"broker_url": SENTINELS}, SENTINELS),
        ({"broker_url": "amqp://rabbit", "result_backend": REDIS}, REDIS),
        ({"broker_url": REDIS, "result_backend": "rediss://results"}, REDIS),
        ({"broker_url": "amqp://rabbit", "result_backend": "db+sqlite://"}, "database"),
        ({"broker_url": "amqp://rabbit"}, "database"),
        ({}, "database"),
        # Who fails over from one Redis to another has two memories.
        ({"broker_url": "redis://one;redis://two"}, "database"),
        ({"broker_url": ["redis://one", "redis://two"]}, "database"),
    ],
)
def test_the_usual_backend_is_the_redis_that_celery_uses(given: dict[str, Any], url: str) -> None:
    assert usual_backend(conf(**given)) == url


def test_what_is_asked_for_goes_before_what_is_usual() -> None:
    asked = opened("redis://locks:6379/1", broker_url=REDIS)

    assert repr(asked) == "RedisLocks('redis://locks:6379/1', '{jobsched:an id}')"
    assert repr(opened("database", broker_url=REDIS)) == "DatabaseLocks('sqlite://')"
    assert repr(opened(None, broker_url=REDIS)).startswith("RedisLocks('redis://broker:6379/0'")


def test_a_person_is_told_the_place_without_its_password() -> None:
    assert place_of(None, conf(broker_url=REDIS)) == "redis://broker:6379/0"
    assert place_of(None, conf(broker_url="amqp://rabbit")) == "database"
    assert place_of(SENTINELS, conf(broker_url=REDIS)) == SENTINELS


def test_options_of_the_broker_are_those_of_the_locks() -> None:
    options = {"master_name": "main", "global_keyprefix": "ours."}

    locks = opened(None, broker_url=SENTINELS, broker_transport_options=options)

    assert repr(locks) == f"RedisLocks({SENTINELS!r}, 'ours.{{jobsched:an id}}')"
    with pytest.raises(InvalidSetting, match="master_name"):
        opened(None, broker_url=SENTINELS).open()


def test_options_of_the_result_backend_are_those_of_the_locks() -> None:
    given = {"broker_url": "amqp://rabbit", "result_backend": REDIS}
    options = {"global_keyprefix": "ours."}

    locks = opened(REDIS, **given, result_backend_transport_options=options)

    assert repr(locks).endswith("'ours.{jobsched:an id}')")


def test_a_word_that_means_nothing_is_refused_at_the_first_use() -> None:
    locks = opened("memcached://host")

    with pytest.raises(InvalidSetting, match=r"^jobsched_lock_backend: expected database or a URL"):
        locks.open()


def test_redis_is_not_imported_for_the_database() -> None:
    code = (
        "import sys; from celery_jobsched.locks.open import open_locks; "
        "open_locks('database', None, '-', lambda: None); sys.exit('redis' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_database_that_is_away_or_without_tables_is_told_so(tmp_path: Any) -> None:
    with fresh_database("sqlite", tmp_path) as url:
        engine = make_engine(url, 1)
        locks = open_locks("database", conf(), "-", lambda: engine)

        for call in (locks.open, lambda: locks.admissions(["1"])):
            with pytest.raises(LocksAway, match="no such table: jobsched_"):
                call()
        engine.dispose()


def test_a_database_is_shown_without_its_password() -> None:
    engine = sa.create_engine("postgresql+psycopg://user:secret@host/name")

    locks = open_locks("database", conf(), "-", lambda: engine)

    assert repr(locks) == "DatabaseLocks('postgresql+psycopg://user:***@host/name')"
