"""The tables, as people see them who use SQL. What wakes a job's row is told in ``planned``."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from ..fields import is_writable
from .engine import made_now
from .planned import wake_at_of_row
from .types import Instant, JsonText

metadata = sa.MetaData()

_text = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
# Without AUTOINCREMENT, SQLite gives a deleted job's id to the next one, and its fires with it.
_SQLITE: dict[str, Any] = {"sqlite_autoincrement": True}


def _instant(name: str, **kw: Any) -> sa.Column[Any]:
    return sa.Column(name, Instant(), **kw)


def _now(name: str) -> sa.Column[Any]:
    return sa.Column(name, Instant(), server_default=made_now(), nullable=False)


#: What PostgreSQL could keep of these, infinity among it, no Python could read.
_INSTANTS = (
    "starts_at", "ends_at", "paused_until", "created_at", "next_fire_at", "due_at", "last_fire_at",
)  # fmt: skip

jobs = sa.Table(
    "jobsched_jobs",
    metadata,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    # what
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("task", sa.String(255), nullable=False),
    sa.Column("args", JsonText()),
    sa.Column("kwargs", JsonText()),
    sa.Column("options", JsonText()),
    sa.Column("description", _text),
    # when
    sa.Column("every", sa.String(255)),
    sa.Column("at", sa.String(255)),
    sa.Column("cron", sa.String(255)),
    sa.Column("once", _text),
    sa.Column("rrule", _text),
    sa.Column("celery", sa.String(255)),
    sa.Column("keyword", sa.String(255)),
    sa.Column("custom", sa.String(255)),
    sa.Column("timezone", sa.String(64)),
    # limits
    _instant("starts_at"),
    _instant("ends_at"),
    sa.Column("max_fires", sa.Integer()),
    sa.Column("only_during", _text),
    sa.Column("not_during", _text),
    sa.Column("on_excluded", sa.String(16)),
    sa.Column("jitter", sa.Double()),
    # rules
    sa.Column("max_concurrency", sa.Integer()),
    sa.Column("concurrency_key", sa.String(255)),
    sa.Column("overlap", sa.String(16)),
    sa.Column("misfire", sa.String(16)),
    sa.Column("misfire_grace_time", sa.Double()),
    sa.Column("lease", sa.Double()),
    sa.Column("max_failures", sa.Integer()),
    sa.Column("month_end", sa.String(16)),
    sa.Column("dst_gap", sa.String(16)),
    sa.Column("dst_fold", sa.String(16)),
    sa.Column("on_end", sa.String(16)),
    sa.Column("labels", JsonText()),
    # afterwards
    sa.Column("on_success", sa.String(255)),
    sa.Column("on_failure", sa.String(255)),
    # who may run it, and whose it is
    sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
    _instant("paused_at"),
    sa.Column("paused_by", sa.String(255)),
    sa.Column("paused_note", _text),
    _instant("paused_until"),
    sa.Column("source", sa.String(255), server_default="sql", nullable=False),
    sa.Column("version", _id, server_default="0", nullable=False),
    _now("created_at"),
    _now("updated_at"),
    # state, the scheduler's own
    _instant("anchor_at"),
    _instant("next_fire_at"),
    _instant("due_at"),
    _instant("last_fire_at"),
    sa.Column("fire_count", _id, server_default="0", nullable=False),
    sa.Column("failure_count", _id, server_default="0", nullable=False),
    sa.Column("planned", _text),
    sa.Column("error", _text),
    sa.Column("wake_at", Instant(), sa.Computed(wake_at_of_row(), persisted=True)),
    # Serves the poll: what is due (epoch < wake_at <= now), what was edited (wake_at = epoch); and
    # rounds over what is due, which go on within an instant by id.
    sa.Index("jobsched_jobs_wake_at", "wake_at", "id"),
    # Serves firing by keyword: the jobs of one.
    sa.Index("jobsched_jobs_keyword", "keyword"),
    # Serves limits: the smallest of the jobs that share a key.
    sa.Index("jobsched_jobs_concurrency_key", "concurrency_key"),
    # Serves the sync of declared jobs: those of one application.
    sa.Index("jobsched_jobs_source", "source"),
    # Text that only looks like a yes would never run, and nobody would know why.
    sa.CheckConstraint("enabled IN (0, 1)", name="jobsched_jobs_enabled").ddl_if(
        callable_=lambda *_, dialect, **kw: bool(dialect.name != "postgresql")
    ),
    *(
        sa.CheckConstraint(
            f"{name} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'",
            name=f"jobsched_jobs_{name}_finite",
        ).ddl_if(dialect="postgresql")
        for name in _INSTANTS
    ),
    **_MYSQL,
    **_SQLITE,
)

calendars = sa.Table(
    "jobsched_calendars",
    metadata,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("definition", _text, nullable=False),
    sa.Column("description", _text),
    sa.Column("source", sa.String(255), server_default="sql", nullable=False),
    _now("created_at"),
    _now("updated_at"),
    # the scheduler's own: the definition that jobs are planned with, and what is wrong with it
    sa.Column("planned", _text),
    sa.Column("error", _text),
    **_MYSQL,
    **_SQLITE,
)

fires = sa.Table(
    "jobsched_fires",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("job_id", _id, nullable=False),
    sa.Column("job_name", sa.String(255), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    _instant("fire_at", nullable=False),
    _instant("until_at"),
    sa.Column("count", _id),
    _instant("due_at"),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", _text),
    _instant("ready_at"),
    # a run's own, where it is not the job's
    sa.Column("task", sa.String(255)),
    sa.Column("args", JsonText()),
    sa.Column("kwargs", JsonText()),
    sa.Column("publishes", sa.Integer(), server_default="0", nullable=False),
    sa.Column("token", sa.String(36)),
    # who waits for a slot: of which key; what a sent one needs; when a beat looks after it
    sa.Column("waiting_for", sa.String(300)),
    sa.Column("rights", _text),
    _instant("check_at"),
    sa.Column("beat", sa.String(36)),
    _instant("sent_at"),
    _instant("started_at"),
    _instant("finished_at"),
    sa.Column("worker", sa.String(255)),
    sa.Column("result", _text),
    sa.Column("error", _text),
    # One instant of one job is taken once, whatever else happens.
    sa.UniqueConstraint("job_id", "key", name="jobsched_fires_once"),
    # Serves the history of one job, newest first.
    sa.Index("jobsched_fires_job", "job_id", "fire_at"),
    # Serves delivery: `ready_at <= now`, oldest first; null for all that is not pending.
    sa.Index("jobsched_fires_ready_at", "ready_at"),
    # Serves the queue of a key: who waits for its slots, the oldest first.
    sa.Index("jobsched_fires_waiting_for", "waiting_for", "id"),
    # Serves looking after fires that were sent: `check_at <= now`; null for all that need it not.
    sa.Index("jobsched_fires_check_at", "check_at"),
    **_MYSQL,
)

beats = sa.Table(
    "jobsched_beats",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    _instant("started_at", nullable=False),
    _instant("seen_at", nullable=False),
    # set while a tick does not return, by a thread beside it
    _instant("alive_at"),
    # seconds between due and sent, of the last minute; null where nothing was sent
    sa.Column("usual_lag", sa.Double()),
    sa.Column("greatest_lag", sa.Double()),
    # why it claims nothing
    sa.Column("refuses", _text),
    # what it is for, if not for claiming: drained, shadow
    sa.Column("mode", sa.String(16)),
    **_MYSQL,
)

changes = sa.Table(
    "jobsched_changes",
    metadata,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("job_id", _id, nullable=False),
    sa.Column("job_name", sa.String(255), nullable=False),
    _instant("changed_at", nullable=False),
    sa.Column("changed_by", sa.String(255)),
    sa.Column("door", sa.String(16), nullable=False),
    sa.Column("was", _text),
    sa.Column("became", _text),
    sa.Column("note", _text),
    # Serves the changes of one job, newest first.
    sa.Index("jobsched_changes_job", "job_id", "changed_at"),
    **_MYSQL,
    **_SQLITE,
)

meta = sa.Table(
    "jobsched_meta",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", _text, nullable=False),
    **_MYSQL,
)

# What the database keeps for the locks, see ``locks.database``: no job's table is touched there.

slot_keys = sa.Table(
    "jobsched_slot_keys",
    metadata,
    # The row to lock: who counts the slots of a key and then takes one must be alone.
    sa.Column("key", sa.String(300), primary_key=True),
    **_MYSQL,
)

slots = sa.Table(
    "jobsched_slots",
    metadata,
    # Serves what a fire holds: some of the keys of many fires at once.
    sa.Column("fire", sa.String(36), primary_key=True),
    sa.Column("key", sa.String(300), primary_key=True),
    _instant("until_at", nullable=False),
    # A tombstone: until then, late renewals do nothing.
    sa.Column("released", sa.Boolean(), nullable=False),
    # Serves counting: the holders of a key.
    sa.Index("jobsched_slots_key", "key"),
    **_MYSQL,
)

admissions = sa.Table(
    "jobsched_admissions",
    metadata,
    sa.Column("fire", sa.String(36), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("token", sa.String(36), nullable=False),
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("retries", sa.Integer(), nullable=False),
    sa.Column("worker", sa.String(255), nullable=False),
    _instant("until_at", nullable=False),
    sa.Column("redelivered", sa.Boolean(), nullable=False),
    _instant("forget_at", nullable=False),
    # Serves pruning: `forget_at <= now`.
    sa.Index("jobsched_admissions_forget_at", "forget_at"),
    **_MYSQL,
)

reports = sa.Table(
    "jobsched_reports",
    metadata,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("report", _text, nullable=False),
    **_MYSQL,
    **_SQLITE,
)


def named(table: sa.Table, name: str, column: str = "name") -> sa.ColumnElement[bool]:
    """The rows of that name; none where no database could have it, as one with a NUL."""
    return table.c[column] == name if is_writable(name) else sa.false()
