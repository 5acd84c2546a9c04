"""The tables, as people see them who use SQL, and the generated column that wakes a row.

``wake_at`` says when a job's row wants to be looked at: at once (:data:`EDITED`) when the columns
that planning reads differ from ``planned``, the text that ``due_at`` was computed from; else when
it is due. The database computes it, so that an edit by any tool counts, bulk SQL included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from ..clock import UTC
from .engine import made_now
from .types import Instant, JsonText

#: ``wake_at`` of a row that was edited since it was planned.
EDITED = datetime(1970, 1, 1, tzinfo=UTC)

metadata = sa.MetaData()

_text = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
# Without AUTOINCREMENT, SQLite gives a deleted job's id to the next one, and its fires with it.
_SQLITE: dict[str, Any] = {"sqlite_autoincrement": True}

#: What says when: the columns that planning reads first, with the kind of each.
SCHEDULE = {
    "every": "text",
    "at": "text",
    "cron": "text",
    "celery": "text",
    "keyword": "text",
    "custom": "text",
    "timezone": "text",
    "starts_at": "instant",
    "ends_at": "instant",
    "only_during": "text",
    "not_during": "text",
    "on_excluded": "text",
    "jitter": "number",
    "month_end": "text",
    "dst_gap": "text",
    "dst_fold": "text",
    "once": "text",
    "rrule": "text",
}
#: What else planning reads; ``enabled`` is never null and so marks where these begin.
RULES = {
    "enabled": "flag",
    "max_fires": "number",
    "max_concurrency": "number",
    "concurrency_key": "text",
    "overlap": "text",
    "misfire": "text",
    "misfire_grace_time": "number",
    "lease": "number",
    "max_failures": "number",
    "on_end": "text",
    "on_success": "text",
    "on_failure": "text",
    "paused_until": "instant",
}
#: What is compared as well while a row is in error, so that mending any column wakes it.
DETAILS = {"task": "text", "args": "json", "kwargs": "json", "options": "json", "labels": "json"}


class planned_text(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """Some columns of a row as one text, a line ``name=value`` each; nulls are left out.

    Which columns is said by the class, not by the object: so SQLAlchemy compiles each query once.
    """

    type = sa.Text()
    inherit_cache = True
    kinds: Mapping[str, str]


class schedule_text(planned_text):  # noqa: N801
    """What says when."""

    inherit_cache = True
    kinds = SCHEDULE


class rules_text(planned_text):  # noqa: N801
    """What else planning reads."""

    inherit_cache = True
    kinds = RULES


class details_text(planned_text):  # noqa: N801
    """What is compared as well while a row is in error."""

    inherit_cache = True
    kinds = DETAILS


class whole_text(planned_text):  # noqa: N801
    """All that planning reads: what ``planned`` holds."""

    inherit_cache = True
    kinds = SCHEDULE | RULES


@compiles(planned_text)
def _planned_sqlite(element: planned_text, compiler: Any, **kw: Any) -> str:
    lines = (f"COALESCE('{name}=' || {name} || char(10), '')" for name in element.kinds)
    return "(" + " || ".join(lines) + ")"


@compiles(planned_text, "postgresql")
def _planned_postgresql(element: planned_text, compiler: Any, **kw: Any) -> str:
    # A timestamp's own text depends on the session; a generated column takes immutable casts.
    forms = {"instant": "extract(epoch from {0})::text", "text": "{0}"}
    lines = (
        f"COALESCE('{name}=' || {forms.get(kind, '{0}::text').format(name)} || E'\\n', '')"
        for name, kind in element.kinds.items()
    )
    return "(" + " || ".join(lines) + ")"


@compiles(planned_text, "mysql", "mariadb")
def _planned_mysql(element: planned_text, compiler: Any, **kw: Any) -> str:
    lines = (f"COALESCE(CONCAT('{name}=', `{name}`, '\\n'), '')" for name in element.kinds)
    return "CONCAT(" + ", ".join(lines) + ")"


class wake_at_of_row(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """When the row wants to be looked at; see the module's docstring."""

    type = Instant()
    inherit_cache = True


@compiles(wake_at_of_row)
def _wake_at(element: wake_at_of_row, compiler: Any, **kw: Any) -> str:
    epoch, paused_until = {
        "sqlite": ("'1970-01-01 00:00:00.000000'", "replace(paused_until, 'T', ' ')"),
        "postgresql": ("TIMESTAMP '1970-01-01 00:00:00'", "paused_until"),
    }.get(compiler.dialect.name, ("TIMESTAMP'1970-01-01 00:00:00'", "paused_until"))
    schedule = compiler.process(whole_text())
    details = compiler.process(details_text())
    whole = {
        "mysql": f"CONCAT({schedule}, CASE WHEN error IS NULL THEN '' ELSE {details} END)",
        "mariadb": f"CONCAT({schedule}, CASE WHEN error IS NULL THEN '' ELSE {details} END)",
    }.get(
        compiler.dialect.name,
        f"{schedule} || CASE WHEN error IS NULL THEN '' ELSE {details} END",
    )
    return (
        f"CASE WHEN planned IS NULL OR planned <> ({whole}) THEN {epoch} "
        f"WHEN NOT enabled THEN {paused_until} "
        f"WHEN error IS NOT NULL THEN NULL ELSE due_at END"
    )


def _instant(name: str, **kw: Any) -> sa.Column[Any]:
    return sa.Column(name, Instant(), **kw)


def _now(name: str) -> sa.Column[Any]:
    return sa.Column(name, Instant(), server_default=made_now(), nullable=False)


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
    # Serves the poll: what is due (epoch < wake_at <= now), what was edited (wake_at = epoch).
    sa.Index("jobsched_jobs_wake_at", "wake_at"),
    # Serves the sync of declared jobs: those of one application.
    sa.Index("jobsched_jobs_source", "source"),
    # Text that only looks like a yes would never run, and nobody would know why.
    sa.CheckConstraint("enabled IN (0, 1)", name="jobsched_jobs_enabled").ddl_if(
        callable_=lambda *_, dialect, **kw: bool(dialect.name != "postgresql")
    ),
    *(
        sa.CheckConstraint(f"isfinite({name})", name=f"jobsched_jobs_{name}_finite").ddl_if(
            dialect="postgresql"
        )
        for name in ("starts_at", "ends_at", "paused_until")
    ),
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
    sa.Column("args", JsonText()),
    sa.Column("kwargs", JsonText()),
    sa.Column("publishes", sa.Integer(), server_default="0", nullable=False),
    sa.Column("token", sa.String(36)),
    _instant("lease_until"),
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
    **_MYSQL,
)

beats = sa.Table(
    "jobsched_beats",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    _instant("started_at", nullable=False),
    _instant("seen_at", nullable=False),
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
