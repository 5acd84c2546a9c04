"""The generated column that wakes a job's row, and the text by which an edit is noticed.

``wake_at`` says when a row wants to be looked at: at once (:data:`EDITED`) when the columns that
planning reads differ from ``planned``, the text that ``due_at`` was computed from; else when it is
due. The database computes it, so that an edit by any tool counts, bulk SQL included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from ..clock import UTC
from .types import Instant

#: ``wake_at`` of a row that was edited since it was planned.
EDITED = datetime(1970, 1, 1, tzinfo=UTC)

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
DETAILS = {
    "name": "text",
    "task": "text",
    "args": "json",
    "kwargs": "json",
    "options": "json",
    "labels": "json",
    "created_at": "instant",
    "last_fire_at": "instant",
    "fire_count": "number",
}


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


# Text is compared as text: whatever form and offset a person wrote, in UTC and of one width.
_UTC_OF_PAUSE = "strftime('%Y-%m-%d %H:%M:%f', paused_until) || '000'"


@compiles(wake_at_of_row)
def _wake_at(element: wake_at_of_row, compiler: Any, **kw: Any) -> str:
    epoch, paused_until = {
        "sqlite": ("'1970-01-01 00:00:00.000000'", _UTC_OF_PAUSE),
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
        f"WHEN error IS NOT NULL THEN NULL "
        f"WHEN NOT enabled THEN CASE WHEN {paused_until} > {epoch} THEN {paused_until} END "
        f"ELSE due_at END"
    )
