"""Importing what another scheduler has: looked at first, and written when asked to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from ..errors import InvalidJob, JobExistError
from ..importers.draft import Draft, Note
from ..importers.sources import Here, drafts_from
from ..job import Job
from .transfer import Loaded, Transfer, became

#: Every beat declares it by itself.
_CELERYS_OWN = "celery.backend_cleanup"


@dataclass
class Imported(Loaded):
    """The names of jobs by what becomes, or became, of them; see also ``left_out``."""

    #: Jobs of that name are there, with another definition, and are not to be replaced.
    existing: list[str] = field(default_factory=list)
    #: Why jobs cannot be carried over, one note each.
    left_out: list[Note] = field(default_factory=list)
    #: What of the others is not as it was.
    notes: list[Note] = field(default_factory=list)
    #: All that are not left out, by name.
    jobs: dict[str, Job] = field(default_factory=dict)


class Imports(Transfer):
    """Importing jobs of other schedulers."""

    def import_from(
        self,
        source: str,
        place: Any = None,
        *,
        apply: bool = False,
        replace: bool = False,
        by: str | None = None,
        note: str | None = None,
        force: bool = False,
        connection: Connection | None = None,
    ) -> Imported:
        """Look at the jobs of another scheduler; with *apply* make them, all that can be or none.

        *source* names the kind (``importers.sources.SOURCES``), *place* where it is kept: a URL, a
        path, ``module:attribute``, or the jobs themselves; None: where that scheduler has it by
        this application's configuration. Nothing that was to come before now is fired.

        Raises:
            InvalidSource: the source is not there, or cannot be read.
            JobExistError: with *apply*, there is a job of that name with another definition, and
                *replace* is not set; nothing is written.
            JobOwned: the configuration declares one that is to be replaced.
        """
        drafts = drafts_from(source, place, self._here())
        found = Imported()
        with self._writing(connection) if apply else self._reading(connection) as conn:
            for draft in drafts:
                self._sort(conn, draft, found, replace)
            found.notes += self._notes_on(found)
            if apply:
                _require_new(found.existing)
                for name in (*found.added, *found.changed):
                    definition = found.jobs[name].to_dict()
                    self.add(
                        name, replace, by=by, note=note, force=force, connection=conn, **definition
                    )
        return found

    def _here(self) -> Here:
        runtime = self.runtime
        settings = runtime.settings
        return Here(
            runtime.app.conf,
            runtime.zone_name,
            self.runtime.database_url,
            runtime.clock.now(),
            settings.socket_timeout,
        )

    def _sort(self, conn: Connection, draft: Draft, found: Imported, replace: bool) -> None:
        """Put a draft where it belongs."""
        if draft.name == _CELERYS_OWN:
            found.notes.append(Note(draft.name, "name", "left to the beat, which declares it"))
            return
        if draft.refusal is None:
            self._take(conn, draft, found, replace)
        if draft.refusal is not None:
            found.left_out.append(draft.refusal)

    def _take(self, conn: Connection, draft: Draft, found: Imported, replace: bool) -> None:
        """Put the job of a draft among the others, or refuse it where it is none."""
        try:
            if draft.name in found.jobs:
                raise InvalidJob("name", draft.name, "one job of that name")
            job = self._job(conn, draft.name, draft.definition)
        except InvalidJob as error:
            draft.refuse(error)
            return
        found.notes += draft.notes
        found.jobs[job.name] = job
        where = became(found, self._there(conn, job.name), job)
        (found.existing if where is found.changed and not replace else where).append(job.name)

    def _notes_on(self, found: Imported) -> Iterator[Note]:
        """What is to be said of jobs whatever they come from."""
        declared = {*self.runtime.settings.jobs, *(self.runtime.app.conf.beat_schedule or {})}
        now = self.runtime.clock.now()
        for name in (*found.added, *found.changed):
            job = found.jobs[name]
            if job.enabled and not job.upcoming(now, 1):
                yield Note(name, "schedule", "no fire is left")
            if name in declared:
                yield Note(name, "name", "declared in the configuration as well: take it out there")


def _require_new(names: list[str]) -> None:
    if names:
        said = ", ".join(map(repr, names))
        raise JobExistError(f"expected names that are new, or to be replaced, got: {said}")
