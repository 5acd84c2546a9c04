"""The figures of a storm, as they are printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.storm.account import Account
from tests.storm.weather import Log

_MOST_TOLD = 20


def lines(found: Account, log: Log) -> Iterator[str]:
    """What was done, what came of it, and what must not be."""
    outages = Counter(f"{each.place} {each.how}" for each in log.outages)
    yield _line("killed", f"{log.beats_killed} beats, {len(log.deaths)} workers")
    yield _line("outages", ", ".join(f"{n} {what}" for what, n in sorted(outages.items())))
    yield _line("fires due", found.due)
    yield _line("on record", ", ".join(f"{n} {what}" for what, n in found.by_state.most_common()))
    yield _line("not on record", len(found.unaccounted))
    yield _line("runs", found.runs)
    yield _line("missing", len(found.missing))
    yield _line("twice", len(found.twice))
    late, early = len(found.repeated_late), len(found.repeated)
    yield _line("run again", f"{late} of late acknowledgement, {early} others: workers killed")
    lost, alive = len(found.lost), len(found.lost_alive)
    yield _line("lost", f"{lost} with a worker that was killed, {alive} without")
    yield _line("beyond a limit", len(found.together))
    gaps = f"{found.gap_s:.1f} s, {found.net_gap_s:.1f} s without servers that were down"
    yield _line("longest gap", gaps)
    for what, which in found.wrong.items():
        yield from _told(what, which)
    for run in found.repeated:
        yield f"  run again: {run}"


def _line(what: str, said: object) -> str:
    return f"{what:15} {said}"


def _told(what: str, which: Sequence[str]) -> Iterator[str]:
    for each in which[:_MOST_TOLD]:
        yield f"  {what}: {each}"
    if len(which) > _MOST_TOLD:
        yield f"  {what}: and {len(which) - _MOST_TOLD} more"
