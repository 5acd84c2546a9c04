"""Celery's request of each task, with a fire's admission before it and its record behind.

Nobody's code is changed but the class of a task's requests: a class of ours before the one that
it has. Celery derives another one from it for each task, whose ``on_success`` and
``execute_using_pool`` call no ``super()``: those two are wrapped as that class is made.

    execute_using_pool ──▶ revoked ──▶ the pool ──▶ on_accepted ──▶ on_success
                                                              └───▶ on_failure ──▶ on_retry, reject
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, Retry
from celery.worker import state as worker_state
from kombu.asynchronous import get_event_loop
from kombu.utils.imports import symbol_by_name

from ..fire import FireState
from ..runtime import now
from .copies import Asked, copy_of
from .outcome import error_text, exception_in, result_text, seconds_until, stored_text
from .runs import End, Run, Runs

if TYPE_CHECKING:
    from celery.worker.request import Request
else:
    Request = object

_CANCELLED = "cancelled by Celery: its worker shut down cold, or lost the broker"
#: When to look whether a process has ended that was told to.
_REAP_AFTER_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


class FireRequest(Request):
    """Comes before a task's own Request class; does nothing for messages that are no fire's."""

    jobsched_runs: Runs
    jobsched_base: type[Any]
    #: This fire's run in this worker, once it was admitted.
    jobsched_run: Run | None = None
    _jobsched_leaves = False
    _jobsched_handed_over = False
    _jobsched_stored: Any = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, wrap in _WRAPPED.items():
            if name in vars(cls):
                setattr(cls, name, wrap(vars(cls)[name]))

    def revoked(self) -> bool:
        """Celery's own reasons not to run it, and then ours.

        Celery asks twice where a message may expire: when it comes, and when it leaves for the
        pool. Only what leaves is reserved.
        """
        if super().revoked():
            return True
        if not self._jobsched_leaves or self.jobsched_run is not None:
            return False
        asked = self._jobsched_asked()
        if asked is None:
            return False
        self.jobsched_run = self.jobsched_runs.admit(self, asked)
        if self.jobsched_run is None:
            self._jobsched_refuse()
        return self.jobsched_run is None

    def on_accepted(self, pid: Any, time_accepted: float) -> None:
        try:
            super().on_accepted(pid, time_accepted)
        except Exception as error:
            # A pool of threads would drop the run and tell nobody. What the broker brings again,
            # for it heard of no acknowledgement, is refused.
            if self.jobsched_run is None:
                raise
            self.jobsched_runs.tell_unacknowledged(self.jobsched_run, error)
        if self.jobsched_run is not None:
            ago = timedelta(seconds=time.monotonic() - time_accepted)
            self.jobsched_runs.started(self.jobsched_run, now() - ago)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().on_failure(exc_info, *args, **kwargs)
        finally:
            if self.jobsched_run is not None:
                self._jobsched_failed(exception_in(exc_info))

    def on_retry(self, exc_info: Any) -> Any:
        try:
            return super().on_retry(exc_info)
        finally:
            error = exception_in(exc_info)
            self._jobsched_retried(str(error), getattr(error, "when", None))

    def on_timeout(self, soft: bool, timeout: float) -> None:
        try:
            super().on_timeout(soft, timeout)
        finally:
            # Prefork has said so by on_failure before; gevent says it here alone.
            if not soft:
                self._jobsched_end(End(FireState.FAILED, error=f"TimeLimitExceeded: {timeout}"))

    def terminate(self, pool: Any, signal: Any = None) -> None:
        super().terminate(pool, signal)
        if self.jobsched_run is not None:
            _reap_soon(pool)

    def reject(self, requeue: bool = False) -> None:
        if requeue and self.jobsched_run is not None and not self.acknowledged:
            self._jobsched_handed_over = True
            self.jobsched_runs.hand_over(self.jobsched_run)
        super().reject(requeue)

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        try:
            super()._announce_revoked(  # type: ignore[misc]
                reason, terminated, signum, expired
            )
        finally:
            self._jobsched_revoked(reason, terminated, expired)

    def _announce_cancelled(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._announce_cancelled(*args, **kwargs)  # type: ignore[misc]
        finally:
            if self.jobsched_run is not None:
                # Acknowledged, nobody runs it again; else the broker delivers it again.
                state = FireState.LOST if self.acknowledged else FireState.RETRYING
                self.jobsched_run.fate = End(state, error=_CANCELLED)

    def _success_was_stored(self) -> Any:
        self._jobsched_stored = super()._success_was_stored()  # type: ignore[misc]
        return self._jobsched_stored

    def _retry_worker_lost(self, exc: Any, exc_info: Any) -> bool:
        is_retried = bool(super()._retry_worker_lost(exc, exc_info))  # type: ignore[misc]
        if is_retried:
            self._jobsched_retried(error_text(exc), self.task.default_retry_delay)
        return is_retried

    def _jobsched_asked(self) -> Asked | None:
        return copy_of(self, self.jobsched_runs.new_name)

    def _jobsched_refuse(self) -> None:
        """Drop this copy; its result, and the lists of the worker, are of the one that runs."""
        self.acknowledge()
        self._already_revoked = True
        worker_state.task_ready(self)
        run = self.jobsched_runs.of(self.id)
        running = run and run.request and run.request()
        if running is not None:
            worker_state.requests[self.id] = running

    def _jobsched_failed(self, error: Any) -> None:
        if isinstance(error, Retry):
            return
        if self._jobsched_handed_over and self.jobsched_run is not None:
            self.jobsched_runs.handed_over(self.jobsched_run, error_text(error))
        elif self._jobsched_stored:
            result = stored_text(self._jobsched_stored.get("result"))
            self._jobsched_end(End(FireState.SUCCEEDED, result=result))
        elif isinstance(error, Ignore):
            self._jobsched_end(End(FireState.SUCCEEDED, result=result_text(repr(error))))
        else:
            self._jobsched_end(End(FireState.FAILED, error=error_text(error)))

    def _jobsched_succeeded(self, outcome: Any) -> None:
        is_outcome = isinstance(outcome, tuple)
        if is_outcome and not outcome[0]:
            self._jobsched_end(End(FireState.SUCCEEDED, result=result_text(outcome[1])))
        else:
            # Here comes what on_failure was not called for: a SystemExit outside of a child.
            error = exception_in(outcome[1] if is_outcome else outcome)
            self._jobsched_end(End(FireState.FAILED, error=error_text(error)))

    def _jobsched_retried(self, error: str, when: Any) -> None:
        if self.jobsched_run is not None:
            self.jobsched_runs.retried(self.jobsched_run, error, seconds_until(when, now()))

    def _jobsched_revoked(self, reason: str, terminated: bool, expired: bool) -> None:
        if terminated:
            if self.jobsched_run is not None:
                # The pool lets go of it when its process has ended: so long it holds its slot.
                self.jobsched_run.fate = End(FireState.REVOKED, error=reason)
            return
        asked = self._jobsched_asked()
        if asked is not None:
            state = FireState.EXPIRED if expired else FireState.REVOKED
            self.jobsched_runs.withdrawn(asked, End(state, error=reason))

    def _jobsched_end(self, end: End) -> None:
        if self.jobsched_run is not None:
            self.jobsched_runs.ended(self.jobsched_run, end)


def compose(app: Any, runs: Runs) -> None:
    """Put ours before the Request class of each task of *app*, and of those that come later."""
    made: dict[type[Any], type[Any]] = {}

    def composed(task: Any) -> type[Any]:
        base = symbol_by_name(task.Request)
        base = getattr(base, "jobsched_base", base)
        if base not in made:
            body = {"jobsched_runs": runs, "jobsched_base": base}
            made[base] = type(f"Fire{base.__name__}", (FireRequest, base), body)
        return made[base]

    app.Task.Request = composed(app.Task)
    for task in app.tasks.values():
        task.Request = composed(task)


def _reap_soon(pool: Any) -> None:
    """Have the pool see soon that a process ended which it was told to end.

    It looks at once when the process has closed its files, which is a moment before there is
    anything to see, and then every five seconds: so long its slot would be held.
    """
    hub: Any = get_event_loop()
    for seconds in _REAP_AFTER_S if hub is not None else ():
        hub.call_later(seconds, pool.maintain_pool)


def _recording(inner: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(inner)
    def on_success(self: FireRequest, outcome: Any, **kwargs: Any) -> Any:
        try:
            return inner(self, outcome, **kwargs)
        finally:
            if self.jobsched_run is not None:
                self._jobsched_succeeded(outcome)

    return on_success


def _leaving(inner: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(inner)
    def execute_using_pool(self: FireRequest, pool: Any, **kwargs: Any) -> Any:
        self._jobsched_leaves = True
        return inner(self, pool, **kwargs)

    return execute_using_pool


_WRAPPED = {"on_success": _recording, "execute_using_pool": _leaving}
