"""``celery -A proj jobs …``: the command line.

Every worker and beat imports this module: it imports click alone, the rest when a command runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from .failures import failing_in_words
from .next import next_fires

_LATE = timedelta(seconds=10)


@click.group(invoke_without_command=True)
@click.pass_context
def jobs(ctx: click.Context, /, **options: Any) -> None:
    """Look at the jobs of celery_jobsched."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_jobs)


jobs.add_command(next_fires)


@jobs.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="How many jobs to show."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@click.pass_context
def list_jobs(
    ctx: click.Context, /, limit: int = 50, as_json: bool = False, **options: Any
) -> None:
    """List jobs with their next and last fire, those that fire soonest first."""
    rows, total = _timetable(ctx.obj.app, limit)
    if as_json:
        click.echo(json.dumps(rows, default=str, indent=1))
        return
    click.echo(_table(rows))
    if len(rows) < total:
        click.echo(f"{len(rows)} of {total} jobs shown", err=True)


def _timetable(app: Any, limit: int) -> tuple[list[dict[str, Any]], int]:
    with failing_in_words():
        from ..jobs import Jobs

        found = Jobs(app)
        return [_shown(row) for row in found.timetable(limit)], len(found)


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "state": _state(row),
        "schedule": _schedule(row),
        "next": _instant(row["next_fire_at"]),
        "last": _instant(row["last_fire_at"]),
        "task": row["task"],
        "error": row["error"],
    }


def _state(row: Mapping[Any, Any]) -> str:
    if row["error"]:
        return "error"
    if not row["enabled"]:
        return "paused"
    if not row["planned"]:
        return "new" if row["next_fire_at"] is None else "ok"
    if _is_late(row["due_at"], row["now"]):
        return "late"
    if row["next_fire_at"] is None:
        return "waiting" if row["keyword"] and not row["is_over"] else "done"
    return "ok"


def _is_late(due_at: Any, now: datetime) -> bool:
    """Whether what is due lies about: no beat is there that could take it and would."""
    return isinstance(due_at, datetime) and due_at < now - _LATE


def _schedule(row: Mapping[Any, Any]) -> str:
    said = [row[name] for name in ("cron", "once", "celery", "custom") if row[name]]
    if row["every"]:
        said.insert(0, f"every {row['every']}" + (f" at {row['at']}" if row["at"] else ""))
    if row["keyword"]:
        said.append(f"keyword {row['keyword']}")
    return "; ".join(said) + (f", {row['timezone']}" if row["timezone"] else "")


def _instant(value: Any) -> str | None:
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if isinstance(value, datetime) else value


_COLUMNS = ("state", "name", "schedule", "next", "last", "task")


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [[name.upper() for name in _COLUMNS]]
    lines += [[str(row[name] or "-") for name in _COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    table = ["  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)) for line in lines]
    broken = [f"{row['name']}: {row['error']}" for row in rows if row["error"]]
    return "\n".join(line.rstrip() for line in [*table, *broken])
