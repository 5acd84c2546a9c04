"""``celery -A proj jobs freeze`` and ``thaw``: hold up all schedules at once."""

from __future__ import annotations

from typing import Any

import click

from .failures import ANSWER_IS_NO, failing_in_words
from .options import author_options, confirm, example, facade, moment, yes_option
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
        jobs = facade(ctx)
        now, zone_name = jobs.runtime.clock.now(), jobs.runtime.zone_name
        end = moment("--until", until, zone_name, now)
        confirm(yes, "freeze all schedules")
        tell(str(jobs.freeze(note, end, by)))


@click.command("thaw", epilog=example("celery -A proj jobs thaw"))
@click.pass_context
def thaw_all(ctx: click.Context, /, **options: Any) -> None:
    """Let schedules fire again.

    What came due meanwhile is for the misfire rules. Exit code 3: nothing was frozen.
    """
    with failing_in_words():
        found = facade(ctx).thaw()
    say("nothing was frozen" if found is None else "schedules fire again")
    raise click.exceptions.Exit(ANSWER_IS_NO if found is None else 0)
