"""The tables of the locks that are kept in the database."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from celery_jobsched.store.types import Instant

revision = "0004"
down_revision = "0003"

_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobsched_slot_keys",
        sa.Column("key", sa.String(300), primary_key=True),
        **_MYSQL,
    )
    op.create_table(
        "jobsched_slots",
        sa.Column("fire", sa.String(36), primary_key=True),
        sa.Column("key", sa.String(300), primary_key=True),
        sa.Column("until_at", Instant(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        **_MYSQL,
    )
    op.create_index("jobsched_slots_key", "jobsched_slots", ["key"])
    op.create_table(
        "jobsched_admissions",
        sa.Column("fire", sa.String(36), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("token", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(255), nullable=False),
        sa.Column("until_at", Instant(), nullable=False),
        sa.Column("redelivered", sa.Boolean(), nullable=False),
        sa.Column("forget_at", Instant(), nullable=False),
        **_MYSQL,
    )
    op.create_index("jobsched_admissions_forget_at", "jobsched_admissions", ["forget_at"])
    op.create_table(
        "jobsched_reports",
        sa.Column("id", _id(), primary_key=True, autoincrement=True),
        sa.Column("report", _text(), nullable=False),
        sqlite_autoincrement=True,
        **_MYSQL,
    )


def downgrade() -> None:
    """Drop them, and who holds what."""
    for name in ("reports", "admissions", "slots", "slot_keys"):
        op.drop_table(f"jobsched_{name}")


def _id() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text() -> Any:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
