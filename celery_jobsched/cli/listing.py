"""``celery -A proj jobs list``: how the jobs stand, the worst first."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from .columns import table
from .failures import failing_in_words
from .options import (
    MOST_ROWS,
    example,
    facade,
    has_colour,
    json_options,
    one_form,
    show_records,
)
from .saying import say, tell, width

if TYPE_CHECKING:
    from datetime import datetime

    from ..verbs.facts import Listing
    from ..views import FireView, JobView

_LIMIT = 50
_HEADINGS = ("STATE", "NAME", "SCHEDULE", "NEXT", "IN", "LAST", "TOOK", "RECENT")
_WIDE = ("TASK", "QUEUE", "ZONE", "SOURCE", "OVERLAP", "LIMIT")
_LEGEND = (
    "RECENT oldest first: + ok  x failed  ~ revoked, expired  - skipped, cancelled  ! missed  "
    "? lost  > running  . under way"
)


@click.command(
    "list",
    epilog=example("celery -A proj jobs list state:failing,late task:billing.* label:team=fin"),
)
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@click.option(
    "-n", "--limit", type=click.IntRange(1, MOST_ROWS), default=_LIMIT, show_default=True,
    help="How many jobs to show.",
)  # fmt: skip
@click.option("--all", "all_of_them", is_flag=True, help="Show all of them.")
@click.option("--wide", is_flag=True, help="Tell task, queue, zone, source and limits, too.")
@click.option("--names", is_flag=True, help="The names alone, one a line.")
@click.option("--watch", type=click.FloatRange(0.2), help="Show it again each so many seconds.")
@json_options
@click.pass_context
def list_jobs(
    ctx: click.Context,
    /,
    words: tuple[str, ...] = (),
    limit: int = _LIMIT,
    all_of_them: bool = False,
    wide: bool = False,
    names: bool = False,
    watch: float | None = None,
    as_json: bool = False,
    as_jsonl: bool = False,
    **options: Any,
) -> None:
    """List jobs, the worst first, then those that fire soonest.

    A FILTER is state:, task:, name:, label:, source: or a part of a text.
    """
    as_records = one_form(as_json, as_jsonl)
    while True:
        with failing_in_words():
            found = facade(ctx).listed(" ".join(words), None if all_of_them else limit)
        if as_records:
            show_records((view.to_dict() for view in found.jobs), as_json)
        elif names:
            for view in found.jobs:
                say(view.name)
        else:
            _show(ctx, found, wide, watch)
        if watch is None or not has_terminal():
            return
        time.sleep(watch)


def has_terminal() -> bool:
    """Whether a person looks on."""
    return sys.stdout.isatty()


def _show(ctx: click.Context, found: Listing, wide: bool, watch: float | None) -> None:
    if watch is not None and has_terminal():
        click.clear()
    headings = _HEADINGS + (_WIDE if wide else ())
    rows = [cells(view, found.now) + (_more(view) if wide else ()) for view in found.jobs]
    spare = (*reversed(_WIDE),) if wide else ()
    lines = list(table(
        headings, rows, width(), has_colour(ctx), ("SCHEDULE", "NAME"),
        (*spare, "RECENT", "TOOK", "LAST"),
    ))  # fmt: skip
    for line in lines:
        say(line)
    for problem in _problems(found):
        tell(problem)
    total = sum(found.counts.values())
    if has_terminal():
        tell(_counts(found, total) + (f"   {_LEGEND}" if "RECENT" in lines[0] else ""))
    elif len(found.jobs) < total:
        say(_counts(found, total), err=True)


def _counts(found: Listing, total: int) -> str:
    each = ", ".join(f"{number:,} {state.value}" for state, number in found.counts.items())
    return f"{len(found.jobs):,} of {total:,} jobs shown" + (f": {each}." if each else ".")


def _problems(found: Listing) -> Iterator[str]:
    """What is wrong with jobs, and why they are paused."""
    for view in found.jobs:
        if view.error:
            yield f"{view.name}: {view.error}"
        elif view.paused_note:
            by = f" ({view.paused_by})" if view.paused_by else ""
            yield f'{view.name}: "{view.paused_note}"{by}'


def cells(view: JobView, now: datetime) -> tuple[str, ...]:
    """A job's line."""
    from ..views import duration, short_moment

    at = view.next_fire_at
    following = short_moment(at, view.timezone, now) if at else "-"
    ahead = "-" if at is None else ("-" if at < now else "") + duration(at - now)
    last = view.last_run
    took = duration(last.took) if last and last.took is not None else "-"
    return (
        view.state.value,
        view.name,
        view.brief or view.schedule or "-",
        following,
        ahead,
        _last(last, view.timezone, now),
        _running(last, now) or took,
        view.marks or "-",
    )


def _last(last: FireView | None, zone_name: str, now: datetime) -> str:
    from ..views import short_moment

    return short_moment(last.fire_at, zone_name, now) if last else "-"


def _running(last: FireView | None, now: datetime) -> str | None:
    """How long a run has been under way."""
    from ..views import duration

    if last is None or last.mark != ">" or last.started_at is None:
        return None
    return f"{duration(now - last.started_at)}>"


def _more(view: JobView) -> tuple[str, ...]:
    values: Mapping[str, Any] = {
        "task": view.task,
        "queue": view.queue,
        "zone": view.timezone,
        "source": view.source,
        "overlap": view.overlap,
        "limit": view.max_concurrency,
    }
    return tuple("-" if value is None else str(value) for value in values.values())
