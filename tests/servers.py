"""Servers of a test's own, which it may stop and empty as it likes."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.processes import wait_until
from tests.services import require_program


class RedisServer:
    """A private Redis on a free port; its port and URL stay over restarts.

    with RedisServer(tmp_path) as server:
        server.restart(empty=True)

    *options* go to the server as they are: `"--cluster-enabled", "yes"`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start it, with what the last `stop` kept; returns itself once it answers."""
        program = require_program("redis-server")
        self.port = self.port or free_port()
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder))
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [program, *options, "--save", "", "--appendonly", "no", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._answers, 10, self._log_file.read_text)
        return self

    def stop(self, empty: bool = True) -> None:
        """End it, and forget or keep its data; twice is fine."""
        if self.process is None:
            return
        if empty:
            self._dump_file.unlink(missing_ok=True)
        else:
            with redis.Redis(port=self.port) as client:
                client.save()
        self.process.terminate()
        self.process.wait(10)
        self.process = None

    def kill(self) -> None:
        """End it as a crash does; twice is fine."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, empty: bool = True) -> None:
        """Stop and start it: *empty* as after a lost memory, else with its data."""
        self.stop(empty)
        self.start()

    @property
    def _log_file(self) -> Path:
        return self.folder / "redis.log"

    @property
    def _dump_file(self) -> Path:
        return self.folder / "dump.rdb"

    def _answers(self) -> bool:
        """Whether the process that answers is ours: its folder is."""
        try:
            with redis.Redis(port=self.port, socket_timeout=1) as client:
                return str(client.config_get("dir")["dir"]) == str(self.folder.resolve())
        except redis.RedisError:
            return False


@contextmanager
def sentinel(folder: Path, master: str, port: int) -> Iterator[int]:
    """The port of a Redis Sentinel that watches the server on *port* by the name *master*."""
    own = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"bind 127.0.0.1\nport {own}\ndir {folder}\nsentinel monitor {master} 127.0.0.1 {port} 1\n"
    )
    command = [require_program("redis-server"), str(config), "--sentinel"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: _is_watched(own, master), 10)
        yield own
    finally:
        process.terminate()
        process.wait(10)


def _is_watched(port: int, master: str) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return bool(client.sentinel_get_master_addr_by_name(master))
    except redis.RedisError:
        return False


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
