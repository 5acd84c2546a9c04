"""The locks in Redis 6.2 or later: each call is one script over all that it is about.

What is decided is decided in ``scripts/``, by the server's time. This room names the keys and
speaks of times as the contract does. All names of an installation have one hash tag: a cluster
then keeps them on one node, where a script may touch them all.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, NamedTuple

from ...clock import UTC
from ...errors import LocksAway
from ...limits import Limit
from .. import (
    Admission,
    Answer,
    Copy,
    CopyState,
    Hold,
    Holder,
    Memory,
    Report,
    Reported,
    Step,
    Terms,
)
from ..reports import from_text, to_text
from .client import TROUBLE, make_client, on_one_connection, safe_url

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SCRIPT = "\n".join(
    files(__package__).joinpath(f"scripts/{part}.lua").read_text("utf-8")
    for part in ("memory", "slots", "reports", "admissions", "call")
)


class RedisLocks:
    """:class:`..Locks` in Redis. Opens nothing before the first call, in each process anew."""

    def __init__(
        self,
        url: str,
        installation: str,
        options: Mapping[str, Any] | None = None,
        terms: Terms | None = None,
        timeout: float = 0.5,
    ) -> None:
        self._url, self._options, self._timeout = url, dict(options or {}), timeout
        self._prefix = f"{self._options.get('global_keyprefix', '')}{{jobsched:{installation}}}"
        self._terms = terms or Terms()
        self._numbers = (
            _milliseconds(self._terms.renewal_period),
            _milliseconds(self._terms.max_queue_time),
            self._terms.most_reports,
        )
        self._reader = secrets.token_hex(8)
        self._opened: _Line | None = None

    def __repr__(self) -> str:
        return f"RedisLocks({safe_url(self._url)!r}, {self._prefix!r})"

    def open(self, first: bool = False) -> Memory:
        born, silent_for, reports, dropped = self._run("open", {"first": first})
        return Memory(_instant(born), silent_for * _MILLISECOND, reports, dropped)

    def acquire(self, wanted: Sequence[Hold]) -> list[bool]:
        return self._each("acquire", wanted)

    def renew(self, held: Sequence[Hold]) -> list[bool]:
        return self._each("renew", held)

    def release(self, held: Sequence[Hold]) -> None:
        self._each("release", held)

    def holders(self, keys: Sequence[str]) -> dict[str, list[Holder]]:
        names = _Names(self._prefix)
        found = self._run("holders", [names.slots(key) for key in keys], names)
        return {key: _holders(flat) for key, flat in zip(keys, found, strict=True)}

    def free(self, limits: Sequence[Limit]) -> dict[str, int]:
        names = _Names(self._prefix)
        found = self._run("free", names.limits(limits), names)
        return {limit.key: count for limit, count in zip(limits, found, strict=True)}

    def admit(self, copy: Copy) -> Answer:
        names = _Names(self._prefix)
        return Answer[self._run("admit", names.copy(copy), names)]

    def accept(self, started: Sequence[Step]) -> list[bool]:
        return self._each("accept", started)

    def give_back(self, copies: Sequence[Copy]) -> None:
        self._each("give_back", copies)

    def end(self, ended: Sequence[Step]) -> list[bool]:
        return self._each("end", ended)

    def withdraw(self, refused: Sequence[Step]) -> list[bool]:
        return self._each("withdraw", refused)

    def admissions(self, fires: Sequence[str]) -> dict[str, Admission]:
        names = _Names(self._prefix)
        found = self._run("admissions", [names.record(fire) for fire in fires], names)
        return {fire: _admission(*row) for fire, row in zip(fires, found, strict=True) if row}

    def report(self, reports: Sequence[Report]) -> None:
        self._run("report", [to_text(report) for report in reports])

    def reports(self, limit: int) -> list[Reported]:
        reading_time = _milliseconds(self._terms.reading_time)
        asked = {"limit": limit, "reader": self._reader, "reading_time": reading_time}
        found = self._run("reports", asked)
        return [Reported(id_, from_text(fields[1])) for id_, fields in found]

    def acknowledge(self, ids: Sequence[str]) -> None:
        self._run("acknowledge", {"ids": list(ids), "reader": self._reader})

    def prune(self, limit: int) -> int:
        return 0

    def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None and opened.pid == os.getpid():
            opened.client.close()

    def _each(self, verb: str, things: Sequence[Hold] | Sequence[Step]) -> list[bool]:
        names = _Names(self._prefix)
        found = self._run(verb, [names.thing(thing) for thing in things], names)
        return [done == 1 for done in found] if isinstance(found, list) else []

    def _run(self, verb: str, about: Any, names: _Names | None = None) -> Any:
        if about == []:
            return []
        keys = (names or _Names(self._prefix)).keys
        try:
            line = self._line
            with line.turn:
                return line.script(keys, (verb, json.dumps(about), *self._numbers))
        except TROUBLE as error:
            raise LocksAway(f"{safe_url(self._url)}: {error}") from error

    @property
    def _line(self) -> _Line:
        """The way to the server: one that was opened before a fork stays with the parent."""
        opened = self._opened
        if opened is None or opened.pid != os.getpid():
            client = make_client(self._url, self._options, self._timeout)
            script = on_one_connection(client).register_script(_SCRIPT)
            opened = self._opened = _Line(os.getpid(), client, script, threading.Lock())
        return opened


class _Line(NamedTuple):
    """A process's way to the server, for one call at a time."""

    pid: int
    #: Whose connections are closed with it.
    client: Any
    script: Any
    turn: threading.Lock


class _Names:
    """The names that a call is about, as the script gets them: by their number in KEYS."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.keys = [f"{prefix}:memory", f"{prefix}:reports"]
        self._numbers: dict[str, int] = {}

    def thing(self, thing: Hold | Step) -> dict[str, Any]:
        if isinstance(thing, Step):
            report = {} if thing.report is None else {"report": to_text(thing.report)}
            return self.copy(thing.copy) | report
        return self.copy(thing) if isinstance(thing, Copy) else self.hold(thing)

    def hold(self, hold: Hold) -> dict[str, Any]:
        return {
            "fire": hold.fire,
            "record": self.record(hold.fire),
            "limits": self.limits(hold.limits),
            "lease": _milliseconds(hold.lease),
        }

    def copy(self, copy: Copy) -> dict[str, Any]:
        return self.hold(copy) | {
            "token": copy.token,
            "number": copy.number,
            "retries": copy.retries,
            "made_at": _milliseconds(copy.made_at - _EPOCH),
            "published_at": _milliseconds(copy.published_at - _EPOCH),
            "worker": copy.worker,
            "accepted": copy.accepted,
        }

    def limits(self, limits: Iterable[Limit]) -> list[tuple[int, int]]:
        return [(self.slots(key), most) for key, most in limits]

    def slots(self, key: str) -> int:
        return self._number(f"{self._prefix}:slots:{key}")

    def record(self, fire: str) -> int:
        return self._number(f"{self._prefix}:fire:{fire}")

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            self.keys.append(name)
            number = self._numbers[name] = len(self.keys)
        return number


def _holders(flat: Sequence[str]) -> list[Holder]:
    return [Holder(*pair) for pair in zip(flat[::2], map(_instant, flat[1::2]), strict=True)]


def _admission(
    state: str,
    token: str,
    number: str,
    retries: int,
    worker: str,
    until: int,
    alive: int,
    redelivered: str,
) -> Admission:
    return Admission(
        state=CopyState(state),
        token=token,
        number=int(number),
        retries=retries,
        worker=worker,
        until=_instant(until),
        alive=bool(alive),
        redelivered=redelivered == "1",
    )


def _milliseconds(duration: timedelta) -> int:
    return duration // _MILLISECOND


def _instant(milliseconds: Any) -> datetime:
    return _EPOCH + int(float(milliseconds)) * _MILLISECOND
