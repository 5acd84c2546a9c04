"""The lines of a recurrence: DTSTART, RRULE, RDATE and EXDATE, as text and read.

Reading follows RFC 5545 (3.1, 3.3.5, 3.8.5), and what people make of it in a column of a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob, shown
from celery_jobsched.triggers.rrule.parts import Moment, Parts, read_moment, read_parts

__all__ = ["RecurrenceText", "parse_rrule"]

_LONGEST_TEXT = 10_000
_MOST_RULES = 5
_EXPECTED = "lines of RFC 5545: RRULE:FREQ=…, and DTSTART, RDATE or EXDATE where needed"
_DATED = ("DTSTART", "RDATE", "EXDATE")
#: What begins a line, wherever it stands.
_BEGINS = r"(?=[ \t]*(?:DTSTART|RRULE|RDATE|EXDATE|EXRULE)[:;]|[ \t]*FREQ=)"
_LINE_END = re.compile(r"\r\n|\r|\n|\\n", re.IGNORECASE)
_FOLD = re.compile(rf"\n[ \t](?!{_BEGINS})", re.IGNORECASE)
_SPACES = re.compile(r"[ \t]+")
_AROUND_SIGN = re.compile(r" ?([;:,=]) ?")
_PARTING = re.compile(rf"\n| {_BEGINS}", re.IGNORECASE)


@dataclass(frozen=True)
class RecurrenceText:
    """A recurrence as it was written; ``text`` is its canonical spelling.

    A moment without a zone is in the zone of ``start``, and where that has none, in the job's.
    """

    text: str
    start: Moment | None
    rules: tuple[Parts, ...]
    dates: tuple[Moment, ...]
    excluded: tuple[Moment, ...]


class _Line(NamedTuple):
    name: str
    value: str
    zone: tzinfo | None = None
    kind: str = ""

    @property
    def text(self) -> str:
        kind = f";VALUE={self.kind}" if self.kind else ""
        zone = f";TZID={self.zone}" if self.zone else ""
        return f"{self.name}{kind}{zone}:{self.value}"

    def moments(self) -> Iterator[Moment]:
        for text in self.value.split(","):
            moment = read_moment(text, self.name)
            if self.kind and moment.is_date != (self.kind == "DATE"):
                raise ValueError(f"{self.name} with the value that VALUE says: {self.kind}")
            if self.zone and (moment.zone or moment.is_date):
                raise ValueError(f"{self.name} with TZID, Z or a date alone, not two of them")
            yield moment._replace(zone=self.zone or moment.zone)


def parse_rrule(value: Any) -> RecurrenceText:
    r"""Read the lines of a recurrence; the result is cached.

    They are parted by line ends, written ``\n`` too, or stand on one line, parted by spaces; a
    lone rule needs no ``RRULE:``. A text without DTSTART begins where the job does.

    Raises: InvalidJob (field ``rrule``), naming the line or the part.
    """
    if not isinstance(value, str):
        raise InvalidJob("rrule", value, f"text, {_EXPECTED} (of dateutil's rrule: str(rule))")
    if len(value) > _LONGEST_TEXT:
        raise InvalidJob("rrule", value, f"a text of at most {_LONGEST_TEXT} characters")
    return _parsed(value)


@lru_cache(maxsize=4096)
def _parsed(value: str) -> RecurrenceText:
    try:
        return _of_lines([_line(piece) for piece in _pieces(value)])
    except ValueError as error:
        raise InvalidJob("rrule", value, str(error)) from None


def _pieces(value: str) -> list[str]:
    """The lines without their folds (3.1) and needless spaces."""
    text = _LINE_END.sub("\n", value)
    if not text.isascii() or any(each < " " and each not in "\t\n" for each in text):
        raise ValueError(f"{_EXPECTED}; ASCII alone")
    text = _SPACES.sub(" ", _FOLD.sub("", text))
    pieces = (piece.strip(" ") for piece in _PARTING.split(_AROUND_SIGN.sub(r"\1", text)))
    return [piece for piece in pieces if piece]


def _line(piece: str) -> _Line:
    head, _, value = piece.partition(":") if ":" in piece else ("RRULE", "", piece)
    name, *parameters = head.split(";")
    name = name.upper()
    if name == "EXRULE":
        raise ValueError("no EXRULE, which RFC 5545 withdrew; EXDATE or not_during say as much")
    if name not in ("RRULE", *_DATED) or " " in value:
        raise ValueError(f"{_EXPECTED}, not {shown(piece)}")
    if name in _DATED:
        return _Line(name, value.upper(), *_parameters(name, parameters))
    if parameters or "=" not in value:
        raise ValueError(f"{_EXPECTED}, not {shown(piece)}")
    return _Line(name, value.upper().removesuffix(";"))


def _parameters(name: str, parameters: list[str]) -> tuple[tzinfo | None, str]:
    found: dict[str, str] = {}
    for text in parameters:
        key, equals, value = text.partition("=")
        if not equals or key.upper() not in ("TZID", "VALUE") or key.upper() in found:
            raise ValueError(f"{name} with TZID or VALUE, once each, not {shown(text)}")
        found[key.upper()] = value
    kind = found.get("VALUE", "").upper()
    if kind not in ("", "DATE", "DATE-TIME"):
        raise ValueError(f"{name} with VALUE of DATE or DATE-TIME, not {shown(kind)}")
    return _zone(name, found["TZID"]) if "TZID" in found else None, kind


def _zone(name: str, text: str) -> tzinfo:
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    try:
        return clock.zone(text)
    except InvalidJob:
        expected = f"{name} with a TZID that names a time zone, such as Europe/Berlin"
        raise ValueError(f"{expected}, not {shown(text)}") from None


def _of_lines(lines: list[_Line]) -> RecurrenceText:
    rules = [line for line in lines if line.name == "RRULE"]
    moments: dict[str, list[Moment]] = {name: [] for name in _DATED}
    for line in lines:
        if line.name in _DATED:
            moments[line.name] += line.moments()
    if len(moments["DTSTART"]) > 1:
        raise ValueError("DTSTART once, with one date and time")
    if not rules and not moments["RDATE"]:
        raise ValueError(_EXPECTED)
    if len(rules) > _MOST_RULES:
        raise ValueError(f"RRULE {_MOST_RULES} times at most")
    lone = len(lines) == 1 and bool(rules)
    return RecurrenceText(
        text=rules[0].value if lone else "\n".join(line.text for line in lines),
        start=next(iter(moments["DTSTART"]), None),
        rules=tuple(read_parts(line.value) for line in rules),
        dates=tuple(moments["RDATE"]),
        excluded=tuple(moments["EXDATE"]),
    )
