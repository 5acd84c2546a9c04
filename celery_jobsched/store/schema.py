"""Making and migrating the tables; two beats that start at once do it once.

A fresh database gets the tables as they are now. An older one is migrated by Alembic, which is
imported for that alone. A newer one is left alone: this release does not know it.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ..errors import SchemaMismatch
from .tables import metadata

#: The migrations, oldest first; the last is what ``tables`` describes.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
HEAD = REVISIONS[-1]
VERSION_TABLE = "jobsched_version"

_LOCK = 0x6A6F6273  # "jobs"
#: Alembic knows one migration at a time in a process; a beat of several databases may begin two.
_alembics = threading.Lock()
#: How long to wait for another beat: less than the usual socket timeout.
_PATIENCE_S = 4
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
    _alembic(to, connection=conn)


def statements(engine: Engine) -> str:
    """The SQL that :func:`prepare` would run on that database now; empty where it would none.

    Raises:
        SchemaMismatch: the tables are newer than this release.
    """
    with engine.connect() as conn:
        found = version_of(conn)
    if found is None:
        return _creation(engine)
    if found not in REVISIONS:
        raise SchemaMismatch(_mismatch(found))
    return _migration(engine, found) if found != HEAD else ""


def _creation(engine: Engine) -> str:
    said: list[str] = []

    def say(statement: Any, *_: Any, **__: Any) -> None:
        literal = {"literal_binds": True}
        said.append(str(statement.compile(dialect=engine.dialect, compile_kwargs=literal)).strip())

    mock: Any = sa.create_mock_engine(engine.url, say)
    metadata.create_all(mock, checkfirst=False)
    _version.create(mock, checkfirst=False)
    say(sa.insert(_version).values(version_num=HEAD))
    return "".join(f"{each};\n\n" for each in said)


def _migration(engine: Engine, found: str) -> str:
    said = io.StringIO()
    _alembic(f"{found}:{HEAD}", said, dialect=engine.dialect.name)
    return said.getvalue()


def _alembic(to: str, said: TextIO | None = None, **given: Any) -> None:
    """Upgrade on the connection that is *given*, or write the SQL for a dialect into *said*."""
    from alembic import command
    from alembic.config import Config

    config = Config(output_buffer=said)
    config.set_main_option("script_location", "celery_jobsched.store:migrations")
    config.attributes.update(given)
    with _alembics:
        command.upgrade(config, to, sql=said is not None)


def _create(conn: Connection) -> None:
    metadata.create_all(conn)
    _version.create(conn, checkfirst=True)
    conn.execute(sa.insert(_version).values(version_num=HEAD))


def _require_head(found: str | None) -> None:
    if found != HEAD:
        raise SchemaMismatch(_mismatch(found))


def _mismatch(found: str | None) -> str:
    if found is None:
        return (
            "the database has no tables; a beat makes them unless jobsched_auto_migrate is off, "
            "and so does: celery jobs db upgrade"
        )
    if found in REVISIONS:
        return (
            f"the tables are of version {found}, this release needs {HEAD}: celery jobs db upgrade"
        )
    return f"the tables are of version {found}, newer than this release, which knows {HEAD}"


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other beat's preparation runs beside."""
    with engine.connect() as conn:
        if engine.dialect.name == "postgresql":
            conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if engine.dialect.name in {"mysql", "mariadb"}:
            with _lock_of_the_session(conn):
                yield conn
                conn.commit()
        else:
            yield conn
            conn.commit()


@contextmanager
def _lock_of_the_session(conn: Connection) -> Iterator[None]:
    """A lock that outlasts a commit: MariaDB commits at each CREATE TABLE."""
    name = f"jobsched {conn.engine.url.database}"[:64]
    if conn.execute(sa.select(sa.func.get_lock(name, _PATIENCE_S))).scalar() != 1:
        raise SchemaMismatch("another beat is at the tables")
    try:
        yield
    finally:
        conn.rollback()  # what was not committed must not be seen by whoever comes next
        conn.execute(sa.select(sa.func.release_lock(name)))
