"""Rounds over due rows that this beat left to others. Pure: rows and moments come in.

A row that a beat refuses stays due, for whoever may fire it, and lies there among rows that it may
fire itself. So the beat remembers, for a while, what it refused: a round goes over all that is due,
in the order of the index, and looks closely at nothing but what is not remembered. Then it rests.
What came due since the last look waits for no round; what is refused shortens no sleep.

    a row is due at another instant, or was changed   it is another one, asked about again
    more are refused than can be remembered           rounds rest longer, in proportion
    a row comes to lie behind the round               the beat that put it there goes back for it,
                                                      others find it in their next round
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .store.pages import Claimed, Place, Seen
from .store.planned import EDITED

#: How many rows are passed over in one tick: some milliseconds.
PASSED_AT_ONCE = 5000

_MOST_REMEMBERED = 100_000
# Each row that lies there costs 2 % of a core at most, passing it over and reading it anew.
_REST_A_ROW_S, _SHORTEST_REST_S = 0.0002, 1.0
_MEMORY_A_ROW_S, _SHORTEST_MEMORY_S = 0.004, 30.0


@dataclass(frozen=True)
class Stretch:
    """A part of a round: the ids to look at, what was passed over, and where it ends."""

    ids: list[int] = field(default_factory=list)
    passed: list[Seen] = field(default_factory=list)
    place: Place | None = None
    is_last: bool = False


@dataclass
class Rounds:
    """What one beat remembers of due rows that it left. Moments are monotonic seconds."""

    #: Up to where what came due was looked at once.
    looked_until: datetime = EDITED
    _refused: set[Seen] = field(default_factory=set)
    _remembers_since: float = 0.0
    _rests_until: float = 0.0
    #: Where the round stands; None while none is under way.
    _place: Place | None = None
    #: Whether it began at the beginning, and what it passed over since.
    _is_whole: bool = False
    _passed: set[Seen] = field(default_factory=set)
    _unremembered: int = 0

    @property
    def are_needed(self) -> bool:
        """Whether anything lies there that was refused."""
        return bool(self._refused) or self._place is not None

    def rest(self, moment: float) -> bool:
        """Whether what lies there is left alone."""
        return self.are_needed and self._place is None and moment < self._rests_until

    def go_on(self, moment: float) -> Place:
        """Where the round goes on, or a new one begins."""
        if self._place is None:
            self._begin(moment)
        return self._place or Place()

    def pass_over(self, page: Sequence[Seen], most: int) -> Stretch:
        """What to look at on a page of what lies there, *most* rows at most."""
        ids: list[int] = []
        passed: list[Seen] = []
        place = self._place
        for seen in page:
            if seen in self._refused:
                passed.append(seen)
            elif len(ids) < most:
                ids.append(seen.id)
            else:
                return Stretch(ids, passed, place)
            if isinstance(seen.wake_at, datetime):  # SQLite keeps whatever was written there
                place = Place(seen.wake_at, seen.id)
        return Stretch(ids, passed, place, len(page) < PASSED_AT_ONCE)

    def note(self, claimed: Claimed, stretch: Stretch, now: datetime, moment: float) -> None:
        """Note what came of a claim at *now*, which looked at *stretch* of the round as well."""
        self.looked_until = now
        if stretch.place is not None:
            self._place = stretch.place
            self._passed.update(stretch.passed)
        self._remember([each.seen for each in claimed.refused], moment)
        if claimed.left_from is not None:
            self.go_back(claimed.left_from)
        elif stretch.is_last:
            self._end(moment)

    def go_back(self, at: datetime) -> None:
        """Look at what is due from that instant on, though the round is beyond it."""
        if not self.are_needed:
            return
        if self._place is None:
            self._place, self._is_whole = Place(at), False
        self._place = min(self._place, Place(at))

    def _begin(self, moment: float) -> None:
        memory = max(_SHORTEST_MEMORY_S, _MEMORY_A_ROW_S * len(self._refused))
        if moment - self._remembers_since >= memory:
            self._refused.clear()
            self._remembers_since = moment
        self._place, self._is_whole = Place(), True
        self._passed.clear()
        self._unremembered = 0

    def _remember(self, new: Sequence[Seen], moment: float) -> None:
        if new and not self._refused:
            self._remembers_since = moment
        room = max(0, _MOST_REMEMBERED - len(self._refused))
        self._refused.update(new[:room])
        self._passed.update(new[:room])
        self._unremembered += len(new[room:])

    def _end(self, moment: float) -> None:
        """At the end of a whole round: forget what no longer lies there, and rest."""
        if self._is_whole:
            self._refused &= self._passed
            rest = _REST_A_ROW_S * len(self._refused) + _MEMORY_A_ROW_S * self._unremembered
            self._rests_until = moment + max(_SHORTEST_REST_S, rest)
        self._place = None
