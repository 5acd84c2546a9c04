"""A cron expression: five fields, six with the second first, seven with the year last; macros.

The fields are those of crontab(5), the signs ``? L W #`` those of Quartz, and whether a day must
match by both day fields or by either is Vixie's rule.
"""

from __future__ import annotations

from celery_jobsched.triggers.cron.fields import CronFields
from celery_jobsched.triggers.cron.items import FIELDS, read_fields

__all__ = ["MACROS", "read_expression", "split_expression"]

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_ORDER = ("second", "minute", "hour", "day", "month", "day_of_week", "year")
_EXPECTED = (
    f"5 fields ({', '.join(FIELDS[name].name for name in _ORDER[1:6])}), 6 with the second first,"
    f" 7 with the year last, or one of {', '.join(MACROS)}"
)


def split_expression(text: str) -> dict[str, str]:
    """The text of each of ``FIELDS`` by its name, in lower case; macros are written out.

    Raises: ValueError, saying what was expected.
    """
    words = [word for word in text.lower().replace("\t", " ").split(" ") if word]
    if len(words) == 1:
        words = MACROS.get(words[0], "").split()
    if not text.isascii() or not 5 <= len(words) <= 7:
        raise ValueError(_EXPECTED)
    words = words if len(words) > 5 else ["0", *words]
    return {"year": "*", "week": "*", **dict(zip(_ORDER, words, strict=False))}


def read_expression(text: str) -> CronFields:
    """The fields of an expression.

    Raises: ValueError, saying which field expected what.
    """
    texts = split_expression(text)
    either = texts["day"][0] not in "*?" and texts["day_of_week"][0] not in "*?"
    return read_fields(texts, " ".join(text.split()), either)
