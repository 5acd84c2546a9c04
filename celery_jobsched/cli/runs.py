"""``celery -A proj jobs run``, ``fire``, ``backfill``: making fires."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from .failures import ANSWER_IS_NO, FAILED, failing_in_words
from .options import author_options, example, facade, job_names, limit_option, moment, yes_option
from .past import say_explanation
from .saying import say, tell

if TYPE_CHECKING:
    from ..jobs import Jobs

_LOOK_S = 0.2
_ASK_FROM = 20


@click.command(
    "run",
    epilog=example(
        '''celery -A proj jobs run nightly --kwargs '{"kind": "test"}' --wait --note "a test"'''
    ),
)
@click.argument("name", shell_complete=job_names)
@click.option("--at", "at", help="When: 2027-01-31 09:00, +10m; by default now.")
@click.option("--args", "own_args", help="A JSON list, instead of the job's.")
@click.option("--kwargs", "own_kwargs", help="A JSON object, instead of the job's.")
@click.option("--wait", is_flag=True, help="Wait for its end, and end as it does.")
@click.option(
    "--timeout", type=float, default=3600, show_default=True, help="With --wait: how long."
)
@author_options
@click.pass_context
def run_job(
    ctx: click.Context,
    /,
    name: str,
    at: str | None,
    own_args: str | None,
    own_kwargs: str | None,
    wait: bool,
    timeout: float,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Run a job once, by hand, though it may be paused.

    Prints the id of the fire.
    """
    with failing_in_words():
        jobs = facade(ctx)
        start = moment("--at", at, jobs.view(name).timezone, jobs.runtime.clock.now())
        given = {"args": _json("--args", own_args), "kwargs": _json("--kwargs", own_kwargs)}
        id_ = jobs.run(name, at=start, by=by, note=note, **given)
        say(id_)
        if wait:
            raise click.exceptions.Exit(_followed(jobs, name, id_, timeout))


@click.command(
    "fire", epilog=example("""celery -A proj jobs fire "stock arrived" --kwargs '{"item": 7}'""")
)
@click.argument("keyword")
@click.option("--args", "own_args", help="A JSON list, instead of the jobs'.")
@click.option("--kwargs", "own_kwargs", help="A JSON object, instead of the jobs'.")
@click.pass_context
def fire_keyword(
    ctx: click.Context,
    /,
    keyword: str,
    own_args: str | None,
    own_kwargs: str | None,
    **options: Any,
) -> None:
    """Fire the jobs of a keyword once.

    Prints the ids of the fires. Exit code 3: there are none.
    """
    with failing_in_words():
        given = {"args": _json("--args", own_args), "kwargs": _json("--kwargs", own_kwargs)}
        ids = facade(ctx).fire(keyword, **given)
    for id_ in ids:
        say(id_)
    if not ids:
        tell(f"no enabled job has the keyword {keyword!r}", err=True)
        raise click.exceptions.Exit(ANSWER_IS_NO)


@click.command(
    "backfill",
    epilog=example(
        "celery -A proj jobs backfill nightly --from 2027-01-01 --until 2027-01-07 --dry-run"
    ),
)
@click.argument("name", shell_complete=job_names)
@click.option("--from", "start", required=True, help="The first moment: 2027-01-01, -3d.")
@click.option("--until", "end", help="The last moment; by default now.")
@limit_option(100, "fires")
@click.option("--dry-run", is_flag=True, help="Tell, and fire nothing.")
@yes_option
@author_options
@click.pass_context
def backfill_job(
    ctx: click.Context,
    /,
    name: str,
    start: str,
    end: str | None,
    limit: int,
    dry_run: bool,
    yes: bool,
    note: str | None,
    by: str | None,
    **options: Any,
) -> None:
    """Fire the instants of a past that have not fired.

    Prints them, and the ids of their fires. What was missed, skipped or cancelled did not fire.
    Exit code 3: there are none.
    """
    from ..views import moment as said
    from .options import confirm

    with failing_in_words():
        jobs = facade(ctx)
        now, zone_name = jobs.runtime.clock.now(), jobs.view(name).timezone
        first = moment("--from", start, zone_name, now) or now
        span = (first, moment("--until", end, zone_name, now))
        found = jobs.backfill(name, *span, limit, dry_run=True)
        if not dry_run:
            if len(found.instants) > _ASK_FROM:
                confirm(yes, f"fire {len(found.instants)} instants of {name!r}")
            found = jobs.backfill(name, *span, limit, by, note)
    ids = found.ids or ("",) * len(found.instants)
    for at, id_ in zip(found.instants, ids, strict=True):
        say(f"{said(at, zone_name)}  {id_}".rstrip())
    for _, text in found.left_out:
        tell(f"left out: {text}", err=True)
    if not found.instants:
        raise click.exceptions.Exit(ANSWER_IS_NO)


def _json(option: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(
            f"expected JSON ({error}), got: {text!r}", param_hint=option
        ) from None


def _followed(jobs: Jobs, name: str, id_: str, timeout: float) -> int:
    """The exit code of a fire that is followed to its end, or to the end of our patience."""
    clock = jobs.runtime.clock
    until = clock.monotonic() + timeout
    while True:
        told = jobs.explain(name, id_)
        fire = told.fire
        is_over = fire is not None and not (fire.ready_at or fire.waiting_for or fire.check_at)
        if is_over or clock.monotonic() >= until:
            say_explanation(told, err=True)
            if not is_over:
                return ANSWER_IS_NO
            return 0 if fire is not None and fire.state in {"succeeded", "sent"} else FAILED
        time.sleep(_LOOK_S)
