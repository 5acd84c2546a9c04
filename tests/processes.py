"""Real beats and workers, and what they ran.

    with Beat(stack) as beat, Worker(stack) as worker:
        wait_until(lambda: len(runs(stack.runs_file)) >= 3, 10)
        seconds, exit_code = beat.stop()

Whatever is started is ended with its stack at the latest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.pace import paced
from tests.stacks import Stack

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "tests" / "apps"

T = TypeVar("T")
_number = count(1)


def wait_until(condition: Callable[[], T], seconds: float, what: object = None) -> T:
    """The first true value of *condition*, asked again and again for at most *seconds* (paced).

    Raises:
        AssertionError: it never was true; *what* is told, called first if it can be.
    """
    begun = time.monotonic()
    while not (value := condition()):
        if (passed := time.monotonic() - begun) > seconds and passed > paced(seconds):
            told = what() if callable(what) else what
            raise AssertionError(f"not within {seconds} s: {told or condition}")
        time.sleep(0.01)
    return value


class Stopped(NamedTuple):
    seconds: float
    exit_code: int


class CeleryProcess:
    """`python -m celery -A <app> …` on a stack, in a process group of its own."""

    def __init__(
        self,
        stack: Stack,
        *arguments: str,
        conf: Mapping[str, Any] | None = None,
        app: str = "proj",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.stack = stack
        self.conf = {**stack.conf, **(conf or {})}
        self.name = f"{arguments[0]}-{next(_number)}"
        self.command = [sys.executable, "-m", "celery", "-A", app, *arguments]
        self.log_file = stack.folder / f"{self.name}.log"
        self.ready_file = stack.folder / f"{self.name}.ready"
        self.environ = {
            **celery_environ(stack, self.conf),
            "JOBSCHED_TEST_READY": str(self.ready_file),
            **(environ or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def __enter__(self) -> Any:
        return self.start().wait_ready()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise AssertionError(f"{self.name} was not started")
        return self.process

    def start(self) -> Any:
        """Start it and go on at once; returns itself."""
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.stack.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.stack.on_end.callback(self.kill)
        return self

    def wait_ready(self, seconds: float = 30) -> Any:
        """Wait until a worker consumes, or a beat is about to tick first; returns itself."""
        wait_until(lambda: self.ready_file.exists() or not self.alive(), seconds, self.log)
        if not self.ready_file.exists():
            raise AssertionError(f"{self.name} ended with {self._running.poll()}:\n{self.log()}")
        return self

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """All that it has written so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def send_stop(self) -> None:
        """SIGTERM, without waiting."""
        self._running.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = 15) -> Stopped:
        """SIGTERM, and how many seconds the end took, with the exit code.

        Raises:
            AssertionError: it did not end within *seconds*; it is killed then.
        """
        begun = time.monotonic()
        self.send_stop()
        try:
            exit_code = self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} went on after SIGTERM:\n{self.log()}") from None
        took = time.monotonic() - begun
        self.kill()
        return Stopped(took, exit_code)

    def kill(self) -> None:
        """SIGKILL to it and its children, as when the machine dies; twice is fine."""
        if self.process is None or self._ended:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._ended = True


class Beat(CeleryProcess):
    """A beat, with our scheduler unless another one is named."""

    def __init__(
        self, stack: Stack, *options: str, scheduler: str = "celery_jobsched.Scheduler", **more: Any
    ) -> None:
        fixed = ("-S", scheduler, "--pidfile=", "-l", "INFO")
        super().__init__(stack, "beat", *fixed, *options, **more)


class Worker(CeleryProcess):
    """A worker; *pool* is any of Celery's, `solo` runs one task at a time in one process."""

    def __init__(
        self, stack: Stack, *options: str, pool: str = "solo", concurrency: int = 1, **more: Any
    ) -> None:
        fixed = ("-P", pool, "-c", str(concurrency), "-l", "INFO", "-n", f"w{next(_number)}@%h")
        quiet = ("--without-gossip", "--without-mingle")
        super().__init__(stack, "worker", *fixed, *quiet, *options, **more)


def run_celery(
    stack: Stack, *arguments: str, conf: Mapping[str, Any] | None = None, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `celery -A proj …` to its end; its exit code and outputs are for the test to judge."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "proj", *arguments],
        cwd=stack.folder,
        env=celery_environ(stack, {**stack.conf, **(conf or {})}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def celery_environ(stack: Stack, conf: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a Celery command on *stack*."""
    paths = [str(ROOT), str(APPS), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "JOBSCHED_TEST_CONF": json.dumps(conf),
        "JOBSCHED_TEST_RUNS": str(stack.runs_file),
        # The filesystem transport takes each message through the folder for temporary
        # files: in one of our own that is a rename, and nothing is left elsewhere.
        "TMPDIR": str(stack.folder),
    }


def runs(path: Path) -> list[dict[str, Any]]:
    """What the tasks of `tests/apps/proj.py` wrote so far, in the order of their lines."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
