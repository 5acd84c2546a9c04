"""Rows planned a second after a bulk edit of 100,000: the beat's own functions, page by page.

    python benchmarks/plan_rate.py URL [ROWS]      URL: SQLAlchemy's, or a variable that holds it

The database must be an empty one: the tables are made, and dropped at the end. Each page is one
transaction, as in a tick of the beat; the poll before it is counted too.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from celery_jobsched.store import pages, planning, schema
from celery_jobsched.store.bulk import insert_rows
from celery_jobsched.store.engine import make_engine
from celery_jobsched.store.tables import jobs

_PAGE = 1000
_INSERTED_AT_ONCE = 5000
_KINDS = ({"every": "1 hour"}, {"every": "1 day", "at": "03:30"}, {"cron": "*/15 9-17 * * mon-fri"})
_EDITS = {
    "inserted": None,
    "schedule edited": sa.update(jobs).values(every="6 hours", at=None, cron=None),
    "rule edited": sa.update(jobs).values(misfire="skip"),
    "paused": sa.update(jobs).values(enabled=False),
}


def main(url: str, rows: int = 100_000) -> None:
    engine = make_engine(os.environ.get(url, url), timeout=120)
    schema.prepare(engine, may_change=True)
    gc.freeze()  # as a beat does
    try:
        _insert(engine, rows)
        for edit, statement in _EDITS.items():
            if statement is not None:
                with engine.begin() as conn:
                    conn.execute(statement)
            seconds, slowest = _plan_all(engine)
            figures = {"rows_s": round(rows / seconds), "slowest_page_ms": round(slowest * 1e3)}
            said = {"scenario": "plan_rate", "database": engine.dialect.name, "edit": edit}
            print(json.dumps({**said, "rows": rows, **figures}), flush=True)
    finally:
        with engine.begin() as conn:
            schema.metadata.drop_all(conn)
            conn.execute(sa.text(f"DROP TABLE {schema.VERSION_TABLE}"))


def _insert(engine: sa.Engine, rows: int) -> None:
    for start in range(0, rows, _INSERTED_AT_ONCE):
        with engine.begin() as conn:
            for kind in _KINDS:
                insert_rows(conn, jobs, list(_page(kind, start, rows)))


def _page(kind: dict[str, str], start: int, rows: int) -> Iterator[dict[str, Any]]:
    end = min(start + _INSERTED_AT_ONCE, rows)
    for n in range(start + _KINDS.index(kind), end, len(_KINDS)):
        yield {"name": f"job-{n}", "task": "bench.noop", "args": json.dumps([n]), **kind}


def _plan_all(engine: sa.Engine) -> tuple[float, float]:
    """Seconds until no row is edited, and of the slowest page."""
    by = pages.Claimant("plan_rate")
    began, slowest, since = time.perf_counter(), 0.0, None
    while True:
        page = time.perf_counter()
        with engine.connect() as conn:
            look = pages.poll(conn)
        if not look.has_edited:
            return time.perf_counter() - began, slowest
        since = since or look.now
        with engine.begin() as conn:
            planning.plan_edited(conn, look.now, since, _PAGE, by)
        slowest = max(slowest, time.perf_counter() - page)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
