"""Fires to come as lines for people, and as JSON for programs.

A line is told in ASCII, in the job's own time and in UTC; its mark stands behind it, or below it
where a terminal is too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ..jumps import offset_text
from ..views import parts

if TYPE_CHECKING:
    from ..preview import Occurrence

_INDENT = "    "
_MANY_DAYS = timedelta(days=10)
_NO_NAME = "+-"


def table(
    found: Sequence[Occurrence], zone_name: str, now: datetime, width: int | None = None
) -> Iterator[str]:
    """A heading and a line a fire; *width* is that of a terminal, None where lines may be long."""
    form = _form(found)
    rows = [(f"FIRE ({zone_name})", "UTC", "FROM NOW")]
    rows += [_cells(each, form, now) for each in found]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    marks = [None, *(each.mark for each in found)]
    for row, mark in zip(rows, marks, strict=True):
        line = _INDENT.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield from _marked(line, f"! {mark.text}" if mark else "", width)


def as_record(name: str | None, zone_name: str, each: Occurrence) -> dict[str, Any]:
    """A fire for programs: instants and local times in ISO 8601, its mark by code and text."""
    return {
        "job": name,
        "at": each.at.isoformat(),
        "local": each.at.astimezone(timezone(each.offset)).isoformat(),
        "nominal": each.nominal.isoformat(),
        "timezone": zone_name,
        "abbreviation": each.abbreviation,
        "fires": each.fires,
        "mark": each.mark and each.mark._asdict(),
    }


def from_now(at: datetime, now: datetime) -> str:
    """How far away: "in 2h 44m", "in 126 days", "3d 4h ago"."""
    away = abs(at - now)
    if away >= _MANY_DAYS:
        text = f"{away.days} days"
    else:
        seconds = int(away.total_seconds())
        text = " ".join(parts(seconds)[:2]) or "0s"
    return f"in {text}" if at >= now else f"{text} ago"


def _form(found: Sequence[Occurrence]) -> str:
    """How much of a time of day there is to show."""
    times = [each.local for each in found]
    if any(each.microsecond for each in times):
        return "%Y-%m-%d %H:%M:%S.%f"
    return "%Y-%m-%d %H:%M:%S" if any(each.second for each in times) else "%Y-%m-%d %H:%M"


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _cells(each: Occurrence, form: str, now: datetime) -> tuple[str, str, str]:
    local = each.local if each.fires else each.nominal
    day = f"{_WEEKDAYS[local.weekday()]} {local.strftime(form)}"
    if not each.fires:
        return day, "-", "-"
    return f"{day} {_zone_of(each)}", each.at.strftime(form), from_now(each.at, now)


def _zone_of(each: Occurrence) -> str:
    """As in "CEST +02"; the offset alone where the zone's time has no other name."""
    if each.abbreviation == "UTC":
        return "UTC"
    offset = offset_text(each.offset)
    return offset if each.abbreviation[:1] in _NO_NAME else f"{each.abbreviation} {offset}"


def _marked(line: str, mark: str, width: int | None) -> Iterator[str]:
    whole = f"{line}{_INDENT}{mark}".rstrip()
    if width is None or len(whole) <= width:
        yield whole
        return
    yield line.rstrip()
    yield from wrap(mark, width, initial_indent=_INDENT, subsequent_indent=_INDENT + "  ")
