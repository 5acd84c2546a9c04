"""Signals of the scheduler's own, sent in the process where something happened.

A receiver that raises is logged and harms nobody: Celery's signals see to that.
"""

from celery.utils.dispatch import Signal

#: A fire reached the broker. Arguments: ``job`` (name), ``fire_id``, ``fire_at``, ``origin``.
fire_sent = Signal(name="fire_sent", providing_args=["job", "fire_id", "fire_at", "origin"])

#: Instants went by unfired. Arguments: ``job``, ``fire_at``, ``until_at``, ``count`` (or None).
fire_missed = Signal(name="fire_missed", providing_args=["job", "fire_at", "until_at", "count"])

#: A fire can never be published. Arguments: ``job``, ``fire_id``, ``fire_at``, ``error``.
fire_failed = Signal(name="fire_failed", providing_args=["job", "fire_id", "fire_at", "error"])

#: A job's row cannot be read. Arguments: ``job``, ``error``.
job_error = Signal(name="job_error", providing_args=["job", "error"])
