"""``celery -A proj jobs history``, ``explain``, ``changes``: what happened, and what did not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from .columns import table
from .failures import ANSWER_IS_NO, failing_in_words
from .options import (
    example,
    facade,
    has_colour,
    job_names,
    json_options,
    limit_option,
    moment,
    one_form,
    show_records,
    width,
    wrapped,
)
from .saying import say

if TYPE_CHECKING:
    from ..store.changes import Change
    from ..views import FireView

_HISTORY = (
    "FIRE AT", "ORIGIN", "STATE", "SENT", "LATE", "WAITED", "TOOK", "WORKER", "WHY / ERROR", "FIRE",
)  # fmt: skip
_SHORT_ID = 8
#: What the first line of a change says already.
_SAID = frozenset({"enabled", "paused_by", "paused_note"})


@click.command(
    "history", epilog=example("celery -A proj jobs history nightly --state failed,lost --since -7d")
)
@click.argument("name", shell_complete=job_names)
@limit_option(20, "fires")
@click.option("--state", "states", help="Of these states alone: failed,lost.")
@click.option("--since", help="From this moment on: 2027-01-31, -7d.")
@json_options
@click.pass_context
def history_of_job(
    ctx: click.Context,
    /,
    name: str,
    limit: int,
    states: str | None,
    since: str | None,
    as_json: bool,
    as_jsonl: bool,
    **options: Any,
) -> None:
    """Show what became of a job's fires, the newest first, and what did not fire.

    The last column is the end of a fire's id: explain takes it. Exit code 3: there are none.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        zone_name = jobs.view(name).timezone if name in jobs else jobs.runtime.zone_name
        start = moment("--since", since, zone_name, jobs.runtime.clock.now())
        wanted = states.split(",") if states else ()
        found = jobs.history(name, limit, wanted, start)
    if as_records:
        show_records((fire.to_dict() for fire in found), as_json)
    elif found:
        rows = [_cells(fire, zone_name) for fire in found]
        spare = ("WAITED", "LATE", "SENT", "ORIGIN", "WORKER")
        for line in table(_HISTORY, rows, width(), has_colour(ctx), ("WHY / ERROR",), spare):
            say(line)
    if not found:
        say(f"{name}: no such record", err=True)
        raise click.exceptions.Exit(ANSWER_IS_NO)


@click.command("explain", epilog=example('celery -A proj jobs explain reindex "2027-01-31 16:00"'))
@click.argument("name", shell_complete=job_names)
@click.argument("when", required=False)
@json_options
@click.pass_context
def explain_fire(
    ctx: click.Context,
    /,
    name: str,
    when: str | None,
    as_json: bool,
    as_jsonl: bool,
    **options: Any,
) -> None:
    """Tell why a job ran, or did not, step by step.

    WHEN is an instant (without an offset local time of the job's zone) or the id of a fire, or the
    end of one; by default what is due now, else the newest fire. Exit code 3: it did not run.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        told = facade(ctx).explain(name, when)
    if as_records:
        show_records([told.to_dict()], False)
    else:
        indent = " " * (4 + max((len(each.code) for each in told.steps), default=0))
        for line in str(told).splitlines():
            for part in wrapped(line, indent):
                say(part)
    raise click.exceptions.Exit(0 if told.ran else ANSWER_IS_NO)


@click.command("changes", epilog=example("celery -A proj jobs changes nightly"))
@click.argument("name", shell_complete=job_names)
@limit_option(20, "changes")
@json_options
@click.pass_context
def changes_of_job(
    ctx: click.Context,
    /,
    name: str,
    limit: int,
    as_json: bool,
    as_jsonl: bool,
    **options: Any,
) -> None:
    """Show who changed what of a job, the newest first."""
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        zone_name, found = jobs.view(name).timezone, jobs.changes(name, limit)
    if as_records:
        show_records(map(_record, found), as_json)
        return
    for change in found:
        for line in told(change, zone_name):
            say(line)


def told(change: Change, zone_name: str) -> Iterator[str]:
    """A change in lines: when, by whom, how and why, then what."""
    from ..views import moment as said

    doors = {"api": "Python", "cli": "the command", "config": "the configuration", "table": "SQL"}
    who = f" by {change.by}" if change.by and change.door != "config" else ""
    note = f': "{change.note}"' if change.note else ""
    verb = {True: "paused", False: "resumed", None: "changed"}[change.paused]
    verb = "made" if change.was is None else "removed" if change.became is None else verb
    by = f"{who} through {doors.get(change.door, change.door)}"
    yield f"{said(change.at, zone_name)} {verb}{by}{note}"
    for column, was, became in change.differences:
        if column not in _SAID:
            yield f"  {column}: {_or_none(was)} -> {_or_none(became)}"


def _record(change: Change) -> dict[str, Any]:
    differences = [each._asdict() for each in change.differences]
    return {
        "at": change.at.isoformat(),
        "by": change.by,
        "door": change.door,
        "note": change.note,
        "differences": differences,
    }


def _or_none(value: str | None) -> str:
    return "(none)" if value is None else value


def _cells(fire: FireView, zone_name: str) -> tuple[str, ...]:
    from ..views import moment as said

    why = fire.error or fire.reason or ""
    if fire.until_at is not None and fire.until_at != fire.fire_at:
        many = "many" if fire.count is None else str(fire.count)
        why = f"{many} until {said(fire.until_at, zone_name)}: {why}"
    running = ">" if fire.mark == ">" else "-"
    return (
        said(fire.fire_at, zone_name),
        fire.origin,
        fire.state,
        said(fire.sent_at, zone_name).split(" ")[2].split(".")[0] if fire.sent_at else "-",
        _span(fire.late),
        _span(fire.waited),
        _span(fire.took) if fire.took is not None else running,
        fire.worker or "-",
        " ".join(why.split()),
        fire.id[-_SHORT_ID:],
    )


def _span(span: timedelta | None) -> str:
    from ..views import duration

    return "-" if span is None else duration(span)
