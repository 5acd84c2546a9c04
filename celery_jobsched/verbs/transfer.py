"""Definitions as JSON lines: out of the table, and into it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from ..errors import InvalidJob, JobExistError, JobNotFound
from ..fields import plain
from ..filters import Filter
from ..job import Job
from ..store import jobs, search
from .edits import Edits
from .looks import wanted_of


@dataclass
class Loaded:
    """The names of jobs by what became of them."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


class Transfer(Edits):
    """Exporting and loading jobs."""

    def export(
        self, words: str | Filter = "", *, connection: Connection | None = None
    ) -> Iterator[dict[str, Any]]:
        """The definitions of jobs, with their names, as JSON can carry them; see ``find``.

        A row that cannot be read comes as it stands.
        """
        with self._reading(connection) as conn:
            for page in search.ids(conn, wanted_of(words)):
                known = jobs.by_id(conn, page, self.runtime.zone_name)
                said = jobs.descriptions(conn, page)
                for id_, job in known.items():
                    yield _line(conn, job, said.get(id_))

    def load(
        self,
        lines: Iterable[str | Mapping[str, Any]],
        replace: bool = False,
        by: str | None = None,
        note: str | None = None,
        *,
        force: bool = False,
        dry_run: bool = False,
        connection: Connection | None = None,
    ) -> Loaded:
        """Add the jobs of *lines*, JSON texts or what they hold: all of them, or none.

        Those that are there with the same definition are left alone. With *dry_run* nothing is
        written.

        Raises:
            InvalidJob: a line, or a definition, cannot be read.
            JobExistError: there is a job of that name with another definition, and *replace* is
                not set.
            JobOwned: the configuration declares one that is to be replaced.
        """
        loaded = Loaded()
        with self._writing(connection) as conn:
            for number, line in enumerate(lines, 1):
                definition = _definition(number, line)
                if definition is not None:
                    name = definition.pop("name")
                    job = self._job(conn, name, definition)
                    found = became(loaded, self._there(conn, name), job)
                    if found is loaded.changed and not replace:
                        raise JobExistError(f"job {name!r} exists already, with another definition")
                    found.append(name)
                    if found is not loaded.unchanged and not dry_run:
                        self.add(
                            name,
                            replace,
                            by=by,
                            note=note,
                            force=force,
                            connection=conn,
                            **job.to_dict(),
                        )
        return loaded

    def _there(self, conn: Connection, name: str) -> Job | InvalidJob | None:
        """The job of that name; why it cannot be read; None when there is none."""
        try:
            return jobs.find(conn, name, self.runtime.zone_name)
        except JobNotFound:
            return None
        except InvalidJob as error:
            return error


def became(loaded: Loaded, there: Job | InvalidJob | None, job: Job) -> list[str]:
    """Where in *loaded* the name of *job* belongs, by what is there of that name."""
    if there is None:
        return loaded.added
    same = isinstance(there, Job) and there.to_plain() == job.to_plain()
    return loaded.unchanged if same else loaded.changed


def _line(conn: Connection, job: Job | InvalidJob, description: str | None) -> dict[str, Any]:
    if isinstance(job, InvalidJob):
        row = jobs.definition_of(conn, str(job.job))
        found = {name: value for name, value in row.items() if value is not None}
        return {"name": job.job, **{name: plain(value) for name, value in found.items()}}
    told = {"description": description} if description else {}
    return {"name": job.name, **job.to_plain(), **told}


def _definition(number: int, line: str | Mapping[str, Any]) -> dict[str, Any] | None:
    """What a line says; None of an empty one."""
    if isinstance(line, str):
        if not line.strip():
            return None
        try:
            line = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidJob(f"line {number}", line, f"JSON ({error})") from None
    if not isinstance(line, Mapping) or not isinstance(line.get("name"), str):
        raise InvalidJob(f"line {number}", line, 'a JSON object with a "name"')
    return dict(line)
