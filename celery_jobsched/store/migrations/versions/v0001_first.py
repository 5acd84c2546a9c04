"""The first tables.

The statements stand beside this file, one file a database, as they were when this was released.
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    name = op.get_context().dialect.name
    dialect = {"mariadb": "mysql"}.get(name, name)
    script = files(__package__ or "celery_jobsched.store.migrations.versions")
    text = script.joinpath(f"v0001_{dialect}.sql").read_text("utf-8")
    for statement in text.split(";\n"):
        if statement.strip():
            op.execute(sa.text(statement.replace(":", r"\:")))


def downgrade() -> None:
    """Drop the tables, and all jobs and fires with them."""
    for name in ("changes", "fires", "beats", "meta", "jobs"):
        op.drop_table(f"jobsched_{name}")
