"""Celery's own schedules in words."""

from __future__ import annotations

from celery_jobsched.triggers import Trigger
from celery_jobsched.triggers.celery import Solar
from celery_jobsched.triggers.cron import Cron
from celery_jobsched.triggers.every import Every

from .cron import of_fields
from .english import every

__all__ = ["of_celery"]

_UNITS = {"hour": 3600, "minute": 60}


def of_celery(text: str, trigger: Trigger) -> str:
    """A schedule in words, *trigger* being what its text was read as; else the text itself."""
    said = None
    if isinstance(trigger, Cron):
        said = of_fields(trigger.fields)
    elif isinstance(trigger, Every):
        said = _interval(trigger.n)
    elif isinstance(trigger, Solar):
        said = _solar(trigger)
    return said or f"celery {text}"


def _interval(seconds: float) -> str:
    for unit, length in _UNITS.items():
        if seconds % length == 0:
            return every(int(seconds) // length, unit)
    return every(seconds, "second")


def _solar(solar: Solar) -> str:
    """As in "at civil dawn at latitude 52.5, longitude 13.4"."""
    event = " ".join(reversed(solar.event.split("_")))
    event = "solar noon" if solar.event == "solar_noon" else event
    return f"at {event} at latitude {solar.latitude}, longitude {solar.longitude}"
