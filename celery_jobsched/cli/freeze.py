"""``celery -A proj jobs freeze`` and ``thaw``: hold up all schedules at once."""

from __future__ import annotations

from typing import Any

import click

from .failures import ANSWER_IS_NO, failing_in_words
from .options import (
    author_options,
    confirm,
    example,
    facades,
    moment,
    of_database,
    yes_option,
)
from .saying import say, tell


@click.command(
    "freeze",
    epilog=example('celery -A proj jobs freeze --until +2h --note "the database moves" --yes'),
)
@click.option("--until", help="When to go on by itself: 2027-01-31 09:00, +2h; else with thaw.")
@yes_option
@author_options
@click.pass_context
def freeze_all(
    ctx: click.Context,
    /,
    until: str | None,
    yes: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Let no beat fire what schedules owe. What is on its way and runs by hand go on.

    For some jobs alone there is `pause`, which takes a filter.
    """
    with failing_in_words():
        found = facades(ctx)
        runtime = next(iter(found.values())).runtime
        end = moment("--until", until, runtime.zone_name, runtime.clock.now())
        confirm(yes, "freeze all schedules")
        for alias, jobs in found.items():
            tell(of_database(alias, str(jobs.freeze(note, end, by))))


@click.command("thaw", epilog=example("celery -A proj jobs thaw"))
@click.pass_context
def thaw_all(ctx: click.Context, /, **options: Any) -> None:
    """Let schedules fire again.

    What came due meanwhile is for the misfire rules. Exit code 3: nothing was frozen.
    """
    with failing_in_words():
        found = {alias: jobs.thaw() for alias, jobs in facades(ctx).items()}
    for alias, was in found.items():
        say(of_database(alias, "nothing was frozen" if was is None else "schedules fire again"))
    raise click.exceptions.Exit(0 if any(found.values()) else ANSWER_IS_NO)
