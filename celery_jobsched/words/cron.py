"""What the fields of a cron expression say, in words that a person reads back as the same fields.

An expression that follows real time goes "every … by the clock", "past every hour", "of every 2nd
hour"; one of fixed times never does: on the nights when the clocks change the two fire otherwise.
"""

from __future__ import annotations

from celery_jobsched.triggers.cron import CronFields, numbers_of, parse_cron

from .days import DaysOfYear
from .english import MOST_ITEMS, clock_time, every, listed, ordinal, ranges, run_of

__all__ = ["of_cron", "of_fields"]

_MOST_TIMES = 6
_EVERY_MINUTE = list(range(60))
_EVERY_HOUR = list(range(24))


def of_cron(text: str) -> str:
    """An expression in words, or the expression itself where there are no exact ones."""
    return of_fields(parse_cron(text)) or f"cron {text}"


def of_fields(fields: CronFields) -> str | None:
    """The fields in words: "every weekday at 09:00"; None where there are no exact ones."""
    days = DaysOfYear(fields.days, list(numbers_of(fields.months)))
    masks = (fields.seconds, fields.minutes, fields.hours)
    seconds, minutes, hours = (list(numbers_of(mask)) for mask in masks)
    if fields.wildcard:
        pace = _steps(seconds, minutes, hours) or _past(seconds, minutes, _real_hours(hours))
    elif times := _times(seconds, minutes, hours):
        return _qualified(days.with_times(times), fields)
    else:
        pace = _past(seconds, minutes, _named_hours(hours))
    return _qualified(pace and days.with_pace(pace), fields)


def _qualified(text: str | None, fields: CronFields) -> str | None:
    """*text* with the weeks and the years that it is for."""
    if text is not None and fields.days.weeks is not None:
        weeks = list(numbers_of(fields.days.weeks))
        text = _among(text, f"ISO week{'s' if len(weeks) > 1 else ''}", weeks)
    if text is not None and fields.years is not None:
        text = _among(text, "", list(numbers_of(fields.years)))
    return text


def _among(text: str, what: str, numbers: list[int]) -> str | None:
    named = ranges([str(number) for number in numbers], numbers)
    return (
        ", in ".join([text, f"{what} {listed(named)}".strip()])
        if len(named) <= MOST_ITEMS
        else None
    )


def _times(seconds: list[int], minutes: list[int], hours: list[int]) -> str | None:
    """As in "at 09:00 and 17:30", where these are few."""
    most = _MOST_TIMES if len(hours) > 1 else MOST_ITEMS
    if len(seconds) > 1 or len(hours) * len(minutes) > most:
        return None
    times = [clock_time(hour, minute, seconds[0]) for hour in hours for minute in minutes]
    return f"at {listed(times)}"


def _past(seconds: list[int], minutes: list[int], hours: str | None) -> str | None:
    """As in "at :30 past every hour from 9 to 17"."""
    if hours is None or len(seconds) > 1 or len(minutes) > MOST_ITEMS:
        return None
    second = f":{seconds[0]:02}" if seconds[0] else ""
    return f"at {listed([f':{minute:02}{second}' for minute in minutes])} past {hours}"


def _named_hours(hours: list[int]) -> str | None:
    if run_of(hours):
        return f"every hour from {hours[0]} to {hours[-1]}"
    return _hours(hours)


def _real_hours(hours: list[int]) -> str | None:
    return "every hour" if hours == _EVERY_HOUR else _every_nth_hour(hours)


def _steps(seconds: list[int], minutes: list[int], hours: list[int]) -> str | None:
    """As in "every 15 minutes by the clock", where the minutes are each n-th one."""
    if minutes == _EVERY_MINUTE and hours == _EVERY_HOUR and seconds != [0]:
        return _seconds(seconds)
    n = _step(minutes)
    if seconds != [0] or n is None or 60 % n:
        return None
    pace = every(n, "minute")
    if hours == _EVERY_HOUR:
        return f"{pace} by the clock"
    if hours == list(range(hours[0], hours[-1] + 1)):
        return f"{pace} from {clock_time(hours[0], 0)} to {clock_time(hours[-1], 60 - n)}"
    of = _every_nth_hour(hours) or _hours(hours)
    return of and f"{pace} of {of}"


def _seconds(seconds: list[int]) -> str | None:
    n = _step(seconds)
    if n is not None and 60 % n == 0:
        return f"{every(n, 'second')} by the clock"
    if len(seconds) > MOST_ITEMS:
        return None
    return f"at second {listed([*map(str, seconds)])} of every minute"


def _every_nth_hour(hours: list[int]) -> str | None:
    n = _step(hours, 24)
    return f"every {ordinal(n)} hour from 0 to {hours[-1]}" if n else None


def _hours(hours: list[int]) -> str | None:
    if not 1 < len(hours) <= MOST_ITEMS:
        return None
    return f"the hours {listed([*map(str, hours)])}"


def _step(numbers: list[int], size: int = 60) -> int | None:
    """n, where the numbers are each n-th one below *size* from 0 on, two or more."""
    if len(numbers) < 2 or numbers != list(range(0, size, numbers[1])):
        return None
    return numbers[1]
