"""``celery -A proj jobs next``: when jobs will fire, and what changing clocks make of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from .failures import ANSWER_IS_NO, FAILED, NO_SUCH_JOB, failing_in_words
from .options import counted, example, facade, job_names, show_records
from .saying import say, tell, width, wrapped

if TYPE_CHECKING:
    from ..job import Job
    from ..preview import Occurrence

_COUNT, _COUNT_UNTIL = 10, 1000
#: The options that say when, and the columns that they stand for.
_SCHEDULE = {
    "cron": "cron", "every": "every", "at_time": "at", "rrule": "rrule", "tz": "timezone",
}  # fmt: skip
_TIME_OF_DAY = re.compile(r"([a-z]{3} )?[0-9]{0,2}:[0-9]{2}(:[0-9]{2})?")
_YEARS = range(1900, 2201)


@click.command(
    "next",
    epilog=example('celery -A proj jobs next --cron "30 2 * * *" --tz Europe/Paris -n 3'),
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=job_names)
@click.option("--all", "of_all", is_flag=True, help="Of all jobs, in one table as they come.")
@click.option(
    "-n", "--count", type=click.IntRange(1, 10_000),
    help=f"How many fires of each; by default {_COUNT}, with --until {_COUNT_UNTIL}.",
)  # fmt: skip
@click.option("--from", "--at", "since", help="The first moment, such as 2027-03-28 or now.")
@click.option("--until", help="The last moment, or how far ahead: +36h, +7d.")
@click.option("--cron", help="Of this expression, instead of a job's.")
@click.option("--every", help="Of this interval, from the first moment on.")
@click.option("--at-time", help="With --every: its wall-clock time, such as 02:30 or mon 09:00.")
@click.option("--rrule", help="Of this recurrence rule, from its DTSTART or the first moment on.")
@click.option("--tz", help="With an expression: the time zone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@click.option("--jsonl", "as_jsonl", is_flag=True, help="One JSON object a line.")
@click.pass_context
def next_fires(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    of_all: bool,
    count: int | None,
    since: str | None,
    until: str | None,
    as_json: bool,
    as_jsonl: bool,
    **given: Any,
) -> None:
    """Show when jobs fire next, or when an expression would.

    In local time and in UTC, with a mark where a change of the clocks moves, merges or drops a
    fire. A time that you give without an offset is local time of the job's zone.

    Exit codes: 3 it does not fire any more, 4 there is no such job.
    """
    from ..runtime import now

    schedule = {_SCHEDULE[key]: given[key] for key in _SCHEDULE if given[key] is not None}
    if of_all and (names or schedule):
        raise click.UsageError("expected --all, or names of jobs or an expression.")
    if not of_all:
        _require_one(names, schedule, since)
    if as_json and as_jsonl:
        raise click.UsageError("expected --json or --jsonl, not both.")
    span = _Span(now(), since, until, count or (_COUNT_UNTIL if until else _COUNT))
    if of_all:
        _show_all(ctx, span, as_json, as_jsonl)
        return
    with failing_in_words():
        app = ctx.obj.app
        asked = _of_table(ctx, names) if names else {None: _of_options(app, schedule)}
        answers = [_answer(name, job, span) for name, job in asked.items()]
    for line in _records(answers, as_json) if as_json or as_jsonl else _tables(answers, span.now):
        say(line)
    for answer in answers:
        if answer.problem:
            tell(answer.problem, err=True)
    raise click.exceptions.Exit(max(answer.exit_code for answer in answers))


def _show_all(ctx: click.Context, span: _Span, as_json: bool, as_jsonl: bool) -> None:
    from .table import as_record
    from .timetable import lines_of, of_all

    with failing_in_words():
        jobs = facade(ctx)
        found = of_all(jobs, *span.bounds(jobs.runtime.zone_name), span.count)
    if as_json or as_jsonl:
        show_records(
            (as_record(each.job, each.zone_name, each.occurrence) for each in found.coming), as_json
        )
    elif found.coming:
        for line in lines_of(found.coming, span.now, width()):
            say(line)
    if span.until and len(found.coming) == span.count:
        tell(f"the first {span.count:,} alone: -n shows more", err=True)
    if found.left_out:
        tell(f"left out, for they cannot be read: {', '.join(found.left_out)}", err=True)
    if not found.coming:
        tell("nothing fires then", err=True)
        raise click.exceptions.Exit(ANSWER_IS_NO)


def _require_one(names: Sequence[str], schedule: Mapping[str, str], since: str | None) -> None:
    """Refuse what is neither jobs nor one expression."""
    kinds = [f"--{name}" for name in ("cron", "every", "rrule") if name in schedule]
    if names and schedule:
        raise click.UsageError("expected names of jobs or an expression, not both.")
    if "at" in schedule and "every" not in schedule:
        raise click.UsageError("--at-time refines --every, and nothing else.")
    if not names and not kinds:
        raise click.UsageError("expected names of jobs, --all, or --cron, --every or --rrule.")
    if len(kinds) > 1:
        raise click.UsageError(f"expected one of {' and '.join(kinds)}.")
    if not names and since is not None and _TIME_OF_DAY.fullmatch(since):
        hint = f"--every with --at-time {since}" if "every" in schedule else "--cron"
        raise click.UsageError(
            f"--at is the first moment, a date and time, not {since!r}: for a time of day {hint}."
        )


@dataclass(frozen=True)
class _Span:
    """What is asked about: from when until when, as it was typed, and how many fires of it."""

    now: datetime
    since: str | None
    until: str | None
    count: int

    def bounds(self, zone_name: str) -> tuple[datetime, datetime | None]:
        """The first moment and the last; those without an offset are local times of that zone.

        Raises:
            InvalidJob: names the option.
        """
        first = self.now
        if self.since is not None:
            first = _instant("--from", self.since, zone_name, self.now)
        if self.until is None:
            return first, None
        return first, _instant("--until", self.until, zone_name, first)


@dataclass(frozen=True)
class _Answer:
    """The fires of a job, none where it does not fire any more or has a problem."""

    name: str | None
    exit_code: int
    problem: str | None = None
    words: str = ""
    zone_name: str = ""
    found: Sequence[Occurrence] = ()


def _of_table(ctx: click.Context, names: Sequence[str]) -> dict[str | None, Job | Exception]:
    """The jobs of these names; for one that cannot be read, why."""
    from ..errors import InvalidJob, JobNotFound
    from ..store import jobs, schema

    found: dict[str | None, Job | Exception] = {}
    runtime = facade(ctx).runtime
    with runtime.reading() as conn:
        schema.require_tables(conn)
        for name in names:
            try:
                found[name] = jobs.find(conn, name, runtime.zone_name)
            except (JobNotFound, InvalidJob) as error:
                found[name] = error
    return found


def _of_options(app: Any, schedule: Mapping[str, str]) -> Job:
    from ..job import Job
    from ..runtime import Runtime

    return Job.from_dict("-", {"task": "-", **schedule}, Runtime(app).zone_name)


def _answer(name: str | None, job: Job | Exception, span: _Span) -> _Answer:
    from ..errors import InvalidJob

    if isinstance(job, Exception):
        return _refusal(name, job)
    if job.lacks:
        return _Answer(name, FAILED, f"{name}: {job.lacks}")
    bounds = span.bounds(job.zone_name)
    try:
        return _told(name, job, span.count, *bounds)
    except InvalidJob as error:  # a calendar that is not there, a custom trigger that fails
        if name is None:
            raise
        return _refusal(name, error)


def _refusal(name: str | None, error: Exception) -> _Answer:
    from ..errors import InvalidJob

    if isinstance(error, InvalidJob):
        return _Answer(name, ANSWER_IS_NO, f"{name}: {error.sentence}")
    return _Answer(name, NO_SUCH_JOB, f"{error}")


def _told(
    name: str | None, job: Job, count: int, first: datetime, last: datetime | None
) -> _Answer:
    from ..clock import TICK
    from ..job import TRIGGERS
    from ..preview import occurrences

    if job.created_at is None:
        job = replace(job, created_at=first)
        job.check()  # what never comes from there on is refused, as the table does
    found = occurrences(job, first - TICK, count, last)
    paused = "" if job.enabled else " (paused)"
    words = f"{name}{paused}: {job.describe()}" if name else job.describe()
    none = None
    if not any(each.fires for each in found):
        none = f"{name or 'it'} does not fire {'then' if last else 'any more'}"
        if all(getattr(job, kind) is None for kind in TRIGGERS if kind != "keyword"):
            none = f"{name} has no clock: it fires when its keyword is called ({job.keyword})"
        elif job.keyword:
            none += " but by its keyword"
    return _Answer(name, ANSWER_IS_NO if none else 0, none, words, job.zone_name, found)


def _instant(option: str, text: str, zone_name: str, since: datetime) -> datetime:
    from ..errors import InvalidJob
    from ..fields import instant

    found = counted(text, since) or instant(option, text, zone_name)
    if found.year not in _YEARS:
        raise InvalidJob(option, text, f"a year from {_YEARS[0]} to {_YEARS[-1]}")
    return found


def _tables(answers: Sequence[_Answer], now: datetime) -> Iterator[str]:
    from .table import table

    told = [answer for answer in answers if answer.words]
    for answer in told:
        if answer is not told[0]:
            yield ""
        yield from wrapped(answer.words)
        if answer.found:
            yield from table(answer.found, answer.zone_name, now, width())


def _records(answers: Sequence[_Answer], as_array: bool) -> Iterator[str]:
    from .table import as_record

    records = [
        as_record(answer.name, answer.zone_name, each)
        for answer in answers
        for each in answer.found
    ]
    if as_array:
        yield json.dumps(records, indent=1)
    else:
        yield from map(json.dumps, records)
