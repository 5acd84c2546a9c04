"""The door of ``celery beat -S celery_jobsched.Scheduler``: one tick after another.

A tick looks once, then takes at most one page of each: fires that nobody delivers, jobs that are
due, rows that were edited. It never raises: what goes wrong is logged, and tried again.
"""

from __future__ import annotations

import logging
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from .asking import asking_of
from .broker import OnBroker
from .claiming import Claiming, tell
from .decisions import Decisions
from .declare import declared_in
from .differing import Differences, differences
from .dispatch import Batch, Dispatcher
from .ending import end_runs
from .events import of_database as speaking_of
from .fire import Fire
from .interrupts import uninterrupted
from .limits import Rights
from .overdue import Overdue
from .publish import Publisher, noted, urgency_of
from .reports import Reports
from .runtime import Runtime
from .setbacks import Setbacks
from .settings import warn_of_unknown
from .several import Several
from .shadow import Shadow
from .siblings import Siblings
from .slots import Slots
from .store import fires, planning, schema
from .store.deliveries import Delivery
from .store.pages import Cause, Claimant, Poll
from .store.skips import Run
from .tenure import Tenure
from .ticket import Ticket
from .upkeep import Upkeep
from .watch import Watch

logger = logging.getLogger(__name__)

_EDITED_AT_ONCE, _REFUSED_PAUSE_S = 1000, 2.0


class Scheduler(OnBroker):
    """Fires the jobs of a database, once each, beside any number of others like it.

    Of several databases it serves the one of alias *database*; without an alias all of them, by a
    scheduler for each: see ``several``. *siblings*: what those share.
    """

    #: Shown by the banner; ``jobsched_poll_interval`` decides.
    max_interval: Any = 0.2
    data: dict[str, Any]

    def __init__(
        self,
        app: Any,
        *,
        database: str | None = None,
        siblings: Siblings | None = None,
        **kwargs: Any,
    ) -> None:
        self.runtime = Runtime(app, database=database)
        settings = self.runtime.settings
        #: The alias of its database; None where there is but one, and where it serves them all.
        self.database = database and self.runtime.database
        self.id = str(uuid.uuid4())
        self._siblings = siblings or Siblings(settings.max_rate)
        self._several: Several | None = None
        self._turn = 0
        self._setbacks = Setbacks(self.runtime.close)
        #: Where the past of the edits ends that are being planned.
        self._edits_since: datetime | None = None
        super().__init__(app, **kwargs)
        self.max_interval = settings.poll_interval

    def setup_schedule(self) -> None:
        """Read and check all that the configuration declares; the tables come with the ticks.

        Raises:
            InvalidJob: a declared job cannot be read.
            InvalidSetting: an option cannot be used.
        """
        runtime, settings, clock = self.runtime, self.runtime.settings, self.runtime.clock
        if self.database is None:
            warn_of_unknown(self.app.conf)
            if aliases := runtime.databases:
                self._several = Several(self.app, aliases, self._for, settings.socket_timeout)
                return
        self.install_default_entries(self.data)
        declared = declared_in(runtime, {**self.data, **self.app.conf.beat_schedule})
        self._upkeep = Upkeep(runtime, self.id, declared, self._siblings)
        self._decisions = Decisions(settings.decision_log, self.id, clock.now, self.database)
        self._overdue = Overdue(self._upkeep.say_alive)
        weakref.finalize(self, self._overdue.end)
        self._reports = Reports(runtime)
        self._watch = Watch(runtime, lambda: self._upkeep.locks)
        self._claimant = Claimant(self.id, runtime.zone_name, settings.catchup_limit)
        asking, urgency = asking_of(settings), partial(urgency_of, self.app)
        self._claiming = Claiming(runtime, self._claimant, asking, urgency)
        self._shadow = Shadow(runtime, self._claimant, asking)
        publisher = Publisher(
            self.app,
            settings,
            self.apply_entry,
            self.apply_async,
            self._ticket_for,
            clock.monotonic,
        )
        self._slots = Slots(runtime, lambda: self._upkeep.locks, publisher.wants)
        self._dispatcher = Dispatcher(
            publisher,
            settings.claim_limit,
            lambda: self.producer,
            self._drop_connection,
            self._slots,
            self._end_runs,
            runtime.zone_name,
            self._upkeep.lags,
            self._siblings.rate,
            self._claimant.tenure,
        )

    def _for(self, alias: str) -> Scheduler:
        """The scheduler of one of several databases."""
        return type(self)(self.app, database=alias, siblings=self._siblings, Producer=self.Producer)

    @property
    def schedulers(self) -> Mapping[Any, Any]:
        """The scheduler of each database by its alias; where there is but one, this."""
        return {None: self} if self._several is None else self._several.schedulers

    def difference(self, is_applied: bool = False) -> Differences:
        """What this beat's start would change in the table, and with *is_applied* changes now.

        Raises:
            SchemaMismatch: there are no tables.
        """
        with self.runtime.reading() as conn:
            schema.require_tables(conn)
            found = differences(conn, self._upkeep.source, self._upkeep.declared)
        if is_applied:
            self._upkeep.declare()
        return found

    @property
    def info(self) -> str:
        """The lines of the banner: where jobs and locks are, without passwords."""
        return "\n".join(f"    . {what} -> {where}" for what, where in self.runtime.places)

    @property
    def refusals(self) -> dict[str, int]:
        """How often this beat left a due job to others, by the kind of reason."""
        counts = (each._claiming.refusals for each in self.schedulers.values())
        return {cause.value: count for cause, count in sum(counts, Counter[Cause]()).items()}

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Do what there is to do; the seconds until the next look, 0 when there is more."""
        if self._several is not None:
            self._several.watch()
            return float(self.max_interval)
        with speaking_of(self.database):
            try:
                with self._overdue.watched(), uninterrupted():
                    pause = self._tick()
            except Exception as error:  # noqa: BLE001 - what leaves tick ends the beat
                return self._setbacks.pause_after(error)
            self._setbacks.over()
            return pause

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kw: Any) -> Any:
        """As Celery's own, leaving on a fire's entry what its publish raised."""
        publish = super().apply_async
        return noted(entry, lambda: publish(entry, producer=producer, advance=False, **kw))

    def sync(self) -> None:
        """Nothing to save: the tables are the state."""

    def close(self) -> None:
        """Give back what was opened; may be called twice."""
        if self._several is not None:
            self._several.close()
            return
        try:
            self._dispatcher.end(self.runtime.engine)
            self._overdue.end()
            self._decisions.end()
            self._claiming.close()
            self._upkeep.sign_off()
        except Exception as error:  # noqa: BLE001 - ending must not fail; that row only informs
            logger.debug("could not sign off: %s", error)
        self.runtime.close()
        self._disconnect(lambda connection: connection.release())

    def _ticket_for(self, fire: Fire, rights: Rights) -> Ticket:
        place, now = self.runtime.urls["locks"], self.runtime.clock.now()
        return Ticket.of(fire, rights, self._upkeep.installation, place, now, self.database)

    def _tick(self) -> float:
        self._decisions.begin()
        self._upkeep.prepare()
        self._dispatcher.mark(self.runtime.engine)
        moment = self.runtime.clock.monotonic()
        look = self._claiming.look(moment)
        self._tenure.begin(self.runtime.clock.monotonic() - moment)
        if self._upkeep.refuses is not None:
            self._upkeep.keep(look, moment)
            return _REFUSED_PAUSE_S
        worked = [*(step(look, moment) for step in self._in_turn()), self._upkeep.wake(look)]
        self._upkeep.keep(look, moment)
        passed = self.runtime.clock.monotonic() - moment
        return 0.0 if any(worked) else look.wait(passed, float(self.max_interval))

    @property
    def _tenure(self) -> Tenure:
        return self._claimant.tenure

    def _in_turn(self) -> list[Callable[[Poll, float], bool]]:
        """What this beat is for; where a rate allows little, each that publishes is first once."""
        if self.runtime.settings.shadow:
            return [self._shadow.foresee, self._plan]
        if self._upkeep.drained is not None:
            return [self._plan, self._hear]
        self._turn = (self._turn + 1) % 3 if self.runtime.settings.max_rate else 0
        steps = [self._take_over, self._claim, self._wake]
        # What somebody holds a row of may keep a report waiting: it keeps no edit waiting.
        return [*steps[self._turn :], *steps[: self._turn], self._plan, self._hear]

    def _hear(self, look: Poll, moment: float) -> bool:
        """Read what workers report, and look after what was sent; whether there may be more."""
        has_read = self._reports.take(self._upkeep.locks, look.now)
        return self._watch.look_after(look) or has_read

    def _take_over(self, look: Poll, moment: float) -> bool:
        """Deliver what nobody owns any more: a dead beat's fires, and what a broker refused."""
        due = look.next_ready_at is not None and look.next_ready_at <= look.now
        room = self._dispatcher.room
        if not due or self._dispatcher.rests or not room:
            return False
        with self.runtime.engine.begin() as conn:
            zone_name, owned_for = self.runtime.zone_name, self._tenure.length
            taken = fires.take_ready(conn, look.now, room, zone_name, owned_for)
        return self._deliver(taken, look, moment)

    def _claim(self, look: Poll, moment: float) -> bool:
        """Claim a page of what is due and deliver it."""
        room = 0 if look.freeze else self._dispatcher.room
        if not look.is_due or not room or not self._dispatcher.may_claim():
            return False
        if not self._tenure.is_fresh(self.runtime.clock.monotonic() - moment):
            return True
        claimed = self._claiming.claim(look, self._dispatcher.limit, moment, room)
        self._deliver(claimed.deliveries, look, moment)
        tell(claimed)
        return claimed.rows > 0 or self._claiming.has_more(moment)

    def _wake(self, look: Poll, moment: float) -> bool:
        """Deliver those whose turn it is of the fires that wait for slots."""
        room = self._dispatcher.room
        if not look.has_waiting or not room or not self._dispatcher.may_claim():
            return False
        return self._deliver(self._slots.woken(look.now, room, self._tenure.length), look, moment)

    def _deliver(self, deliveries: Sequence[Delivery], look: Poll, moment: float) -> bool:
        if deliveries:
            batch = Batch(deliveries, look.now, moment, self._tenure.length)
            self._dispatcher.deliver(self.runtime.engine, batch)
        return bool(deliveries)

    def _end_runs(self, runs: Sequence[Run]) -> None:
        """Ask runs to end that others replace."""
        if runs:
            with self.runtime.reading() as conn:
                is_heard = self._watch.hears(conn)
            end_runs(self.app, self._upkeep.locks, runs, self.runtime.clock.now(), is_heard)

    def _plan(self, look: Poll, moment: float) -> bool:
        """Plan a page of edited rows; their past ends where the first of them was found."""
        if not look.has_edited:
            self._edits_since = None
            return False
        since = self._edits_since or look.now
        with self.runtime.engine.begin() as conn:
            planned = planning.plan_edited(conn, look.now, since, _EDITED_AT_ONCE, self._claimant)
        self._edits_since = since if planned.rows >= _EDITED_AT_ONCE else None
        if planned.left_from is not None:
            self._claiming.rounds.go_back(planned.left_from)
            self._shadow.go_back(planned.left_from)
        tell(planned)
        return planned.rows > 0
