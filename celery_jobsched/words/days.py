"""Days, months and weekdays in words: "every weekday", "on the 1st and 15th of each month".

What cannot be said exactly is None.
"""

from __future__ import annotations

from dataclasses import dataclass

from celery_jobsched.triggers.cron.days import (
    EVERY_DAY,
    EVERY_WEEKDAY,
    DaySet,
    MonthDays,
    numbers_of,
)

from .english import MONTHS, MOST_ITEMS, WEEKDAYS, listed, ordinal, ranges, run_of

__all__ = ["DaysOfYear", "in_months", "named_weekdays", "of_months", "places"]

_EVERY_MONTH = list(range(1, 13))
_WORKDAYS = list(range(5))
#: From Sunday on, as cron counts them.
_NAMES = (WEEKDAYS[-1], *WEEKDAYS[:-1])
_ODD, _EVEN = list(range(1, 32, 2)), list(range(2, 32, 2))


@dataclass(frozen=True)
class DaysOfYear:
    """The days of these months (1 to 12) that match."""

    days: MonthDays
    months: list[int]

    def with_times(self, times: str) -> str | None:
        """The days, with times that come once on each: "every Monday at 09:00"."""
        if self._is_either:
            return self.with_pace(times)
        if self._is_dated:
            days = self._on_dates()
        else:
            weekdays = "day" if self._any_weekday else _weekdays(self.days.weekday)
            days = weekdays and f"every {weekdays}{in_months(self.months)}"
        return days and f"{days} {times}"

    def with_pace(self, pace: str) -> str | None:
        """The days, with what comes often on each: "at :30 past every hour on Mondays"."""
        if self._is_either:
            days = self._on_either()
        elif self._is_dated:
            days = self._on_dates()
        elif self._any_weekday:
            days = in_months(self.months).strip()
        else:
            weekdays = _weekdays(self.days.weekday, plural=True)
            days = weekdays and f"on {weekdays}{in_months(self.months)}"
        return None if days is None else f"{pace} {days}".rstrip()

    @property
    def _any_day(self) -> bool:
        return self.days.day.numbers == EVERY_DAY

    @property
    def _any_weekday(self) -> bool:
        free = self.days.weekday.weekdays == EVERY_WEEKDAY
        return free or (self.days.either and self._any_day)

    @property
    def _is_dated(self) -> bool:
        """Whether it is the place in the month that matters."""
        if self.days.either and (self._any_day or self._any_weekday):
            return False
        return not self._any_day or bool(self.days.weekday.nth)

    @property
    def _is_either(self) -> bool:
        return self.days.either and self._is_dated

    def _on_dates(self) -> str | None:
        """As in "on the 1st of each month" or "on Fridays that fall on the 13th of June"."""
        if self._any_day:
            return self._on(places(self.days.weekday))
        if self._any_weekday:
            return self._on(places(self.days.day))
        weekdays = _weekdays(self.days.weekday, plural=True)
        dates = places(self.days.day, "or")
        return self._on(weekdays and dates and f"{weekdays} that fall on {dates}")

    def _on_either(self) -> str | None:
        """As in "on the 13th of the month or on Friday, in June"."""
        dates = places(self.days.day, "or")
        weekdays = _weekdays(self.days.weekday, "or")
        if self.days.weekday.nth:
            nth = places(self.days.weekday, "or")
            weekdays = nth and f"{nth} of it"
        if dates is None or weekdays is None:
            return None
        months = in_months(self.months) and f",{in_months(self.months)}"
        return f"on {dates} of the month or on {weekdays}{months}"

    def _on(self, places: str | None) -> str | None:
        return places and f"on {places}{of_months(self.months)}"


def in_months(months: list[int]) -> str:
    """As in " in January and July" or " from April to September"; nothing for all of them."""
    if months == _EVERY_MONTH:
        return ""
    names = [MONTHS[month - 1] for month in months]
    return f" from {names[0]} to {names[-1]}" if run_of(months) else f" in {listed(names)}"


def of_months(months: list[int]) -> str:
    """As in " of January and July" or " of each month from April to September"."""
    if months == _EVERY_MONTH or run_of(months):
        return f" of each month{in_months(months)}"
    return in_months(months).replace(" in ", " of ", 1)


def places(days: DaySet, last: str = "and") -> str | None:
    """Days by their place in the month: "the 1st and 15th", "the last weekday"."""
    numbers = list(numbers_of(days.numbers))
    others = [*_from_end(days), *_nearest(days), *_nth(days)]
    if days.weekdays or len(numbers) + len(others) == 0:
        return None
    if numbers in (_ODD, _EVEN):
        return listed(["odd days" if numbers == _ODD else "even days", *others], last)
    named = ranges([ordinal(number) for number in numbers], numbers)
    if len(named) + len(others) > MOST_ITEMS:
        return None
    if not others:
        return f"the {listed(named, last)}"
    return listed([*(f"the {each}" for each in named), *others], last)


def _from_end(days: DaySet) -> list[str]:
    found = list(numbers_of(days.from_end))
    if run_of(found) and found[0] == 0:
        return [f"the last {len(found)} days"]
    return [_before_last(back) for back in found]


def _nearest(days: DaySet) -> list[str]:
    """The last weekday is what the sign LW says: the one nearest to the last day."""
    nearest = "the weekday nearest to "
    found = [f"{nearest}the {ordinal(day)}" for day in numbers_of(days.nearest)]
    for back in numbers_of(days.nearest_from_end):
        found.append(f"{nearest}{_before_last(back)}" if back else "the last weekday")
    return found


def _nth(days: DaySet) -> list[str]:
    """The nth ones of a weekday: "the 2nd Friday"; n = 0 is the last."""
    places = (divmod(each, 7) for each in numbers_of(days.nth))
    return [f"the {ordinal(n) if n else 'last'} {_NAMES[weekday]}" for n, weekday in places]


def _before_last(back: int) -> str:
    return f"the {ordinal(back)} day before the last" if back else "the last day"


def _weekdays(days: DaySet, last: str = "and", plural: bool = False) -> str | None:
    """Weekdays of each week; None of a set that has one of a certain week, too."""
    if days.nth:
        return None
    weekdays = sorted((weekday - 1) % 7 for weekday in numbers_of(days.weekdays))
    return named_weekdays(weekdays, last, plural)


def named_weekdays(weekdays: list[int], last: str = "and", plural: bool = False) -> str:
    """As in "Monday and Friday", "Mondays to Thursdays", "weekday"; Monday is 0."""
    end = "s" if plural else ""
    if weekdays == _WORKDAYS:
        return f"weekday{end}" if last == "and" else "a weekday"
    names = [WEEKDAYS[weekday] + end for weekday in weekdays]
    return f"{names[0]} to {names[-1]}" if run_of(weekdays) else listed(names, last)
