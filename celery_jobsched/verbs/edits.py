"""The verbs that change jobs: each is one transaction, on record, and seen by the next poll."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from .. import fields as read
from ..definition import by_column
from ..errors import InvalidJob, JobChanged, JobNotFound, JobOwned
from ..job import Job
from ..store import jobs, pauses
from ..store.changes import recorded
from ..store.declared import CONFIG, owner_of
from ..store.engine import database_now
from .bound import Bound

_SOURCE = "api"


class Edits(Bound):
    """Adding, changing, pausing and removing jobs.

    Of all of them: *by* says who does it, the user of this process by default, and *note* why;
    *connection* is one of the caller's own transaction. What a configuration declares is refused
    (``JobOwned``) unless *force* is set: then it holds until the next sync.
    """

    def add(
        self,
        name: str,
        replace: bool = False,
        *,
        by: str | None = None,
        note: str | None = None,
        force: bool = False,
        connection: Connection | None = None,
        **definition: Any,
    ) -> Job:
        """Make a job of a definition: the table's columns as keys.

        Raises:
            InvalidJob: names the field, what was expected and what came.
            JobExistError: there is one of that name, and *replace* is not set.
            JobOwned: the configuration declares the one that is to be replaced.
        """
        Job.from_dict(name, definition, self.runtime.zone_name)
        with (
            self._writing(connection) as conn,
            recorded(conn, name, self._author(by, note)) as row,
        ):
            job = self._job(conn, name, definition)
            if replace and row is not None:
                _require_free(row, force)
                jobs.replace(conn, job)
            else:
                jobs.insert(conn, job, _SOURCE)
        return job

    def modify(
        self,
        name: str,
        *,
        by: str | None = None,
        note: str | None = None,
        force: bool = False,
        version: int | None = None,
        connection: Connection | None = None,
        **changes: Any,
    ) -> Job:
        """Set fields of a job, None for a field's default; its state stays. Mends a broken row.

        *version*: that of the job as the caller knows it.

        Raises:
            JobNotFound: there is no job of that name.
            JobChanged: it has another version by now.
            JobOwned: the configuration declares it.
            InvalidJob: the definition that would come of it cannot be read.
        """
        with (
            self._writing(connection) as conn,
            recorded(conn, name, self._author(by, note)) as row,
        ):
            _require_free(_there(name, row), force)
            if row and version is not None and row["version"] != version:
                raise JobChanged(f"job {name!r}: expected version {version}, got: {row['version']}")
            definition = jobs.definition_of(conn, name) | by_column(changes)
            job = self._job(conn, name, definition)
            jobs.replace(conn, job)
        return job

    def remove(
        self,
        name: str,
        *,
        by: str | None = None,
        note: str | None = None,
        force: bool = False,
        connection: Connection | None = None,
    ) -> None:
        """Delete a job; the records of its fires and changes stay.

        Raises:
            JobNotFound: there is no job of that name.
            JobOwned: the configuration declares it.
        """
        with (
            self._writing(connection) as conn,
            recorded(conn, name, self._author(by, note)) as row,
        ):
            _require_free(_there(name, row), force)
            jobs.delete(conn, name)

    def pause(
        self,
        name: str,
        note: str | None = None,
        until: datetime | str | None = None,
        by: str | None = None,
        *,
        connection: Connection | None = None,
    ) -> None:
        """Let a job fire no more, until it is resumed or *until* has come; fires by hand go on.

        *until* without an offset is local time of the job's zone. The configuration leaves a
        person's pause alone.

        Raises:
            JobNotFound: there is no job of that name.
            InvalidJob: *until* is none, or past.
        """
        author = self._author(by, note)
        with self._writing(connection) as conn, recorded(conn, name, author) as row:
            zone_name = _there(name, row)["timezone"] or self.runtime.zone_name
            end = None if until is None else read.instant("until", until, zone_name)
            if end is not None and end <= conn.execute(sa.select(database_now())).scalar_one():
                raise InvalidJob("until", until, "a moment to come", job=name)
            pauses.pause(conn, _there(name, row), author.who, note, end)

    def resume(
        self,
        name: str,
        catch_up: bool = False,
        by: str | None = None,
        note: str | None = None,
        *,
        force: bool = False,
        connection: Connection | None = None,
    ) -> None:
        """Let a paused job fire again, from now on; nothing happens to one that is not paused.

        With *catch_up* its misfire rule decides about what came due since it was paused.

        Raises:
            JobNotFound: there is no job of that name.
            JobOwned: the configuration declares it with ``enabled = False``.
            InvalidJob: it is to catch up, and nothing says since when it was paused.
        """
        with (
            self._writing(connection) as conn,
            recorded(conn, name, self._author(by, note)) as row,
        ):
            if _there(name, row)["paused_by"] == CONFIG:
                _require_free(_there(name, row), force)
            pauses.resume(conn, _there(name, row), catch_up)


def _there(name: str, row: RowMapping | None) -> RowMapping:
    if row is None:
        raise JobNotFound(f"no job {name!r}")
    return row


def _require_free(row: RowMapping, force: bool) -> None:
    owner = owner_of(str(row["source"]))
    if owner is not None and not force:
        raise JobOwned(
            f"job {row['name']!r} is declared in the configuration of {owner!r}: change it there, "
            "or by force until the next sync"
        )
