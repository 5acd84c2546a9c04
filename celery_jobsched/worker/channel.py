"""What a worker has to say to the locks, said by one thread: in order, in as few calls as may be.

    started, ended, … ──▶ a queue ──▶ grouped by verb, each fire's in their order ──▶ the locks

The same thread renews leases. What takes a task's time is `Channel.ask` alone.

    the locks are away     nothing is asked until they answer again; what was to be said is kept,
                           and said then; the thread tries each second
    a word is refused      it is logged and dropped: those behind it have their turn
    the worker is killed   unsaid words are lost; leases end, and the beats ask what became of it
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from atexit import register
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ..errors import InvalidSetting, LocksAway
from ..limits import RENEW_EVERY
from ..locks import Answer, Copy, Locks

logger = logging.getLogger(__name__)

_RETRY_S = 1.0
_SOONEST_S = 0.001
#: A word waits so long for others to be said with: a worker with much to do makes fewer calls.
#: Where a run ends as soon as it started, its end says both.
_GATHER_S = 0.02
_MOST_UNSAID = 10_000
#: After an outage there may be more than the locks can take in one call, before its time is over.
_SAID_AT_ONCE = 500
_LAST_WORDS_S = 2.0
#: A URL that cannot be read is told at the first use.
_AWAY = (LocksAway, InvalidSetting)


class Word(NamedTuple):
    """A call of *verb* with *thing*, about a fire."""

    locks: Locks
    verb: str
    fire: str
    thing: Any
    #: The run that it says has started, or ended.
    started: str | None = None
    ended: str | None = None


#: What the thread waits for: a word, somebody who waits for what was said, or nothing at all.
Said: TypeAlias = Word | threading.Event | None


class Channels:
    """A channel to each locks: where one of them is away, the others are asked as ever.

    ``renew(locks, probe)`` renews the leases that are held there.
    """

    def __init__(self, renew: Callable[[Locks, bool], None]) -> None:
        self._renew = renew
        self._channels: dict[int, Channel] = {}

    def to(self, locks: Locks) -> Channel:
        """The channel to *locks*, of which there is one for good."""
        found = self._channels.get(id(locks))
        if found is None:
            made = Channel(partial(self._renew, locks))
            found = self._channels.setdefault(id(locks), made)
        return found

    def say(self, word: Word) -> None:
        """Have *word* said, soon; see :meth:`Channel.say`."""
        self.to(word.locks).say(word)

    def flush(self, seconds: float) -> None:
        """Wait until all that was said before has been passed on, or at least tried."""
        until = time.monotonic() + seconds
        for tried in [each.hurry() for each in list(self._channels.values())]:
            if tried is not None:
                tried.wait(max(until - time.monotonic(), 0))


class Channel:
    """One worker's way to the locks. ``renew(probe)`` renews leases; *probe*: at least ask."""

    def __init__(self, renew: Callable[[bool], None]) -> None:
        self._renew = renew
        self._interval = RENEW_EVERY.total_seconds()
        self._renewed_at = time.monotonic()
        self._queue: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._urgent = threading.Event()
        self._unsaid: list[Word] = []
        self._is_away = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def ask(self, locks: Locks, copy: Copy) -> Answer | None:
        """Whether *copy* may run; None where the locks are away."""
        if self._is_away:
            return None
        try:
            return locks.admit(copy)
        except Exception as error:  # noqa: BLE001 - whatever it is, a task must not wait for it
            self._miss(error)
            self._wake()
            return None

    def say(self, *words: Word) -> None:
        """Have *words* said, soon; may be called from any thread, and from a signal's handler."""
        self._start()
        for word in words:
            self._queue.put(word)

    def flush(self, seconds: float) -> bool:
        """Wait until what was said before has been passed on, or at least tried."""
        tried = self.hurry()
        return tried is None or tried.wait(seconds)

    def hurry(self) -> threading.Event | None:
        """Have what was said before passed on now; what tells that it was, or at least tried."""
        if self._thread is None or self._thread.ident == threading.get_ident():
            return None
        tried = threading.Event()
        self._queue.put(tried)
        self._urgent.set()
        return tried

    def renew_every(self, seconds: float) -> None:
        """Renew at least so often from now on."""
        if seconds < self._interval:
            self._interval = seconds
            self._wake()
        self._start()

    def _wake(self) -> None:
        self._start()
        self._queue.put(None)

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                name = "jobsched-worker"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()
                register(self._say_last_words, os.getpid())

    def _say_last_words(self, pid: int) -> None:
        if pid == os.getpid():
            self.flush(_LAST_WORDS_S)

    def _work(self) -> None:
        while True:
            try:
                self._turn()
            except Exception:  # this thread holds every lease of the worker
                logger.exception("the locks' channel stumbled, and goes on")
                time.sleep(_RETRY_S)

    def _turn(self) -> None:
        words, waiting = self._collect()
        self._unsaid = said_once([*self._unsaid, *words])[-_MOST_UNSAID:]
        try:
            self._speak()
            self._keep_leases()
        finally:
            for tried in waiting:
                tried.set()

    def _collect(self) -> tuple[list[Word], list[threading.Event]]:
        """What came in, once there is something, or when it is time for the leases."""
        with suppress(queue.Empty):
            first = self._queue.get(timeout=max(self._rest(), _SOONEST_S))
            if isinstance(first, Word):
                self._urgent.wait(_GATHER_S)
            return self._drain(first)
        return [], []

    def _drain(self, *came: Said) -> tuple[list[Word], list[threading.Event]]:
        self._urgent.clear()
        everything = [*came]
        with suppress(queue.Empty):
            while True:
                everything.append(self._queue.get_nowait())
        words = [each for each in everything if isinstance(each, Word)]
        return words, [each for each in everything if isinstance(each, threading.Event)]

    def _rest(self) -> float:
        pause = _RETRY_S if self._is_away else self._interval
        return max(self._renewed_at + pause - time.monotonic(), 0)

    def _speak(self) -> None:
        """Say all of it, or what can be said before the locks go away."""
        groups = grouped(self._unsaid)
        self._unsaid = []
        for said, words in enumerate(groups):
            try:
                getattr(words[0].locks, words[0].verb)([word.thing for word in words])
            except _AWAY as error:
                self._unsaid = [word for group in groups[said:] for word in group]
                self._miss(error)
                return
            except Exception:  # what cannot be said now can never be
                logger.exception("%d words were dropped: %s", len(words), words[0].verb)
            else:
                self._is_away = self._is_away and not self._found()

    def _keep_leases(self) -> None:
        if self._rest() > 0:
            return
        self._renewed_at = time.monotonic()
        try:
            self._renew(self._is_away)
        except _AWAY as error:
            self._miss(error)
        else:
            self._is_away = self._is_away and not self._found()

    def _miss(self, error: Exception) -> None:
        if not self._is_away:
            foreseen = isinstance(error, _AWAY)
            logger.warning(
                "the locks are away: first copies run unasked, others go back to the beats: %s",
                error,
                exc_info=None if foreseen else error,
                extra={"action": "locks"},
            )
        self._is_away = True

    def _found(self) -> bool:
        logger.warning("the locks answer again", extra={"action": "locks"})
        return True


def said_once(words: list[Word]) -> list[Word]:
    """*words* without those that say of a run that it started where another says how it ended."""
    ended = {word.ended for word in words if word.ended}
    return [word for word in words if word.started is None or word.started not in ended]


def grouped(words: Iterable[Word]) -> list[list[Word]]:
    """*words* of the same verb together, each fire's in their order; none in too large a group."""
    groups: list[list[Word]] = []
    #: Before which group no word of a fire may go.
    earliest: dict[str, int] = {}
    for word in words:
        at = earliest.get(word.fire, 0)
        while at < len(groups) and not _has_room(groups[at], word):
            at += 1
        if at == len(groups):
            groups.append([])
        groups[at].append(word)
        earliest[word.fire] = at
    return groups


def _has_room(group: list[Word], word: Word) -> bool:
    is_alike = group[0].verb == word.verb and group[0].locks is word.locks
    return is_alike and len(group) < _SAID_AT_ONCE
