"""What fires need that wait for slots, hold them, or are looked after once they were sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from celery_jobsched.store.types import Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add columns that are empty for all fires so far, and the indexes that serve them."""
    op.drop_column("jobsched_fires", "lease_until")
    for column in (
        sa.Column("waiting_for", sa.String(300)),
        sa.Column("rights", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")),
        sa.Column("check_at", Instant()),
        sa.Column("task", sa.String(255)),
    ):
        op.add_column("jobsched_fires", column)
    op.create_index("jobsched_fires_waiting_for", "jobsched_fires", ["waiting_for", "id"])
    op.create_index("jobsched_fires_check_at", "jobsched_fires", ["check_at"])
    op.create_index("jobsched_jobs_concurrency_key", "jobsched_jobs", ["concurrency_key"])


def downgrade() -> None:
    """Take them away again; who waits, waits no more."""
    op.drop_index("jobsched_jobs_concurrency_key", "jobsched_jobs")
    op.drop_index("jobsched_fires_check_at", "jobsched_fires")
    op.drop_index("jobsched_fires_waiting_for", "jobsched_fires")
    for name in ("task", "check_at", "rights", "waiting_for"):
        op.drop_column("jobsched_fires", name)
    op.add_column("jobsched_fires", sa.Column("lease_until", Instant()))
