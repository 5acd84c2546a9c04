"""An application as it runs on several machines: addresses come from the environment."""

from __future__ import annotations

import os

from celery import Celery, Task

from celery_jobsched import Jobs

app = Celery("proj")
jobs = Jobs(app)
app.conf.update(
    broker_url=os.environ.get("PROJ_BROKER_URL", "redis://127.0.0.1:6379/0"),
    broker_connection_retry_on_startup=True,
    timezone="Europe/Paris",
    task_routes={"proj.report": {"queue": "reports"}},
    jobsched_database_url=os.environ.get(
        "PROJ_DATABASE_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/proj"
    ),
    jobsched_lock_backend=os.environ.get("PROJ_LOCKS_URL", "redis://127.0.0.1:6379/1"),
    jobsched_environment=os.environ.get("PROJ_ENVIRONMENT", "production"),
    jobsched_allowed_tasks=["proj.*", "celery.backend_cleanup"],
    jobsched_jobs={
        "rates": {"task": "proj.rates", "every": "15 seconds"},
        "nightly-report": {
            "task": "proj.report",
            "kwargs": {"kind": "sales"},
            "every": "1 day",
            "at": "02:30",
            "misfire": "once",
            "misfire_grace_time": 1800,
        },
        "weekday-digest": {
            "task": "proj.report",
            "kwargs": {"kind": "digest"},
            "cron": "0 7 * * mon-fri",
            "timezone": "America/New_York",
            "misfire": "skip",
        },
    },
)


@app.task(name="proj.rates", ignore_result=True)
def rates() -> None:
    """Fetch the rates."""


@app.task(name="proj.report", bind=True, ignore_result=True)
def report(self: Task, kind: str) -> None:
    """Make the report of the instant that the fire is for, however late it runs."""
    fire = self.request.headers["jobsched"]
    print(f"report {kind} of {fire['fire_at']}, run {self.request.id}", flush=True)
