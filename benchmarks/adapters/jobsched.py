"""celery_jobsched on PostgreSQL and on SQLite, for the peers' bench (see ../README.md).

Three things are said here because they decide what the figures mean:

* An overdue job (``ago >= every``) last fired one and a half intervals ago: it owes just one
  instant, half an interval old. That is past every grace time, so it fires by the misfire rule's
  default, ``once``, and nothing is left to be noted as missed.
* An edit never fires for the past. So the updates of scenario E set the next instant one second
  ahead of the change, and return THAT INSTANT: what the bench measures is the fire's lag, and a
  change that was not seen within the second would show as no fire at all.
* All beats are active. ``single_active`` stands for what it is used for: that none is sent twice.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path

import lab
from peer import Peer, names

_PAGE = 5000
_AHEAD = dt.timedelta(seconds=1)


class Jobsched(Peer):
    """What both databases share: everything but the URL and the plain SQL."""

    venv = "jobsched"
    grid = True
    single_active = True
    facts = {
        "lock": "none: every beat claims; an instant is claimed once by a unique key",
        "pickup": "polls two index ranges every 0.2 s",
        "takeover": "due jobs at once; fires that a dead beat had claimed after 2 s",
    }

    def scheduler(self):
        return "celery_jobsched.Scheduler"

    def env(self, workdir):
        return {"BENCH_CONF": json.dumps({"jobsched_database_url": self.url(workdir)})}

    def reset(self, workdir):
        from sqlalchemy import text

        from celery_jobsched.store import schema

        engine = self._engine(workdir)
        with engine.begin() as conn:
            schema.metadata.drop_all(conn)
            conn.execute(text(f"DROP TABLE IF EXISTS {schema.VERSION_TABLE}"))
        schema.prepare(engine, may_change=True)

    def seed(self, workdir, groups):
        from celery_jobsched.store.bulk import insert_rows
        from celery_jobsched.store.tables import jobs

        engine, total = self._engine(workdir), 0
        for group in groups:
            rows = list(_rows(group))
            for start in range(0, len(rows), _PAGE):
                with engine.begin() as conn:
                    insert_rows(conn, jobs, rows[start : start + _PAGE])
            total += len(rows)
        _plan_all(engine)
        self._settle(engine)
        return total

    def insert_api(self, workdir, name):
        from bench_app import app

        from celery_jobsched import Jobs

        Jobs(app).add(name, task="bench.noop", args=[name], every="1 day")
        return time.time()

    def update_api(self, workdir, name):
        from bench_app import app

        from celery_jobsched import Jobs

        fire_at = dt.datetime.now(dt.timezone.utc) + _AHEAD
        Jobs(app).modify(name, every="6 hours", starts_at=fire_at)
        return fire_at.timestamp()

    def _engine(self, workdir):
        from celery_jobsched.store.engine import make_engine

        return make_engine(self.url(workdir), timeout=60)

    def _settle(self, engine):
        """What a database does by itself some time after so many changes."""


class OnPostgreSQL(Jobsched):
    name = "jobsched-pg"

    def url(self, workdir):
        return lab.pg_url("psycopg")

    def _settle(self, engine):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("VACUUM ANALYZE jobsched_jobs")

    def insert_raw(self, workdir, name):
        import psycopg

        with psycopg.connect(lab.pg_url(), autocommit=True) as conn:
            conn.execute(
                "INSERT INTO jobsched_jobs (name, task, args, every) "
                "VALUES (%s, 'bench.noop', json_build_array(%s::text), '1 day')",
                (name, name),
            )
            return time.time()

    def update_raw(self, workdir, name):
        import psycopg

        with psycopg.connect(lab.pg_url(), autocommit=True) as conn:
            row = conn.execute(
                "UPDATE jobsched_jobs SET every = '6 hours', "
                "starts_at = now() AT TIME ZONE 'utc' + interval '1 second' WHERE name = %s "
                "RETURNING extract(epoch FROM starts_at)::float",
                (name,),
            ).fetchone()
            return row[0]


class OnSQLite(Jobsched):
    name = "jobsched-sqlite"

    def url(self, workdir):
        return f"sqlite:///{Path(workdir) / 'jobs.db'}"

    def insert_raw(self, workdir, name):
        self._execute(
            workdir,
            "INSERT INTO jobsched_jobs (name, task, args, every) "
            "VALUES (:name, 'bench.noop', json_array(:name), '1 day')",
            {"name": name},
        )
        return time.time()

    def update_raw(self, workdir, name):
        fire_at = dt.datetime.now(dt.timezone.utc) + _AHEAD
        self._execute(
            workdir,
            "UPDATE jobsched_jobs SET every = '6 hours', starts_at = :at WHERE name = :name",
            {"name": name, "at": fire_at.strftime("%Y-%m-%d %H:%M:%S.%f")},
        )
        return fire_at.timestamp()

    def _execute(self, workdir, statement, values):
        import sqlite3

        with sqlite3.connect(Path(workdir) / "jobs.db") as conn:
            conn.execute(statement, values)
        conn.close()


def _rows(group):
    """The rows of a group; when a job was made, and its last fire, are one whole second."""
    last = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    when = {"cron": group["cron"]} if "cron" in group else {"every": _every(group["every"])}
    last -= dt.timedelta(seconds=_since_last(group))
    for name in names(group):
        yield {
            "name": name,
            "task": "bench.noop",
            "args": json.dumps([name]),
            **when,
            "created_at": last,
            "last_fire_at": last,
        }


def _since_last(group):
    ago, every = group.get("ago", 0), group.get("every")
    return ago if every is None or ago < every else every * 1.5


def _every(seconds):
    return "1 day" if seconds == 86400 else f"{seconds} seconds"


def _plan_all(engine):
    from celery_jobsched.store import pages, planning

    by = pages.Claimant("seeding")
    with engine.connect() as conn:
        now = pages.poll(conn).now
    while True:
        with engine.begin() as conn:
            if not planning.plan_edited(conn, now, now, _PAGE, by).rows:
                return


PEERS = [OnPostgreSQL(), OnSQLite()]
