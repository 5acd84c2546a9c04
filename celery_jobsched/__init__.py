"""A Celery Beat scheduler that keeps its jobs in a SQL database and fires each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    BrokerAway,
    EnvironmentMismatch,
    InvalidJob,
    InvalidSetting,
    InvalidSource,
    JobChanged,
    JobExistError,
    JobNotFound,
    JobOwned,
    JobschedError,
    LocksAway,
    NextFireTimeError,
    NoWorkers,
    SchemaMismatch,
)

if TYPE_CHECKING:
    from .beat import Scheduler
    from .current import CurrentFire, current_fire
    from .job import Job
    from .jobs import Jobs
    from .triggers.custom import register_trigger

__version__ = "0.1.0"

__all__ = [
    "BrokerAway",
    "CurrentFire",
    "EnvironmentMismatch",
    "InvalidJob",
    "InvalidSetting",
    "InvalidSource",
    "Job",
    "JobChanged",
    "JobExistError",
    "JobNotFound",
    "JobOwned",
    "Jobs",
    "JobschedError",
    "LocksAway",
    "NextFireTimeError",
    "NoWorkers",
    "Scheduler",
    "SchemaMismatch",
    "current_fire",
    "register_trigger",
]

_ROOMS = {
    "CurrentFire": "current",
    "Job": "job",
    "Jobs": "jobs",
    "Scheduler": "beat",
    "current_fire": "current",
    "register_trigger": "triggers.custom",
}


def __getattr__(name: str) -> Any:
    # Every worker imports this package for its command line: what is heavy comes when it is used.
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
