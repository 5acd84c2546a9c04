"""What a beat is for that claims nothing: a drained one, a shadow."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add a column that is empty for beats that claim."""
    op.add_column("jobsched_beats", sa.Column("mode", sa.String(16)))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("jobsched_beats", "mode")
