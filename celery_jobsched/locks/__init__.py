"""What beats and workers share outside the jobs' tables: slots, admissions and reports.

This room is the contract; ``redis`` and ``database`` keep it, and one suite of tests holds for
both. A backend has a clock of its own, and a memory that it may lose.

**Slots.** A key has as many as its limit says. A fire takes one of each of its keys, all or
none, until its lease ends. Taking never exceeds a limit. Renewing asks for no limit: it is how a
memory that was lost is filled again, and a run that goes on is a fact.

**Admissions.** A fire may be published more than once; its admission record says which copy of
it may run. A copy is known by its token and its retries:

    admit ──▶ reserved ──accept──▶ accepted ──end──▶ ended
                 ▲                     │
                 └──a retry, a give_back, or a dead worker's copy that came again

**Reports.** What workers say of fires, kept until a beat has written it down: read, apply,
commit, acknowledge. A report may be read twice, and may be lost with the memory.

    a holder dies        its lease ends, its slots are free, another copy may be admitted
    a word comes late    a release left a tombstone, a record knows who is newer: nothing happens
    the memory is lost   nothing is granted for one renewal period; renewals fill it meanwhile:
                         first those of runs, then those of queues, as far as there are slots
    the backend is away  LocksAway at once; whoever holds a slot goes on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple, Protocol

from ..fire import FireState
from ..limits import RENEW_EVERY, Limit

#: Characters of a result or an error that a report carries at most.
LONGEST_TEXT = 2000


@dataclass(frozen=True)
class Terms:
    """What all beats and workers of an installation go by; a test may be in more of a hurry."""

    #: Whoever holds something has renewed it within this time: twice ``RENEW_EVERY``.
    renewal_period: timedelta = 2 * RENEW_EVERY
    #: How old a copy may be, and how long a record is kept after it was last of use.
    max_queue_time: timedelta = timedelta(days=1)
    #: How many reports are kept; the oldest are dropped, and counted.
    most_reports: int = 100_000
    #: How long other readers are kept from the reports that one has in hand.
    reading_time: timedelta = timedelta(seconds=2)


@dataclass(frozen=True)
class Hold:
    """A fire's hold on a slot of each of its keys, as a beat sees it.

    ``lease`` counts to the millisecond, from now on by the backend's clock, at each call anew.
    """

    fire: str
    limits: tuple[Limit, ...]
    lease: timedelta


@dataclass(frozen=True)
class Copy(Hold):
    """One copy of a fire's message, as the worker sees it that has it in hand."""

    #: Of this publish: another one of the same fire has another token.
    token: str
    #: Which publish of the fire it is, from 1 on.
    number: int
    retries: int
    #: Since when there can have been copies of the fire.
    made_at: datetime
    published_at: datetime
    #: Who asks. What this worker has reserved it may reserve again, but never run twice.
    worker: str
    #: Whether it runs: what the record becomes where the memory was lost.
    accepted: bool = False


class Holder(NamedTuple):
    """Who holds a slot, and until when if it is not renewed."""

    fire: str
    until: datetime


class Verdict(Enum):
    """What becomes of a copy that asks for admission."""

    RUN = "run"
    REFUSE = "refuse"
    #: The beats decide from the fire's row: this copy is dropped, and the fire not ended.
    HAND_BACK = "hand back"
    #: The slot was lost and its key is full: the fire waits for one again.
    WAIT = "wait"


class Answer(Enum):
    """Each line of the admission table: a verdict, and why."""

    FIRST = (Verdict.RUN, "no other copy of it is known")
    AGAIN = (Verdict.RUN, "it was reserved and did not start")
    RETRY = (Verdict.RUN, "it is a retry of the run that is known")
    RETURNED = (Verdict.RUN, "its worker is gone, and the broker delivered it again")
    REPLACES = (Verdict.RUN, "the copy that was admitted is gone")
    TOO_OLD = (Verdict.REFUSE, "it is older than jobsched_max_queue_time")
    ENDED = (Verdict.REFUSE, "the fire has ended")
    IN_HAND = (Verdict.REFUSE, "a worker has this very copy; noted as redelivered")
    OUTDATED = (Verdict.REFUSE, "a later retry of it is known")
    OTHER = (Verdict.REFUSE, "a worker has another copy")
    LOST = (Verdict.REFUSE, "another copy began, and its worker is gone")
    FORGOTTEN = (Verdict.HAND_BACK, "an earlier copy may have run before the memory was lost")
    FULL = (Verdict.WAIT, "its slot was lost, and no other is free")

    @property
    def verdict(self) -> Verdict:
        return self.value[0]

    @property
    def reason(self) -> str:
        return self.value[1]


class CopyState(str, Enum):
    """How far the copy of an admission record has come."""

    RESERVED = "reserved"
    ACCEPTED = "accepted"
    ENDED = "ended"


@dataclass(frozen=True)
class Admission:
    """An admission record: which copy of a fire was admitted last, and how far it came."""

    state: CopyState
    token: str
    number: int
    retries: int
    worker: str
    #: By the backend's clock; ``alive`` says whether that is still to come.
    until: datetime
    alive: bool
    #: Whether the same copy came a second time meanwhile: the broker will not deliver it again.
    redelivered: bool = False


@dataclass(frozen=True)
class Report:
    """What a worker says of a fire; times by the worker's clock.

    An end says when the run began, too: who ends at once need not say first that it started.
    """

    fire: str
    state: FireState
    at: datetime
    started_at: datetime | None = None
    token: str = ""
    retries: int = 0
    worker: str = ""
    result: str | None = None
    error: str | None = None


class Reported(NamedTuple):
    """A report that was read, and the id to acknowledge it by; None where it cannot be read."""

    id: str
    report: Report | None


class Step(NamedTuple):
    """What happens to a copy, and the report that goes with it."""

    copy: Copy
    report: Report | None = None


@dataclass(frozen=True)
class Memory:
    """How much a backend can know."""

    #: It remembers all that was said since.
    born_at: datetime
    #: How long it still grants nothing: zero, unless it was found empty lately.
    silent_for: timedelta
    #: How many reports nobody has acknowledged.
    reports: int
    #: How many were dropped because nobody had read them.
    dropped: int


class Locks(Protocol):
    """The contract. Each call is one round trip to Redis, one transaction of a database.

    Safe to share between threads; after a fork each process has connections of its own. Batches
    are worked through in their order, and are of up to 1,000. Every method may raise
    :class:`.LocksAway`: then nothing is known of what the call did, and making it again is safe.
    """

    def open(self, first: bool = False) -> Memory:
        """Begin a memory where there is none, and say how it stands.

        A beat that knows that the installation never had one says *first*: then there is nobody
        whose renewals must be waited for.
        """

    def acquire(self, wanted: Sequence[Hold]) -> list[bool]:
        """Take a slot of each key of each hold, for its lease; whether all of them were free.

        Who holds them already prolongs and takes no second one, unless others hold all that there
        are: runs of which a lost memory heard late. A hold without keys always may.
        """

    def renew(self, held: Sequence[Hold]) -> list[bool]:
        """Prolong, and add what a lost memory lacks, whatever the limits; whether it is theirs.

        It is not, and nothing happens, where the slot was released less than a lease ago, or the
        record knows another copy in this one's place, or the end. A plain hold, a beat's, is for
        a fire in a queue: while a copy of it runs, that copy's renewals alone count. It is no run,
        so it is never added over a limit; and to a memory that was lost not before the last quarter
        of its silence: until then all that runs was renewed.
        """

    def release(self, held: Sequence[Hold]) -> None:
        """Free the slots at once, and keep late renewals away from them for one lease.

        Not where a worker has a copy in hand: it may have got it since a beat looked, and frees
        the slots itself.
        """

    def holders(self, keys: Sequence[str]) -> dict[str, list[Holder]]:
        """Who holds each of *keys*, whose lease ends first coming first."""

    def free(self, limits: Sequence[Limit]) -> dict[str, int]:
        """How many slots of each key could be taken now; none while the memory is silent."""

    def admit(self, copy: Copy) -> Answer:
        """Whether *copy* may run. Where it may, it is reserved, and holds its slots, for its lease.

        Where it must wait, its fire holds no slot any more, and the next copy may be admitted. A
        retry of a run whose lease lasts needs not: it keeps its slots, as a renewal does.
        """

    def accept(self, started: Sequence[Step]) -> list[bool]:
        """Note that copies run. False where another copy took their place, which may run as well.

        The reports are kept in either case.
        """

    def give_back(self, copies: Sequence[Copy]) -> None:
        """Let go of what was reserved or will not be run to its end here: it may come again.

        The fires keep their slots: they are back in a queue.
        """

    def end(self, ended: Sequence[Step]) -> list[bool]:
        """Note the end of runs and release their slots. False where another copy took their place.

        The reports are kept in either case.
        """

    def withdraw(self, refused: Sequence[Step]) -> list[bool]:
        """The same for copies that Celery itself refused: expired or revoked before admission.

        False, and nothing happens, where this copy would not have been admitted either.
        """

    def admissions(self, fires: Sequence[str]) -> dict[str, Admission]:
        """The records of those of *fires* that have one."""

    def report(self, reports: Sequence[Report]) -> None:
        """Keep reports for the beats, in their order."""

    def reports(self, limit: int) -> list[Reported]:
        """The oldest reports, at most *limit*; they stay until they are acknowledged.

        None while another reader has some in hand, for ``Terms.reading_time`` at most.
        """

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Forget reports, once what they say was committed."""

    def prune(self, limit: int) -> int:
        """Delete at most *limit* records whose time is over; how many. Redis does so by itself."""

    def close(self) -> None:
        """Give back the connections; the next call opens new ones."""
