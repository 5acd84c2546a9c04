"""``celery -A proj jobs …``: the command line.

Every worker and beat imports this module: it imports click alone, the rest when a command runs.
"""

from __future__ import annotations

from typing import Any

import click

from .beats import beats
from .checks import check_jobs, diff_jobs, orphaned_jobs, simulate_load, sync_jobs
from .database import database
from .edits import add_job, pause_jobs, remove_jobs, resume_jobs, set_fields
from .freeze import freeze_all, thaw_all
from .imports import import_jobs
from .lines import export_jobs, load_jobs
from .listing import list_jobs
from .next import next_fires
from .options import example, take_database
from .past import changes_of_job, explain_fire, history_of_job
from .runs import backfill_job, fire_keyword, run_job
from .show import show_job
from .status import status
from .stop import stop_jobs


@click.group(
    invoke_without_command=True, epilog=example("celery -A proj jobs list state:failing,late")
)
@click.pass_context
def jobs(ctx: click.Context, /, **options: Any) -> None:
    """Look at the jobs of celery_jobsched, run and change them.

    Exit codes: 0 yes, 1 failed, 2 wrong usage, 3 looked and the answer is no, 4 no such job, 69
    database or broker away.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_jobs)


for _command in (
    list_jobs, show_job, next_fires, history_of_job, explain_fire, changes_of_job,
    add_job, set_fields, remove_jobs, pause_jobs, resume_jobs,
    run_job, fire_keyword, backfill_job, stop_jobs, freeze_all, thaw_all, status, beats,
    export_jobs, load_jobs, import_jobs, check_jobs, diff_jobs, sync_jobs, orphaned_jobs,
    simulate_load, database,
):  # fmt: skip
    jobs.add_command(_command)
take_database(jobs)
