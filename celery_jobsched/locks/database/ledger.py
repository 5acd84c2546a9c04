"""What one call is about, locked and read: what it decides about each, and writes at its end.

The same verbs, with the same effects, as in the files of ``locks/redis/scripts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.engine import Connection

from .. import Admission, Answer, Copy, CopyState, Hold, Report, Step, Terms, Verdict
from ..admission import is_of, is_passed, judge, standing
from . import admissions, memory, reports, slots
from .admissions import Records
from .slots import Slots

_AT_ONCE = timedelta(0)


class Ledger:
    """The slots and the records of some holds. The caller owns the transaction."""

    def __init__(
        self, conn: Connection, holds: Sequence[Hold], terms: Terms, with_records: bool = True
    ) -> None:
        self._terms = terms
        slots.lock(conn, slots.keys_of(holds))
        fires = [hold.fire for hold in holds] if with_records else []
        rows = admissions.read(conn, fires, for_update=True)
        # What time it is counts from when nobody else can touch them.
        self._moment = memory.begin(conn, terms.renewal_period)
        self._slots = Slots(conn, holds, self._moment)
        self._records = Records(rows, self._moment.now, terms.max_queue_time)
        self._reports: list[Report] = []

    def write(self, conn: Connection) -> None:
        """Write all that was decided."""
        self._slots.write(conn)
        self._records.write(conn)
        reports.add(conn, self._reports, self._terms.most_reports)

    def acquire(self, hold: Hold) -> bool:
        return self._slots.take(hold)

    def release(self, hold: Hold) -> bool:
        record = self._records.of(hold)
        if record is not None and record.alive:
            return False
        self._slots.release(hold)
        return True

    def renew(self, hold: Hold) -> bool:
        return self._renew_copy(hold) if isinstance(hold, Copy) else self._renew_queued(hold)

    def admit(self, copy: Copy) -> Answer:
        now, born_at = self._moment.now, self._moment.born_at
        record = self._records.of(copy)
        answer = judge(copy, record, now, born_at, self._terms.max_queue_time)
        if answer is Answer.IN_HAND:
            self._records.note_redelivered(copy.fire)
        if answer.verdict is not Verdict.RUN:
            return answer
        goes_on = answer is Answer.RETRY and record is not None and record.alive
        # Between two attempts a run goes on, whoever else runs: this renews it, as its worker does.
        if not (self._slots.keep(copy) if goes_on else self._slots.take(copy)):
            self._slots.release(copy)
            self._records.put(copy, CopyState.RESERVED, _AT_ONCE)
            return Answer.FULL
        self._records.put(copy, CopyState.RESERVED, copy.lease)
        return answer

    def accept(self, step: Step) -> bool:
        copy = step.copy
        is_current = self._is_current(copy)
        if is_current:
            self._records.put(copy, CopyState.ACCEPTED, copy.lease)
            self._slots.keep(copy)
        self._note(step)
        return is_current

    def give_back(self, copy: Copy) -> bool:
        record = self._records.of(copy)
        may = record is not None and is_of(copy, record) and not _has_ended(record)
        if may:
            self._records.put(copy, CopyState.RESERVED, _AT_ONCE)
        return may

    def end(self, step: Step) -> bool:
        is_passed_by = is_passed(step.copy, self._records.of(step.copy))
        if not is_passed_by:
            self._finish(step.copy)
        self._note(step)
        return not is_passed_by

    def withdraw(self, step: Step) -> bool:
        answer = standing(step.copy, self._records.of(step.copy), self._moment.born_at)
        may = answer.verdict is Verdict.RUN
        if may:
            self._finish(step.copy)
            self._note(step)
        return may

    def _renew_copy(self, copy: Copy) -> bool:
        """Where the record was lost, it is written anew."""
        record = self._records.of(copy)
        if not self._is_current(copy):
            return False
        lease, state = copy.lease, CopyState.ACCEPTED if copy.accepted else CopyState.RESERVED
        if record is not None and is_of(copy, record):
            lease, state = max(lease, record.until - self._moment.now), record.state
        self._records.put(copy, state, lease)
        return self._slots.keep(copy)

    def _renew_queued(self, hold: Hold) -> bool:
        record = self._records.of(hold)
        if record is not None and _has_ended(record):
            return False
        if record is not None and record.state is CopyState.ACCEPTED and record.alive:
            return True
        return self._slots.queue(hold)

    def _is_current(self, copy: Copy) -> bool:
        """Whether the record leaves room for what a worker says of a copy that it has in hand."""
        record = self._records.of(copy)
        return not is_passed(copy, record) and not (record is not None and _has_ended(record))

    def _finish(self, copy: Copy) -> None:
        self._records.put(copy, CopyState.ENDED, _AT_ONCE)
        self._slots.release(copy)

    def _note(self, step: Step) -> None:
        if step.report is not None:
            self._reports.append(step.report)


def _has_ended(record: Admission) -> bool:
    return record.state is CopyState.ENDED
