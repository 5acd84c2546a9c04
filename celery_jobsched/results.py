"""How tasks ended, as Celery's result backend has it: asked where no worker said so.

A page of fires is one question where the backend can answer one. A backend that does not answer is
left alone for a while, and what rests on its answer waits for it, but not for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Thread
from typing import Any

from celery import states

from .errors import JobschedError, printable
from .fire import FireState
from .locks import LONGEST_TEXT, Report
from .runtime import Clock

logger = logging.getLogger(__name__)

_PAUSE_S = 5.0
_STATES = {
    states.SUCCESS: FireState.SUCCEEDED,
    states.FAILURE: FireState.FAILED,
    states.REVOKED: FireState.REVOKED,
}
#: Answers come to the process alone that sent the task, or nowhere.
_UNASKABLE = ("rpc", "amqp", "disabled", "cache+memory")


class ResultsAway(JobschedError):
    """The result backend does not answer."""


@dataclass
class Results:
    """The result backend of an application."""

    app: Any
    clock: Clock
    #: Seconds to wait for an answer; Celery's own patience may be minutes.
    patience: float = 5.0
    _away_since: float | None = None
    _paused_until: float = 0.0
    _asking: Thread | None = None

    @property
    def can_tell(self) -> bool:
        """Whether there is a backend that another process than a task's sender can ask."""
        url = self.app.conf.result_backend
        return bool(url) and not str(url).startswith(_UNASKABLE)

    @property
    def seconds_away(self) -> float:
        """For how long it has not answered."""
        return 0.0 if self._away_since is None else self.clock.monotonic() - self._away_since

    def are_kept(self, task: str, options: Mapping[str, Any]) -> bool:
        """Whether the end of *task*, sent with these options, will be there, as we know it."""
        known = self.app.tasks.get(task)
        usual = self.app.conf.task_ignore_result if known is None else known.ignore_result
        return self.can_tell and not options.get("ignore_result", usual)

    def ends_of(self, fires: Sequence[str], now: datetime) -> dict[str, Report]:
        """The ends that it knows of those of *fires* that it knows to have ended.

        Raises:
            ResultsAway: it does not answer; not asked again for some seconds then.
        """
        if not fires or not self.can_tell:
            return {}
        if self.clock.monotonic() < self._paused_until or self._hangs:
            raise ResultsAway("left alone since it did not answer")
        try:
            found = self._ask(fires)
        except Exception as error:
            self._failed(error)
            raise ResultsAway(str(error)) from error
        self._away_since = None
        return {id_: _report(id_, meta, now) for id_, meta in found.items()}

    @property
    def _hangs(self) -> bool:
        return self._asking is not None and self._asking.is_alive()

    def _ask(self, fires: Sequence[str]) -> dict[str, Any]:
        """Ask in a thread of its own: one that hangs must not hold up a tick."""
        backend = self.app.backend
        answers: list[dict[str, Any]] = []
        problems: list[Exception] = []

        def ask() -> None:
            try:
                answers.append(_ended(backend, fires))
            except Exception as error:  # noqa: BLE001 - whatever a backend raises: it is away
                problems.append(error)

        self._asking = Thread(target=ask, name="jobsched results", daemon=True)
        self._asking.start()
        self._asking.join(self.patience)
        for problem in problems:
            raise problem
        if not answers:
            raise TimeoutError(f"no answer within {self.patience:g} s")
        return answers[0]

    def _failed(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = self.clock.monotonic()
            logger.warning("the result backend does not answer: %s", error)
        self._paused_until = self.clock.monotonic() + _PAUSE_S


def _ended(backend: Any, fires: Sequence[str]) -> dict[str, Any]:
    if hasattr(backend, "get_many"):
        # A backend may know the question and answer one at a time alone.
        with suppress(NotImplementedError):
            # Once, without a pause.
            return dict(backend.get_many(set(fires), interval=0, max_iterations=1))
    metas = {id_: backend.get_task_meta(id_, cache=False) for id_ in fires}
    return {id_: meta for id_, meta in metas.items() if meta["status"] in states.READY_STATES}


def _report(fire: str, meta: Mapping[str, Any], now: datetime) -> Report:
    state = _STATES.get(meta["status"], FireState.FAILED)
    has_result = state is FireState.SUCCEEDED
    value = meta.get("result")
    said = _text(value, repr) if has_result else _error_text(value)
    return Report(
        fire=fire,
        state=state,
        at=_instant(meta.get("date_done")) or now,
        result=said if has_result else None,
        error=None if has_result else said,
    )


def _error_text(error: Any) -> str:
    said = _text(error, str)
    name = type(error).__name__
    return f"{name}: {said}" if isinstance(error, BaseException) and said else said or name


def _text(value: Any, told: Callable[[Any], str]) -> str:
    try:
        return printable(told(value)[:LONGEST_TEXT])
    except Exception as error:  # noqa: BLE001 - an exception of a task's own may raise anything
        return f"<{type(value).__name__}: {type(error).__name__} where its text was asked for>"


def _instant(value: Any) -> datetime | None:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None
