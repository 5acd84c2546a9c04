"""Publishing a batch of fires, and saying what became of each.

Through the scheduler's ``apply_entry``, so that signals and monitors see each fire as they see
Celery's own. What was decided about a fire is written down elsewhere: see ``dispatch``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, cast

from celery.beat import ScheduleEntry
from celery.result import denied_join_result
from kombu.exceptions import OperationalError

from .entries import FireEntry, entry_for, this_process
from .errors import JobschedError, shown
from .fire import Fire
from .job import Job
from .limits import Rights
from .rate import Urgency
from .settings import Settings
from .store.deliveries import Delivery
from .ticket import Ticket

_MOST_DECLARED = 10_000


class BrokerTrouble(JobschedError):
    """The broker did not take a batch; what became of it is unknown."""


class _JoinsDenied:
    """As ``denied_join_result``, whose switch all threads share: the last of them sets it back."""

    def __init__(self) -> None:
        self._lock, self._inside, self._switch = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._switch.enter_context(denied_join_result())
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._switch.close()


_JOINS_DENIED = _JoinsDenied()


@dataclass
class Outcome:
    """What became of a batch: fire ids, and problems by fire id."""

    sent: list[str] = field(default_factory=list)
    #: Not tried: there is no broker, or the time that this beat owns the batch ran out.
    left: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    trouble: BaseException | None = None


@dataclass
class Publisher:
    """Publishes fires through a scheduler's ``apply_entry``, so that monitors see them.

    ``apply_entry`` and ``apply_async`` are the scheduler's; both take an entry and a producer.
    ``ticket_for`` gives what a worker needs to know for admission.
    """

    app: Any
    settings: Settings
    apply_entry: Callable[..., Any]
    apply_async: Callable[..., Any]
    ticket_for: Callable[[Fire, Rights], Ticket]
    monotonic: Callable[[], float] = time.monotonic
    _declared: set[tuple[Any, ...]] = field(default_factory=set)
    _origin: str = field(default_factory=this_process)

    @property
    def is_eager(self) -> bool:
        """Whether what is sent has run by then, as tests have it: nobody reports of it."""
        return bool(self.app.conf.task_always_eager)

    def forget(self) -> None:
        """Forget what was declared: the connection is another one now."""
        self._declared.clear()

    def publish(self, deliveries: Sequence[Delivery], producer: Any, until: float) -> Outcome:
        """Send a batch, as much of it as goes before *until* (monotonic seconds).

        Never raises but for what ends the process.
        """
        outcome = Outcome()
        wanted = [each for each in deliveries if self._is_wanted(each, outcome)]
        published: list[str] = []
        try:
            with _JOINS_DENIED, _batch(producer):
                for each in wanted:
                    if self.monotonic() > until:
                        outcome.left.append(each.fire.id)
                    else:
                        self._publish(each, producer, outcome, published)
            self._commit(producer)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the rows are the record
            outcome.trouble = error
            if _is_deferred(producer, self.settings):
                published = []
        outcome.sent = published
        known = {*outcome.sent, *outcome.left, *(id_ for id_, _ in outcome.failed)}
        outcome.unknown = [each.fire.id for each in wanted if each.fire.id not in known]
        return outcome

    def _publish(
        self, delivery: Delivery, producer: Any, outcome: Outcome, published: list[str]
    ) -> None:
        fire, job = delivery.fire, cast(Job, delivery.job)
        key = _route_key(fire, job)
        try:
            ticket = self.ticket_for(fire, delivery.rights)
            entry = entry_for(self.app, fire, job, ticket, key in self._declared, self._origin)
        except Exception as error:  # noqa: BLE001 - what cannot be made fails alone
            outcome.failed.append((fire.id, f"{type(error).__name__}: {error}"))
            return
        self._apply(entry, producer)
        if entry.problem is None:
            published.append(fire.id)
            self._note_declared(key)
        elif _is_trouble(entry.problem, producer):
            raise BrokerTrouble(str(entry.problem)) from entry.problem
        else:
            outcome.failed.append((fire.id, f"{type(entry.problem).__name__}: {entry.problem}"))

    def _apply(self, entry: FireEntry, producer: Any) -> None:
        # A monitor opens a check-in at apply_entry; the copy that is refused would never close it.
        if entry.fire.publishes <= 1:
            self.apply_entry(entry, producer=producer)
            return
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as error:  # noqa: BLE001 - as apply_entry does
            entry.problem = entry.problem or error

    def wants(self, delivery: Delivery) -> bool:
        """Whether a fire is to be published at all."""
        return self._is_wanted(delivery, Outcome())

    def _is_wanted(self, delivery: Delivery, outcome: Outcome) -> bool:
        fire, job = delivery.fire, delivery.job
        if delivery.problem is not None:
            outcome.failed.append((fire.id, delivery.problem))
        elif job is None or (fire.origin.is_clock and not job.enabled):
            outcome.cancelled.append(fire.id)
        elif problem := self._refusal(fire.task or job.task, job):
            outcome.failed.append((fire.id, problem))
        else:
            return True
        return False

    def _refusal(self, task: str, job: Job) -> str | None:
        is_known_only, allowed = self.settings.known_tasks_only, self.settings.allowed_tasks
        for each in map(str, (task, *_links_of(job))):
            if is_known_only and each not in self.app.tasks:
                return f"task: expected one that this beat knows, got: {shown(each)}"
            if allowed is not None and not any(fnmatchcase(each, it) for it in allowed):
                return f"task: expected one of jobsched_allowed_tasks, got: {shown(each)}"
        return None

    def _note_declared(self, key: tuple[Any, ...]) -> None:
        if len(self._declared) >= _MOST_DECLARED:
            self._declared.clear()
        self._declared.add(key)

    def _commit(self, producer: Any) -> None:
        """RabbitMQ: wait until what it accepted is safe. Others have nothing to commit."""
        if _is_transactional(producer, self.settings):
            producer.channel.tx_commit()


#: The transport options that bound a wait, by the kind of broker.
_TIMEOUTS = {
    "redis": ("socket_timeout", "socket_connect_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
}


def bounded_connection(app: Any, timeout: float) -> Any:
    """A connection to the broker, each wait for which ends after *timeout* seconds; not open."""
    connection = app.connection_for_write()
    for name in _TIMEOUTS.get(connection.transport.driver_type, ()):
        connection.transport_options.setdefault(name, timeout)
    return connection


def urgency_of(app: Any) -> Urgency:
    """By which priorities the broker of *app* hands out its messages; opens nothing.

    https://docs.celeryq.dev/en/stable/userguide/routing.html#redis-message-priorities
    """
    usual = app.conf.task_default_priority or 0
    return Urgency(app.connection_for_write().transport.driver_type == "redis", usual)


def begin_transactions(producer: Any, settings: Settings) -> None:
    """RabbitMQ: group what this producer publishes; done once a channel."""
    if _is_transactional(producer, settings):
        producer.channel.tx_select()


def _is_transactional(producer: Any, settings: Settings) -> bool:
    connection = producer.connection
    confirms = (connection.transport_options or {}).get("confirm_publish")
    return settings.confirm_publish and not confirms and hasattr(producer.channel, "tx_select")


def _is_deferred(producer: Any, settings: Settings) -> bool:
    """Whether what was published reaches the broker only with the end of its batch."""
    batches = getattr(producer, "supports_batch_publish", False)
    return bool(batches) or _is_transactional(producer, settings)


def _batch(producer: Any) -> Any:
    # kombu before 5.7 has no batches, nor have most transports: then each goes at once.
    batch = getattr(producer, "batch", None)
    return batch() if batch is not None else nullcontext()


def _is_trouble(problem: BaseException, producer: Any) -> bool:
    """Whether the broker is at fault, not the message."""
    connection = producer.connection
    kinds = (*connection.connection_errors, *connection.channel_errors, OperationalError, OSError)
    return isinstance(problem, kinds)


def _route_key(fire: Fire, job: Job) -> tuple[Any, ...]:
    where = (str(job.options.get(name)) for name in ("queue", "exchange", "routing_key"))
    return (fire.task or job.task, *where)


def _links_of(job: Job) -> Iterable[Any]:
    """The names of the tasks that would run after *job*'s own."""
    for name in ("link", "link_error"):
        yield from _linked(job.options.get(name))


def _linked(link: Any) -> Iterable[Any]:
    """The names of the tasks that a signature, or a list of them, would call.

    What a plain signature's arguments are is data; those of a chain, group or chord are signatures.
    """
    if isinstance(link, list | tuple):
        for each in link:
            yield from _linked(each)
    elif isinstance(link, dict):
        task = link.get("task")
        yield from _linked(task) if isinstance(task, dict) else (task,)
        is_plain = not link.get("subtask_type") and not str(task).startswith("celery.")
        for key, value in link.items():
            if not (is_plain and key in {"args", "kwargs"}):
                yield from _signatures_in(value)
    elif link is not None:
        yield link


def _signatures_in(value: Any) -> Iterable[Any]:
    """The names of the tasks of signatures wherever they stand; headers that name one count."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _signatures_in(each)
    elif isinstance(value, dict):
        if "task" in value:
            yield from _linked(value)
        else:
            yield from _signatures_in(list(value.values()))


def noted(entry: ScheduleEntry, publish: Callable[[], Any]) -> Any:
    """Publish, leaving on the entry what went wrong: ``apply_entry`` tells nobody."""
    if not isinstance(entry, FireEntry):
        return publish()
    try:
        return publish()
    except Exception as error:
        entry.problem = error.__context__ or error
        raise
