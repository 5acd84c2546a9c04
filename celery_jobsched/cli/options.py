"""What commands share: options, the jobs that their words name, and how records are shown."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .saying import has_all_signs, tell

if TYPE_CHECKING:
    from ..jobs import Jobs

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")
#: How many names a shell gets at once, and how long it waits for the database, in seconds.
_COMPLETED, _PATIENCE_S = 50, 1.0
#: No database takes any number of rows for a limit.
MOST_ROWS = 2**31 - 1
_AHEAD = re.compile(r"([+-])([0-9]{1,4})([smhdw])")
_DATABASE, _TOLD = f"{__name__}.database", f"{__name__}.told"
#: The fields that hold instants, one or several.
_INSTANTS = frozenset({"once", "starts_at", "ends_at"})
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def example(line: str) -> str:
    """What stands below a command's help."""
    return f"\b\nExample:\n  {line}"


def json_options(command: _F) -> _F:
    """``--json`` and ``--jsonl``."""
    lines = click.option("--jsonl", "as_jsonl", is_flag=True, help="One JSON object a line.")
    array = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
    return array(lines(command))


def author_options(command: _F) -> _F:
    """``--note`` and ``--by``."""
    note = click.option("--note", help="Why, for the record.")
    by = click.option("--by", help="Who, for the record; by default the user.")
    return note(by(command))


def force_option(command: _F) -> _F:
    """``--force``."""
    text = "Also what the configuration declares: until the next sync."
    return click.option("--force", is_flag=True, help=text)(command)


def yes_option(command: _F) -> _F:
    """``--yes``."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def limit_option(default: int, what: str) -> Callable[[_F], _F]:
    """``-n``, ``--limit``."""
    text, numbers = f"How many {what} at most.", click.IntRange(1, MOST_ROWS)
    return click.option(
        "-n", "--limit", type=numbers, default=default, show_default=True, help=text
    )


def take_database(command: click.Command) -> click.Command:
    """Let *command*, and each below it, take ``--database``."""
    text = "The alias of one of several databases; see jobsched_database_url."
    option = click.Option(
        ["--database"], metavar="ALIAS", help=text, expose_value=False, callback=_note_database
    )
    command.params.append(option)
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        take_database(each)
    return command


def _note_database(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[_DATABASE] = value


def database_of(ctx: click.Context) -> str | None:
    """The alias that ``--database`` names; None where it names none."""
    alias: str | None = ctx.meta.get(_DATABASE)
    return alias


def databases(ctx: click.Context) -> Sequence[str | None]:
    """The aliases of all databases that the command is about: the one that is named, else each.

    Where there is but a URL that is None alone.

    Raises:
        click.UsageError: there is no database of that alias.
    """
    from ..runtime import Runtime

    there, alias = Runtime(ctx.obj.app).databases, database_of(ctx)
    if alias is not None and alias not in there:
        known = f"one of {', '.join(there)}" if there else "none: there is a single URL"
        raise click.UsageError(f"--database: expected {known}, got: {alias}")
    return (alias,) if alias is not None else there or (None,)


def facades(ctx: click.Context) -> dict[str | None, Jobs]:
    """The façades of :func:`databases`."""
    from ..jobs import Jobs

    app = ctx.obj.app
    return {alias: Jobs(app, door="cli", database=alias) for alias in databases(ctx)}


def facade(ctx: click.Context) -> Jobs:
    """The façade of the application that the command was called for; of its first database.

    Where there are several and none is named, it says which one that is.
    """
    alias, *others = found = facades(ctx)
    if others and _TOLD not in ctx.meta:
        ctx.meta[_TOLD] = True
        others_too = ", ".join(str(each) for each in others)
        tell(f"database {alias}; --database names another: {others_too}", err=True)
    return found[alias]


def of_database(alias: str | None, text: str) -> str:
    """*text* as it is told of that database, where there are several."""
    return text if alias is None else f"{alias}: {text}"


def job_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names that a shell may complete; none where anything is in the way."""
    from celery.app.utils import find_app

    from ..filters import Filter
    from ..runtime import Runtime
    from ..store import search

    try:
        app = find_app(str(ctx.find_root().params["app"]))
        with Runtime(app, _PATIENCE_S, database=database_of(ctx)).reading() as conn:
            wanted = Filter(names=(f"{incomplete}*",))
            return [row["name"] for row in search.find(conn, wanted, _COMPLETED).rows]
    except Exception:  # noqa: BLE001 - a shell that completes has nobody to tell
        return []


def named(jobs: Jobs, words: Sequence[str]) -> list[str]:
    """The names of the jobs that *words* name, or that match the filter that they are.

    Raises:
        JobNotFound: there is no job of a name.
        InvalidJob: a filter cannot be used.
    """
    from ..errors import JobNotFound
    from ..filters import is_filter, parse_filter

    if any(is_filter(word) for word in words):
        return [name for name, _ in jobs.each(parse_filter(words))]
    for word in words:
        if word not in jobs:
            raise JobNotFound(f"no job {word!r}")
    return list(dict.fromkeys(words))


def confirm(yes: bool, what: str) -> None:
    """Ask before what cannot be undone; where nobody can be asked, refuse without ``--yes``."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what}: say --yes, as nobody can be asked here.")
    click.confirm(f"{what}?", abort=True, err=True)


def progress(items: Iterable[_T], is_wanted: bool = True) -> AbstractContextManager[Iterable[_T]]:
    """The same items; on a terminal, where that is wanted, with a bar that moves as they go by."""
    if not is_wanted or not sys.stderr.isatty():
        return nullcontext(items)
    shown: Any = click.progressbar(items, show_pos=True, file=sys.stderr)
    bar: AbstractContextManager[Iterable[_T]] = shown
    return bar


def one_form(as_json: bool, as_jsonl: bool) -> bool:
    """Whether JSON is asked for, in one form of it.

    Raises:
        click.UsageError: both are.
    """
    if as_json and as_jsonl:
        raise click.UsageError("expected --json or --jsonl, not both.")
    return as_json or as_jsonl


def show_records(records: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Records as one JSON array, or as one object a line."""
    is_bare = not has_all_signs()
    if as_json:
        click.echo(json.dumps(list(records), indent=1, ensure_ascii=is_bare))
        return
    for record in records:
        click.echo(json.dumps(record, ensure_ascii=is_bare))


def has_colour(ctx: click.Context) -> bool:
    """Whether a terminal shows colours, and nobody minds."""
    wanted = not getattr(ctx.obj, "no_color", False) and "NO_COLOR" not in os.environ
    return wanted and sys.stdout.isatty()


def moment(option: str, text: str | None, zone_name: str, now: datetime) -> datetime | None:
    """An instant that was typed, without an offset a local time of that zone; +2h, -3d, now.

    Raises:
        InvalidJob: names the option.
    """
    from ..fields import instant

    if text is None:
        return None
    return counted(text, now) or instant(option, text, zone_name)


def counted(text: str, now: datetime) -> datetime | None:
    """The instant that is typed as one that counts from *now*: now, +2h, -3d; None: otherwise."""
    if text == "now":
        return now
    if found := _AHEAD.fullmatch(text):
        span = timedelta(**{_UNITS[found[3]]: int(found[2])})
        at = now + span if found[1] == "+" else now - span
        return at.replace(microsecond=0)
    return None


def fields_of(words: Sequence[str]) -> dict[str, Any]:
    """What ``cron="0 9 * * *" timezone=`` says: nothing behind the sign is the field's default.

    Instants that count from now are told as they are now.

    Raises:
        click.UsageError: a word without a sign, or a field named twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise click.UsageError(f"expected FIELD=VALUE, such as every='1 hour', got: {word!r}")
        if name in found:
            raise click.UsageError(f"expected one {name}=, got two.")
        found[name] = (_told_now(value) if name in _INSTANTS else value) or None
    return found


def _told_now(texts: str) -> str:
    from ..runtime import now

    # A job's past ends with the second it is made in: now is the next whole one.
    moment = now()
    soon = (moment + timedelta(seconds=1)).replace(microsecond=0)
    parts = [each.strip() for each in texts.split(",")]
    told = [soon if each == "now" else counted(each, moment) or each for each in parts]
    return texts if told == parts else ", ".join(map(str, told))
