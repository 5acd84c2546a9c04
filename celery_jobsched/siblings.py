"""What the schedulers of one beat share, each of which serves a database of its own."""

from __future__ import annotations

import threading

from .errors import InvalidSetting
from .rate import Rate


class Siblings:
    """The rate at which all of them publish, and which installation is whose."""

    def __init__(self, max_rate: float | None) -> None:
        self.rate = Rate(max_rate)
        self._lock = threading.Lock()
        self._owners: dict[str, str | None] = {}

    def own(self, installation: str, database: str | None) -> None:
        """Note that the tables of *installation* are those of *database*.

        Two names may lead to one server, and a database may be a copy of another: they would
        undo each other's declared jobs, or take each other's slots.

        Raises:
            InvalidSetting: they are those of another database of this beat.
        """
        with self._lock:
            owner = self._owners.setdefault(installation, database)
        if owner != database:
            raise InvalidSetting(
                f"jobsched_database_url[{database!r}]: expected a database of its own, "
                f"got: that of {owner!r}, or a copy of it"
            )
