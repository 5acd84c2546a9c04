"""Lines for people: none moves a terminal, whatever somebody wrote, and none is wider than it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from textwrap import wrap

import click

from ..errors import printable

__all__ = ["has_all_signs", "say", "tell", "width", "wrapped"]

#: Our own colours; the split keeps them, at the odd places.
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
_NARROWEST = 40


def say(text: str, err: bool = False) -> None:
    """Print *text* with a sign in place of what no text should hold: escapes, turned directions.

    And of what is not in the alphabet of whoever reads it.
    """
    parts = _COLOUR.split(text)
    shown = "".join(each if place % 2 else printable(each) for place, each in enumerate(parts))
    if not has_all_signs(err):
        alphabet = _encoding(err)
        shown = shown.encode(alphabet, "replace").decode(alphabet)
    click.echo(shown, err=err)


def has_all_signs(err: bool = False) -> bool:
    """Whether whatever is printed can be any sign of Unicode."""
    return _encoding(err).lower().startswith("utf")


def _encoding(err: bool) -> str:
    return (sys.stderr if err else sys.stdout).encoding or "ascii"


def tell(text: str, err: bool = False, indent: str = "  ") -> None:
    """Print *text* in lines that fit the width, those after the first behind *indent*."""
    for line in wrapped(text, indent, err):
        say(line, err)


def width(err: bool = False) -> int | None:
    """How wide a line may be: the terminal's, or what COLUMNS says; None: any."""
    stream = sys.stderr if err else sys.stdout
    if os.environ.get("COLUMNS", "").isdigit() or stream.isatty():
        return shutil.get_terminal_size().columns
    return None


def wrapped(text: str, indent: str = "  ", err: bool = False) -> list[str]:
    """A line as the lines that fit the width, those after the first behind *indent*."""
    room = width(err)
    if room is None:
        return [text]
    return wrap(text, max(room, _NARROWEST), subsequent_indent=indent, break_on_hyphens=False)
