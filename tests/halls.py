"""Several databases under aliases, one of them behind a line that a test can cut.

with fresh_halls(tmp_path) as halls, Beat(halls.stack) as beat:
    halls.line.stall()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery_jobsched.store import schema
from tests.proxy import Proxy
from tests.records import Records
from tests.services import fresh_database
from tests.stacks import Stack, fresh_broker

#: alias -> the kind of its database; the first is the default one.
KINDS = {"files": "sqlite", "main": "postgresql", "second": "mysql"}
#: The one that is reached by the line.
CUT = "main"


@dataclass
class Halls:
    """A stack of several databases, with the tables of each."""

    stack: Stack
    records: Mapping[str, Records]
    line: Proxy

    @property
    def others(self) -> list[Records]:
        """All but the one that may be cut."""
        return [records for alias, records in self.records.items() if alias != CUT]

    def add(self, name: str, **columns: Any) -> None:
        """The same job in each database."""
        for records in self.records.values():
            records.add(name, **columns)


@contextmanager
def fresh_halls(folder: Path, broker: str = "redis", **conf: Any) -> Iterator[Halls]:
    """The databases of `KINDS` with tables, and a broker."""
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_broker(broker, folder))
        urls = {a: stack.enter_context(fresh_database(k, folder)) for a, k in KINDS.items()}
        records = {a: stack.enter_context(Records(url)) for a, url in urls.items()}
        for each in records.values():
            schema.prepare(each.engine, True)
        parts = urlsplit(urls[CUT])
        line = stack.enter_context(Proxy(str(parts.hostname), int(parts.port or 0)))
        through = urls[CUT].replace(f":{parts.port}/", f":{line.port}/")
        found = {
            **settings,
            "jobsched_database_url": {**urls, CUT: through},
            "jobsched_socket_timeout": 1.0,
            **conf,
        }
        whole = Stack("several", broker, folder, found)
        with whole.on_end:
            yield Halls(whole, records, line)
