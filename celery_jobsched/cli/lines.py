"""``celery -A proj jobs export`` and ``load``: definitions as JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import IO, Any

import click

from .failures import failing_in_words
from .options import author_options, example, facade, force_option, progress, show_records
from .saying import say


@click.command("export", epilog=example("celery -A proj jobs export label:team=fin > fin.jsonl"))
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@click.pass_context
def export_jobs(ctx: click.Context, /, words: tuple[str, ...], **options: Any) -> None:
    """Print the definitions of jobs, one JSON object a line.

    `load` reads them.
    """
    with failing_in_words(), progress(_found(ctx, words), not sys.stdout.isatty()) as found:
        show_records(found, as_json=False)


def _found(ctx: click.Context, words: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The definitions; nothing is asked for before the first one is."""
    yield from facade(ctx).export(" ".join(words))


@click.command("load", epilog=example("celery -A proj jobs load fin.jsonl --replace --dry-run"))
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--replace", is_flag=True, help="Change jobs that are there.")
@click.option("--dry-run", is_flag=True, help="Tell, and write nothing.")
@force_option
@author_options
@click.pass_context
def load_jobs(
    ctx: click.Context,
    /,
    file: IO[str],
    replace: bool,
    dry_run: bool,
    force: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Add the jobs of a FILE of JSON lines: all of them, or none.

    The FILE - is what is piped in.
    """
    try:
        with failing_in_words(), progress(file) as lines:
            found = facade(ctx).load(lines, replace, by, note, force=force, dry_run=dry_run)
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"expected UTF-8 ({error})", param_hint="FILE") from None
    for sign, names in (("+", found.added), ("~", found.changed)):
        for name in names:
            say(f"{sign} {name}")
    would = "to add, {} to change" if dry_run else "added, {} changed"
    changed = would.format(len(found.changed))
    say(f"{len(found.added)} {changed}, {len(found.unchanged)} unchanged.", err=True)
