"""What a fire may fill into its task's arguments: ``{fire_at}``, ``{fire_date}`` and their like.

A fixed substitution in texts, at any depth of lists and mappings; nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["PLACEHOLDERS", "filled", "unfilled"]

#: What can be filled in; ``{{fire_at}}`` stands for the text ``{fire_at}`` itself.
PLACEHOLDERS = ("fire_at", "fire_date", "previous_fire_at", "job")

_NAMES = "|".join(PLACEHOLDERS)
_NAMED = re.compile(rf"\{{({_NAMES})\}}")
_PLACEHOLDER = re.compile(rf"\{{(\{{(?:{_NAMES})\}})\}}|\{{({_NAMES})\}}")


def filled(value: Any, values: Mapping[str, str | None]) -> Any:
    """*value* with what *values* knows in the place of each placeholder; keys are left alone.

    None is null where the placeholder is a text of its own, and nothing within one.
    """
    if isinstance(value, str):
        return _filled_text(value, values) if "{" in value else value
    if isinstance(value, list | tuple):
        return [filled(each, values) for each in value]
    if isinstance(value, Mapping):
        return {key: filled(each, values) for key, each in value.items()}
    return value


def unfilled(value: Any) -> Any:
    """What has to be written for :func:`filled` to give *value* back, whatever stands in it."""
    if isinstance(value, str):
        return _NAMED.sub(r"{{\1}}", value)
    if isinstance(value, list | tuple):
        return [unfilled(each) for each in value]
    if isinstance(value, Mapping):
        return {key: unfilled(each) for key, each in value.items()}
    return value


def _filled_text(text: str, values: Mapping[str, str | None]) -> str | None:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole and whole[2]:
        return values[whole[2]]
    return _PLACEHOLDER.sub(lambda match: match[1] or values[match[2]] or "", text)
