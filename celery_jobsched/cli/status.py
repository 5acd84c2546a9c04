"""``celery -A proj jobs status``: how it all stands, for people, programs and probes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from .failures import ANSWER_IS_NO, failing_in_words
from .options import example, facades
from .saying import tell

if TYPE_CHECKING:
    from ..status import BeatSeen, Fires, LocksSeen, Service, Status

_SHOWN = 5
_TITLE = 10


@click.command("status", epilog=example("celery -A proj jobs status --max-lag 30 --quiet"))
@click.option("--beat", help="That beat has to tick, by its name or id; else any.")
@click.option(
    "--max-lag", type=click.FloatRange(0, 1e9),
    help="Seconds that the latest fires may be sent late.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="Say nothing, and count no jobs: for probes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def status(
    ctx: click.Context,
    /,
    beat: str | None,
    max_lag: float | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Show how beats, database, locks, broker and workers stand.

    Where there are several databases it is told of each, and the exit code is the worst of all.
    Exit codes: 0 all is well, 3 it is not, 69 a database cannot be reached.
    """
    allowed = None if max_lag is None else timedelta(seconds=max_lag)
    records: dict[str | None, Any] = {}
    codes: list[int] = []
    with failing_in_words():
        there = facades(ctx)
    for alias, jobs in there.items():
        if alias is not None and not (quiet or as_json):
            tell(f"database {alias}")
        try:
            with failing_in_words():
                found = jobs.status(counts=not quiet)
        except click.exceptions.Exit as ending:
            codes.append(ending.exit_code)
            if alias is not None:
                records[alias] = {"problems": ["the database cannot be reached"]}
            continue
        problems = found.problems(beat, allowed)
        codes.append(ANSWER_IS_NO if problems else 0)
        records[alias] = found.to_dict() | {"problems": problems}
        if not (quiet or as_json):
            for line in (*_lines(found), *(problems or [found.verdict])):
                tell(line, indent=" " * _TITLE)
    if as_json and not quiet and records:
        click.echo(json.dumps(records.get(None, records), indent=1))
    raise click.exceptions.Exit(max(codes))


def _lines(found: Status) -> Iterator[str]:
    if found.version != found.known_version:
        yield _line("database", _service(found.database))
        return
    yield from _parted("beats", _beats(found.beats))
    yield _line("database", f"{_service(found.database)}  tables {found.version} (current)")
    if found.locks is not None:
        yield _line("locks", _locks(found.locks))
    if found.broker is not None:
        waiting = f"fires waiting to be sent: {found.fires.pending:,}"
        yield _line("broker", f"{_service(found.broker)}  {waiting}")
    yield from _parted("workers", _workers(found.fires))
    yield from _parted("slots", _slots(found.fires))
    states = ", ".join(f"{count:,} {state.value}" for state, count in found.jobs.items())
    total = f"{sum(found.jobs.values()):,}"
    yield _line("jobs", f"{total}: {states}  due now: {found.due:,}" if states else total)
    yield from _parted("note", found.notes)


def _line(title: str, text: str) -> str:
    return f"{title:<{_TITLE}}{text}"


def _parted(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Several lines under one title."""
    for line in lines:
        yield _line(title, line)
        title = ""


def _service(service: Service) -> str:
    if service.trouble:
        return f"{service.place}  away: {service.trouble}"
    return service.place + ("" if service.seconds is None else f"  {service.seconds * 1000:.1f}ms")


def _beats(beats: Iterable[BeatSeen]) -> Iterator[str]:
    known = list(beats)
    ticking = [each for each in known if each.ticks]
    yield f"{len(ticking)} ticking  {'; '.join(map(_ticking, ticking))}".rstrip()
    for each in known:
        if not each.ticks:
            yield f"{each.state.value:<10} {each.name} {_troubled(each)}"


def _ticking(beat: BeatSeen) -> str:
    from ..views import duration

    said = f"{beat.name} up {duration(beat.up)}, seen {duration(beat.seen_ago)} ago"
    if beat.usual_lag is None or beat.greatest_lag is None:
        return said
    return f"{said}, lag {duration(beat.usual_lag)}, at most {duration(beat.greatest_lag)}"


def _troubled(beat: BeatSeen) -> str:
    """What is told of a beat that fires nothing."""
    from ..status import BeatState
    from ..views import duration

    if beat.state in {BeatState.HANGS, BeatState.GONE}:
        last = "last ticked" if beat.state is BeatState.HANGS else "last seen"
        return f"{last} {duration(beat.seen_ago)} ago"
    return f"claims nothing: {beat.refuses}"


def _locks(locks: LocksSeen) -> str:
    more = "" if locks.trouble else f"  reports to be read: {locks.reports:,}"
    return _service(locks) + more


def _workers(fires: Fires) -> Iterator[str]:
    from ..views import duration

    lag = ""
    if fires.usual_lag is not None and fires.greatest_lag is not None:
        usual, most = duration(fires.usual_lag), duration(fires.greatest_lag)
        lag = f"  fires are sent {usual} after they are due, {most} at most"
    reporting = f"{len(fires.workers)} report{'s' if len(fires.workers) == 1 else ''}"
    yield f"{reporting}  fires that none has begun: {fires.sent:,}{lag}"
    for each in fires.workers[:_SHOWN]:
        yield f"{each.name}  {each.fires} of the latest fires, {duration(each.last_ago)} ago"
    if len(fires.workers) > _SHOWN:
        yield f"and {len(fires.workers) - _SHOWN} more"


def _slots(fires: Fires) -> Iterator[str]:
    from ..views import duration

    for each in fires.queues[:_SHOWN]:
        held = "" if each.held is None else f", {each.held} taken"
        yield f"{each.key}: {each.waiting} waiting for {duration(each.oldest)}{held}"
    if len(fires.queues) > _SHOWN:
        yield f"and {len(fires.queues) - _SHOWN} keys more"
