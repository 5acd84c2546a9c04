"""``celery -A proj jobs db``: the tables, for those who keep the database."""

from __future__ import annotations

from typing import Any

import click

from .failures import ANSWER_IS_NO, failing_in_words
from .options import example, facades, of_database
from .saying import say


@click.group("db", epilog=example("celery -A proj jobs db upgrade"))
def database() -> None:
    """Make and migrate the tables apart from beats.

    Their user then needs no right to do so.
    """


@database.command("upgrade", epilog=example("celery -A proj jobs db upgrade"))
@click.pass_context
def upgrade(ctx: click.Context, /, **options: Any) -> None:
    """Make the tables, or migrate them to what this release knows."""
    from ..store import schema

    with failing_in_words():
        for alias, jobs in facades(ctx).items():
            schema.prepare(jobs.runtime.engine, may_change=True)
            say(of_database(alias, f"the tables are of version {schema.HEAD}"))


@database.command("current", epilog=example("celery -A proj jobs db current"))
@click.pass_context
def current(ctx: click.Context, /, **options: Any) -> None:
    """Tell of which version the tables are. Exit code 3: not of this release's."""
    from ..store import schema

    versions = set()
    with failing_in_words():
        for alias, jobs in facades(ctx).items():
            with jobs.runtime.reading() as conn:
                found = schema.version_of(conn)
            there = "there are no tables" if found is None else f"the tables are of version {found}"
            known = "" if found == schema.HEAD else f", this release needs {schema.HEAD}"
            say(of_database(alias, there + known))
            versions.add(found)
    raise click.exceptions.Exit(0 if versions == {schema.HEAD} else ANSWER_IS_NO)


@database.command("sql", epilog=example("celery -A proj jobs db sql > upgrade.sql"))
@click.pass_context
def sql(ctx: click.Context, /, **options: Any) -> None:
    """Print the SQL that `upgrade` would run, and run none."""
    from ..store import schema

    with failing_in_words():
        jobs, *others = facades(ctx).values()
        if others:
            raise click.UsageError("expected --database, as there are several.")
        said = schema.statements(jobs.runtime.engine)
    click.echo(said, nl=False)
