"""Let a storm rage for as long as asked, and tell what came of it; see the package.

Exit code 0: every due instant is on record, none is missing, none ran twice, none was lost but with
its worker, and the longest gap between fires was short. Else 1, and the folder with all logs stays.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from tests.processes import Beat, Worker, runs, wait_until
from tests.records import Records, settle, ticking
from tests.stacks import Stack
from tests.storm.account import OPEN, Account, Owed, account
from tests.storm.places import Place, opened
from tests.storm.report import lines
from tests.storm.weather import Crew, Log, Weather

BEATS, WORKERS = 3, 3
POOLS = ("threads", "prefork", "threads")
#: The jobs, by kind: how many, and what is said of each. All fire each second.
KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "plain": (30, {"task": "stormy.run"}),
    "late": (10, {"task": "stormy.run_late"}),
    "in turn": (5, {"task": "stormy.run", "max_concurrency": 1, "overlap": "wait"}),
    "alone": (3, {"task": "stormy.run", "max_concurrency": 1, "overlap": "skip"}),
    "newest": (2, {"task": "stormy.run", "max_concurrency": 1, "overlap": "latest"}),
}
RUN_S = (0.005, 0.2)
#: Shorter than usual, so that all is over soon after the storm.
IMPATIENT = {
    "jobsched_socket_timeout": 1.0,
    "jobsched_lease": 5.0,
    "jobsched_resend_after": 10.0,
    "task_default_queue": "storm",
    "imports": ["celery_jobsched.worker"],
    "broker_connection_retry_on_startup": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
}
#: After so many seconds Redis gives what a worker did not acknowledge to another one.
VISIBLE_AGAIN_S = 15
LONGEST_START_S = 60.0
LONGEST_END_S = 300.0
_LOOK_EACH_S = 0.5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=5.0)
    length.add_argument("--seconds", type=float)
    parser.add_argument(
        "--database", choices=("postgresql", "mariadb", "sqlite"), default="postgresql"
    )
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis")
    parser.add_argument("--locks", choices=("redis", "database"), default="redis")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--each", type=float, default=1.0, help="seconds from kill to kill")
    parser.add_argument(
        "--forgetful", action="store_true", help="each Redis that is restarted comes back empty"
    )
    given = parser.parse_args()
    given.length = round(given.seconds or given.minutes * 60)
    return given


def main() -> int:
    given = arguments()
    # Whoever ends it ends its servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    folder = Path(mkdtemp(prefix="storm"))
    # Some servers are another user's, who must get to their folders within it.
    folder.chmod(0o711)
    said = f"{given.database}, {given.broker}, locks in {given.locks}, seed {given.seed}"
    print(f"{given.length} s on {said}, in {folder}", flush=True)
    begun = time.time()
    found, log = raged(given, folder)
    print("\n".join(lines(found, log)), flush=True)
    print(f"{'took':15} {time.time() - begun:.0f} s")
    if found.wrong:
        return 1
    rmtree(folder, ignore_errors=True)
    return 0


def raged(given: argparse.Namespace, folder: Path) -> tuple[Account, Log]:
    """A storm from its beginning to its end."""
    with ExitStack() as on_end:
        places, stack, direct = on_end.enter_context(ground(given, folder))
        with ticking(direct) as scheduler:
            settle(scheduler)
        beats = Crew(lambda _: Beat(stack, app="stormy"), BEATS)
        workers = Crew(lambda place: worker(stack, place), WORKERS)
        for each in (*beats.members, *workers.members):
            each.wait_ready(LONGEST_START_S)
        first = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=3)
        records = on_end.enter_context(Records(direct.database_url))
        owed = add_jobs(records, first, given)
        weather = Weather(beats, workers, places, given.seed, given.each)
        with weather.raging():
            wait_until(after(first.timestamp() + given.length), given.length + 60)
        for error in weather.trouble:
            raise error
        for each in weather.fallen:
            print(f"{each.name} ended by itself: {each.log()[-2000:]}")
        finish(records, owed, beats, workers)
        rows = records.fires()
        (folder / "weather.json").write_text(json.dumps(weather.log, default=vars))
        return account(owed, rows, runs(stack.runs_file), weather.log), weather.log


@contextmanager
def ground(given: argparse.Namespace, folder: Path) -> Iterator[tuple[list[Place], Stack, Stack]]:
    """The servers, what leads to them through their proxies, and what leads there directly."""
    with ExitStack() as on_end:

        def place(name: str, kind: str) -> Place:
            return on_end.enter_context(opened(name, kind, folder, given.forgetful))

        broker = place("broker", given.broker)
        conf: dict[str, Any] = {
            **IMPATIENT,
            "broker_url": broker.url,
            "task_default_queue": "storm",
        }
        if given.broker == "redis":
            conf["broker_transport_options"] = {"visibility_timeout": VISIBLE_AGAIN_S}
        direct = {**conf, "broker_url": broker.direct_url}
        places = [broker]
        for name, kind, option in (
            ("database", given.database, "jobsched_database_url"),
            ("locks", given.locks, "jobsched_lock_backend"),
        ):
            if kind in ("sqlite", "database"):
                url = f"sqlite:///{folder / 'storm.db'}" if kind == "sqlite" else kind
                conf[option] = direct[option] = url
            else:
                made = place(name, kind)
                places.append(made)
                conf[option], direct[option] = made.url, made.direct_url
        if given.forgetful:
            (folder / "results").mkdir()
            conf["result_backend"] = f"file://{folder / 'results'}"
        stack = Stack(given.database, given.broker, folder, conf)
        with stack.on_end:
            yield places, stack, Stack(given.database, given.broker, folder, direct)


def worker(stack: Stack, place: int) -> Worker:
    return Worker(stack, app="stormy", pool=POOLS[place % len(POOLS)], concurrency=4)


def add_jobs(records: Records, first: datetime, given: argparse.Namespace) -> Owed:
    """All jobs: each fires each second from *first* on, for as long as the storm lasts."""
    dice = random.Random(given.seed + 2)
    last = first + timedelta(seconds=given.length - 0.5)
    names = []
    for kind, (count, columns) in KINDS.items():
        for n in range(count):
            names.append(f"{kind} {n}")
            seconds = json.dumps([round(dice.uniform(*RUN_S), 3)])
            when = {"every": "1 second", "starts_at": first, "ends_at": last}
            records.add(names[-1], args=seconds, **when, **columns)
    alone = frozenset(name for name in names if name.startswith(("in turn", "alone", "newest")))
    return Owed(names, first, given.length, alone)


def finish(records: Records, owed: Owed, beats: Crew, workers: Crew) -> None:
    """Let everything come to its end: nothing is pending, nothing under way."""
    end, pause = time.time() + LONGEST_END_S, threading.Event()

    def is_over() -> bool:
        jobs = [job for name, job in records.jobs().items() if name in owed.jobs]
        settled = all(job["next_fire_at"] is None for job in jobs)
        return settled and not records.count(*OPEN)

    while time.time() < end and not is_over():
        beats.revive()
        workers.revive()
        pause.wait(_LOOK_EACH_S)


def after(moment: float) -> Any:
    return lambda: time.time() >= moment


if __name__ == "__main__":
    sys.exit(main())
