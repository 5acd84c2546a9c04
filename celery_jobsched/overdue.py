"""A tick that does not return: a thread beside it says so, for the tick itself cannot.

Whatever a beat waits for has a limit. But a receiver of a signal, a trigger of the application's
own or a driver may keep a tick for ever. Then the thread writes to the table, again and again, that
the process lives: so people tell a beat that hangs from one that is gone. Once it says where the
tick is, too. While ticks return it does nothing.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial

logger = logging.getLogger(__name__)

#: How often it looks: a tick of that length is told of before its beat is taken for gone.
_LOOK_S = 4.0
#: How many looks find the same tick until that is an error: more than a few waits that time out.
_MANY = 4


class Overdue:
    """Calls *tell* every few seconds while the same tick is under way; in a thread of its own."""

    def __init__(self, tell: Callable[[], None], look_s: float = _LOOK_S) -> None:
        self._tell, self._look_s = tell, look_s
        self._thread: threading.Thread | None = None
        self._ends = threading.Event()
        self._tick = 0
        #: The thread that ticks, while it does.
        self._ticking: int | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around a tick; the first one starts the thread."""
        if self._thread is None:
            run = partial(copy_context().run, self._run)
            self._thread = threading.Thread(target=run, name="jobsched-overdue", daemon=True)
            self._thread.start()
        self._tick += 1
        self._ticking = threading.get_ident()
        try:
            yield
        finally:
            self._ticking = None

    def end(self) -> None:
        """Let the thread go; a later tick starts none."""
        self._ends.set()

    def _run(self) -> None:
        known, looks = 0, 0
        while not self._ends.wait(self._look_s):
            ticking, tick = self._ticking, self._tick
            looks = looks + 1 if ticking is not None and tick == known else 0
            known = tick
            if ticking is not None and looks:
                self._say(ticking, looks)

    def _say(self, ticking: int, looks: int) -> None:
        if looks == _MANY:
            logger.error(
                "a tick has not returned for %.0f s, it is here:\n%s",
                looks * self._look_s,
                _where(ticking),
                extra={"action": "tick"},
            )
        try:
            self._tell()
        except Exception as error:  # noqa: BLE001 - it informs, and tries again
            logger.debug("could not say that this beat lives: %s", error)


def _where(thread: int) -> str:
    """The lines that a thread is in, without their data."""
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)).rstrip() if frame else "(it has ended)"
