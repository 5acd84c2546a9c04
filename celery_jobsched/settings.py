"""Every option, once: its default, its unit, its meaning.

Reads the Celery configuration and checks it; opens nothing. The table in
``docs/reference/settings.md`` is made from this file.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import InvalidSetting, shown

PREFIX = "jobsched_"


def _option(default: Any, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """The options, each read from ``jobsched_<name>`` of the Celery configuration."""

    database_url: str = _option(
        "sqlite:///celery-jobsched.db",
        "SQLAlchemy URL",
        "The database that holds jobs and fires.",
    )
    lock_backend: str | None = _option(
        None,
        "`database` or a Redis URL",
        "Where beats and workers share slots, admissions and reports. "
        "None set: the Redis of the broker, else of the result backend, else the database.",
    )
    jobs: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict,
        metadata={
            "unit": "name -> definition",
            "meaning": "Jobs declared in the configuration; the keys are the table's columns.",
        },
    )
    auto_migrate: bool = _option(
        True, "yes or no", "Make or migrate the tables when a beat starts."
    )
    environment: str | None = _option(
        None,
        "a word",
        "Name of this deployment. A beat refuses to claim from a database of another one.",
    )
    known_tasks_only: bool = _option(
        False, "yes or no", "Refuse a fire whose task this beat does not know."
    )
    allowed_tasks: tuple[str, ...] | None = _option(
        None,
        "list of name patterns",
        "The tasks that jobs and their links may name (`*` and `?` match); none set: all.",
    )
    max_concurrency: int | None = _option(
        None, "runs at a time", "Not used yet, and refused: the limit of jobs that name none."
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
    catchup_limit: int = _option(
        100, "fires", "How many missed instants `misfire = all` makes up for at most."
    )
    socket_timeout: float = _option(
        5.0, "seconds", "How long to wait for an answer of the database or the broker."
    )
    history_age: float = _option(
        30 * 86400.0, "seconds", "How long the records of fires and changes are kept."
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


_FLAGS = {"auto_migrate", "known_tasks_only", "confirm_publish"}
_WHOLE = {"claim_limit", "catchup_limit"}
_SECONDS = {"poll_interval", "socket_timeout", "history_age"}


def _check(name: str, value: Any) -> None:
    if name in _FLAGS and not isinstance(value, bool):
        _refuse(name, value, "True or False")
    if name in _WHOLE and not (_is_whole(value) and value >= 1):
        _refuse(name, value, "a whole number of at least 1")
    if name in _SECONDS and not (_is_number(value) and value > 0):
        _refuse(name, value, "a number of seconds above 0")
    if name == "database_url" and not (isinstance(value, str) and value):
        _refuse(name, "…" if value else value, "a URL")
    if name == "lock_backend" and not (value is None or (isinstance(value, str) and value)):
        _refuse(name, "…" if value else value, "database or a URL of Redis")
    if name == "environment" and not (value is None or (isinstance(value, str) and value)):
        _refuse(name, value, "a word")
    if name == "jobs" and not isinstance(value, Mapping):
        _refuse(name, value, "a mapping of names to definitions")
    if name == "max_concurrency" and value is not None:
        _refuse(name, value, "none: limits need slots, which this release does not have yet")
    if name == "allowed_tasks" and not (
        value is None or (isinstance(value, tuple) and all(isinstance(x, str) for x in value))
    ):
        _refuse(name, value, "a list of task name patterns")


def _refuse(name: str, value: Any, expected: str) -> None:
    raise InvalidSetting(f"{PREFIX}{name}: expected {expected}, got: {shown(value)}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
