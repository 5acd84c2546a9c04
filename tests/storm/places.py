"""The servers of a storm: its own ones, which crash and come back with what they had."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from kombu import Connection

from tests.processes import wait_until
from tests.proxy import Proxy
from tests.servers import RedisServer, free_port
from tests.services import require_program

_LONGEST_START_S = 90


class Server(ABC):
    """A server process in a group of its own; its port stays over restarts."""

    #: How it dies: without a word to anybody, and without a clean-up.
    deadly = signal.SIGKILL
    #: Which user runs it where we are root and it refuses to be.
    user: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        if self._user is not None:
            shutil.chown(folder, self._user)

    def start(self) -> None:
        """Start it, again where it ends at once; returns when it answers."""
        wait_until(self._is_up, _LONGEST_START_S, self.log)

    def kill(self) -> None:
        """End it as a crash does; twice is fine."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, self.deadly)
        self.process.wait()
        self.process = None

    def log(self) -> str:
        return self._log_file.read_text(errors="replace")[-3000:]

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @property
    def environ(self) -> Mapping[str, str]:
        return {}

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes connections."""

    @property
    def _log_file(self) -> Path:
        return self.folder / "log"

    def _is_up(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            self.process = self.spawn(self.command)
        return self.answers()

    def spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log_file.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
            )

    @property
    def _user(self) -> str | None:
        return self.user if os.getuid() == 0 else None

    def run(self, *command: str) -> None:
        """Run a command to its end."""
        process = self.spawn(list(command))
        if process.wait(_LONGEST_START_S):
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {self.log()}")


class Database(Server):
    """A server of SQL."""

    url: str

    def answers(self) -> bool:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        try:
            with engine.connect() as conn:
                return conn.execute(sa.text("SELECT 1")).scalar() == 1
        except sa.exc.OperationalError:
            return False


class PostgreSQL(Database):
    # Of SIGKILL its children might hear too late to let go of the memory that they share.
    deadly = signal.SIGQUIT
    user = "postgres"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self._data = folder / "data"
        initdb = require_program("initdb")
        self.run(initdb, "-D", str(self._data), "-U", "postgres", "-A", "trust", "-N")

    @property
    def command(self) -> list[str]:
        places = ["-D", str(self._data), "-k", str(self.folder), "-h", "127.0.0.1"]
        return [require_program("postgres"), *places, "-p", str(self.port), "-c", "fsync=off"]


class MariaDB(Database):
    user = "mysql"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}/storm"
        program = require_program("mariadb-install-db")
        self.run(program, *self._places, "--auth-root-authentication-method=normal")
        self.run("mkdir", str(folder / "data" / "storm"))

    @property
    def command(self) -> list[str]:
        place = ("--bind-address=127.0.0.1", f"--port={self.port}", "--socket=socket")
        program = require_program("mariadbd")
        return [program, *self._places, *place, "--skip-name-resolve"]

    @property
    def _places(self) -> tuple[str, ...]:
        return ("--no-defaults", f"--datadir={self.folder / 'data'}")


class RabbitMQ(Server):
    user = "rabbitmq"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._names_port, self._node_port = free_port(), free_port()
        # Its own, or it would go by those of the machine's.
        for name in ("own.conf", "env.conf"):
            (folder / name).touch()
        # Else it starts one by itself, which outlives it.
        self._names = self.spawn([require_program("epmd"), "-port", str(self._names_port)])

    @property
    def command(self) -> list[str]:
        # Debian's own script writes to the folders of the machine's RabbitMQ.
        plain = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        return [str(plain) if plain.exists() else require_program(plain.name)]

    @property
    def environ(self) -> Mapping[str, str]:
        return {
            "ERL_EPMD_PORT": str(self._names_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "own.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_NODENAME": f"storm{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }

    def answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=1) as connection:
                connection.connect()
                return True
        except Exception:  # noqa: BLE001 - while it starts it refuses in many ways
            return False

    def end(self) -> None:
        self.kill()
        self._names.kill()
        self._names.wait()


class Place:
    """A server behind its proxy, and the URL that leads there through it."""

    def __init__(self, name: str, server: Any) -> None:
        self.name, self.server = name, server
        self.proxy = Proxy("127.0.0.1", server.port)

    @property
    def direct_url(self) -> str:
        return str(self.server.url)

    @property
    def url(self) -> str:
        return self.direct_url.replace(f":{self.server.port}/", f":{self.proxy.port}/")


@contextmanager
def opened(name: str, kind: str, folder: Path, is_forgetful: bool) -> Iterator[Place]:
    """A server of *kind* that runs, behind its proxy; a forgetful Redis comes back empty."""
    home = folder / name
    with ExitStack() as on_end:
        if kind == "redis":
            home.mkdir()
            keeps = () if is_forgetful else ("--appendonly", "yes")
            server: Any = RedisServer(home, *keeps)
            on_end.callback(server.kill)
        else:
            server = _KINDS[kind](home)
            on_end.callback(getattr(server, "end", server.kill))
        server.start()
        place = Place(name, server)
        yield on_end.enter_context(_behind_proxy(place))


@contextmanager
def _behind_proxy(place: Place) -> Iterator[Place]:
    with place.proxy:
        yield place


_KINDS: dict[str, Callable[[Path], Server]] = {
    "postgresql": PostgreSQL,
    "mariadb": MariaDB,
    "rabbitmq": RabbitMQ,
}
