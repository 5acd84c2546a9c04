"""Definitions that are refused: the field that is named, the definition, and the words.

What a field must not be is given with the beginning of what was expected instead.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

MOMENT = datetime(2030, 1, 1, tzinfo=timezone.utc)
DAILY = {"every": "1 day"}
MEGABYTE = "1" * 1_000_000

AN_INTERVAL = "a number and a unit, such as 15 minutes or 1 month"
A_TIME = "a time such as 15:30, :30, mon 09:00, 31 03:00, -1 03:00 or 12-24 18:00"
FIELDS = "5 fields (minute, hour, day of month, month, day of week)"
INSTANTS = "instants such as 2026-12-24 18:00 or 2026-12-24T18:00:00+01:00, parted by commas"
A_ZONE = "the name of a time zone, such as Europe/Berlin"
A_MOMENT = "a date and time, such as 2027-01-31 09:00"
A_CALENDAR = "weekdays (mon-fri), months (dec), days of the month (1..7, -1), dates (2026-12-25, 12"
A_SCHEDULE = "a schedule of Celery's: schedule <seconds>, crontab <five fields> or solar <event>"
LINES = "lines of RFC 5545: RRULE:FREQ=…, and DTSTART, RDATE or EXDATE where needed"
A_NAME = "a name of letters, digits, dots, dashes and underscores, at most 64"
A_KIND = "seconds, a timedelta, or a schedule, crontab or solar of celery.schedules"

#: What the field must not be, and how the expectation begins; by field.
WRONG: dict[str, list[tuple[Any, str]]] = {
    "every": [
        ("15", AN_INTERVAL),
        ("minutes 15", AN_INTERVAL),
        ("15 fortnights", AN_INTERVAL),
        ("\u0661 hours", AN_INTERVAL),
        ("15 minutes\0", AN_INTERVAL),
        ("15 minutes; DROP TABLE jobsched_jobs", AN_INTERVAL),
        ("%(n)s hours", AN_INTERVAL),
        (MEGABYTE, AN_INTERVAL),
        ("1e3 hours", AN_INTERVAL),
        (15, AN_INTERVAL),
        (True, AN_INTERVAL),
        ([True, "hour"], AN_INTERVAL),
        (["3", "hour"], AN_INTERVAL),
        ([], AN_INTERVAL),
        ({"hours": 3, "minutes": 1}, AN_INTERVAL),
        ("0 minutes", "from 1 to 525600000 minutes"),
        ("-1 minutes", AN_INTERVAL),
        ("1001 years", "from 1 to 1000 years"),
        ([math.nan, "second"], "from 0.001 to 31536000000 seconds"),
        ([math.inf, "day"], "from 1 to 365000 days"),
        ([10**400, "day"], "from 1 to 365000 days"),
        ("0.0009 seconds", "from 0.001 to 31536000000 seconds"),
        ("1.5 hours", "a whole number of hours"),
        (timedelta(0), "from 0.001 to 31536000000 seconds"),
    ],
    "at": [
        ("noon", A_TIME),
        ("15", A_TIME),
        ("\u0661:30", A_TIME),
        (930, A_TIME),
        (True, A_TIME),
        ([], A_TIME),
        (MEGABYTE, A_TIME),
        ("24:00", "hour from 0 to 23"),
        ("9:60", "minute from 0 to 59"),
        ("9:30:60", "second from 0 to 59"),
        ({"hour": True}, "hour from 0 to 23"),
        ({"hour": 9.5}, "hour from 0 to 23"),
        ({"minute": math.nan}, "minute from 0 to 59"),
        ({"hour": 10**400}, "hour from 0 to 23"),
        ('{"hour": Infinity}', "hour from 0 to 23"),
        ('{"hour": ' * 20, f"{A_TIME}, or its fields as JSON"),
        ('{"hour": 9' + " " * 250 + "}", f"{A_TIME}, or its fields as JSON"),
        ({"weekday": "day"}, "fields finer than the day: hour, minute, second"),
        ("mon 09:00", "fields finer than the day: hour, minute, second"),
        ("31 09:00", "fields finer than the day: hour, minute, second"),
        ({"day": 1}, "fields finer than the day: hour, minute, second"),
        ({"microsecond": 1}, "fields finer than the day: hour, minute, second"),
        ({}, "fields finer than the day: hour, minute, second"),
    ],
    "cron": [
        ("", FIELDS),
        ("* * * *", FIELDS),
        ("* * * * * * * *", FIELDS),
        ("@reboot", FIELDS),
        ("\u0661 * * * *", FIELDS),
        ("\0 * * * *", "minute from 0 to 59, not '\\x00'"),
        ("60 * * * *", "minute from 0 to 59, not '60'"),
        ("-1 * * * *", "minute from 0 to 59, not '-1'"),
        ("1.5 * * * *", "minute from 0 to 59, not '1.5'"),
        ("1,,2 * * * *", "minute from 0 to 59, not ''"),
        ("{0} * * * *", 'fields by name as JSON, such as {"hour": 9}'),
        ("%s * * * *", "minute from 0 to 59, not '%s'"),
        ("* 24 * * *", "hour from 0 to 23, not '24'"),
        ("* * 0 * *", "day of month from 1 to 31, L, L-3, LW or 15W, not '0'"),
        ("* * * 13 *", "month from 1 to 12, or jan to dec, not '13'"),
        ("* * * * 8", "day of week from 0 to 7, or sun to sat, fri#2 or friL, not '8'"),
        ("60 * * * * *", "second from 0 to 59, not '60'"),
        ("0 0 0 1 1 ? 1969", "year from 1970 to 2099, not '1969'"),
        ("*/0 * * * *", "minute with a step from 1 to 60, not '0'"),
        ("5-1 * * * *", "minute with a range that ascends, not '5-1'"),
        ("0 0 30 2 *", "a date that comes: these months have no such day"),
        ("TZ=UTC 0 9 * * *", "no zone in it: the column timezone names it"),
        ("hour=24", "hour from 0 to 23, not '24'"),
        ("hours=9", "fields named year, month, day, week, day_of_week, hour, minute, second"),
        ("hour=9 hour=10", "each field once, as hour=9 day_of_week=mon-fri, not 'hour=10'"),
        ("hour=9 day_of_week=1", "day of week by name, mon to sun, not '1'"),
        ({"hour": 24}, "hour from 0 to 23, not '24'"),
        ({"hour": True}, "hour"),
        ({"hour": math.nan}, "hour"),
        ({}, "at least one of year, month, day, week, day_of_week, hour, minute, second"),
        (MEGABYTE, "a text of at most 255 characters"),
        (5, "a text of at most 255 characters"),
        (True, "a text of at most 255 characters"),
        (["* * * * *"], "a text of at most 255 characters"),
    ],
    "once": [
        ("tomorrow", INSTANTS),
        ("20260101", INSTANTS),
        ("\u0662026-01-01", INSTANTS),
        ("2026-01-01 10:00+01:99", INSTANTS),
        ("2026-01-01 10:00+25", "a date and a time that exist"),
        ("now()", INSTANTS),
        (5, INSTANTS),
        (True, INSTANTS),
        ([None], INSTANTS),
        ({}, INSTANTS),
        ("2026-02-30", "a date and a time that exist"),
        ("2026-01-01 24:00", "a date and a time that exist"),
        ([], "at least one instant that comes"),
        (",", "at least one instant that comes"),
        ("2026-01-01," * 2001, "at most 2000 instants"),
        (MEGABYTE, "a text of at most 100000 characters"),
    ],
    "celery": [
        ("30", A_SCHEDULE),
        ("crontab * * * *", A_SCHEDULE),
        ("solar sunset 1", A_SCHEDULE),
        ("schedule 0", "schedule from 0.001 s to 1000 years"),
        ("schedule nan", "schedule from 0.001 s to 1000 years"),
        ("schedule 1e300", "schedule from 0.001 s to 1000 years"),
        ("crontab 61 * * * *", 'crontab with a minute, not "61"'),
        ("crontab * * 30 2 *", "a date that comes: these months have no such day"),
        ("solar moonrise 0 0", "solar <event> <latitude> <longitude>"),
        ("solar sunset nan 0", "solar <event> <latitude> <longitude>"),
        (MEGABYTE, "a text of at most 255 characters"),
    ],
    "schedule": [
        (0, "an interval above zero"),
        (math.nan, "an interval above zero"),
        (True, A_KIND),
        ([], A_KIND),
    ],
    "rrule": [
        ("", LINES),
        ("RRULE:", LINES),
        ("EXDATE:20260101T000000", LINES),
        ("FREQ=DAILY\0", LINES),
        ("FREQ=DAILY;INTERVAL=\u0663", LINES),
        ("BYDAY=MO", "FREQ, which says how often"),
        ("FREQ=FORTNIGHTLY", "FREQ of SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ once, not twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL of 1 to 31536000000, not '0'"),
        ("FREQ=DAILY;INTERVAL=1e3", "INTERVAL of 1 to 31536000000, not '1E3'"),
        (f"FREQ=DAILY;INTERVAL={'9' * 400}", "INTERVAL of 1 to 31536000000, not '999"),
        ("FREQ=DAILY;COUNT=0", "COUNT of 1 to 100000, not '0'"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20300101", "COUNT or UNTIL, not both"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR of 0 to 23, not '24'"),
        ("FREQ=DAILY;BYDAY=XX", "BYDAY of MO to SU, or 1MO to 53SU, or -1MO, not 'XX'"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "a time that comes: BYMONTH, BYMONTHDAY leave"),
        ("DTSTART;TZID=Mars/Olympus:20260101T000000\nRRULE:FREQ=DAILY", "DTSTART with a TZID"),
        (MEGABYTE, "a text of at most 10000 characters"),
        (7, "text, lines of RFC 5545"),
        (True, "text, lines of RFC 5545"),
    ],
    "keyword": [
        ("", "a text of 1 to 255 printable characters"),
        ("end\0of day", "a text of 1 to 255 printable characters"),
        (MEGABYTE, "a text of 1 to 255 printable characters"),
        (7, "a text"),
        (True, "a text"),
    ],
    "custom": [
        ("", A_NAME),
        ("os.system('true')", A_NAME),
        ("../lunar", A_NAME),
        (MEGABYTE, A_NAME),
        (7, A_NAME),
    ],
    "timezone": [
        (each, A_ZONE)
        for each in (
            "", "Mars/Olympus", "Europe", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\0",
            "' OR 1=1 --", "%s", "{0.__class__}", "\uff35TC", "+01:00", MEGABYTE, 1, True, ["UTC"],
        )
    ],
    "only_during": [
        ("mon-fry", f"{A_CALENDAR}-25), windows (09:00-17:00) or names of calendars; 'mon-fry' is"),
        ("\u0661-\u0667", "a text of at most 20000 ASCII characters"),
        ("'; DROP TABLE jobsched_jobs; --", A_CALENDAR),
        ("", "something between semicolons"),
        ("mon;;tue", "something between semicolons"),
        ("17:00-17:00", "windows such as 09:00-17:00 or 22:00-06:00"),
        ("feb 30", "a time that comes: none belongs to this calendar"),
        (MEGABYTE, ""),
        (True, ""),
        ([], ""),
    ],
    "not_during": [
        ("mon-fry", A_CALENDAR),
        ("mon-sun", "a calendar that leaves some time"),
    ],
    "on_excluded": [(each, "one of skip, next, previous") for each in ("maybe", "", 1, True)],
    "starts_at": [(each, A_MOMENT) for each in ("soon", "2026-02-30", "0001-01-01", 5, True, [])],
    "ends_at": [(each, A_MOMENT) for each in ("never", "9999-99-99", 5.5, False, {})],
    "max_fires": [
        (each, "a whole number of at least 1")
        for each in (
            0, -1, 1.5, "1.5", "", "many", "\u0663", True, math.nan, math.inf, 10**400, [1],
        )
    ],
    "jitter": [
        (each, "a number of seconds of at least 0")
        for each in (
            -1, "-1", "soon", "1_0", "1e999", True, math.nan, math.inf, 10**400, [], MEGABYTE,
        )
    ],
    "misfire_grace_time": [
        (each, "a number of seconds of at least 0.001")
        for each in (0, -1, "nan", True, timedelta(0))
    ],
    "lease": [(each, "a number of seconds of at least 1") for each in (0, 0.5, "no", True)],
    "misfire": [(each, "one of skip, once, all") for each in ("maybe", "", 1, True, [])],
    "overlap": [(each, "one of skip, wait, latest, replace") for each in ("maybe", "", 1, True)],
    "month_end": [(each, "one of clamp, skip") for each in ("drift", "", 31, True)],
    "dst_gap": [(each, "one of run, skip") for each in ("jump", "", 1, True)],
    "dst_fold": [(each, "one of first, both") for each in ("last", "", 2, True)],
    "on_end": [(each, "one of keep, delete") for each in ("drop", "", 0, False)],
    "enabled": [(each, "true or false") for each in ("perhaps", "", 2, 0.5, math.nan, [])],
    "args": [
        ("[1,", "JSON ("),
        ("[" * 10_000, "JSON ("),
        ("[NaN]", "JSON (a finite number, not NaN)"),
        ("[1E310]", "JSON (a finite number, not 1E310)"),
        ([object()], "JSON ("),
        ([math.inf], "JSON (a finite number, not Infinity)"),
        ([0] * 100_000, "JSON (of at most 262144 characters)"),
        ('{"a": 1}', "a JSON list, such as [1, 2]"),
        (7, "a JSON list, such as [1, 2]"),
        (True, "a JSON list, such as [1, 2]"),
    ],
    "kwargs": [
        ("{1: 2}", "JSON ("),
        ({"x": object()}, "JSON ("),
        ("[]", 'a JSON object, such as {"key": 1}'),
        (True, 'a JSON object, such as {"key": 1}'),
    ],
    "labels": [("[]", 'a JSON object, such as {"key": 1}')],
    "options": [
        ({"eta": 1}, "no eta (the schedule says when)"),
        ({"task_id": "x"}, "no task_id (the fire's id is the task's id)"),
        ({"serializer": "pickle"}, "a serializer of json, yaml or msgpack"),
        ({"headers": [1]}, "headers that are a JSON object"),
        ({"headers": {"id": "x"}}, "no header id (it is Celery's own)"),
        ("[]", 'a JSON object, such as {"key": 1}'),
    ],
    "description": [
        ("half of one: \ud83d", "a text of whole characters, none of them NUL"),
        ("\0", "a text of whole characters, none of them NUL"),
        (7, "a text of whole characters, none of them NUL"),
    ],
    "task": [
        ("", "a text of 1 to 255 printable characters"),
        ("a\nb", "a text of 1 to 255 printable characters"),
        (MEGABYTE, "a text of 1 to 255 printable characters"),
        (7, "a text"),
    ],
}  # fmt: skip
TRIGGERS = {"every", "cron", "once", "celery", "schedule", "rrule", "keyword", "custom"}
#: What is right by itself and wrong together: the field that is named, the definition, the words.
TOGETHER: list[tuple[str, dict[str, Any], str]] = [
    ("every", {}, "one of every, cron, once, rrule, celery, keyword, custom to say when"),
    ("at", {"cron": "* * * * *", "at": "09:00"}, "nothing without every, which it refines"),
    ("at", {"every": "hour", "at": "09:00"}, "fields finer than the hour: minute, second"),
    ("at", {"every": "second", "at": ":30"}, "no such fields: none is finer than a second"),
    ("at", {"every": "week", "at": "day 09:00"}, "weekday by its name, such as mon or monday"),
    ("at", {"every": "week", "at": {"weekday": 1}}, "weekday by its name, such as mon or monday"),
    ("at", {"every": "year", "at": {"month": 13}}, "month from 1 to 12"),
    ("at", {"every": "year", "at": "mai 1 09:00"}, "month by its name, such as jan or january"),
    (
        "at",
        {"every": "year", "at": "02-30 09:00", "month_end": "skip"},
        "a day that one of these months has",
    ),
    (
        "ends_at",
        {**DAILY, "starts_at": MOMENT, "ends_at": MOMENT - timedelta(days=1)},
        "not before 2030-01-01 00:00:00+00:00",
    ),
    (
        "once",
        {"once": "2026-03-29 02:30", "timezone": "Europe/Berlin", "dst_gap": "skip"},
        "at least one instant that comes",
    ),
    (
        "only_during",
        {"cron": "0 20 * * *", "only_during": "09:00-17:00"},
        "some of the times of the job's fires",
    ),
    (
        "not_during",
        {"cron": "0 9 * * *", "not_during": "08:00-12:00"},
        "to leave times of the job's fires",
    ),
    (
        "not_during",
        {**DAILY, "only_during": "mon", "not_during": "mon-fri"},
        "a calendar that leaves some time",
    ),
]
CASES = [
    (field, {**({} if field in TRIGGERS else DAILY), field: value}, expected)
    for field, wrong in WRONG.items()
    for value, expected in wrong
] + TOGETHER
