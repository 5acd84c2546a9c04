"""Fresh brokers, and stacks: a fresh database and a fresh broker that belong together.

A stack owns the processes that are started on it: they end before its database and its
broker are removed, whatever became of the test.
"""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from celery import Celery
from kombu import Connection

from tests.postman import Postman
from tests.services import address, fresh_database, require, unique_name

BROKERS = ("filesystem", "redis", "rabbitmq")

#: The pairs of a database and a broker on which the whole is shown to work.
PAIRS = (("sqlite", "filesystem"), ("postgresql", "redis"), ("mysql", "rabbitmq"))

_session = ExitStack()


@dataclass
class Stack:
    """A fresh database and a fresh broker, with the settings that lead to them."""

    database: str
    broker: str
    folder: Path
    conf: dict[str, Any]
    #: Ended before the database and the broker are removed, the youngest first.
    on_end: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def database_url(self) -> str:
        return str(self.conf["jobsched_database_url"])

    @property
    def broker_url(self) -> str:
        return str(self.conf["broker_url"])

    @property
    def queue(self) -> str:
        return str(self.conf["task_default_queue"])

    @property
    def runs_file(self) -> Path:
        """Where the tasks of `tests/apps/proj.py` write what they did."""
        return self.folder / "runs.jsonl"

    def app(self) -> Celery:
        """A Celery application of this process, to publish with: no task is known to it."""
        return Celery("proj", set_as_current=False, config_source=dict(self.conf))


@contextmanager
def fresh_stack(database: str, broker: str, folder: Path, **conf: Any) -> Iterator[Stack]:
    """A stack of one of `DATABASES` and one of `BROKERS`; *conf* adds Celery settings."""
    with fresh_database(database, folder) as url, fresh_broker(broker, folder) as settings:
        settings = {"jobsched_database_url": url, **settings, **conf}
        stack = Stack(database, broker, folder, settings)
        with stack.on_end:
            yield stack


@contextmanager
def fresh_broker(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """The Celery settings of an empty broker of *kind*, one of `BROKERS`."""
    require(kind)
    with _BROKERS[kind](folder, unique_name()) as conf:
        yield {"broker_connection_retry_on_startup": True, **conf}


def end_session() -> None:
    """Remove what was kept for the whole run."""
    _session.close()


@contextmanager
def _filesystem_broker(folder: Path, queue: str) -> Iterator[dict[str, Any]]:
    home = folder / queue
    for name in ("written", "read", "control"):
        (home / name).mkdir(parents=True)
    conf: dict[str, Any] = {
        "broker_url": "filesystem://",
        "task_default_queue": queue,
        "broker_transport_options": {
            "data_folder_in": str(home / "read"),
            "data_folder_out": str(home / "written"),
            "control_folder": str(home / "control"),
            "store_processed": False,
            # kombu's own value is a second, which would be most of what a test measures.
            "polling_interval": 0.05,
        },
    }
    _declare(conf)
    with Postman(home / "written", home / "read"):
        yield conf


def _declare(conf: dict[str, Any]) -> None:
    """Bind the queue before any process does.

    kombu truncates the file of a new exchange before it locks it: of two processes that
    start together, one could read it empty.
    """
    app = Celery(set_as_current=False, config_source=conf)
    with app.connection_for_write() as connection:
        app.amqp.queues[conf["task_default_queue"]](connection.default_channel).declare()


@contextmanager
def _redis_broker(folder: Path, queue: str) -> Iterator[dict[str, Any]]:
    with _claimed_redis_url(address("redis")) as url:
        yield {"broker_url": url, "task_default_queue": queue}


@contextmanager
def _claimed_redis_url(server: str) -> Iterator[str]:
    """An empty numbered database, marked as ours; emptied afterwards."""
    server = urlsplit(server)._replace(path="", query="").geturl()
    with redis.Redis.from_url(server) as client:
        count = int(client.config_get("databases")["databases"])
    for number in range(count - 1, 0, -1):
        with redis.Redis.from_url(f"{server}/{number}") as client:
            if not _claim(client):
                continue
            try:
                yield f"{server}/{number}"
            finally:
                client.flushdb()
            return
    raise RuntimeError(f"expected a free one of {count} Redis databases, got: none")


def _claim(client: redis.Redis) -> bool:
    mark, mine = "jobsched-tests", f"{socket.gethostname()} {os.getpid()}"
    if client.set(mark, mine, nx=True):
        if client.dbsize() == 1:
            return True
        client.delete(mark)
        return False
    if not _abandoned((client.get(mark) or b"").decode()):
        return False
    client.flushdb()
    return _claim(client)


def _abandoned(mark: str) -> bool:
    """Whether *mark* is of a run on this machine that was killed."""
    host, _, pid = mark.partition(" ")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@contextmanager
def _rabbitmq_broker(folder: Path, queue: str) -> Iterator[dict[str, Any]]:
    conf = {
        "broker_url": rabbitmq_url(),
        "task_default_queue": queue,
        "control_exchange": f"{queue}.control",
        "event_exchange": f"{queue}.events",
    }
    try:
        yield conf
    finally:
        _delete_queue(conf)


def _delete_queue(conf: dict[str, Any]) -> None:
    control = conf["control_exchange"]
    exchanges = (f"{control}.pidbox", f"reply.{control}.pidbox", conf["event_exchange"])
    with Connection(conf["broker_url"]) as connection:
        channel = connection.default_channel
        channel.queue_delete(conf["task_default_queue"])
        for exchange in (conf["task_default_queue"], *exchanges):
            channel.exchange_delete(exchange)


@functools.cache
def rabbitmq_url() -> str:
    """RabbitMQ with a virtual host of this run where one can be made, else as it is."""
    server = address("rabbitmq")
    parts = urlsplit(server)
    name = unique_name()
    if parts.hostname not in {"127.0.0.1", "localhost"} or not _rabbitmqctl("add_vhost", name):
        return server
    _session.callback(_rabbitmqctl, "delete_vhost", name)
    _rabbitmqctl("set_permissions", "-p", name, parts.username or "guest", ".*", ".*", ".*")
    return parts._replace(path=f"/{name}").geturl()


def _rabbitmqctl(*arguments: str) -> bool:
    program = shutil.which("rabbitmqctl") or "/usr/sbin/rabbitmqctl"
    try:
        done = subprocess.run([program, *arguments], capture_output=True, timeout=60)
    except OSError:
        return False
    return done.returncode == 0


_BROKERS = {
    "filesystem": _filesystem_broker,
    "redis": _redis_broker,
    "rabbitmq": _rabbitmq_broker,
}
