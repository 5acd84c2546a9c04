"""What reached a Redis broker, taken straight from its lists without a worker."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import redis

from tests.processes import wait_until
from tests.stacks import Stack


@dataclass(frozen=True)
class Message:
    """One message as it lay in Redis; *at* is when it was taken, in seconds of the epoch."""

    at: float
    task: str
    id: str
    args: list[Any]
    kwargs: dict[str, Any]
    headers: dict[str, Any]
    properties: dict[str, Any]

    @classmethod
    def from_envelope(cls, at: float, raw: bytes) -> Message:
        envelope = json.loads(raw)
        headers = envelope["headers"]
        args, kwargs, _ = json.loads(base64.b64decode(envelope["body"]))
        name, task_id, properties = headers["task"], headers["id"], envelope["properties"]
        return cls(at, name, task_id, args, kwargs, headers, properties)

    @property
    def fire(self) -> dict[str, Any]:
        """The header of a fire (job, fire_at, origin, token, n); empty without one."""
        return self.headers.get("jobsched") or {}

    @property
    def job(self) -> str | None:
        return self.fire.get("job")

    @property
    def fire_at(self) -> str | None:
        return self.fire.get("fire_at")


class Collector:
    """Takes the messages of a Redis broker as they land: a worker that runs nothing.

    Only for stacks whose broker is Redis. Every priority's list is drained.
    """

    def __init__(self, stack: Stack, queue: str | None = None) -> None:
        name = queue or stack.queue
        self.lists = [name, *(f"{name}\x06\x16{step}" for step in (3, 6, 9))]
        self.client = redis.Redis.from_url(stack.broker_url, socket_timeout=60)
        self._taken: list[tuple[float, bytes]] = []
        self._parsed: list[Message] = []
        self._halted = threading.Event()
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._drain, daemon=True)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halted.set()
        self._thread.join()
        self.client.close()

    def _drain(self) -> None:
        try:
            self._take()
        except Exception as error:  # noqa: BLE001 - whoever counts is told
            self._trouble = error

    def _take(self) -> None:
        while not self._halted.is_set():
            if first := self.client.brpop(self.lists, timeout=0.2):
                name, raw = first
                more = self.client.rpop(name, 1000) or []
                at = time.time()
                self._taken.extend((at, each) for each in (raw, *more))

    @property
    def count(self) -> int:
        """How many were taken so far; cheaper than `messages`."""
        if self._trouble is not None:
            raise AssertionError("nothing more is taken") from self._trouble
        return len(self._taken)

    def messages(self) -> list[Message]:
        """All that were taken so far, the oldest first."""
        for at, raw in self._taken[len(self._parsed) :]:
            self._parsed.append(Message.from_envelope(at, raw))
        return list(self._parsed)

    def wait_for(self, count: int, seconds: float) -> list[Message]:
        """All messages, once there are at least *count*."""
        wait_until(lambda: self.count >= count, seconds, lambda: f"{self.count} of {count}")
        return self.messages()
