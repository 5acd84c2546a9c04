"""``celery -A proj jobs check``, ``diff``, ``orphans``, ``simulate``: looking over all jobs."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from .failures import ANSWER_IS_NO, failing_in_words
from .options import (
    confirm,
    databases,
    example,
    facade,
    json_options,
    moment,
    of_database,
    one_form,
    show_records,
    yes_option,
)
from .saying import has_all_signs, tell

if TYPE_CHECKING:
    from ..beat import Scheduler
    from ..differing import Differences
    from ..job import Job
    from ..jobs import Jobs
    from ..simulation import Simulation

_BAR = 30
_HERD = 50


@click.command("check", epilog=example("celery -A proj jobs check --herd 20"))
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@click.option(
    "--herd", type=click.IntRange(2), default=_HERD, show_default=True,
    help="Name seconds at which so many jobs fire next.",
)  # fmt: skip
@json_options
@click.pass_context
def check_jobs(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    herd: int,
    as_json: bool,
    as_jsonl: bool,
    **options: Any,
) -> None:
    """Look for jobs that cannot fire, or not as they should.

    Rows that cannot be read, unknown tasks, arguments that do not fit, jobs that never fire, and
    herds. Writes nothing. Exit code 3: there are problems.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        ctx.obj.app.loader.import_default_modules()
        checked, problems = _problems(jobs, " ".join(words), herd)
    if as_records:
        show_records(({"job": name, "problem": text} for name, text in problems), as_json)
    else:
        for name, text in problems:
            tell(f"{name}: {text}" if name else text)
    tell(f"{_number(problems)} in {checked:,} jobs.", err=True)
    raise click.exceptions.Exit(ANSWER_IS_NO if problems else 0)


@click.command("diff", epilog=example("celery -A proj jobs diff || echo 'a deploy changes jobs'"))
@json_options
@click.pass_context
def diff_jobs(ctx: click.Context, /, as_json: bool, as_jsonl: bool, **options: Any) -> None:
    """Show what the next start of a beat would change.

    That is the declared jobs against the table. Exit code 3: it would change something.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        found = {alias: beat.difference() for alias, beat in _beats_of(ctx).items()}
    if as_records:
        show_records((record for each in found.items() for record in _records(*each)), as_json)
    else:
        _show(found)
    is_any = any(each.is_any for each in found.values())
    raise click.exceptions.Exit(ANSWER_IS_NO if is_any else 0)


@click.command("sync", epilog=example("celery -A proj jobs sync --yes"))
@click.option("--dry-run", is_flag=True, help="Only show what it would change, as `diff` does.")
@yes_option
@click.pass_context
def sync_jobs(ctx: click.Context, /, dry_run: bool, yes: bool, **options: Any) -> None:
    """Do now what the next start of a beat would change.

    That is to bring the declared jobs into the table.
    """
    with failing_in_words():
        beats = _beats_of(ctx)
        found = {alias: beat.difference() for alias, beat in beats.items()}
        if not dry_run and any(each.is_any for each in found.values()):
            kinds = ("added", "changed", "gone")
            counts = [sum(len(getattr(each, kind)) for each in found.values()) for kind in kinds]
            confirm(yes, "add {}, change {} and disable {} jobs".format(*counts))
            found = {alias: beat.difference(is_applied=True) for alias, beat in beats.items()}
    _show(found)


@click.command("orphans", epilog=example("celery -A proj jobs orphans --timeout 5"))
@click.option("--timeout", type=click.FloatRange(0.1), default=1.0, show_default=True)
@json_options
@click.pass_context
def orphaned_jobs(
    ctx: click.Context, /, timeout: float, as_json: bool, as_jsonl: bool, **options: Any
) -> None:
    """Name the jobs whose task no worker knows.

    Exit codes: 3 there are some, 69 no worker answers.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        found = facade(ctx).orphans(timeout)
    if as_records:
        show_records(({"job": name, "task": task} for name, task in found.items()), as_json)
    else:
        for name, task in found.items():
            tell(f"{name}: no worker knows {task}")
    raise click.exceptions.Exit(ANSWER_IS_NO if found else 0)


@click.command(
    "simulate", epilog=example("celery -A proj jobs simulate --until +7d label:team=fin")
)
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@click.option("--from", "start", help="The first moment; by default now.")
@click.option("--until", "end", help="The last moment: 2027-02-01, +24h; by default a day later.")
@json_options
@click.pass_context
def simulate_load(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    start: str | None,
    end: str | None,
    as_json: bool,
    as_jsonl: bool,
    **options: Any,
) -> None:
    """Show how many fires there will be in each hour.

    The last line tells in which minute the most.
    """
    as_records = one_form(as_json, as_jsonl)
    with failing_in_words():
        jobs = facade(ctx)
        now, zone_name = jobs.runtime.clock.now(), jobs.runtime.zone_name
        first = moment("--from", start, zone_name, now) or now
        load = jobs.simulate(first, moment("--until", end, zone_name, first), " ".join(words))
    if as_records:
        hours = ({"hour": at.isoformat(), "fires": count} for at, count in load.hours.items())
        show_records(hours, as_json)
        return
    for line in _chart(load, zone_name):
        tell(line)
    if load.left_out:
        tell(f"not counted, or not to the end: {', '.join(load.left_out)}", err=True)


def _beats_of(ctx: click.Context) -> dict[str | None, Scheduler]:
    """A beat of the application for each database, none of which ticks."""
    from ..beat import Scheduler

    app = ctx.obj.app
    app.loader.import_default_modules()
    return {alias: Scheduler(app, database=alias) for alias in databases(ctx)}


def _show(found: Mapping[str | None, Differences]) -> None:
    for alias, each in found.items():
        for line in each.lines():
            tell(of_database(alias, line))


def _records(alias: str | None, found: Differences) -> Iterator[dict[str, Any]]:
    beside = {} if alias is None else {"database": alias}
    return ({**beside, **record} for record in found.to_records())


def _chart(load: Simulation, zone_name: str) -> Iterator[str]:
    from ..views import moment as said

    block, dots = ("█", "…") if has_all_signs() else ("#", "...")
    most = max(load.hours.values(), default=0)
    yield f"{load.fires:,} fires until {said(load.end.replace(microsecond=0), zone_name)}"
    for at, count in load.hours.items():
        bar = block * (round(_BAR * count / most) or 1) if count else ""
        yield f"{said(at, zone_name)}  {count:>7,}  {bar}".rstrip()
    if load.busiest:
        at, count, names = load.busiest
        more = f", {dots}" if count > len(names) else ""
        yield f"busiest minute {said(at, zone_name)}: {count:,} fires ({', '.join(names)}{more})"


def _number(problems: Sized) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems)} problems"


def _problems(jobs: Jobs, words: str, herd: int) -> tuple[int, list[tuple[str, str]]]:
    """How many jobs were looked at, and what is wrong with which."""
    found: list[tuple[str, str]] = []
    seconds: Counter[datetime] = Counter()
    checked, now = 0, jobs.runtime.clock.now()
    for name, job in jobs.each(words):
        checked += 1
        if isinstance(job, Exception):
            found.append((name, job.sentence))
            continue
        found += ((name, text) for text in _problems_of(jobs, job, now))
        if job.enabled and job.next_fire_at is not None:
            seconds[job.next_fire_at.replace(microsecond=0)] += 1
    for at, number in sorted(seconds.items()):
        if number >= herd:
            text = f"{number:,} jobs fire next at {at:%Y-%m-%d %H:%M:%S} UTC: jitter spreads them"
            found.append(("", text))
    return checked, found


def _problems_of(jobs: Jobs, job: Job, now: datetime) -> Iterator[str]:
    from ..plan import is_spent

    if job.lacks:
        yield job.lacks
        return
    if job.keyword is None and job.next_after(now) is None and not is_spent(job):
        yield f"it never fires again: {job.describe()}"
    yield from _of_task(jobs.runtime.app.tasks, job)


def _of_task(tasks: Any, job: Job) -> Iterator[str]:
    if job.task not in tasks:
        near = difflib.get_close_matches(job.task, list(tasks), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield f"task: {job.task!r} is not registered in this application{hint}"
        return
    task = tasks[job.task]
    if getattr(task, "typing", False):
        try:
            task.__header__(*job.args, **job.kwargs)
        except TypeError as error:
            yield f"args, kwargs: {error}"
