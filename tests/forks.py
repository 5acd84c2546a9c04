"""Processes that are forked from one without threads: what each comes to, or that it was killed."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any


def in_child(work: Callable[[], Any]) -> Any:
    """What *work* comes to in a process of its own; None where that was killed."""
    child, reading = started(work)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read()
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL):
        raise RuntimeError(f"a child ended with {status}")
    return json.loads(found) if found else None


def started(work: Callable[[], Any]) -> tuple[int, int]:
    """A process that does *work*, and where to read what came of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            found = work()
            said = json.dumps(asdict(found) if is_dataclass(found) else found)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(said.encode())
            code = 0
        except Exception:  # noqa: BLE001 - told, and the process ends as it should
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    return child, reading


def ended(point: int, child: int, reading: int, kind: Callable[..., Any]) -> Any:
    """What came of a process that :func:`started` made."""
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return kind(**json.loads(said)) if said else kind(point, trouble="its process failed")
