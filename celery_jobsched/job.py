"""A job: what to run and when, as one frozen value, checked when it is made.

Reads definitions (the configuration's or the table's) and answers when the job fires next. What a
fire does, who may claim it and where it is kept is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from . import fields as read
from .clock import TICK, LocalTimes, has_jump_at, nominal_times, to_local, zone
from .definition import calendar_names, named, read_values
from .errors import InvalidJob, shown
from .triggers import Trigger, local_times_of
from .triggers.custom import is_registered, parse_custom
from .when import NOT_MADE, limited, require_allowed, require_coming, times_of
from .words import describe

#: The columns that say when; a job needs one of them.
TRIGGERS = ("every", "cron", "once", "rrule", "celery", "keyword", "custom")

_FIRST_YEARS = timedelta(days=3660)


@dataclass(frozen=True)
class Job:
    """One row of ``jobsched_jobs``, checked; every value in its canonical form.

    Make one with :meth:`from_dict`; instants are aware UTC, durations seconds.
    """

    name: str
    task: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    every: str | None = None
    at: str | None = None
    cron: str | None = None
    once: str | None = None
    rrule: str | None = None
    celery: str | None = None
    keyword: str | None = None
    custom: str | None = None
    timezone: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    only_during: str | None = None
    not_during: str | None = None
    on_excluded: str | None = None
    max_fires: int | None = None
    jitter: float | None = None
    max_concurrency: int | None = None
    concurrency_key: str | None = None
    overlap: str | None = None
    misfire: str | None = None
    misfire_grace_time: float | None = None
    lease: float | None = None
    max_failures: int | None = None
    month_end: str | None = None
    dst_gap: str | None = None
    dst_fold: str | None = None
    on_end: str | None = None
    on_success: str | None = None
    on_failure: str | None = None
    enabled: bool = True

    # state, the scheduler's own: what the row remembers, no part of the definition
    id: int | None = field(default=None, compare=False)
    version: int = field(default=0, compare=False)
    created_at: datetime | None = field(default=None, compare=False)
    next_fire_at: datetime | None = field(default=None, compare=False)
    last_fire_at: datetime | None = field(default=None, compare=False)
    fire_count: int = field(default=0, compare=False)
    failure_count: int = field(default=0, compare=False)
    paused_until: datetime | None = field(default=None, compare=False)
    #: The zone of a job that names none: the application's.
    default_timezone: str = field(default="UTC", compare=False)
    #: What the names of calendars stand for; None while that is not known.
    calendars: Mapping[str, str] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_dict(
        cls,
        name: str,
        definition: Mapping[str, Any],
        default_timezone: str = "UTC",
        calendars: Mapping[str, str] | None = None,
    ) -> Job:
        """Read a definition: the table's columns as keys, Python's or the table's values.

        *calendars* are those that it may name, by name; where none are given, what it names is
        asked for only when it is asked when it fires.

        Raises:
            InvalidJob: names the job, the field, what was expected and what came.
        """
        if not isinstance(name, str):
            raise InvalidJob("name", name, "a text").of(shown(name))
        try:
            read.text(255)("name", name)
            given = named(definition)
            values = read_values(given, default_timezone)
            made = cls(name=name, default_timezone=default_timezone, calendars=calendars, **values)
            made.check()
        except InvalidJob as error:
            raise error.of(name) from None
        return made

    @classmethod
    def of_values(cls, **values: Any) -> Job:
        """The job of these *values*, unread and unchecked; none that is made anew is left out.

        Fifteen times as fast as to set fifty fields of a frozen dataclass one by one.
        """
        made = object.__new__(cls)
        vars(made).update(_BLANK, **values)
        return made

    def to_dict(self) -> dict[str, Any]:
        """The definition that :meth:`from_dict` makes an equal job of; defaults are left out."""
        return {
            name: value for name in DEFINITION if (value := getattr(self, name)) != _DEFAULTS[name]
        }

    def to_plain(self) -> dict[str, Any]:
        """The same in what JSON has."""
        return {name: read.plain(value) for name, value in self.to_dict().items()}

    def check(self) -> None:
        """Refuse a job whose fields contradict each other or that would never fire.

        Raises:
            InvalidJob: names the field, not the job.
        """
        if not any(getattr(self, name, None) is not None for name in TRIGGERS):
            raise InvalidJob("every", None, f"one of {', '.join(TRIGGERS)} to say when")
        if self.at is not None and self.every is None:
            raise InvalidJob("at", self.at, "nothing without every, which it refines")
        if self.starts_at and self.ends_at and self.ends_at < self.starts_at:
            raise InvalidJob("ends_at", self.ends_at.isoformat(), f"not before {self.starts_at}")
        if self.lacks is not None:
            return
        require_coming(self, self.times)
        if self.calendars is not None or not calendar_names(vars(self)):
            require_allowed(self)

    @property
    def zone_name(self) -> str:
        """The zone that the job's local times are in."""
        return self.timezone or self.default_timezone

    @property
    def has_calendars(self) -> bool:
        """Whether calendars say when it may fire."""
        return self.only_during is not None or self.not_during is not None

    @property
    def lacks(self) -> str | None:
        """What this process lacks to tell when the job fires, in words; None when nothing.

        That is no error of the job: another process may have it.
        """
        if self.custom is None or is_registered(name := parse_custom(self.custom)[0]):
            return None
        return f"no trigger {name} is registered"

    @cached_property
    def first_past(self) -> datetime | None:
        """Where a new job's past ends: the whole second it was made in, that one included."""
        return self.created_at and self.created_at.replace(microsecond=0)

    @cached_property
    def trigger(self) -> Trigger:
        """When it fires, counted from its anchor: ``starts_at``, else the second it was made in."""
        return limited(self, self.times)

    @cached_property
    def times(self) -> Trigger:
        """When it would fire, were there no calendars."""
        return times_of(self, self.first_past or NOT_MADE)

    def trigger_from(self, made_at: datetime) -> Trigger:
        """When it would fire, had it been made at *made_at*."""
        return limited(self, times_of(self, made_at.replace(microsecond=0)))

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """The next *count* instants strictly after *after*, aware UTC, oldest first.

        Of a job that is not saved yet: as though it were made at *after*.
        """
        trigger = self.trigger if self.created_at else self.trigger_from(after)
        found: list[datetime] = []
        instant = self._next(trigger, after)
        while instant is not None and len(found) < count:
            found.append(instant)
            instant = self._next(trigger, instant)
        return found

    def previous(self, before: datetime, count: int) -> list[datetime]:
        """The last *count* instants strictly before *before*, aware UTC, newest first."""
        trigger = self.trigger if self.created_at else self.trigger_from(before - _FIRST_YEARS)
        found: list[datetime] = []
        instant = self._previous(trigger, before)
        while instant is not None and len(found) < count:
            found.append(instant)
            instant = self._previous(trigger, instant)
        return found

    def nominal(self, fire_at: datetime) -> datetime:
        """The local time (naive) that a fire at *fire_at* stands for: 02:30 of a night without.

        Of several the first; what the clocks show where no trigger tells another.
        """
        here = zone(self.zone_name)
        shown = to_local(fire_at, here)
        if not has_jump_at(fire_at, here):
            return shown
        found = (next(nominal_times(fire_at, each), None) for each in self.local_times)
        return min((each for each in found if each is not None), default=shown)

    @property
    def local_times(self) -> list[LocalTimes]:
        """The series of local times of the job's own zone that it fires by, whatever calendars say.

        Empty where this process lacks a trigger.
        """
        if self.lacks:
            return []
        here = zone(self.zone_name)
        return [each for each in local_times_of(self.times) if each.zone == here]

    def describe(self, briefly: bool = False) -> str:
        """When it fires, in words: "every weekday at 09:00 Europe/Berlin"."""
        return describe(self, briefly)

    def next_after(self, instant: datetime) -> datetime | None:
        """The next instant strictly after *instant* and within the job's bounds."""
        return self._next(self.trigger, instant)

    def previous_before(self, instant: datetime) -> datetime | None:
        """The last instant strictly before *instant* and within the job's bounds."""
        return self._previous(self.trigger, instant)

    def _next(self, trigger: Trigger, instant: datetime) -> datetime | None:
        if self.starts_at and instant < self.starts_at:
            instant = self.starts_at - TICK
        found = trigger.next_after(instant)
        return None if found is None or (self.ends_at and found > self.ends_at) else found

    def _previous(self, trigger: Trigger, instant: datetime) -> datetime | None:
        if self.ends_at and instant > self.ends_at:
            instant = self.ends_at + TICK
        found = trigger.previous_before(instant)
        return None if found is None or (self.starts_at and found < self.starts_at) else found


_BLANK = {f.name: f.default for f in fields(Job) if f.default is not MISSING}
#: The fields that a definition may set, in the order of the table.
DEFINITION = tuple(f.name for f in fields(Job) if f.compare and f.name != "name")
_DEFAULTS = {
    name: getattr(Job(name="-", task=""), name) if name != "task" else None for name in DEFINITION
}
