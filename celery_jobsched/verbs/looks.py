"""The verbs that look at jobs: how they stand, when they fire, what became of their fires."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from .. import fields as read
from ..asking import refused_by
from ..errors import InvalidJob, JobNotFound
from ..filters import Filter, parse_filter, state_of
from ..fire import FireState
from ..job import Job
from ..store import changes, history, jobs, meta, schema, search
from ..store.calendars import named_by
from ..store.changes import Change
from ..views import FireView, JobView
from .bound import Bound, naming
from .explaining import explain
from .facts import Explanation, Facts, Listing, is_due, view_of, with_fire
from .held import held_now, held_then

_RECENT = 10
_CHANGES = 200
_SKIPPED = FireState.SKIPPED.value
_ID = re.compile(r"[0-9a-f]{8,}(-[0-9a-f]+)*|[0-9a-f-]{36}")


class Looks(Bound):
    """Looking; *connection* is one of the caller's own transaction."""

    def get(self, name: str, *, connection: Connection | None = None) -> Job:
        """The job of that name, with its state.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read.
        """
        with self._reading(connection) as conn:
            return jobs.find(conn, name, self.runtime.zone_name)

    def find(
        self,
        words: str | Filter = "",
        *,
        labels: Mapping[str, str | None] | None = None,
        task: str | None = None,
        state: str | Sequence[str] = (),
        text: str | None = None,
        limit: int | None = None,
        connection: Connection | None = None,
    ) -> list[JobView]:
        """How jobs stand, the worst first; rows that cannot be read are among them.

        *words* is the filter of the command: ``state:failing task:billing.* label:team=fin``;
        the other arguments say the same in Python.

        Raises:
            InvalidJob: names what of a filter cannot be used.
        """
        wanted = wanted_of(words, labels, task, state, text)
        with self._reading(connection) as conn:
            return self._views(conn, search.find(conn, wanted, limit).rows)

    def listed(self, words: str | Filter, limit: int | None) -> Listing:
        """What ``find`` gives, with how many there are of each state, and the time by the database.

        Raises:
            InvalidJob: names what of a filter cannot be used.
            SchemaMismatch: there are no tables.
        """
        with self._reading() as conn:
            schema.require_tables(conn)
            found = search.find(conn, wanted_of(words), limit)
            return Listing(self._views(conn, found.rows), found.counts, found.now)

    def view(self, name: str, *, connection: Connection | None = None) -> JobView:
        """How a job stands, though its row may be one that cannot be read.

        Raises:
            JobNotFound: there is no job of that name.
        """
        with self._reading(connection) as conn:
            row, _ = _row_of(conn, name)
            return self._views(conn, [row])[0]

    def history(
        self,
        name: str,
        limit: int = 20,
        state: str | Sequence[str] = (),
        since: datetime | str | None = None,
        *,
        connection: Connection | None = None,
    ) -> list[FireView]:
        """The last *limit* records of a job's fires, newest first, and of what did not fire.

        Also of a job that is gone.

        Raises:
            JobNotFound: there is neither a job of that name nor a record.
            InvalidJob: names the argument that cannot be used.
        """
        states = [_fire_state(each) for each in ([state] if isinstance(state, str) else state)]
        start = None if since is None else read.instant("since", since, self.runtime.zone_name)
        with self._reading(connection) as conn:
            row, _ = search.row_of(conn, name)
            found = history.of_job(conn, row["id"] if row else name, limit, states, start)
        if row is None and not found:
            raise JobNotFound(f"no job {name!r}")
        return found

    def changes(
        self, name: str, limit: int = 20, *, connection: Connection | None = None
    ) -> list[Change]:
        """The last *limit* changes of a job, newest first: who, when, by which door, from, to.

        Raises:
            JobNotFound: there is no job of that name.
        """
        with self._reading(connection) as conn:
            row, _ = _row_of(conn, name)
            return changes.of_job(conn, row["id"], limit)

    def counts(self, name: str, since: datetime) -> dict[str, int]:
        """How many instants of a job there were in each state since then.

        Raises:
            JobNotFound: there is no job of that name.
        """
        with self._reading() as conn:
            row, _ = _row_of(conn, name)
            return history.counts(conn, row["id"], since)

    def explain(
        self,
        name: str,
        at: datetime | str | None = None,
        *,
        connection: Connection | None = None,
    ) -> Explanation:
        """Why a job did, or did not, run at an instant, or in the fire of an id; in sentences.

        *at* is an instant (without an offset local time of the job's zone), a fire's id or the end
        of one; None: the instant that is due, else the newest fire.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: *at* is neither an instant nor a fire of the job.
        """
        with self._reading(connection) as conn:
            row, now = _row_of(conn, name)
            facts = self._facts(conn, row, now)
            asked = self._asked(conn, facts, at)
            facts = with_fire(facts, *asked)
            if is_due(facts) and facts.fire is None and isinstance(facts.job, Job):
                facts = replace(facts, refusal=refused_by(self.runtime.settings, facts.job))
            if facts.fire and facts.fire.waiting_for:
                held = held_now(self.runtime, conn, facts.fire.waiting_for)
                facts = replace(facts, holders=held)
            elif facts.fire and facts.fire.state == _SKIPPED and isinstance(facts.job, Job):
                at = asked[0] or facts.fire.fire_at
                facts = replace(facts, held_then=held_then(conn, facts.job, facts.fire, at))
            return explain(facts)

    def upcoming(self, name: str, count: int = 10, after: datetime | None = None) -> list[datetime]:
        """The next *count* instants of a job strictly after *after* (now), in UTC, oldest first.

        By its schedule and bounds; that it is disabled or has no fires left is not asked.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read.
        """
        with naming(name):
            return self.get(name).upcoming(after or self.runtime.clock.now(), count)

    def previous(
        self, name: str, count: int = 10, before: datetime | None = None
    ) -> list[datetime]:
        """The last *count* instants of a job strictly before *before* (now), newest first.

        What its schedule says, whatever became of it.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read.
        """
        with naming(name):
            return self.get(name).previous(before or self.runtime.clock.now(), count)

    def _views(self, conn: Connection, rows: Sequence[RowMapping]) -> list[JobView]:
        named = named_by(conn, rows)
        return [
            view_of(
                row,
                self._read(row, named),
                search.state_of(row),
                history.of_job(conn, row["id"], _RECENT),
                self.runtime.zone_name,
            )
            for row in rows
        ]

    def _read(self, row: RowMapping, named: Mapping[str, Any]) -> Job | InvalidJob:
        try:
            job = jobs.read_row(row, self.runtime.zone_name, named)
            job.check()
        except InvalidJob as error:
            return error
        return job

    def _facts(self, conn: Connection, row: RowMapping, now: datetime) -> Facts:
        settings = self.runtime.settings
        age, least = settings.history_age, settings.max_queue_time
        most = settings.history_count
        return Facts(
            view=self._views(conn, [row])[0],
            job=self._read(row, named_by(conn, [row])),
            created_at=row["created_at"],
            now=now,
            changes=changes.of_job(conn, row["id"], _CHANGES),
            beats=[(each["id"], each["name"], each["seen_at"]) for each in meta.living(conn)],
            kept_since=history.kept_since(conn, row["id"], now, age, most, least),
            freeze=meta.frozen(conn),
            poll=timedelta(seconds=settings.poll_interval),
        )

    def _asked(
        self, conn: Connection, facts: Facts, at: datetime | str | None
    ) -> tuple[datetime | None, FireView | None]:
        """The instant that is asked about, and its record."""
        id_ = facts.view.id
        if at is None:
            if is_due(facts):
                return facts.view.next_fire_at, None
            last = facts.view.last
            return (last.fire_at if last else None), last
        if isinstance(at, str) and _ID.fullmatch(at.strip().lower()):
            fire = history.by_id_ending(conn, id_, at.strip().lower())
            if fire is None:
                raise InvalidJob("at", at, "the id of a fire of the job", job=facts.view.name)
            return fire.fire_at, fire
        instant = read.instant("at", at, facts.view.timezone)
        return instant, history.at(conn, id_, instant)


def _row_of(conn: Connection, name: str) -> tuple[RowMapping, datetime]:
    row, now = search.row_of(conn, name)
    if row is None:
        raise JobNotFound(f"no job {name!r}")
    return row, now


def wanted_of(
    words: str | Filter,
    labels: Mapping[str, str | None] | None = None,
    task: str | None = None,
    state: str | Sequence[str] = (),
    text: str | None = None,
) -> Filter:
    """What is asked for, in words or in Python.

    Raises:
        InvalidJob: names what cannot be used.
    """
    if isinstance(words, Filter):
        return words
    said = parse_filter(words.split())
    states = [state] if isinstance(state, str) else state
    return Filter(
        states=said.states + tuple(state_of(each) for each in states if each),
        tasks=said.tasks + ((task,) if task else ()),
        names=said.names,
        sources=said.sources,
        texts=said.texts + ((text,) if text else ()),
        labels={**said.labels, **(labels or {})},
    )


def _fire_state(word: str) -> str:
    try:
        return FireState(word.lower()).value
    except ValueError:
        raise InvalidJob("state", word, f"one of {_FIRE_STATES}") from None


_FIRE_STATES = ", ".join(each.value for each in FireState)
