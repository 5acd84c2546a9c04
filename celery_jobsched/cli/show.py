"""``celery -A proj jobs show``: all that there is to know of one job, on one page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from .columns import styled
from .failures import failing_in_words
from .options import (
    example,
    facade,
    has_colour,
    job_names,
    json_options,
    one_form,
    show_records,
)
from .past import told
from .saying import say, wrapped

if TYPE_CHECKING:
    from ..job import Job
    from ..store.changes import Change
    from ..views import JobView

_MONTH = timedelta(days=30)
_RULES = {
    "max_concurrency": "at most {} at a time", "concurrency_key": "key {}", "lease": "lease {} s",
    "overlap": "overlap: {}", "misfire": "misfire: {}", "misfire_grace_time": "grace {} s",
    "max_failures": "pause after {} failures in a row", "max_fires": "at most {} fires",
    "jitter": "jitter up to {} s", "on_success": "on success: {}", "on_failure": "on failure: {}",
    "on_end": "on end: {}",
}  # fmt: skip


@click.command("show", epilog=example("celery -A proj jobs show nightly"))
@click.argument("name", shell_complete=job_names)
@json_options
@click.pass_context
def show_job(
    ctx: click.Context, /, name: str, as_json: bool, as_jsonl: bool, **options: Any
) -> None:
    """Show all that there is to know of a job. Exit code 3: its row cannot be read."""
    from ..errors import InvalidJob

    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        view, now = jobs.view(name), jobs.runtime.clock.now()
        try:
            job: Job | None = jobs.get(name)
        except InvalidJob:
            job = None
        counts, changes = jobs.counts(name, now - _MONTH), jobs.changes(name, 1)
    if as_records:
        definition = {"definition": job.to_plain()} if job else {}
        show_records([view.to_dict() | definition | {"month": counts}], False)
    else:
        state = styled(view.state.value, has_colour(ctx))
        for label, text in _lines(view, job, counts, changes, now, state):
            for line in wrapped(f"{label:<8}{text}".rstrip(), " " * 8):
                say(line)
    raise click.exceptions.Exit(0 if job else 3)


def _lines(
    view: JobView,
    job: Job | None,
    counts: dict[str, int],
    changes: list[Change],
    now: datetime,
    state: str,
) -> Iterator[tuple[str, str]]:
    """Labels and texts; what is empty is left out."""
    yield "Name", view.name
    yield "State", state + _owner(view)
    if view.description:
        yield "About", " ".join(view.description.split())
    if view.error:
        yield "Error", view.error
    yield from _paused(view)
    yield "When", view.words or view.schedule
    if view.words:
        yield "", f"as written: {view.schedule}"
    yield from _next(view, now)
    yield "What", _call(view, job)
    rules = list(_rules(job)) if job else []
    if rules:
        yield "Rules", ", ".join(rules)
    if view.labels:
        yield "Labels", ", ".join(f"{key}={value}" for key, value in view.labels.items())
    yield from _last(view, now)
    if counts:
        yield "30 d", ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items()))
    for change in changes:
        first, *rest = told(change, view.timezone)
        yield "Change", first
        yield from (("", line.strip()) for line in rest)


def _owner(view: JobView) -> str:
    if view.source.startswith("config:"):
        return f", declared in the configuration of {view.source.removeprefix('config:')}"
    return f" ({view.source})"


def _paused(view: JobView) -> Iterator[tuple[str, str]]:
    if view.state.value != "paused":
        return
    who = f" by {view.paused_by}" if view.paused_by else ""
    since = f" {_second(view.paused_at, view.timezone)}" if view.paused_at else ""
    until = f", until {_second(view.paused_until, view.timezone)}" if view.paused_until else ""
    note = f': "{view.paused_note}"' if view.paused_note else ""
    yield "Paused", f"{since}{who}{until}{note}".strip()


def _next(view: JobView, now: datetime) -> Iterator[tuple[str, str]]:
    from ..views import moment
    from .table import from_now

    at = view.next_fire_at
    if at is None:
        return
    jitter = ""
    if view.due_at is not None and view.due_at != at:
        jitter = f"; due {_second(view.due_at, view.timezone)} with jitter"
    utc = "" if view.timezone == "UTC" else f" ({moment(at, 'UTC').partition(' ')[2]})"
    yield "Next", f"{moment(at, view.timezone)}{utc}, {from_now(at, now)}{jitter}"


def _second(at: datetime, zone_name: str) -> str:
    from ..views import moment

    return moment(at.replace(microsecond=0), zone_name)


def _call(view: JobView, job: Job | None) -> str:
    if job is None:
        return view.task
    given = [repr(each) for each in job.args]
    given += [f"{key}={value!r}" for key, value in job.kwargs.items()]
    options = "".join(f", {key} {value}" for key, value in job.options.items())
    return f"{job.task}({', '.join(given)}){options}"


def _rules(job: Job) -> Iterator[str]:
    for name, text in _RULES.items():
        value = getattr(job, name)
        if value is not None:
            yield text.format(f"{value:g}" if isinstance(value, float) else value)


def _last(view: JobView, now: datetime) -> Iterator[tuple[str, str]]:
    from ..views import duration, moment

    last = view.last
    if last is None:
        return
    where = f" on {last.worker}" if last.worker else ""
    took = f" in {duration(last.took)}" if last.took is not None else ""
    why = last.error or last.reason
    said = f": {' '.join(why.split())}" if why else ""
    yield "Last", f"{moment(last.fire_at, view.timezone)}  {last.state}{took}{where}{said}"
    yield "Recent", view.marks
