"""Letting a piece of work finish before a signal ends the process.

Celery's beat answers SIGTERM by raising SystemExit wherever it is. Between publishing a fire and
marking it, that would leave a message that nobody knows of; and where an object is deleted, Python
drops what is raised, and the beat would never end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back SIGTERM and SIGINT until the block ends; then they do what they would have done.

    Masking them would not do: with other threads about, the handler still runs in this one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[signal.Signals] = []

    def note(signum: int, frame: FrameType | None) -> None:
        came.append(signal.Signals(signum))

    former = {signum: signal.signal(signum, note) for signum in _ENDING}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        if came:
            _answer(came[0], former[came[0]])


def _answer(signum: signal.Signals, handler: Any) -> None:
    # Called here, not raised: a signal is answered wherever Python next looks for one.
    if callable(handler):
        handler(signum, None)
    else:
        signal.raise_signal(signum)
