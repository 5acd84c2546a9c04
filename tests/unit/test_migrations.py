"""The tables come out the same by every way they are made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from celery_jobsched.errors import SchemaMismatch
from celery_jobsched.store import schema, tables
from celery_jobsched.store.engine import make_engine
from tests.clients import sql_client

NAMES = (
    "admissions",
    "beats",
    "calendars",
    "changes",
    "fires",
    "jobs",
    "meta",
    "reports",
    "slot_keys",
    "slots",
    "version",
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, 5)
    yield engine
    engine.dispose()


def described(engine: Engine) -> dict[str, Any]:
    """All that the database says of our tables, in a form that compares."""
    inspector = sa.inspect(engine)
    return {
        name: {
            "columns": {c["name"]: _column(c) for c in inspector.get_columns(name)},
            "primary key": inspector.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted(
                (str(i["name"]), i["column_names"], bool(i["unique"]))
                for i in inspector.get_indexes(name)
            ),
            "unique": sorted(
                tuple(u["column_names"]) for u in inspector.get_unique_constraints(name)
            ),
            "checks": sorted(
                (str(c["name"]), _plain(c["sqltext"]))
                for c in inspector.get_check_constraints(name)
            ),
            "options": {
                key: value
                for key, value in inspector.get_table_options(name).items()
                if not key.endswith("auto_increment")
            },
        }
        for name in sorted(inspector.get_table_names())
    }


def _column(column: Any) -> tuple[Any, ...]:
    computed = column.get("computed") or {}
    return (
        repr(column["type"]),
        column["nullable"],
        _plain(str(column["default"])),
        bool(column.get("autoincrement")),
        _plain(computed.get("sqltext") or ""),
        computed.get("persisted"),
    )


def _plain(sql: str) -> str:
    return re.sub(r"\s+", " ", sql)


def test_migrating_from_nothing_makes_the_tables_that_are_made_at_once(engine: Engine) -> None:
    with engine.begin() as conn:
        schema.upgrade(conn)
    migrated = described(engine)
    with engine.begin() as conn:
        tables.metadata.drop_all(conn)
        conn.execute(sa.text(f"DROP TABLE {schema.VERSION_TABLE}"))
    schema.prepare(engine, True)
    made = described(engine)

    assert sorted(made) == sorted(f"jobsched_{name}" for name in NAMES)
    for name in made:
        assert migrated[name] == made[name], name
    assert "wake_at" in made["jobsched_jobs"]["columns"]


def test_the_migrations_are_those_that_the_release_knows(engine: Engine) -> None:
    with engine.begin() as conn:
        schema.upgrade(conn)
        found = schema.version_of(conn)

    assert found == schema.HEAD


def test_tables_of_an_older_release_are_migrated_with_their_rows(engine: Engine) -> None:
    schema.prepare(engine, True)
    made = described(engine)
    with engine.begin() as conn:
        tables.metadata.drop_all(conn)
        conn.execute(sa.text(f"DROP TABLE {schema.VERSION_TABLE}"))
    with engine.begin() as conn:
        schema.upgrade(conn, "0001")
        conn.execute(sa.insert(tables.jobs).values(name="a", task="t", once="2030-01-01"))

    schema.prepare(engine, True)

    assert described(engine) == made
    with engine.connect() as conn:
        schema.check(conn)
        assert conn.execute(sa.select(tables.jobs.c.name)).scalars().all() == ["a"]


@pytest.mark.parametrize("former", [None, *schema.REVISIONS[:-1]])
def test_the_sql_makes_the_same_tables_typed_into_the_databases_own_client(
    engine: Engine, former: str | None
) -> None:
    schema.prepare(engine, True)
    made = described(engine)
    with engine.begin() as conn:
        tables.metadata.drop_all(conn)
        conn.execute(sa.text(f"DROP TABLE {schema.VERSION_TABLE}"))
    if former is not None:
        with engine.begin() as conn:
            schema.upgrade(conn, former)

    sql_client(engine.url.render_as_string(hide_password=False))(schema.statements(engine))

    assert described(engine) == made
    with engine.connect() as conn:
        schema.check(conn)
    assert schema.statements(engine) == ""


def test_made_tables_are_left_as_they_are(engine: Engine) -> None:
    schema.prepare(engine, True)
    with engine.begin() as conn:
        conn.execute(sa.insert(tables.jobs).values(name="a", task="t", once="2030-01-01"))

    schema.prepare(engine, True)

    with engine.connect() as conn:
        assert conn.execute(sa.select(tables.jobs.c.name)).scalars().all() == ["a"]


def test_the_next_beat_is_let_in_when_the_tables_are_committed(engine: Engine) -> None:
    other, seen = make_engine(engine.url.render_as_string(hide_password=False), 5), []

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "release_lock" in statement:
            with other.connect() as conn:
                seen.append(schema.version_of(conn))

    sa.event.listen(engine, "before_cursor_execute", look)
    schema.prepare(engine, True)
    other.dispose()

    # Elsewhere the lock ends with the transaction; MariaDB has to be told.
    assert seen == ([schema.HEAD] if engine.dialect.name == "mysql" else [])


def test_tables_whose_making_was_interrupted_are_completed(engine: Engine) -> None:
    with engine.begin() as conn:
        tables.jobs.create(conn)
        conn.execute(sa.text(f"CREATE TABLE {schema.VERSION_TABLE} (version_num varchar(32))"))

    schema.prepare(engine, True)

    with engine.connect() as conn:
        schema.check(conn)
    assert len(sa.inspect(engine).get_table_names()) == len(NAMES)


def test_without_leave_nothing_is_made(engine: Engine) -> None:
    with pytest.raises(SchemaMismatch, match=r"no tables.*jobsched_auto_migrate"):
        schema.prepare(engine, False)

    assert sa.inspect(engine).get_table_names() == []


def test_a_schema_that_is_newer_than_the_code_is_refused_and_left_alone(engine: Engine) -> None:
    schema.prepare(engine, True)
    with engine.begin() as conn:
        conn.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))

    with engine.connect() as conn, pytest.raises(SchemaMismatch, match="9999, newer than this"):
        schema.check(conn)
    with pytest.raises(SchemaMismatch, match="9999"):
        schema.prepare(engine, True)
    with engine.connect() as conn:
        assert schema.version_of(conn) == "9999"


def test_downgrading_takes_all_of_it_away(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "celery_jobsched.store:migrations")
    with engine.begin() as conn:
        schema.upgrade(conn)
        config.attributes["connection"] = conn
        command.downgrade(config, "base")

    assert sa.inspect(engine).get_table_names() == [schema.VERSION_TABLE]


@pytest.mark.parametrize(
    ("name", "type_", "is_theirs"),
    [
        ("jobsched_jobs", "table", False),
        ("orders", "table", True),
        ("jobsched_note", "column", True),
        (None, "schema", True),
    ],
)
def test_users_with_alembic_of_their_own_can_leave_our_tables_out(
    name: str | None, type_: str, is_theirs: bool
) -> None:
    assert schema.include_name(name, type_, {}) is is_theirs
