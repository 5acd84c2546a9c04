"""``celery -A proj jobs stop``: end what is on its way of a job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .failures import NO_SUCH_JOB, failing_in_words
from .options import example, facade, job_names
from .saying import tell

if TYPE_CHECKING:
    from ..verbs.stops import Stopped


@click.command(
    "stop", epilog=example('celery -A proj jobs stop reindex --terminate --note "wrong index"')
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=job_names)
@click.option("--terminate", is_flag=True, help="Kill what runs, where the pool can (prefork).")
@click.option("--note", help="Why; it stands on the fires' records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the ids of the fires.")
@click.pass_context
def stop_jobs(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    terminate: bool,
    note: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """End what waits, is queued, or runs of jobs.

    The jobs stay, and fire again when they are due.

    What was not sent is cancelled, what no worker has begun does not start, and what runs is not
    retried; with --terminate it is killed.

    Exit codes: 4 there is no such job, 69 database, locks or broker cannot be reached.
    """
    from ..errors import JobNotFound

    found: dict[str, Stopped] = {}
    missing: list[str] = []
    with failing_in_words():
        jobs = facade(ctx)
        for name in names:
            try:
                found[name] = jobs.stop(name, terminate, note=note)
            except JobNotFound as error:
                missing.append(f"{error}")
    if as_json:
        click.echo(json.dumps({name: each._asdict() for name, each in found.items()}, indent=1))
    for name, each in {} if as_json else found.items():
        tell(f"{name}: {_said(each, terminate)}")
    for problem in missing:
        tell(problem, err=True)
    if missing:
        raise click.exceptions.Exit(NO_SUCH_JOB)


def _said(stopped: Stopped, terminate: bool) -> str:
    asked = "asked to end" if terminate else "in the hands of a worker, not to be retried"
    counts = (
        (len(stopped.cancelled), "cancelled before being sent"),
        (len(stopped.withdrawn), "taken out of the queue"),
        (len(stopped.asked), asked),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing to stop"
