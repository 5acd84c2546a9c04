"""The locks and a real Redis: what is sent, what comes of its restarts, and how it is reached."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from celery_jobsched.errors import InvalidSetting, LocksAway
from celery_jobsched.locks import Answer, Step, Terms
from celery_jobsched.locks.redis import RedisLocks
from tests.locks import HOUR, LONG_AGO, copy, hold, report, running
from tests.pace import paced
from tests.processes import wait_until
from tests.proxy import Proxy
from tests.servers import RedisServer, free_port, sentinel
from tests.services import require_program, unique_name

SOON = timedelta(milliseconds=300)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def first_locks(url: str, **more: Any) -> RedisLocks:
    locks = RedisLocks(url, unique_name(), **more)
    locks.open(first=True)
    return locks


def works(locks: RedisLocks) -> bool:
    """Whether a copy goes its whole way."""
    it = running(locks, copy("1", ("a", 1)))
    refused = locks.acquire([hold("2", ("a", 1))])
    locks.end([Step(it, report("1"))])
    read = locks.reports(10)
    locks.acknowledge([each.id for each in read])
    return refused == [False] and len(read) == 1 and locks.acquire([hold("2", ("a", 1))]) == [True]


# What is sent


def test_a_batch_of_500_acquires_is_one_command(server: RedisServer) -> None:
    locks = first_locks(server.url)
    wanted = [hold(str(n), (f"job {n}", 1), ("shared", 300)) for n in range(500)]
    locks.acquire([hold("0", ("warm", 1))])

    with redis.Redis(port=server.port) as watcher, watcher.monitor() as monitor:
        granted = locks.acquire(wanted)
        with redis.Redis(port=server.port) as other:
            other.echo("done")
        sent = []
        for command in monitor.listen():
            if command["client_type"] != "lua":
                sent.append(command["command"].split()[0])
            if sent[-1:] == ["ECHO"]:
                break

    assert granted == [True] * 300 + [False] * 200
    assert [each for each in sent if each not in {"CLIENT", "HELLO"}] == ["EVALSHA", "ECHO"]


def test_all_keys_have_the_tag_of_the_installation_and_idle_ones_go_away(
    server: RedisServer,
) -> None:
    locks = RedisLocks(server.url, "an id", {"global_keyprefix": "ours."})
    works(locks)
    locks.release([hold("3", ("b", 1))])
    locks.report([report("1")])

    with redis.Redis(port=server.port, decode_responses=True) as client:
        kept = {key for key in client.scan_iter() if client.ttl(key) == -1}
        assert all(key.startswith("ours.{jobsched:an id}:") for key in client.scan_iter())

    assert kept == {"ours.{jobsched:an id}:memory", "ours.{jobsched:an id}:reports"}


def test_a_script_that_the_server_forgot_is_told_again(server: RedisServer) -> None:
    locks = first_locks(server.url)
    with redis.Redis(port=server.port) as client:
        client.script_flush()

    assert works(locks)


# Restarts


def test_a_server_that_was_restarted_empty_grants_nothing_beyond_the_limit(
    server: RedisServer,
) -> None:
    beat = first_locks(server.url, terms=Terms(renewal_period=SOON))
    worker = RedisLocks(server.url, "-")
    worker._prefix = beat._prefix
    it = running(worker, copy("1", ("a", 1), accepted=True))

    server.restart(empty=True)
    at_once = beat.acquire([hold("2", ("a", 1))])
    kept = worker.renew([it])
    wait_until(lambda: not beat.open().silent_for, 5)
    afterwards = beat.acquire([hold("2", ("a", 1))])

    assert (at_once, kept, afterwards) == ([False], [True], [False])
    assert beat.admissions(["1"])["1"].state.value == "accepted"
    worker.end([Step(it)])
    assert beat.acquire([hold("2", ("a", 1))]) == [True]


def test_a_server_that_came_back_with_an_old_snapshot_is_silent_too(server: RedisServer) -> None:
    locks = first_locks(server.url, terms=Terms(renewal_period=HOUR))
    locks.acquire([hold("1", ("a", 1))])
    with redis.Redis(port=server.port) as client:
        client.save()
    locks.acquire([hold("2", ("b", 1))])
    before = locks.open()

    assert server.process is not None
    server.process.kill()
    server.process.wait()
    server.start()

    assert locks.acquire([hold("3", ("b", 1))]) == [False]
    assert locks.renew([hold("1", ("a", 1)), copy("2", ("b", 1))]) == [True, True]
    assert locks.open().born_at > before.born_at
    assert locks.admit(copy("4", number=2, made_at=LONG_AGO)) is Answer.FORGOTTEN


def test_a_server_without_leave_to_be_asked_for_its_run_serves_as_well(
    server: RedisServer,
) -> None:
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL SETUSER app on >secret ~* +@all -info")
    locks = first_locks(f"redis://app:secret@127.0.0.1:{server.port}/0")

    assert works(locks)


# Away


def test_a_server_that_is_away_is_told_at_once_and_back_by_itself(server: RedisServer) -> None:
    locks = first_locks(server.url)
    locks.acquire([hold("1", ("a", 1))])

    server.stop(empty=False)
    began = time.monotonic()
    with pytest.raises(LocksAway, match=rf"^redis://127.0.0.1:{server.port}/0: "):
        locks.acquire([hold("1", ("a", 1))])
    took = time.monotonic() - began
    server.start()

    assert took < paced(0.5)
    assert locks.acquire([hold("1", ("a", 1))]) == [True]


def test_a_server_that_says_nothing_is_waited_for_half_a_second(server: RedisServer) -> None:
    with Proxy("127.0.0.1", server.port) as proxy:
        locks = first_locks(f"redis://127.0.0.1:{proxy.port}/0")

        proxy.stall()
        began = time.monotonic()
        with pytest.raises(LocksAway, match=r"[Tt]imeout"):
            locks.acquire([hold("1", ("a", 1))])
        took = time.monotonic() - began
        proxy.heal()

        assert 0.4 < took < paced(1.5)
        assert locks.acquire([hold("2", ("b", 1))]) == [True]


def test_threads_may_share_the_locks(server: RedisServer) -> None:
    with closing(first_locks(server.url)) as locks, ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda n: locks.acquire([hold(str(n), ("a", 10))]), range(80)))

    assert granted.count([True]) == 10


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(
    server: RedisServer,
) -> None:
    with closing(first_locks(server.url)) as locks, redis.Redis(port=server.port) as client:
        assert client.client_kill_filter(_type="normal", skipme=True) == 1

        assert locks.acquire([hold("1", ("a", 1))]) == [True]


def test_a_process_that_was_forked_has_connections_of_its_own(server: RedisServer) -> None:
    locks = first_locks(server.url)
    locks.acquire([hold("parent", ("a", 2))])
    used = locks._opened
    assert used is not None

    # As where another thread is in the midst of a call.
    with used.turn:
        child = os.fork()
        if not child:
            signal.alarm(60)
            done = locks.acquire([hold("child", ("a", 2))]) == [True] and locks._opened != used
            os._exit(0 if done else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert [h.fire for h in locks.holders(["a"])["a"]] == ["parent", "child"]


# How it is reached


def test_it_is_reached_by_a_socket_of_the_file_system(tmp_path: Path) -> None:
    socket = f"{tmp_path}/redis.sock"
    with RedisServer(tmp_path, "--unixsocket", socket) as server:
        with redis.Redis(port=server.port) as client:
            client.config_set("requirepass", "p@ss")
        for url in (
            f"unix://:p%40ss@{socket}?db=1",
            f"redis+socket://:p%40ss@{socket}?virtual_host=2",
        ):
            assert works(first_locks(url))
        with redis.Redis(port=server.port, password="p@ss") as client:
            assert set(client.info("keyspace")) == {"db1", "db2"}


def test_it_is_reached_by_either_protocol(server: RedisServer) -> None:
    # redis-py speaks the third since its version 5.
    for protocol in (2, 3) if int(redis.__version__.partition(".")[0]) >= 5 else (2,):
        assert works(first_locks(f"{server.url}?protocol={protocol}"))


def test_it_is_reached_through_sentinels_as_celery_spells_them(
    server: RedisServer, tmp_path: Path
) -> None:
    with sentinel(tmp_path, "main", server.port) as port:
        url = f"sentinel://127.0.0.1:{free_port()};sentinel://127.0.0.1:{port}/3"

        locks = first_locks(url, options={"master_name": "main"})

        assert works(locks)
        assert repr(locks).startswith(f"RedisLocks({url!r}")
        server.stop()
        with pytest.raises(LocksAway):
            locks.acquire([hold("1")])
    with redis.Redis(port=server.start().port) as client:
        assert client.info("keyspace") == {}


def test_sentinels_are_asked_for_a_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="expected the option master_name"):
        RedisLocks("sentinel://127.0.0.1:26379", "-").open()


def test_it_is_reached_in_a_cluster(tmp_path: Path) -> None:
    node = RedisServer(tmp_path, "--cluster-enabled", "yes")
    # The node's bus is 10,000 ports higher.
    node.port = next(port for port in iter(free_port, None) if port < 55_536)
    with node as server:
        with redis.Redis(port=server.port, decode_responses=True) as client:
            client.execute_command("CLUSTER ADDSLOTS", *range(16384))
            wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok", 9)

        locks = first_locks(f"redis+cluster://127.0.0.1:{server.port}")

        assert works(locks)
        wanted = [hold(str(n), (f"job {n}", 1)) for n in range(100)]
        assert all(locks.acquire(wanted))
        server.stop()
        with pytest.raises(LocksAway):
            locks.acquire(wanted)
        with pytest.raises(LocksAway):
            RedisLocks(f"redis+cluster://127.0.0.1:{server.port}", "-").open()


def test_it_is_reached_by_tls_however_that_is_asked_for(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key)
    authority = ("--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
    with RedisServer(tmp_path, *options, *authority):
        address = f"localhost:{port}/0"

        assert works(first_locks(f"rediss://{address}?ssl_ca_certs={certificate}"))
        assert works(first_locks(f"rediss://{address}?ssl_cert_reqs=CERT_NONE"))
        assert works(
            first_locks(f"redis://{address}", options={"ssl": {"ssl_ca_certs": certificate}})
        )
        with pytest.raises(LocksAway, match="CERTIFICATE_VERIFY_FAILED"):
            first_locks(f"rediss://{address}")


def self_signed(folder: Path) -> tuple[str, str]:
    certificate, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    where = ("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = (require_program("openssl"), *made, *where, "-keyout", key, "-out", certificate)
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize(
    "url",
    [
        "http://:secret@host/0",
        "redis://:sec#ret@host:6379/0",
        "redis://:secret@host:port/0",
        "redis://:secret@host:6379/0?socket_timeout=secret",
        "redis://:secret@host:6379/0?nonsense=1",
        "sentinel://:secret@host:port",
        "redis+socket://:secret@/path?virtual_host=secret",
        "rediss://:secret@host?ssl_cert_reqs=secret",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_being_told(url: str) -> None:
    locks = RedisLocks(url, "-", {"master_name": "main"})

    with pytest.raises(InvalidSetting, match=r"^jobsched_lock_backend: expected") as caught:
        locks.open()

    assert "sec" not in f"{caught.value!r}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:p/a@ss@host:6379/1?password=p", "redis://host:6379/1"),
        ("sentinel://:p@h1:1/0;sentinel://:p@h2:2", "sentinel://h1:1/0;sentinel://h2:2"),
        ("unix://:p@/path?db=1", "unix:///path"),
    ],
)
def test_who_looks_at_it_sees_no_password(url: str, shown: str) -> None:
    assert repr(RedisLocks(url, "an id")) == f"RedisLocks('{shown}', '{{jobsched:an id}}')"


def test_a_wrong_password_is_told_without_itself(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        client.config_set("requirepass", "right")

    with pytest.raises(LocksAway) as caught:
        RedisLocks(f"redis://:secret@127.0.0.1:{server.port}/0", "-").open()

    assert "secret" not in f"{caught.value} {caught.value!r}"
