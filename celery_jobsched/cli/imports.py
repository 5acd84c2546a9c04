"""``celery -A proj jobs import``: what another scheduler has, looked at first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .failures import ANSWER_IS_NO, failing_in_words
from .options import (
    author_options,
    example,
    facade,
    force_option,
    json_options,
    one_form,
    show_records,
)
from .saying import tell

if TYPE_CHECKING:
    from ..job import Job
    from ..verbs.imports import Imported

_SIGNS = {"added": "+", "changed": "~", "existing": "!"}


@click.command(
    "import", epilog=example("celery -A proj jobs import redbeat redis://localhost/1 --yes")
)
@click.argument("source")
@click.argument("place", required=False)
@click.option("--replace", is_flag=True, help="Change jobs that are there.")
@click.option("--yes", is_flag=True, help="Write them; without it they are only shown.")
@force_option
@author_options
@json_options
@click.pass_context
def import_jobs(
    ctx: click.Context,
    /,
    source: str,
    place: str | None,
    replace: bool,
    yes: bool,
    force: bool,
    note: str | None,
    by: str | None,
    as_json: bool,
    as_jsonl: bool,
    **options: Any,
) -> None:
    """Show what would come of the jobs of another scheduler.

    And what would not; --yes writes it.

    SOURCE is beat_schedule, django-celery-beat, redbeat, sqlalchemy-celery-beat,
    celerybeat-schedule, apscheduler or pykit; PLACE its URL, its file or module:attribute, where
    the configuration does not say it. Exit code 3: some jobs cannot be carried over, or are there.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        found = jobs.import_from(
            source, place, apply=yes, replace=replace, by=by, note=note, force=force
        )
        now = jobs.runtime.clock.now()
        records = list(_records(found, now))
    if as_records:
        show_records(records, as_json)
    else:
        _show(records)
    _sum_up(found, yes)
    raise click.exceptions.Exit(ANSWER_IS_NO if found.left_out or found.existing else 0)


def _records(found: Imported, now: Any) -> Iterator[dict[str, Any]]:
    """Each job with what becomes of it, and the notes about it."""
    for what in ("added", "changed", "unchanged", "existing"):
        for name in getattr(found, what):
            yield {"job": name, "what": what, **_of_job(found.jobs[name], now)}
    for what, notes in (("note", found.notes), ("left out", found.left_out)):
        for each in notes:
            yield {"job": each.job, "what": what, "field": each.field, "text": each.text}


def _of_job(job: Job, now: Any) -> dict[str, Any]:
    first = next(iter(job.upcoming(now, 1)), None) if job.enabled else None
    return {
        "task": job.task,
        "schedule": job.describe(),
        "enabled": job.enabled,
        "next_fire_at": first and first.isoformat(),
    }


def _show(records: list[dict[str, Any]]) -> None:
    for each in records:
        if each["what"] in _SIGNS:
            first = (each["next_fire_at"] or "never")[:19].replace("T", " ")
            state = f"first {first} UTC" if each["enabled"] else "disabled"
            state = "exists, with another definition" if each["what"] == "existing" else state
            tell(f"{_SIGNS[each['what']]} {each['job']}: {each['schedule']}; {state}")
        elif "field" in each:
            sign = "-" if each["what"] == "left out" else " "
            said = "left out: " if each["what"] == "left out" else ""
            tell(f"{sign} {each['job']}: {said}{each['field']}: {each['text']}")


def _sum_up(found: Imported, is_applied: bool) -> None:
    would = "{} added, {} changed" if is_applied else "{} to add, {} to change"
    counts = would.format(len(found.added), len(found.changed))
    rest = f"{len(found.unchanged)} unchanged, {len(found.existing)} exist, "
    more = "" if is_applied else " Nothing is written without --yes."
    tell(f"{counts}, {rest}{len(found.left_out)} left out.{more}", err=True)
