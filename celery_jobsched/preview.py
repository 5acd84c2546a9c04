"""What a job will do, fire by fire, and where a change of the clocks has a hand in it.

A mark is exact or missing: a trigger that does not tell its local times gets none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, islice, takewhile
from typing import NamedTuple

from . import clock, jumps
from .clock import LocalTimes
from .job import Job
from .triggers import local_times_of
from .triggers.during import During
from .words.english import clock_time, listed

__all__ = ["Mark", "Occurrence", "occurrences"]

_DAY = timedelta(days=1)
_MOST_NAMED = 4
_MOST_COUNTED = 100_000


class Mark(NamedTuple):
    """What the DST rule made of an occurrence: a code for programs, a text for people.

    The codes: ``moved``, ``merged``, ``dropped``, ``first_only``, ``first``, ``second``.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Occurrence:
    """An instant (aware UTC), what the job's clocks show then (naive), and its mark.

    ``nominal`` is the local time that it stands for. One that does not fire is a local time that a
    jump of the clocks leaves out; ``at`` is the instant of the jump.
    """

    at: datetime
    local: datetime
    nominal: datetime
    offset: timedelta
    abbreviation: str
    mark: Mark | None = None
    fires: bool = True


def occurrences(
    job: Job, after: datetime, count: int, until: datetime | None = None
) -> list[Occurrence]:
    """The next *count* fires of *job*, strictly after *after* and not after *until*, oldest first.

    Among them what does not fire though its time is named. Of a job that is not saved yet: as
    though it were made at *after*. Whether it is enabled is not asked.
    """
    job = job if job.created_at else replace(job, created_at=after)
    found = list(islice(_fires(job, after, until), count))
    fires = [_fire(job, at) for at in found]
    end = found[-1] if len(found) == count else until or (found or [after])[-1]
    return sorted([*_dropped(job, after, end), *fires], key=lambda each: (each.at, each.fires))


def _fires(job: Job, after: datetime, until: datetime | None) -> Iterator[datetime]:
    if job.max_fires is None:
        found = _walk(job, after)
    else:
        # What fires between now and *after* counts, too; next_fire_at is the first that is left.
        start = min(after, job.next_fire_at - clock.TICK) if job.next_fire_at else after
        left = max(0, job.max_fires - job.fire_count)
        start = start if left <= _MOST_COUNTED else after
        found = (at for at in islice(_walk(job, start), left) if at > after)
    return takewhile(lambda at: until is None or at <= until, found)


def _walk(job: Job, after: datetime) -> Iterator[datetime]:
    at = job.next_after(after)
    while at is not None:
        yield at
        at = job.next_after(at)


def _fire(job: Job, at: datetime) -> Occurrence:
    marks = (_mark(job, at, times) for times in local_times_of(job.trigger))
    mark = next((mark for mark in marks if mark), None)
    return _occurrence(job, at, job.nominal(at), mark)


def _occurrence(
    job: Job, at: datetime, nominal: datetime, mark: Mark | None, fires: bool = True
) -> Occurrence:
    zone = clock.zone(job.zone_name)
    local = clock.to_local(at, zone)
    offset = local - at.replace(tzinfo=None)
    return Occurrence(at, local, nominal, offset, jumps.abbreviation(at, zone), mark, fires)


def _mark(job: Job, at: datetime, times: LocalTimes) -> Mark | None:
    nominal = list(clock.nominal_times(at, times))
    if times.real_time or not nominal:
        return None
    local = clock.to_local(at, times.zone)
    return _in_gap(at, local, nominal, times) or _in_fold(job, at, local, times)


def _in_gap(
    at: datetime, local: datetime, nominal: list[datetime], times: LocalTimes
) -> Mark | None:
    missing = [each for each in nominal if each != local]
    if not missing:
        return None
    said = _missing(missing, at, times)
    if len(nominal) == 1:
        return Mark("moved", f"{said}: fires at the first instant after")
    where = f"with {_clock(local)}" if local in nominal else "at the first instant after"
    return Mark("merged", f"{said}: one fire {where}")


def _in_fold(job: Job, at: datetime, local: datetime, times: LocalTimes) -> Mark | None:
    both = clock.instants_of(local, times.zone, "skip", "both")
    if len(both) < 2:
        return None
    first, second = both
    twice = f"{_clock(local)} comes twice this day"
    if times.fold == "both":
        which = "first" if at == first else "second"
        return Mark(which, f"{twice}: this is the {which} time")
    if job.next_after(second - clock.TICK) == second:
        return None
    day = "" if second.date() == first.date() else f"{second:%Y-%m-%d} "
    other = f"{day}{_clock(second)} UTC"
    return Mark("first_only", f"{twice}: fires the first time only (not at {other})")


def _dropped(job: Job, after: datetime, until: datetime) -> Iterator[Occurrence]:
    after = max(each for each in (after, job.first_past, job.starts_at) if each)
    until = min(each for each in (until, job.ends_at) if each)
    for times in local_times_of(job.trigger):
        skipped = jumps.left_out(after, until, times) if times.gap == "skip" else ()
        for jump, group in groupby(skipped, key=lambda each: each[1]):
            missing = [local for local, _ in group]
            if _is_missed(job, jump, missing[0], times):
                yield _left_out(job, jump, missing, times)


def _is_missed(job: Job, jump: datetime, local: datetime, times: LocalTimes) -> bool:
    """Whether anybody would look for it: no calendar excludes it, and the day has no other."""
    if isinstance(job.trigger, During) and not job.trigger.allowed.has(jump):
        return False
    return not times.real_time or not _fires_on_day_of(job, local, times)


def _left_out(job: Job, jump: datetime, missing: list[datetime], times: LocalTimes) -> Occurrence:
    why = ", as it follows real time" if times.real_time else ""
    does = "does" if len(missing) == 1 else "do"
    mark = Mark("dropped", f"{_missing(missing, jump, times)}: {does} not fire{why}")
    return _occurrence(job, jump, missing[0], mark, fires=False)


def _fires_on_day_of(job: Job, local: datetime, times: LocalTimes) -> bool:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = (clock.instants_of(each, times.zone)[0] for each in (midnight, midnight + _DAY))
    found = job.next_after(start - clock.TICK)
    return found is not None and found < end


def _missing(missing: list[datetime], jump: datetime, times: LocalTimes) -> str:
    """Says that "02:30 does not exist this day (clocks go 02:00 -> 03:00)"."""
    clocks = jumps.jump_at(jump, times.zone) or (missing[0], missing[0])
    same_day = clocks[0].date() == clocks[1].date()
    form = _clock if same_day else _dated
    names = [form(each) for each in missing[:_MOST_NAMED]]
    if len(missing) > _MOST_NAMED:
        names.append(f"{len(missing) - _MOST_NAMED} more")
    do = "does" if len(missing) == 1 else "do"
    day = " this day" if same_day else ""
    return f"{listed(names)} {do} not exist{day} (clocks go {form(clocks[0])} -> {form(clocks[1])})"


def _clock(local: datetime) -> str:
    return clock_time(local.hour, local.minute, local.second)


def _dated(local: datetime) -> str:
    return f"{local:%Y-%m-%d} {_clock(local)}"
