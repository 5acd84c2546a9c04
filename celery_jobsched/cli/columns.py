"""Tables for people: columns without borders that fit the width, colour on the state word alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import combining, east_asian_width

import click

_GAP = "  "
#: What a text is cut to at least, where room is short.
_LEAST = 12
_CUT = "..."
_COLOURS = {
    "error": "red", "failing": "red", "failed": "red", "lost": "red", "late": "yellow",
    "missed": "yellow", "skipped": "yellow", "expired": "yellow", "revoked": "yellow",
    "cancelled": "yellow", "running": "cyan", "started": "cyan", "retrying": "cyan",
    "waiting": "cyan", "ok": "green", "succeeded": "green", "ticking": "green",
    "drained": "cyan", "shadow": "cyan", "refusing": "red", "hanging": "red", "gone": "red",
}  # fmt: skip


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    colour: bool = False,
    flexible: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> Iterator[str]:
    """A heading and a line a row, no wider than *width*.

    Where room is short the *spare* columns are left out, in their order, as long as the
    *flexible* ones are too narrow, then these are cut. The column STATE has the colour.
    """
    kept = list(headings)
    for name in spare:
        if width is None or _needed(kept, headings, rows, flexible) <= width:
            break
        kept.remove(name)
    places = [headings.index(name) for name in kept]
    lines = [[row[place] for place in places] for row in (headings, *rows)]
    widths = [max(room(line[i]) for line in lines) for i in range(len(kept))]
    if width is not None:
        _shrink(widths, width, [kept.index(name) for name in flexible if name in kept])
    state = kept.index("STATE") if colour and "STATE" in kept else None
    for number, line in enumerate(lines):
        yield _line(line, widths, state if number else None)


def styled(word: str, colour: bool) -> str:
    """A state's word in its colour."""
    return click.style(word, fg=_COLOURS.get(word)) if colour and word in _COLOURS else word


def _needed(
    kept: Sequence[str],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    flexible: Sequence[str],
) -> int:
    """How wide it is with its flexible columns not narrower than twice the least."""
    found = len(_GAP) * (len(kept) - 1)
    for name in kept:
        place = headings.index(name)
        longest = max([len(name), *(room(row[place]) for row in rows)])
        found += min(longest, 2 * _LEAST) if name in flexible else longest
    return found


def _shrink(widths: list[int], width: int, flexible: Sequence[int]) -> None:
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while over > 0:
        widest = max(flexible, key=lambda each: widths[each], default=None)
        if widest is None or widths[widest] <= _LEAST:
            return
        widths[widest] -= 1
        over -= 1


def _line(cells: Sequence[str], widths: Sequence[int], state: int | None) -> str:
    found = [_filled(_cut(cell, width), width) for cell, width in zip(cells, widths, strict=True)]
    found[-1] = found[-1].rstrip()
    if state is not None:
        word = found[state].rstrip()
        found[state] = styled(word, True) + found[state][len(word) :]
    return _GAP.join(found).rstrip()


def room(text: str) -> int:
    """How many places of a terminal *text* takes: a wide sign two, a combining one none."""
    return len(text) if text.isascii() else sum(map(_places, text))


def _places(sign: str) -> int:
    return 0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1


def _filled(text: str, width: int) -> str:
    return text + " " * (width - room(text))


def _cut(text: str, width: int) -> str:
    if room(text) <= width:
        return text
    kept = text[: width - len(_CUT)]
    while room(kept) > width - len(_CUT):
        kept = kept[:-1]
    return kept + _CUT
