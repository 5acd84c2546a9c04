"""Carries messages from the folder that a filesystem broker writes to the one it reads from.

kombu's transport writes a message under its final name, and a reader takes it as soon as
the name is there: read empty, it ends the worker and is lost (celery/kombu#1551; about one
message in 2,000 here while a worker is busy). With a folder a side and a rename between
them both sides are kombu's own, and the tests are about something else.
"""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

#: How often the postman looks, in seconds.
ROUND = 0.005


class Postman:
    """Moves each complete message of *written* to *read* while it is open."""

    def __init__(self, written: Path, read: Path) -> None:
        self.written, self.read = written, read
        self._halted = threading.Event()
        self._thread = threading.Thread(target=self._walk, daemon=True)

    def __enter__(self) -> Postman:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halted.set()
        self._thread.join()

    def _walk(self) -> None:
        while not self._halted.wait(ROUND):
            for message in sorted(self.written.iterdir()):
                if _is_whole(message):
                    message.rename(self.read / message.name)


def _is_whole(message: Path) -> bool:
    """Whether its writer has let go of it: it locks the empty file, and writes at once."""
    with message.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return file.read(1) != b""
