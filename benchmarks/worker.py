"""What the plugin costs a worker: CPU of its main process and calls of the locks, a task.

    python benchmarks/worker.py REDIS_URL [LOCKS [DATABASE_URL]]      LOCKS: a Redis URL, database

Turn by turn the same worker gets a batch of fires, each with a slot to hold, and one of messages
that ask for nothing. The difference is the cost; taken turn by turn, so that a busy machine
touches both alike. The Redis database is the broker; it must be empty, and is emptied at the end.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from typing import Any

import redis
from celery import Celery

from celery_jobsched.fire import new_id
from celery_jobsched.limits import Limit
from celery_jobsched.runtime import Runtime
from celery_jobsched.store import meta, schema
from celery_jobsched.ticket import Ticket

_TURNS = int(os.environ.get("BENCH_TURNS", "15"))
_BATCH = 200
_POOLS = os.environ.get("BENCH_POOLS", "prefork solo threads gevent").split()
_LEASE = timedelta(seconds=30)

app = Celery("bench", set_as_current=False)
_conf: dict[str, Any] = json.loads(os.environ.get("WORKER_BENCH_CONF", "{}"))
app.conf.update(_conf)


@app.task(name="bench.noop", ignore_result=True)
def noop() -> None:
    """Nothing."""


def main(url: str, locks: str = "", database: str = "") -> None:
    with redis.Redis.from_url(url) as client, tempfile.TemporaryDirectory() as folder:
        if client.dbsize():
            raise SystemExit(f"expected an empty database, got: {client.dbsize()} keys in it")
        _conf.update(
            broker_url=url,
            imports=["celery_jobsched.worker"],
            jobsched_database_url=database or f"sqlite:///{folder}/bench.db",
            jobsched_lock_backend=locks or url,
        )
        app.conf.update(_conf)
        try:
            for pool in _POOLS:
                print(json.dumps(_measure(client, pool)), flush=True)
        finally:
            client.flushdb()


def _measure(client: Any, pool: str) -> dict[str, Any]:
    """Medians a task: microseconds of CPU with and without a fire, and calls of the locks."""
    client.flushdb()
    ticket = _ticket()
    with _worker(pool) as pid:
        for warm_up in (ticket, None):
            _batch(client, pid, warm_up)
        fires, others = zip(
            *[(_batch(client, pid, ticket), _batch(client, pid, None)) for _ in range(_TURNS)],
            strict=True,
        )
    costs = [fire[0] - other[0] for fire, other in zip(fires, others, strict=True)]
    return {
        "scenario": "worker",
        "pool": pool,
        "locks": app.conf.jobsched_lock_backend.partition(":")[0],
        "tasks": _TURNS * _BATCH,
        "cpu_us": round(median(cpu for cpu, _ in others)),
        "fires_cpu_us": round(median(cpu for cpu, _ in fires)),
        "cost_us": round(median(costs)),
        "calls": round(median(calls for _, calls in fires), 2),
    }


@contextmanager
def _worker(pool: str) -> Iterator[int]:
    command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-P", pool, "-c", "1"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    process = subprocess.Popen(
        [*command, *quiet],
        cwd=Path(__file__).parent,
        env={**os.environ, "WORKER_BENCH_CONF": json.dumps(_conf)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _ticket() -> Ticket:
    runtime = Runtime(app)
    schema.prepare(runtime.engine, may_change=True)
    with runtime.engine.begin() as conn:
        installation = meta.remember(conn, "installation", secrets.token_hex(8))
    runtime.locks(installation).open(first=True)
    now, place = datetime.now(timezone.utc), runtime.urls["locks"]
    runtime.close()
    return Ticket(installation, place, (Limit("job", 10_000),), _LEASE, now, now)


def _batch(client: Any, pid: int, ticket: Ticket | None) -> tuple[float, float]:
    cpu, calls = _cpu(pid), _scripts(client)
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        for _ in range(_BATCH):
            now = datetime.now(timezone.utc)
            header = {
                "job": "job",
                "fire_at": now.isoformat(),
                "origin": "schedule",
                "token": secrets.token_hex(8),
                "n": 1,
                **(ticket.to_header() if ticket else {}),
            }
            headers = {"jobsched": header}
            noop.apply_async(task_id=new_id(now), headers=headers, producer=producer)
    while client.llen("celery") + client.hlen("unacked"):
        time.sleep(0.01)
    time.sleep(0.1)
    return (_cpu(pid) - cpu) / _BATCH * 1e6, (_scripts(client) - calls) / _BATCH


def _cpu(pid: int) -> float:
    """Seconds of CPU that the threads of a process have used, without its children."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def _scripts(client: Any) -> int:
    return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
