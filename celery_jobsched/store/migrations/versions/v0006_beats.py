"""How a beat does: whether it hangs, how late it sends, why it claims nothing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from celery_jobsched.store.types import Instant

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add columns that each beat fills the next time that it is seen."""
    for column in (
        sa.Column("alive_at", Instant()),
        sa.Column("usual_lag", sa.Double()),
        sa.Column("greatest_lag", sa.Double()),
        sa.Column("refuses", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")),
    ):
        op.add_column("jobsched_beats", column)


def downgrade() -> None:
    """Take them away again."""
    for name in ("refuses", "greatest_lag", "usual_lag", "alive_at"):
        op.drop_column("jobsched_beats", name)
