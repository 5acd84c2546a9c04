"""Lines for people: what somebody wrote into a table moves no terminal."""

from __future__ import annotations

import re

import click

from ..errors import printable

__all__ = ["say"]

#: Our own colours; the split keeps them, at the odd places.
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def say(text: str, err: bool = False) -> None:
    """Print *text* with a sign in place of what no text should hold: escapes, turned directions."""
    parts = _COLOUR.split(text)
    shown = (each if place % 2 else printable(each) for place, each in enumerate(parts))
    click.echo("".join(shown), err=err)
