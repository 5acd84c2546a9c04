"""The named calendars. The statement stands beside this file, one file a database."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make their table."""
    name = op.get_context().dialect.name
    dialect = {"mariadb": "mysql"}.get(name, name)
    script = files("celery_jobsched.store.migrations.versions").joinpath(f"v0003_{dialect}.sql")
    op.execute(script.read_text("utf-8"))


def downgrade() -> None:
    """Drop it, and all named calendars with it."""
    op.drop_table("jobsched_calendars")
