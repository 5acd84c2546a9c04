"""Cron: when the clocks of a zone show what an expression says.

``parse_cron`` reads an expression (``expression``) or fields by name (``named``), both from the
texts of ``items``; what they mean is ``CronFields``, local times, and which days of a month that is
``MonthDays``. Which instants a local time means is the business of ``clock``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property, lru_cache
from typing import Any

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from celery_jobsched.triggers.cron.days import DaySet, MonthDays, mask_of, numbers_of
from celery_jobsched.triggers.cron.expression import read_expression, split_expression
from celery_jobsched.triggers.cron.fields import CronFields
from celery_jobsched.triggers.cron.named import read_named, split_named, text_of

__all__ = [
    "Cron",
    "CronFields",
    "DaySet",
    "MonthDays",
    "mask_of",
    "numbers_of",
    "parse_cron",
    "split_cron",
]

#: What the column holds.
_LONGEST_TEXT = 255
_ZONE = re.compile(r"(?:cron_)?tz *=", re.IGNORECASE)


@dataclass(frozen=True)
class Cron:
    """A trigger: the instants at which the fields match the clocks of *zone*.

    A wildcard expression follows real time, whatever the DST options say; they are for the
    others, whose times in a gap run at the jump, and in a fold the first time only.

    Raises: InvalidJob (``dst_gap``, ``dst_fold``).
    """

    fields: CronFields
    zone: tzinfo
    dst_gap: str = "run"
    dst_fold: str = "first"

    def __post_init__(self) -> None:
        clock.check_dst(self.dst_gap, self.dst_fold)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first match strictly later than *instant*; None past the year 9999."""
        return self._stretches.next_instant(instant, self.fields.later)

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last match strictly earlier than *instant*."""
        return self._stretches.previous_instant(instant, self.fields.earlier)

    @property
    def local_times(self) -> clock.LocalTimes:
        """What the fields name, and how it is read in gaps and folds."""
        return clock.LocalTimes(self.zone, self.fields.later, *self._rule, self.fields.wildcard)

    @cached_property
    def _stretches(self) -> clock.Stretches:
        return clock.stretches(self.zone, *self._rule)

    @property
    def _rule(self) -> tuple[str, str]:
        return ("skip", "both") if self.fields.wildcard else (self.dst_gap, self.dst_fold)


def parse_cron(value: Any) -> CronFields:
    """Read an expression, a macro such as ``@daily``, or fields by name (text, JSON, mapping).

    ``CronFields.text`` is the canonical text, which reads back as the same. Texts are read once.

    Raises: InvalidJob (field ``cron``), naming the field of the expression.
    """
    try:
        text = text_of(value) if isinstance(value, Mapping) else value
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            raise ValueError(f"a text of at most {_LONGEST_TEXT} characters")
        return _read(text)
    except ValueError as error:
        raise InvalidJob("cron", value, str(error)) from None


def split_cron(text: str) -> dict[str, str]:
    """The text of each field of what ``parse_cron`` reads, in lower case, as words are made of it.

    Keys: year, month, day, week, day_of_week, hour, minute, second; what is left out is filled in.
    """
    return split_named(text) if _is_named(text) else split_expression(text)


def _is_named(text: str) -> bool:
    return text.startswith("{") or "=" in text


@lru_cache(maxsize=4096)
def _read(text: str) -> CronFields:
    text = text.strip(" ")
    if _ZONE.match(text):
        raise ValueError("no zone in it: the column timezone names it")
    fields = read_named(text) if _is_named(text) else read_expression(text)
    if not fields.comes:
        raise ValueError("a date that comes: these months have no such day")
    return fields
