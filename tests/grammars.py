"""Texts that keep to the grammar of their column, and mostly to its bounds."""

from __future__ import annotations

import json

from hypothesis import strategies as st

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
Texts = st.SearchStrategy[str]


def joined(part: Texts, sign: str, most: int) -> Texts:
    return st.lists(part, min_size=1, max_size=most).map(sign.join)


def _number(least: int, most: int) -> Texts:
    """A number within bounds; once in a while a little outside."""
    return (st.integers(least, most) | st.integers(least, most + 1)).map(str)


def _items(least: int, most: int, *more: str) -> Texts:
    """A field of cron."""
    number = _number(least, most)
    word = number | st.sampled_from(more) if more else number
    part = st.one_of(
        st.just("*"),
        word,
        st.builds("{}-{}".format, word, word),
        st.builds("*/{}".format, number),
        st.builds("{}/{}".format, number, number),
        st.builds("{}-{}/{}".format, number, number, number),
    )
    return part | joined(part, ",", 3)


_MINUTES, _HOURS, _MONTHS_FIELD = _items(0, 59), _items(0, 23), _items(1, 12, *MONTHS)
_DAYS = _items(1, 31) | st.sampled_from(["?", "L", "LW", "L-3"]) | _number(1, 31).map("{}W".format)
_WEEKDAYS_FIELD = st.one_of(
    _items(0, 7, *WEEKDAYS),
    st.just("?"),
    st.builds("{}#{}".format, _number(0, 6), _number(1, 5)),
    st.sampled_from(WEEKDAYS).map("{}L".format),
)
_BY_NAME = {
    "year": _items(2000, 2050),
    "month": _MONTHS_FIELD,
    "day": _DAYS | st.just("last"),
    "week": _items(1, 53),
    "day_of_week": joined(st.sampled_from(WEEKDAYS), ",", 3) | st.just("mon-fri"),
    "hour": _HOURS,
    "minute": _MINUTES,
    "second": _items(0, 59),
}
_FIVE = st.tuples(_MINUTES, _HOURS, _DAYS, _MONTHS_FIELD, _WEEKDAYS_FIELD).map(" ".join)
_NAMED = st.fixed_dictionaries({}, optional=_BY_NAME)
CRON = st.one_of(
    _FIVE,
    st.builds("{} {}".format, _items(0, 59), _FIVE),
    st.builds("{} {} {}".format, _items(0, 59), _FIVE, _items(1970, 2099)),
    _NAMED.map(lambda fields: " ".join(f"{name}={text}" for name, text in fields.items())),
    _NAMED.map(json.dumps),
)

_TIME = st.times().map(lambda time: f"{time:%H:%M}") | st.times().map(
    lambda time: f"{time:%H:%M:%S}"
)
_DATE = st.dates().map(str)
_OFFSET = st.sampled_from(["", "", "Z", "+00", "+01:00", "-0330", "+23:59"])
INSTANT = _DATE | st.builds("{}{}{}{}".format, _DATE, st.sampled_from(" T"), _TIME, _OFFSET)

_MONTH_DAY = st.dates().map(lambda date: f"{date:%m-%d}")
_GROUPS = [
    st.sampled_from(WEEKDAYS),
    st.sampled_from(MONTHS),
    st.integers(-31, 31).map(str),
    _DATE,
    _MONTH_DAY,
]
_GROUP = st.one_of(
    *(joined(part | st.builds("{}..{}".format, part, part), ",", 3) for part in _GROUPS),
    joined(st.builds("{}-{}".format, _TIME, _TIME), ",", 3),
    st.sampled_from(["holidays", "nights", "mon-fri", "12-24..01-02", "22:00-06:00"]),
)
CALENDAR = joined(joined(_GROUP, " ", 3), "; ", 4)

_RULE_PARTS = {
    "INTERVAL": _number(1, 100),
    "COUNT": _number(1, 1000),
    "UNTIL": st.sampled_from(["20300101", "20260601T000000Z", "19990101"]),
    "BYMONTH": joined(_number(1, 12), ",", 3),
    "BYMONTHDAY": joined(st.integers(-31, 31).map(str), ",", 3),
    "BYYEARDAY": joined(st.integers(-366, 366).map(str), ",", 3),
    "BYWEEKNO": joined(st.integers(-53, 53).map(str), ",", 3),
    "BYDAY": joined(
        st.builds(
            "{}{}".format,
            st.sampled_from(["", "", "1", "-1", "5", "53"]),
            st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]),
        ),
        ",",
        3,
    ),
    "BYHOUR": joined(_number(0, 23), ",", 3),
    "BYMINUTE": joined(_number(0, 59), ",", 3),
    "BYSECOND": joined(_number(0, 59), ",", 3),
    "BYSETPOS": joined(st.integers(-366, 366).map(str), ",", 2),
    "WKST": st.sampled_from(["MO", "SU"]),
}
_FREQ = st.sampled_from(["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
_STAMP = st.datetimes().map(lambda moment: f"{moment:%Y%m%dT%H%M%S}".rjust(15, "0"))
_RULE = st.builds(
    lambda freq, parts: ";".join([f"FREQ={freq}", *(f"{k}={v}" for k, v in parts.items())]),
    _FREQ,
    st.fixed_dictionaries({}, optional=_RULE_PARTS),
)
_LINES = st.one_of(
    _RULE.map("RRULE:{}".format),
    _STAMP.map("DTSTART:{}".format),
    _STAMP.map("DTSTART;TZID=Europe/Berlin:{}".format),
    joined(_STAMP, ",", 3).map("RDATE:{}".format),
    joined(_STAMP, ",", 3).map("EXDATE:{}".format),
)
RRULE = _RULE | joined(_LINES, "\n", 4)

_SECONDS = st.floats(0.001, 1e9).map(lambda n: f"{n:.3f}")
EVERY = st.builds(
    "{} {}{}".format,
    _number(1, 1000) | _SECONDS,
    st.sampled_from(UNITS),
    st.sampled_from(["", "s"]),
)
AT = st.one_of(
    _TIME,
    _TIME.map(lambda time: time[2:]),
    st.builds("{} {}".format, st.sampled_from(WEEKDAYS), _TIME),
    st.builds("{} {}".format, st.integers(-1, 31), _TIME),
    st.builds("{} {}".format, _MONTH_DAY, _TIME),
    st.dictionaries(
        st.sampled_from(["month", "day", "weekday", "hour", "minute", "second"]),
        st.integers(-1, 60) | st.sampled_from(WEEKDAYS) | st.none(),
    ).map(json.dumps),
)
_EVENTS = ("sunrise", "sunset", "solar_noon", "dawn_civil", "dusk_nautical", "dawn_astronomical")
CELERY = st.one_of(
    st.builds("schedule {}{}".format, _SECONDS, st.sampled_from(["", " relative"])),
    st.builds(
        "crontab {} {} {} {} {}".format,
        _MINUTES,
        _HOURS,
        _items(1, 31),
        _MONTHS_FIELD,
        _items(0, 6),
    ),
    st.builds(
        "solar {} {} {}".format, st.sampled_from(_EVENTS), st.floats(-90, 90), st.floats(-180, 180)
    ),
)

_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_JSON = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
_OBJECT = st.dictionaries(
    st.text(max_size=5) | st.sampled_from(["queue", "headers", "eta", "__type__", "__value__"]),
    _JSON,
)

#: Where nothing stands here, a column takes a word or a name.
GRAMMARS: dict[str, Texts] = {
    "every": EVERY,
    "at": AT,
    "cron": CRON,
    "once": joined(INSTANT, ", ", 4),
    "celery": CELERY,
    "rrule": RRULE,
    **dict.fromkeys(("only_during", "not_during"), CALENDAR),
    **dict.fromkeys(("starts_at", "ends_at"), INSTANT),
    "max_fires": _number(1, 2**31 - 1),
    **dict.fromkeys(("jitter", "misfire_grace_time", "lease"), st.floats(0, 1e10).map(str)),
    "args": st.lists(_JSON, max_size=3).map(json.dumps),
    **dict.fromkeys(("kwargs", "options", "labels"), _OBJECT.map(json.dumps)),
}
