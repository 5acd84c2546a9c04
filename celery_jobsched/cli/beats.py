"""``celery -A proj jobs beats``: which there are, and draining one before it is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .columns import table
from .failures import ANSWER_IS_NO, failing_in_words
from .options import (
    author_options,
    example,
    facade,
    has_colour,
    json_options,
    one_form,
    show_records,
)
from .saying import say, width

if TYPE_CHECKING:
    from ..status import BeatSeen

_HEADINGS = ("NAME", "STATE", "UP", "SEEN", "LAG", "AT MOST", "WHY", "ID")


@click.group("beats", invoke_without_command=True, epilog=example("celery -A proj jobs beats"))
@json_options
@click.pass_context
def beats(ctx: click.Context, /, as_json: bool, as_jsonl: bool, **options: Any) -> None:
    """List the beats: how each does, and why it claims nothing.

    LAG is how late it sends as a rule, by its last minute. Exit code 3: there is none.
    """
    if ctx.invoked_subcommand is not None:
        return
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        found = facade(ctx).beats()
    if as_records:
        show_records((each.to_dict() for each in found), as_json)
    elif found:
        rows = [_cells(each) for each in found]
        spare = ("ID", "AT MOST", "UP", "LAG")
        for line in table(_HEADINGS, rows, width(), has_colour(ctx), ("WHY",), spare):
            say(line)
    if not found:
        say("no beat is on the list", err=True)
        raise click.exceptions.Exit(ANSWER_IS_NO)


@beats.command(
    "drain", epilog=example('celery -A proj jobs beats drain host-a:17 --note "new image"')
)
@click.argument("beat", metavar="NAME|ID")
@click.option("--undo", is_flag=True, help="Let it claim again.")
@author_options
@click.pass_context
def drain_beat(
    ctx: click.Context,
    /,
    beat: str,
    undo: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Let a beat publish nothing more.

    The others go on, and have what it had. It counts within seconds: when `beats` says that it is
    drained. A beat that is started anew is not drained. Exit code 3: there was nothing to undo.
    """
    with failing_in_words():
        if not undo:
            found = facade(ctx).drain(beat, note, by)
            say(f"{found.name} is to publish nothing more")
            return
        was_drained = facade(ctx).undrain(beat)
    say(f"{beat} claims again" if was_drained else f"{beat} was not drained")
    raise click.exceptions.Exit(0 if was_drained else ANSWER_IS_NO)


def _cells(beat: BeatSeen) -> list[str]:
    from ..views import duration

    lags = (beat.usual_lag, beat.greatest_lag)
    usual, most = ("-" if lag is None else duration(lag) for lag in lags)
    seen = f"{duration(beat.seen_ago)} ago"
    why = beat.refuses or ""
    return [beat.name, beat.state.value, duration(beat.up), seen, usual, most, why, beat.id]
