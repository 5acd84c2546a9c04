"""Every option, once: its default, its unit, its meaning.

Reads the Celery configuration and checks it; opens nothing. The table in
``docs/reference/settings.md`` is made from this file.
"""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import InvalidSetting, shown

logger = logging.getLogger(__name__)

PREFIX = "jobsched_"


def _option(default: Any, unit: str, meaning: str, is_secret: bool = False) -> Any:
    """*is_secret*: it can hold a password, and is not shown with the others."""
    metadata = {"unit": unit, "meaning": meaning}
    return field(default=default, repr=not is_secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The options, each read from ``jobsched_<name>`` of the Celery configuration."""

    database_url: str | Mapping[str, str] = _option(
        "sqlite:///celery-jobsched.db",
        "SQLAlchemy URL, or alias -> URL",
        "The database that holds jobs and fires; or several, each under an alias.",
        is_secret=True,
    )
    lock_backend: str | None = _option(
        None,
        "`database` or a Redis URL",
        "Where beats and workers share slots, admissions and reports. "
        "None set: the Redis of the broker, else of the result backend, else the database.",
        is_secret=True,
    )
    jobs: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict,
        metadata={
            "unit": "name -> definition",
            "meaning": "Jobs declared in the configuration; the keys are the table's columns.",
        },
    )
    calendars: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "unit": "name -> calendar",
            "meaning": "Calendars that jobs may name in `only_during` and `not_during`.",
        },
    )
    filter: Callable[[dict[str, Any]], bool] | str | None = field(
        default=None,
        metadata={
            "unit": "a function, or its dotted path",
            "meaning": "Asked whether this beat may fire a job. None set: it may fire all.",
        },
    )
    filter_timeout: float = _option(
        1.0,
        "seconds",
        "How long the filter may think about one job; then this beat leaves the job to others.",
    )
    auto_migrate: bool = _option(
        True, "yes or no", "Make or migrate the tables when a beat starts."
    )
    environment: str | None = _option(
        None,
        "a word",
        "Name of this deployment. A beat refuses to claim from a database that has another name.",
    )
    known_tasks_only: bool = _option(
        False, "yes or no", "Refuse a fire whose task, or that of a link, this beat does not know."
    )
    allowed_tasks: tuple[str, ...] | None = _option(
        None,
        "list of name patterns",
        "The tasks that jobs and their links may name (`*` and `?` match); none set: all.",
    )
    max_concurrency: int | None = _option(
        None, "runs at a time", "The limit of jobs that name none; none set: there is none."
    )
    limits: Mapping[str, int] = field(
        default_factory=dict,
        metadata={
            "unit": "key -> runs at a time",
            "meaning": "The limits of concurrency keys. Of one that is not named here: the "
            "smallest `max_concurrency` of the jobs that share it, else 1.",
        },
    )
    max_waiting: int = _option(
        100, "fires", "How many fires may wait for a key's slots; more are skipped."
    )
    lease: float = _option(
        30.0, "seconds", "How long a slot is held without renewal, where the job does not say."
    )
    resend_after: float = _option(
        60.0,
        "seconds",
        "When a fire that was sent and that no worker took is sent again, and at twice the time "
        "after each; where workers have the plugin.",
    )
    max_queue_time: float = _option(
        86400.0, "seconds", "How old a message may become that a worker still runs."
    )
    confirm_publish: bool = _option(
        True,
        "yes or no",
        "RabbitMQ: commit each batch, so that what the broker accepted is on its disk.",
    )
    poll_interval: float = _option(
        0.2, "seconds", "The longest time between two looks at the tables."
    )
    claim_limit: int = _option(500, "fires", "How many fires one transaction claims at most.")
    max_rate: float | None = _option(
        None,
        "fires a second",
        "How many fires one beat publishes at most, of all its databases together; what is more "
        "stays due. None set: no limit.",
    )
    catchup_limit: int = _option(
        100, "fires", "How many missed instants `misfire = all` makes up for at most."
    )
    decision_log: str | None = _option(
        None,
        "a path, or `-`",
        "Where a beat writes a line of JSON for each decision; `-` is standard output.",
    )
    shadow: bool = _option(
        False, "yes or no", "Claim nothing, and tell what would fire: beside another scheduler."
    )
    socket_timeout: float = _option(
        5.0, "seconds", "How long to wait for an answer of the database or the broker."
    )
    history_age: float = _option(
        30 * 86400.0, "seconds", "How long the records of fires and changes are kept."
    )
    history_count: int = _option(
        1000,
        "fires",
        "How many records of one job are kept, about: the newest, and all that are younger than "
        "`jobsched_max_queue_time`.",
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            _check(option.name, getattr(self, option.name))

    @classmethod
    def from_conf(cls, conf: Mapping[str, Any]) -> Settings:
        """Read the options from a Celery configuration, whatever its style of names.

        Raises:
            InvalidSetting: an option's value cannot be used; names the option.
        """
        found = {}
        for option in fields(cls):
            key = PREFIX + option.name
            value = conf.get(key)
            if value is None:
                value = conf.get(key.upper())
            if value is not None:
                found[option.name] = value
        if isinstance(found.get("allowed_tasks"), list | set | frozenset):
            found["allowed_tasks"] = tuple(found["allowed_tasks"])
        return cls(**found)


def unknown_options(conf: Mapping[str, Any]) -> dict[str, str | None]:
    """Each ``jobsched_*`` key that is no option, with the nearest one that is (or None)."""
    known = [option.name for option in fields(Settings)]
    unknown = {}
    for key in conf:
        prefix, found, name = str(key).lower().removeprefix("celery_").partition(PREFIX)
        if found and not prefix and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            unknown[str(key)] = PREFIX + near[0] if near else None
    return unknown


def warn_of_unknown(conf: Mapping[str, Any]) -> None:
    """Say in the log what :func:`unknown_options` finds."""
    for key, near in unknown_options(conf).items():
        logger.warning("unknown option %s%s", key, f"; did you mean {near}?" if near else "")


def options_table() -> str:
    """The options as a Markdown table: the one that the documentation shows."""
    lines = ["| option | default | unit | meaning |", "|---|---|---|---|"]
    for option in fields(Settings):
        default = getattr(Settings(), option.name)
        said = "none" if default is None or default == {} else f"`{_plain(default)}`"
        unit, meaning = option.metadata["unit"], option.metadata["meaning"]
        lines.append(f"| `{PREFIX}{option.name}` | {said} | {unit} | {meaning} |")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: It goes with each message whose locks are in its database.
_LONGEST_ALIAS = 64
#: Over a century: from now on or back it is still a date.
_LONGEST_S = 5e9
_FLAGS = {"auto_migrate", "known_tasks_only", "confirm_publish", "shadow"}
_WHOLE = {"claim_limit", "catchup_limit", "max_waiting", "history_count"}
_SECONDS = {
    "filter_timeout",
    "poll_interval",
    "socket_timeout",
    "history_age",
    "resend_after",
    "max_queue_time",
}


def _check(name: str, value: Any) -> None:
    if name in _FLAGS and not isinstance(value, bool):
        _refuse(name, value, "True or False")
    if name in _WHOLE and not (_is_whole(value) and value >= 1):
        _refuse(name, value, "a whole number of at least 1")
    if name in _SECONDS and not (_is_number(value) and 0 < value <= _LONGEST_S):
        _refuse(name, value, f"a number of seconds above 0 and up to {_LONGEST_S:g}")
    if name == "database_url":
        _check_databases(name, value)
    if name == "lock_backend" and not (value is None or (isinstance(value, str) and value)):
        _refuse(name, "…" if value else value, "database or a URL of Redis")
    if name == "environment" and not (value is None or _is_text(value)):
        _refuse(name, value, "a word")
    if name == "decision_log" and not (value is None or _is_text(value)):
        _refuse(name, value, "a path, or - for standard output")
    if name == "filter" and not (value is None or callable(value) or _is_text(value)):
        _refuse(name, value, "a function, or the dotted path of one")
    if name in {"jobs", "calendars"} and not isinstance(value, Mapping):
        _refuse(name, value, "a mapping of names to definitions")
    if name == "lease" and not (_is_number(value) and 1 <= value <= _LONGEST_S):
        _refuse(name, value, f"a number of seconds of at least 1 and up to {_LONGEST_S:g}")
    if name == "max_concurrency" and not (value is None or (_is_whole(value) and value >= 1)):
        _refuse(name, value, "a whole number of at least 1")
    if name == "max_rate" and not (value is None or (_is_number(value) and value > 0)):
        _refuse(name, value, "a number of fires a second above 0")
    if name == "limits":
        _check_limits(name, value)
    if name == "allowed_tasks" and not (
        value is None or (isinstance(value, tuple) and all(isinstance(x, str) for x in value))
    ):
        _refuse(name, value, "a list of task name patterns")


def _check_databases(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        if not _is_text(value):
            _refuse(name, "…" if value else value, "a URL, or a mapping of aliases to URLs")
        return
    if not value:
        _refuse(name, dict(value), "a URL, or a mapping of at least one alias to a URL")
    for alias, url in value.items():
        if not (isinstance(alias, str) and alias.isidentifier() and len(alias) <= _LONGEST_ALIAS):
            seen = "…" if ":" in str(alias) else alias
            _refuse(name, seen, f"aliases of up to {_LONGEST_ALIAS} letters, digits and _")
        if not _is_text(url):
            _refuse(f"{name}[{alias!r}]", "…" if url else url, "a URL")


def _check_limits(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        _refuse(name, value, "a mapping of concurrency keys to numbers of runs")
    for key, most in value.items():
        if not (isinstance(key, str) and _is_whole(most) and most >= 1):
            _refuse(name, {key: most}, "a key and a whole number of at least 1")


def _refuse(name: str, value: Any, expected: str) -> None:
    raise InvalidSetting(f"{PREFIX}{name}: expected {expected}, got: {shown(value)}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
