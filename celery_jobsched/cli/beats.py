"""``celery -A proj jobs beats``: which there are, and draining one before it is taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .columns import table
from .failures import ANSWER_IS_NO, failing_in_words
from .options import (
    author_options,
    example,
    facades,
    has_colour,
    json_options,
    of_database,
    one_form,
    show_records,
)
from .saying import say, width

if TYPE_CHECKING:
    from ..jobs import Jobs
    from ..status import BeatSeen

_T = TypeVar("_T")

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
        found = [(alias, b) for alias, jobs in facades(ctx).items() for b in jobs.beats()]
    if as_records:
        show_records((_record(*each) for each in found), as_json)
    elif found:
        has_alias = found[0][0] is not None
        headings = (*(("DATABASE",) if has_alias else ()), *_HEADINGS)
        rows = [[*([str(alias)] if has_alias else []), *_cells(beat)] for alias, beat in found]
        spare = ("ID", "AT MOST", "UP", "LAG")
        for line in table(headings, rows, width(), has_colour(ctx), ("WHY",), spare):
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

    The others go on, and have what it had. Of several databases it is drained in each where it is
    on the list. It counts within seconds: when `beats` says that it is drained. A beat that is
    started anew is not drained. Exit code 3: there was nothing to undo.
    """
    with failing_in_words():
        if not undo:
            for alias, found in _wherever_it_is(ctx, lambda jobs: jobs.drain(beat, note, by)):
                say(of_database(alias, f"{found.name} is to publish nothing more"))
            return
        undone = [*_wherever_it_is(ctx, lambda jobs: jobs.undrain(beat))]
    for alias, was_drained in undone:
        said = f"{beat} claims again" if was_drained else f"{beat} was not drained"
        say(of_database(alias, said))
    raise click.exceptions.Exit(0 if any(was for _, was in undone) else ANSWER_IS_NO)


def _wherever_it_is(
    ctx: click.Context, do: Callable[[Jobs], _T]
) -> Iterator[tuple[str | None, _T]]:
    """What is done to a beat, in each database that it is on the list of.

    Raises:
        InvalidJob: it is on none.
    """
    from ..errors import InvalidJob

    refusal, is_done = None, False
    for alias, jobs in facades(ctx).items():
        try:
            found = do(jobs)
        except InvalidJob as error:
            refusal = error
        else:
            is_done = True
            yield alias, found
    if refusal is not None and not is_done:
        raise refusal


def _record(alias: str | None, beat: BeatSeen) -> dict[str, Any]:
    return beat.to_dict() if alias is None else {"database": alias, **beat.to_dict()}


def _cells(beat: BeatSeen) -> list[str]:
    from ..views import duration

    lags = (beat.usual_lag, beat.greatest_lag)
    usual, most = ("-" if lag is None else duration(lag) for lag in lags)
    seen = f"{duration(beat.seen_ago)} ago"
    why = beat.refuses or ""
    return [beat.name, beat.state.value, duration(beat.up), seen, usual, most, why, beat.id]
