"""The log of decisions: one line of JSON for each, as the signals of ``events`` tell them.

What it cannot write it leaves out: no fire waits for it. Where there is no such log, nothing of
this is in a tick's way.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from logging.handlers import WatchedFileHandler
from typing import Any

from celery.utils.dispatch import Signal

from . import events

logger = logging.getLogger(__name__)

#: Stands for standard output, in place of a path.
STDOUT = "-"
_SIGNALS = [each for each in vars(events).values() if isinstance(each, Signal)]
#: What a task returned is in the table alone.
_LEFT_OUT = {"result"}


class Decisions:
    """Writes what *beat* decides to *place*: a path, or ``-``; None: nowhere.

    A file that is moved away is made anew. It begins with the first tick. *database*: whose
    decisions they are, where one process serves several.
    """

    def __init__(
        self,
        place: str | None,
        beat: str,
        now: Callable[[], datetime],
        database: str | None = None,
    ) -> None:
        self._place, self._beat, self._now, self._database = place, beat, now, database
        self._handler: logging.Handler | None = None

    def begin(self) -> None:
        """Open the log, where there is to be one and it is not open; says once what is in the way.

        It must not be in the way of what is due.
        """
        if self._place is None:
            return
        place, self._place = self._place, None
        try:
            self._handler = _handler(place)
        except OSError as error:
            logger.error("no decision is logged: %s", error, extra={"action": "decision log"})
            return
        for signal in _SIGNALS:
            signal.connect(self._note, weak=False, dispatch_uid=self._uid)

    def end(self) -> None:
        """Write no more; may be called twice."""
        if self._handler is not None:
            for signal in _SIGNALS:
                signal.disconnect(dispatch_uid=self._uid)
            self._handler.close()
            self._handler = None

    @property
    def _uid(self) -> str:
        return f"{__name__} {self._beat}"

    def _note(self, signal: Any, sender: Any = None, **told: Any) -> None:
        if self._handler is None or events.database.get() != self._database:
            return
        word = signal.name.partition("_")[2]
        line = {"at": self._now(), "beat": self._beat, "decision": word}
        line |= {name: each for name, each in told.items() if name not in _LEFT_OUT}
        text = json.dumps(line, default=_plain, ensure_ascii=False)
        self._handler.handle(logging.makeLogRecord({"msg": text}))


def _handler(place: str) -> logging.Handler:
    if place != STDOUT:
        return WatchedFileHandler(place, encoding="utf-8")
    # Celery makes a logger of sys.stdout.
    return logging.StreamHandler(sys.__stdout__)


def _plain(value: Any) -> str | float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else str(value)
