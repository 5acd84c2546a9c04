"""``celery -A proj jobs history``, ``explain``, ``changes``: what happened, and what did not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from .columns import table
from .failures import ANSWER_IS_NO, failing_in_words
from .options import (
    counted,
    example,
    facade,
    has_colour,
    job_names,
    json_options,
    limit_option,
    moment,
    one_form,
    show_records,
)
from .saying import say, tell, width

if TYPE_CHECKING:
    from ..store.changes import Change
    from ..verbs.facts import Explanation
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
    """Show what became of a job's fires, and what did not fire.

    The newest first. The last column is the end of a fire's id: explain takes it.

    Exit code 3: there are none.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        zone_name = jobs.view(name).timezone if name in jobs else jobs.runtime.zone_name
        now = jobs.runtime.clock.now()
        start = moment("--since", since, zone_name, now)
        wanted = states.split(",") if states else ()
        found = jobs.history(name, limit, wanted, start)
    if as_records:
        show_records((fire.to_dict() for fire in found), as_json)
    elif found:
        rows = [_cells(fire, zone_name, now) for fire in found]
        spare = ("WAITED", "LATE", "SENT", "ORIGIN", "WORKER")
        for line in table(_HISTORY, rows, width(), has_colour(ctx), ("WHY / ERROR",), spare):
            say(line)
    if not found:
        say(f"{name}: no such record", err=True)
        raise click.exceptions.Exit(ANSWER_IS_NO)


@click.command(
    "explain",
    epilog=example('celery -A proj jobs explain reindex "2027-01-31 16:00"'),
    context_settings={"ignore_unknown_options": True},  # -3d is none
)
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

    WHEN is an instant (without an offset local time of the job's zone; also now, -2h), or the id of
    a fire, or the end of one; by default what is due now, else the newest fire. Exit code 3: it did
    not run.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        at = when and counted(when, jobs.runtime.clock.now().replace(microsecond=0))
        told = jobs.explain(name, at or when)
    if as_records:
        show_records([told.to_dict()], False)
    else:
        say_explanation(told)
    raise click.exceptions.Exit(0 if told.ran else ANSWER_IS_NO)


def say_explanation(told: Explanation, err: bool = False) -> None:
    """A sentence, and its steps behind their codes."""
    indent = " " * (4 + max((len(each.code) for each in told.steps), default=0))
    for line in str(told).splitlines():
        tell(line, err, indent)


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
            tell(line, indent="    ")


def told(change: Change, zone_name: str) -> Iterator[str]:
    """A change in lines: when, by whom, how and why, then what."""
    from ..views import moment as said

    doors = {"api": "Python", "cli": "the command", "config": "the configuration", "table": "SQL"}
    who = f" by {change.by}" if change.by and change.door != "config" else ""
    note = f': "{change.note}"' if change.note else ""
    verb = {True: "paused", False: "resumed", None: "changed"}[change.paused]
    verb = "made" if change.was is None else "removed" if change.became is None else verb
    by = f"{who} through {doors.get(change.door, change.door)}"
    yield f"{said(change.at.replace(microsecond=0), zone_name)} {verb}{by}{note}"
    for column, was, became in change.differences:
        if column not in _SAID:
            before = "" if change.was is None else f"{_or_none(was)} -> "
            yield f"  {column}: {before}{_or_none(became)}"


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


def _cells(fire: FireView, zone_name: str, now: datetime) -> tuple[str, ...]:
    why = "; ".join(each for each in (fire.error, fire.reason) if each)
    if fire.until_at is not None and fire.until_at != fire.fire_at:
        many = "many" if fire.count is None else str(fire.count)
        why = f"{why} ({many} until {_short(fire.until_at, zone_name, now)})".lstrip()
    running = ">" if fire.mark == ">" else "-"
    return (
        _short(fire.fire_at, zone_name, now),
        fire.origin,
        fire.state,
        _short(fire.sent_at, zone_name, now).split(" ")[-2] if fire.sent_at else "-",
        _span(fire.late),
        _span(fire.waited),
        _span(fire.took) if fire.took is not None else running,
        fire.worker or "-",
        " ".join(why.split()),
        fire.id[-_SHORT_ID:],
    )


def _short(at: datetime, zone_name: str, now: datetime) -> str:
    from ..views import short_moment

    return short_moment(at, zone_name, now, to_the_second=True)


def _span(span: timedelta | None) -> str:
    from ..views import duration

    return "-" if span is None else duration(span)
