"""The verbs that make fires: no beat need live to write them, any beat delivers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from .. import backfill as backfilling
from .. import fields as read
from ..backfill import Backfill
from ..errors import InvalidJob
from ..fire import Fire, Origin, clock_key, new_id
from ..job import Job
from ..store import fires, history, jobs, keywords
from ..store.engine import database_now
from .bound import Bound, naming

_LONGEST_DELAY_S = 10 * 365 * 86400.0


class Runs(Bound):
    """Running jobs by hand, by keyword, and for instants of the past.

    *by* says who does it, the user of this process by default, and *note* why; *connection* is one
    of the caller's own transaction.
    """

    def run(
        self,
        name: str,
        delay: float | timedelta = 0,
        at: datetime | str | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        by: str | None = None,
        note: str | None = None,
        *,
        connection: Connection | None = None,
    ) -> str:
        """Run a job once, now, after *delay* seconds or *at* a moment; the fire's and task's id.

        *args* and *kwargs* are this run's own, None for the job's. It goes out though the job is
        paused, as long as there is the job, and counts for no ``max_fires``.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read, or names the argument that cannot be used.
        """
        wait = read.seconds(0)("delay", delay)
        if wait > _LONGEST_DELAY_S or (wait and at is not None):
            raise InvalidJob("delay", delay, "a few years at most, and none beside at", job=name)
        own = _own(args, kwargs)
        with self._writing(connection) as conn:
            job = jobs.find(conn, name, self.runtime.zone_name)
            now = conn.execute(sa.select(database_now())).scalar_one()
            moment = now + timedelta(seconds=wait)
            if at is not None:
                moment = max(now, read.instant("at", at, job.zone_name))
            fire = replace(_fire(job, Origin.MANUAL, moment, now), args=own[0], kwargs=own[1])
            fire = replace(fire, key=fire.id)
            fires.insert_ready(conn, [fire], now, self._said(by, note))
        return fire.id

    def fire(
        self,
        keyword: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
    ) -> list[str]:
        """Fire each enabled job of *keyword* once, now; the ids of the fires: their tasks' ids.

        *args* and *kwargs* are these fires' own, None for the jobs'. Empty when there is no such
        job. Beats deliver what is written; none has to live just now.

        Raises:
            InvalidJob: names the argument that cannot be used.
        """
        read.keyword("keyword", keyword)
        own_args, own_kwargs = _own(args, kwargs)
        with self._writing(connection) as conn:
            call = keywords.new_call(conn, keyword, own_args, own_kwargs)
            return keywords.fire_jobs(conn, [call], self.runtime.zone_name)

    def backfill(
        self,
        name: str,
        start: datetime | str,
        end: datetime | str | None = None,
        limit: int = 100,
        by: str | None = None,
        note: str | None = None,
        *,
        dry_run: bool = False,
        connection: Connection | None = None,
    ) -> Backfill:
        """Fire the instants of a job from *start* to *end* (now) that have not fired.

        Those that were missed, skipped or cancelled have not; their records stay, too. But of one
        that was cancelled when a beat had it in hand, a copy may run yet: it is left out.
        *limit* of them at most, oldest first; what is left out is told. Only what is on record can
        be known to have fired: what is older is left out. With *dry_run* nothing is written.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: its row cannot be read, or names the argument that cannot be used.
        """
        most = read.whole(1)("limit", limit)

        def fill(conn: Connection) -> Backfill:
            jobs.definition_of(conn, name)  # nobody claims of it meanwhile
            job = jobs.find(conn, name, self.runtime.zone_name)
            now = conn.execute(sa.select(database_now())).scalar_one()
            first = read.instant("start", start, job.zone_name)
            last = now if end is None else read.instant("end", end, job.zone_name)
            wanted = backfilling.chosen(job, first, last, most, now, self._kept_since(conn, job))
            if dry_run:
                return wanted
            return _written(conn, job, wanted, now, self._said(by, note))

        with naming(name):
            return self._insist(fill, connection)

    def _kept_since(self, conn: Connection, job: Job) -> datetime:
        settings = self.runtime.settings
        now = conn.execute(sa.select(database_now())).scalar_one()
        most, age, least = settings.history_count, settings.history_age, settings.max_queue_time
        return history.kept_since(conn, job.id or 0, now, age, most, least)

    def _said(self, by: str | None, note: str | None) -> str:
        who = self._author(by, note).who or "somebody"
        return f"run by {who}" + (f": {note}" if note else "")


def _written(conn: Connection, job: Job, wanted: Backfill, now: datetime, reason: str) -> Backfill:
    # Those that wait for slots do so in the order of their ids.
    new = [
        replace(_fire(job, Origin.BACKFILL, at, now), id=new_id(now, place), key=clock_key(at))
        for place, at in enumerate(wanted.instants)
    ]
    fires.free_keys(conn, job.id or 0, [fire.key for fire in new])
    written = fires.insert_ready(conn, new, now, reason) if new else set()
    fired = [fire.fire_at for fire in new if fire.id not in written]
    left = wanted.left_out + ((backfilling.fired_already(fired),) if fired else ())
    made = [fire for fire in new if fire.id in written]
    return Backfill(tuple(fire.fire_at for fire in made), left, tuple(fire.id for fire in made))


def _fire(job: Job, origin: Origin, fire_at: datetime, now: datetime) -> Fire:
    return Fire(
        id=new_id(now),
        job_id=job.id or 0,
        job_name=job.name,
        key="",
        fire_at=fire_at,
        due_at=fire_at,
        origin=origin,
        publishes=0,
    )


def _own(args: Any, kwargs: Any) -> tuple[list[Any] | None, dict[str, Any] | None]:
    return (
        None if args is None else read.json_list("args", args),
        None if kwargs is None else read.json_object("kwargs", kwargs),
    )
