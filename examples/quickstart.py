"""The main job on one machine, without any server: a worker with the beat inside it.

Jobs live in a SQLite file, messages in a folder. Each run is printed as a line; edit the jobs with
plain SQL meanwhile and watch. Ctrl-C stops it; the jobs stay, and go on at the next start.

    python examples/quickstart.py               run, in ./quickstart-data
    python examples/quickstart.py --sql "…"     one statement on its database, in a second terminal
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

from celery import Celery, Task
from celery.signals import worker_ready

from celery_jobsched import Jobs

WORKER = """
    --quiet worker --beat --scheduler celery_jobsched.Scheduler --pool solo --loglevel WARNING
    --without-gossip --without-mingle --without-heartbeat
"""

A_MINUTE_OLD_JOB = """
    INSERT INTO jobsched_jobs (name, task, args, cron, created_at)
    VALUES ('cron-each-minute', 'quickstart.hello', '["by cron, from plain SQL"]', '* * * * *',
            strftime('%Y-%m-%d %H:%M:%f', 'now', '-60 seconds'))
    ON CONFLICT (name) DO NOTHING
"""

app = Celery("quickstart")
jobs = Jobs(app)


@app.task(bind=True, name="quickstart.hello")
def hello(self: Task, whom: str) -> None:
    fire = self.request.headers["jobsched"]
    now = datetime.now().astimezone()
    print(
        f"{now:%H:%M:%S}  hello {whom}  from job {fire['job']!r} fire_at={fire['fire_at']}",
        flush=True,
    )


def configure(folder: Path) -> None:
    """Everything that the worker and the beat inside it need to know."""
    messages = folder / "messages"
    messages.mkdir(parents=True, exist_ok=True)
    app.conf.update(
        broker_url="filesystem://localhost",
        broker_transport_options={
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.1,
        },
        broker_connection_retry_on_startup=True,
        worker_enable_remote_control=False,
        worker_redirect_stdouts=False,
        jobsched_database_url=f"sqlite:///{database(folder)}",
        jobsched_jobs=declared_jobs(datetime.now(timezone.utc)),
    )


def declared_jobs(now: datetime) -> dict[str, dict[str, object]]:
    """Jobs as a configuration declares them; the keys are the table's columns."""
    in_five_seconds = now + timedelta(seconds=5)
    return {
        "every-2-seconds": {
            "task": "quickstart.hello",
            "args": ["from the configuration"],
            "every": "2 seconds",
        },
        "every-minute-at": {
            "task": "quickstart.hello",
            "args": [f"at second {in_five_seconds:%S}"],
            "every": "1 minute",
            "at": f"{in_five_seconds::%S}",
        },
    }


def insert_a_job_by_sql(path: Path) -> None:
    """A third job, with nothing but SQL: name, task, and when. The beat made the table by then.

    It is made as of a minute ago, as though no beat had been alive since: so it owes one fire, and
    the next poll finds it.
    """
    while not run_sql(path, "SELECT 1 FROM sqlite_master WHERE name = 'jobsched_jobs'"):
        time.sleep(0.1)
    run_sql(path, A_MINUTE_OLD_JOB)


def run_sql(path: Path, statement: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as conn:
        conn.row_factory = sqlite3.Row
        return conn.execute(statement).fetchall()


def database(folder: Path) -> Path:
    return folder / "jobs.db"


def say_what_to_try(folder: Path) -> None:
    me = shlex.join([sys.orig_argv[0], sys.argv[0], "--folder", str(folder)])
    update = "UPDATE jobsched_jobs SET every = '1 second' WHERE name = 'every-2-seconds'"
    print(
        f"""
Three jobs run now. Ctrl-C stops them. In a second terminal, change one by SQL and watch:

  sqlite3 -cmd ".timeout 5000" {shlex.quote(str(database(folder)))} "{update}"

or, where there is no sqlite3 program:

  {me} --sql "{update}"
""",
        flush=True,
    )


def stop_after(seconds: float) -> None:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()


def make_queue() -> None:
    """Make the queue before two processes do: kombu's file of bindings is not made atomically."""
    with app.connection_for_write() as connection:
        app.amqp.queues[app.conf.task_default_queue](connection.default_channel).declare()


def run(folder: Path, seconds: float | None) -> None:
    configure(folder)
    make_queue()

    @worker_ready.connect(weak=False)
    def _ready(**_: object) -> None:
        threading.Thread(target=insert_a_job_by_sql, args=[database(folder)], daemon=True).start()
        say_what_to_try(folder)
        if seconds is not None:
            stop_after(seconds)

    app.worker_main(WORKER.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("quickstart-data"))
    parser.add_argument("--seconds", type=float, help="stop by itself after so many")
    parser.add_argument("--sql", help="run one statement on the database, print its rows, and end")
    given = parser.parse_args()
    if given.sql is None:
        run(given.folder, given.seconds)
    else:
        for row in run_sql(database(given.folder), given.sql):
            print(*row, sep=" | ")


if __name__ == "__main__":
    main()
