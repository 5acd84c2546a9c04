"""The filter: a function of the user's that says whether this beat may fire a job.

Finding it, asking it once, and what its answers mean. Only True and False are answers: a filter
that forgot its ``return`` must not fire anything, and one that is async answers nothing at all.
When and where it is asked is told in ``asking``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from types import TracebackType
from typing import Any

from celery.utils.imports import symbol_by_name

from .errors import InvalidSetting, shown
from .job import Job
from .store.pages import Cause, Refusal, Seen

Filter = Callable[[dict[str, Any]], bool]

_OPTION = "jobsched_filter"
#: What a filter finds of each job, though the job has none.
_EMPTY: dict[str, Callable[[], Any]] = {
    "args": list, "kwargs": dict, "options": dict, "labels": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came of a question: no reason to leave the job to others, or one."""

    reason: str | None = None
    cause: Cause = Cause.FILTERED
    error: BaseException | None = None

    def refusal(self, seen: Seen, job: Job) -> Refusal:
        """The refusal of that row for this reason."""
        return Refusal(seen, job.name, self.reason or "", self.cause, self.error)


ALLOWED = Answer()
REFUSED = Answer("jobsched_filter says no here")


def load_filter(value: Any) -> Filter:
    """The filter that the configuration names, or holds.

    Raises:
        InvalidSetting: it cannot be imported, or cannot be asked about a job.
    """
    found = _imported(value) if isinstance(value, str) else value
    if not callable(found):
        _refuse(value, "a function", found)
    if inspect.isclass(found):
        _refuse(value, "a function, or an object of a class that can be called", found)
    if _is_async(_unwrapped(found)) or _is_async(type(found).__call__):
        _refuse(value, "a plain function, not an async one or a generator", found)
    if not _takes_a_job(found):
        _refuse(value, "a function of one argument, the job", found)
    return found  # type: ignore[no-any-return]


def definition_of(job: Job) -> dict[str, Any]:
    """What a filter gets: the job's definition with its name, and what else it may count on."""
    empty = {name: make() for name, make in _EMPTY.items()}
    return {"name": job.name, **empty, **job.to_dict()}


def answer_about(job: Job, by: Filter) -> Answer:
    """What the filter says about a job; whatever it raises is an answer, too."""
    try:
        said = by(definition_of(job))
    except BaseException as error:  # noqa: BLE001 - a SystemExit would end the helper alone
        place = _place(error.__traceback__)
        return Answer(f"jobsched_filter raised {type(error).__name__} {place}", Cause.RAISED, error)
    if said is True:
        return ALLOWED
    return REFUSED if said is False else _wrong(said)


def _wrong(said: Any) -> Answer:
    """Told by its kind, not by its value: that could be another one for each job."""
    if inspect.iscoroutine(said):
        said.close()
    what = "None" if said is None else f"with an object of {type(said).__name__}"
    return Answer(f"jobsched_filter answered {what}, not True or False", Cause.WRONG_ANSWER)


def _imported(path: str) -> Any:
    try:
        return symbol_by_name(path)
    except Exception as error:  # a module may raise anything while it is imported
        expected = "a function, or the dotted path of one that can be imported"
        raised = f"{type(error).__name__}: {error}"
        raise InvalidSetting(f"{_OPTION}: expected {expected}, got: {path!r} ({raised})") from error


def _refuse(value: Any, expected: str, found: Any) -> None:
    where = f"{value!r}, which is " if isinstance(value, str) else ""
    raise InvalidSetting(f"{_OPTION}: expected {expected}, got: {where}{shown(found)}")


def _unwrapped(found: Any) -> Any:
    while isinstance(found, partial):
        found = found.func
    return inspect.unwrap(found)


def _is_async(function: Any) -> bool:
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    )


def _takes_a_job(function: Any) -> bool:
    try:
        signature = inspect.signature(function)
    except ValueError:  # some of C have none
        return True
    try:
        signature.bind({})
    except TypeError:
        return False
    return True


def _place(traceback: TracebackType | None) -> str:
    """File and line that an error comes from."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "nowhere"
    file = PurePath(traceback.tb_frame.f_code.co_filename).name
    return f"at {file}:{traceback.tb_lineno}"
