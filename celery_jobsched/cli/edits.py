"""``celery -A proj jobs add``, ``set``, ``remove``, ``pause``, ``resume``: changing jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from .failures import failing_in_words
from .options import (
    author_options,
    confirm,
    example,
    facade,
    fields_of,
    force_option,
    job_names,
    moment,
    named,
    yes_option,
)
from .saying import say, tell

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ..jobs import Jobs

_several = click.argument(
    "words", nargs=-1, required=True, metavar="NAME...|FILTER...", shell_complete=job_names
)


@click.command(
    "add",
    epilog=example(
        "celery -A proj jobs add nightly task=proj.report every='1 day' at=02:30 args='[1]'"
    ),
)
@click.argument("name")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--replace", is_flag=True, help="Replace the job of that name, if there is one.")
@force_option
@author_options
@click.pass_context
def add_job(
    ctx: click.Context,
    /,
    name: str,
    fields: tuple[str, ...],
    replace: bool,
    force: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Make a job. The fields are the table's columns."""
    given = fields_of(fields)
    with failing_in_words():
        definition = _of_a_job(given)
        job = facade(ctx).add(name, replace, by=by, note=note, force=force, **definition)
        tell(f"{job.name}: {job.describe()}")


@click.command(
    "set",
    epilog=example(
        'celery -A proj jobs set nightly cron="0 3 * * *" jitter= --note "after the ETL"'
    ),
)
@click.argument("name", shell_complete=job_names)
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
@force_option
@author_options
@click.pass_context
def set_fields(
    ctx: click.Context,
    /,
    name: str,
    fields: tuple[str, ...],
    force: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Set fields of a job.

    Nothing behind the = is the field's default.
    """
    given = fields_of(fields)
    with failing_in_words():
        changes = _of_a_job(given)
        job = facade(ctx).modify(name, by=by, note=note, force=force, **changes)
        tell(f"{job.name}: {job.describe()}")


@click.command("remove", epilog=example("celery -A proj jobs remove old-import --yes"))
@_several
@force_option
@yes_option
@author_options
@click.pass_context
def remove_jobs(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    force: bool,
    yes: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Delete jobs, all of them or none. The records of their fires stay."""
    with failing_in_words():
        jobs = facade(ctx)
        remove = partial(jobs.remove, by=by, note=note, force=force)
        _tell("removed", _each(jobs, words, "remove", yes, remove, is_final=True))


@click.command(
    "pause",
    epilog=example('celery -A proj jobs pause newsletter --note "legal review" --until +3d'),
)
@_several
@click.option("--until", help="When to go on by itself: 2027-01-31 09:00, +2h, +3d.")
@yes_option
@author_options
@click.pass_context
def pause_jobs(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    until: str | None,
    yes: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Let jobs fire no more, until they are resumed. Runs by hand go on."""
    with failing_in_words():
        jobs = facade(ctx)
        now = jobs.runtime.clock.now()

        def pause(name: str, connection: Connection) -> None:
            zone_name = jobs.view(name, connection=connection).timezone
            end = moment("--until", until, zone_name, now)
            jobs.pause(name, note, end, by, connection=connection)

        _tell("paused", _each(jobs, words, "pause", yes, pause))


@click.command("resume", epilog=example("celery -A proj jobs resume newsletter"))
@_several
@click.option(
    "--catch-up", is_flag=True,
    help="Let the misfire rule decide about what came due since; else it is left.",
)  # fmt: skip
@force_option
@yes_option
@author_options
@click.pass_context
def resume_jobs(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    catch_up: bool,
    force: bool,
    yes: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Let paused jobs fire again, from now on."""
    with failing_in_words():
        jobs = facade(ctx)
        resume = partial(jobs.resume, catch_up=catch_up, by=by, note=note, force=force)
        _tell("resumed", _each(jobs, words, "resume", yes, resume))


def _of_a_job(given: dict[str, Any]) -> dict[str, Any]:
    """The same fields: one that no job has might be an argument of the façade's, such as by.

    Raises:
        InvalidJob: names that field.
    """
    from ..definition import named as by_name

    by_name(given)
    return given


def _each(
    jobs: Jobs,
    words: tuple[str, ...],
    verb: str,
    yes: bool,
    edit: Callable[..., object],
    is_final: bool = False,
) -> list[str]:
    """Edit the jobs that are meant, all of them or none; their names.

    Asks before what is final, and where more is meant than was named.
    """
    names = named(jobs, words)
    if is_final or (len(names) > 1 and set(names) != set(words)):
        confirm(yes, f"{verb} {_these(names)}")
    with jobs.runtime.engine.begin() as conn:
        for name in names:
            edit(name, connection=conn)
    return names


def _these(names: list[str]) -> str:
    return repr(names[0]) if len(names) == 1 else f"{len(names)} jobs"


def _tell(verb: str, names: list[str]) -> None:
    for name in names:
        say(f"{verb} {name}")
    if not names:
        say("no job matches", err=True)
