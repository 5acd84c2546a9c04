"""The steps by which a beat acts on the world outside, counted, and a stop at one of them.

    steps = Steps(stop_at=7)
    steps.of_database(engine)
    steps.of_broker()

A step has two points, one before it and one after it: a statement, a commit, and what is sent to
Redis, to RabbitMQ, or into the folder of a filesystem broker. The locks are reached by the same
ways. The names of the points are kept in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import amqp.transport
import redis.connection
from kombu.transport import filesystem
from sqlalchemy import event
from sqlalchemy.engine import Engine

#: How the tests' clock is set in a session: no step of a beat.
_OF_THE_CLOCK = ("jobsched.now", "SET timestamp", "pg_advisory_xact_lock(5070501)")
_BROKERS: tuple[tuple[Any, str], ...] = (
    (filesystem.Channel, "_put"),
    (redis.connection.AbstractConnection, "send_packed_command"),
    (amqp.transport._AbstractTransport, "write"),
)


class Steps:
    """The points that were passed; *at* is called at each one with its number and its name."""

    def __init__(self, at: Callable[[int, str], object]) -> None:
        self.names: list[str] = []
        self._at = at

    def of_database(self, engine: Engine) -> None:
        """Watch what *engine* executes and commits."""

        @event.listens_for(engine, "before_cursor_execute")
        def before(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
            self._pass("before", statement)

        @event.listens_for(engine, "after_cursor_execute")
        def after(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
            self._pass("after", statement)

        dialect: Any = engine.dialect
        dialect.do_commit = self._watched(dialect.do_commit, "COMMIT")
        dialect.do_rollback = self._watched(dialect.do_rollback, "ROLLBACK")

    def of_broker(self) -> None:
        """Watch what is sent to brokers, and to Redis; for the rest of this process."""
        for owner, name in _BROKERS:
            setattr(
                owner, name, self._watched(getattr(owner, name), f"SEND {owner.__name__}.{name}")
            )

    def _watched(self, call: Callable[..., Any], what: str) -> Callable[..., Any]:
        @wraps(call)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self._pass("before", what)
            found = call(*args, **kwargs)
            self._pass("after", what)
            return found

        return watched

    def _pass(self, when: str, what: str) -> None:
        if any(sign in what for sign in _OF_THE_CLOCK):
            return
        name = f"{when} {' '.join(what.split())[:120]}"
        self.names.append(name)
        self._at(len(self.names) - 1, name)
