"""What the other triggers need: indexes for jobs by keyword, for due rows within an instant."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what is missing; no row changes."""
    op.create_index("jobsched_jobs_keyword", "jobsched_jobs", ["keyword"])
    op.drop_index("jobsched_jobs_wake_at", "jobsched_jobs")
    op.create_index("jobsched_jobs_wake_at", "jobsched_jobs", ["wake_at", "id"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("jobsched_jobs_wake_at", "jobsched_jobs")
    op.create_index("jobsched_jobs_wake_at", "jobsched_jobs", ["wake_at"])
    op.drop_index("jobsched_jobs_keyword", "jobsched_jobs")
