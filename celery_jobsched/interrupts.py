"""Letting a piece of work finish before a signal ends the process.

Celery's beat answers SIGTERM by raising SystemExit wherever it is; between publishing a fire and
marking it, that would leave a message that nobody knows of.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back SIGTERM and SIGINT until the block ends; then they do what they would have done.

    Masking them would not do: with other threads about, the handler still runs in this one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        came.append(signum)

    former = {signum: signal.signal(signum, note) for signum in _ENDING}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        if came:
            signal.raise_signal(came[0])
