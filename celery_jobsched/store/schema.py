"""Making and migrating the tables; two beats that start at once do it once.

A fresh database gets the tables as they are now. An older one is migrated by Alembic, which is
imported for that alone. A newer one is left alone: this release does not know it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ..errors import SchemaMismatch
from .tables import metadata

#: The migrations, oldest first; the last is what ``tables`` describes.
REVISIONS = ("0001", "0002", "0003")
HEAD = REVISIONS[-1]
VERSION_TABLE = "jobsched_version"

_LOCK = 0x6A6F6273  # "jobs"
_version = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), primary_key=True),
)


def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    """For the ``env.py`` of users who share the database with their own Alembic: not our tables."""
    return not (type_ == "table" and name is not None and name.startswith("jobsched_"))


def version_of(conn: Connection) -> str | None:
    """The schema's version; None where there are no tables yet."""
    if not sa.inspect(conn).has_table(VERSION_TABLE):
        return None
    return conn.execute(sa.select(_version.c.version_num)).scalar()


def check(conn: Connection) -> None:
    """See that the tables are those that this release knows.

    Raises:
        SchemaMismatch: says which version is there and which one was expected.
    """
    _require_head(conn.execute(sa.select(_version.c.version_num)).scalar())


def require_tables(conn: Connection) -> None:
    """As :func:`check`, where there may be no tables at all.

    Raises:
        SchemaMismatch: says what is there and what was expected.
    """
    _require_head(version_of(conn))


def prepare(engine: Engine, may_change: bool) -> None:
    """Make or migrate the tables where that is needed and *may_change* allows it.

    Raises:
        SchemaMismatch: the tables are not there or of another version, and stay so.
    """
    with engine.connect() as conn:
        if version_of(conn) == HEAD:
            return
    with _alone(engine) as conn:
        found = version_of(conn)
        if found == HEAD:
            return
        if not may_change or (found is not None and found not in REVISIONS):
            raise SchemaMismatch(_mismatch(found))
        if found is None:
            _create(conn)
        else:
            upgrade(conn)


def upgrade(conn: Connection, to: str = "head") -> None:
    """Run the migrations that are missing."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "celery_jobsched.store:migrations")
    config.attributes["connection"] = conn
    command.upgrade(config, to)


def _create(conn: Connection) -> None:
    metadata.create_all(conn)
    _version.create(conn, checkfirst=True)
    conn.execute(sa.insert(_version).values(version_num=HEAD))


def _require_head(found: str | None) -> None:
    if found != HEAD:
        raise SchemaMismatch(_mismatch(found))


def _mismatch(found: str | None) -> str:
    if found is None:
        return "the database has no tables; a beat makes them unless jobsched_auto_migrate is off"
    if found in REVISIONS:
        return f"the tables are of version {found}, this release needs {HEAD}: migrate them"
    return f"the tables are of version {found}, newer than this release, which knows {HEAD}"


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other beat's preparation runs beside."""
    with engine.begin() as conn:
        if engine.dialect.name == "postgresql":
            conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if engine.dialect.name not in {"mysql", "mariadb"}:
            yield conn
            return
        # MariaDB commits at each CREATE TABLE: only a lock of the session outlasts that.
        name = f"jobsched {engine.url.database}"[:64]
        if conn.execute(sa.select(sa.func.get_lock(name, 1))).scalar() != 1:
            raise SchemaMismatch("another beat is at the tables")
        try:
            yield conn
        finally:
            conn.execute(sa.select(sa.func.release_lock(name)))
