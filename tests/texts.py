"""Texts for the fuzzer: for each column what its grammar is made of, spoilt, and plain nonsense."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from tests.grammars import GRAMMARS


def _split(text: str) -> list[str]:
    """The words of *text*; a tilde in one is a space."""
    return [word.replace("~", " ") for word in text.split()]


#: What no grammar knows what to do with, and what was meant for somebody else.
NONSENSE = [
    "", " ", "\0", "\n", "\t", "\u0661", "\uff11", "\u00b2", "\u00bd", "\u2212", "\u202e", "\u2028",
    "\ud800", "\U0001f600", "1" * 400, "-" + "9" * 5000, "1." + "0" * 400,
    *(sign * 300 for sign in "a*,/-W("),
    *_split("""
        NaN nan inf -Infinity 1e999 1e-999 -0 +1 1_0 0x10 true null None {} [] " %s%n%d
        ';~DROP~TABLE~jobsched_jobs;~-- '~OR~1=1 {0.__class__} ${jndi:ldap://x} __import__('os')
        ../../../etc/passwd /dev/zero file:///etc/passwd os.system <script>
    """),
]  # fmt: skip
_NUMBERS = _split("0 1 2 5 7 13 23 24 29 30 31 32 59 60 100 400 2026 9999 00 -1")
_WEEKDAYS = _split("mon tue wed thu fri sat sun MON monday")
_MONTHS = _split("jan feb apr dec june")
_TIMES = _split("00:00 02:30 23:59 24:00 9:00 :30 12:00:30 25:61")
_DATES = _split("2026-12-25 2028-02-29 2027-02-29 0001-01-01 9999-12-31 12-25 02-29")

_CALENDAR = [
    *_NUMBERS, *_WEEKDAYS, *_MONTHS, *_DATES,
    *_split("09:00-17:00 22:00-06:00 00:00-24:00 .. - ~ , ; holidays nobody"),
    *_split("mon-fri fri-mon -7..-1 nov-feb"),
]  # fmt: skip
_INSTANT = [*_DATES, *_TIMES, *_split("~ T Z +14:00 .000001")]
_NUMBER = [*_NUMBERS, *_split(". e - ~ 0.5")]
_JSON = _split(r"""
    [ ] { } " : , ~ 1 -1 1e999 1.5 NaN Infinity true null "a" "uuid" \ud800 \u0000 \
    {"__type__":~"datetime",~"__value__":
""")
_NAME = _split("a b Z - . ~ _ closed : ( )")
#: What the texts of each column are made of.
TOKENS: dict[str, list[str]] = {
    "every": [
        *_NUMBERS,
        *_split("0.001 0.5 1e3 ~ second seconds minutes hour day weeks month year s"),
    ],
    "at": [
        *_NUMBERS, *_TIMES, *_WEEKDAYS, *_MONTHS,
        *_split('~ : - {"hour":~ "minute":~ } , null 9 "mon"'),
    ],
    "cron": [
        *_NUMBERS, *_WEEKDAYS, *_MONTHS,
        *_split('~ ~ ~ * * * , - / ? L W LW L- # @daily @ = last 4th~wed { "minute" : }'),
        *_split("hour= day_of_week= week= year= minute=*/5"),
    ],
    "once": [*_INSTANT, *_split(", ; +01:00 -23:59 +99:99 .123456"), "\n"],
    "celery": [
        *_NUMBERS,
        *_split("schedule~ crontab~ solar~ * */5 , - ~ relative 1e300 0.0001 nan mon-fri"),
        *_split("sunset~ solar_noon~ dawn_astronomical~ 52.5~ -180 90~"),
    ],
    "rrule": [
        *_NUMBERS,
        *_split("RRULE: DTSTART: DTSTART;TZID=Europe/Berlin: RDATE: EXDATE: EXRULE: FREQ= ; , ="),
        *_split("SECONDLY MINUTELY HOURLY DAILY WEEKLY MONTHLY YEARLY INTERVAL= COUNT= UNTIL="),
        *_split("BYDAY= BYMONTH= BYMONTHDAY= BYSETPOS= BYYEARDAY= BYWEEKNO= BYHOUR= BYMINUTE="),
        *_split("BYSECOND= BYEASTER= WKST= MO 2TU -1SU 53FR 20260101T000000 20260101 Z"),
        "\n",
    ],
    "only_during": _CALENDAR,
    "not_during": _CALENDAR,
    "timezone": _split(
        "Europe / Berlin UTC utc Etc/GMT+5 GMT0 .. US/ Pacific posixrules Factory +01:00 EST5EDT"
    ),
    "month_end": _split("clamp skip CLAMP ~"),
    "dst_gap": _split("run skip Run ~"),
    "dst_fold": _split("first both last ~"),
    "on_excluded": _split("skip next previous ~"),
    "misfire": _split("skip once all ~"),
    "overlap": _split("skip wait latest replace ~"),
    "on_end": _split("keep delete ~"),
    "enabled": _split("true false 1 0 yes no on ~"),
    **dict.fromkeys(("starts_at", "ends_at"), _INSTANT),
    **dict.fromkeys(("max_fires", "jitter", "misfire_grace_time", "lease"), _NUMBER),
    **dict.fromkeys(("args", "kwargs", "options", "labels"), _JSON),
    **dict.fromkeys(("name", "task", "description", "keyword", "custom"), _NAME),
}  # fmt: skip

_JSONS = [
    '[1, "a", {"b": null}]', '{"a": [1, 2.5]}', '{"queue": "q", "headers": {"x": 1}}',
    '[{"__type__": "datetime", "__value__": "2026-01-01T00:00:00"}]',
]  # fmt: skip
_INSTANTS = ["2026-12-24 18:00", "2026-12-24T18:00:00.5Z"]
_SECONDS = ["0.5", "1e10", "60"]
_CALENDARS = [
    "mon-fri 09:00-17:00", "12-24..01-02; sat, sun", "22:00-06:00", "holidays", "2026-12-25",
    "-7..-1 fri", "holidays 09:00-17:00; feb 29",
]  # fmt: skip
#: Texts that can be read: what is spoilt by a change here and there.
READABLE: dict[str, list[str]] = {
    "every": ["15 minutes", "month", "0.25 seconds", "1000 years", "2 WEEKS"],
    "at": [
        "15:30", ":30", "mon 09:00", "31 03:00", "-1 03:00", "12-24 18:00", "dec 24 18:00:30",
        '{"hour": 9}',
    ],
    "cron": [
        "*/5 9-17 * * mon-fri", "0 0 29 2 *", "15 10 L * ?", "0 0 LW 1/3 *", "0 0 * * 5#2",
        "0 0 15W * 5L", "0 0 0 1 1 ? 2026-2030", "hour=9 day_of_week=mon-fri", '{"hour": 9}',
        "week=8 year=2026/2", "@yearly",
    ],
    "once": ["2026-12-24 18:00", "2026-12-24T18:00:00+01:00; 2027-01-01", "2026-01-01,2026-01-02"],
    "celery": [
        "schedule 30.0", "schedule 3600.0 relative", "crontab */5 9-17 * * mon-fri",
        "solar sunset 52.5 13.4",
    ],
    "rrule": [
        "FREQ=DAILY", "RRULE:FREQ=MONTHLY;BYDAY=2TU;COUNT=3",
        "DTSTART:20260101T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE\nEXDATE:20260105T090000",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;UNTIL=20300101T000000Z",
        "FREQ=SECONDLY;BYHOUR=3;BYMINUTE=30;BYSECOND=0;BYMONTH=2;BYMONTHDAY=29",
    ],
    "timezone": ["Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC"],
    "custom": ["lunar", 'lunar {"phase": "full"}'],
    **dict.fromkeys(("only_during", "not_during"), _CALENDARS),
    **dict.fromkeys(("starts_at", "ends_at"), _INSTANTS),
    **dict.fromkeys(("jitter", "misfire_grace_time", "lease"), _SECONDS),
    **dict.fromkeys(("args", "kwargs", "options", "labels"), _JSONS),
}  # fmt: skip

#: Every character that Python has in a text, halves of characters among them.
ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=60)


def of_column(name: str) -> st.SearchStrategy[str]:
    """Texts that somebody may write into the column *name*."""
    tokens = st.lists(st.sampled_from([*TOKENS[name], *NONSENSE[:8]]), max_size=16).map("".join)
    changed = spoilt(READABLE.get(name) or TOKENS[name], TOKENS[name])
    kept = GRAMMARS.get(name, st.sampled_from(TOKENS[name]))
    return kept | kept | kept | changed | tokens | st.sampled_from(NONSENSE) | ANYTHING


@st.composite
def spoilt(draw: st.DrawFn, readable: list[str], tokens: list[str]) -> str:
    """A text that can be read, after a change or two."""
    text = draw(st.sampled_from(readable))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        words = re.split(r"(\W)", text)
        place = draw(st.integers(0, len(words) - 1))
        words[place] = draw(
            st.sampled_from(tokens)
            | st.sampled_from([*words, "", words[place] * 2, words[place] * 40])
            | st.sampled_from(NONSENSE)
        )
        text = "".join(words)
    return text


#: What Python can hand over in place of a text.
VALUES: list[Any] = [
    True, False, 0, -1, 10**400, -(10**400), 1.5, -0.0, float("nan"), float("inf"), b"",
    b"\xff\x00", "x" * 1_000_000, [], [None], [[]], [1] * 1000, {}, {"a": 1}, {None: None},
    {1: [2]}, (), set(), object(), type, ValueError("x"), range(3), 1j, "\ud800",
]  # fmt: skip


def nested(depth: int) -> list[str]:
    """JSON as deep as nobody means it."""
    return ["[" * depth, "[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth]
