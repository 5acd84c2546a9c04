"""The tests' own TCP proxy, against a tiny echo server."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.processes import wait_until
from tests.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with Proxy("127.0.0.1", server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connected(proxy) as client:
        yield client


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def echoed(client: socket.socket, text: bytes = b"ping") -> bytes:
    client.sendall(text)
    return received(client, len(text))


def received(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (data := client.recv(65536)):
        got += data
    return got


def closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_healthy_line_carries_bytes_both_ways(client: socket.socket) -> None:
    text = bytes(range(256)) * 1000

    sender = threading.Thread(target=client.sendall, args=(text,))
    sender.start()
    back = received(client, len(text))
    sender.join()

    assert back == text


def test_a_cut_closes_what_is_open_and_refuses_what_is_new(
    proxy: Proxy, client: socket.socket
) -> None:
    assert echoed(client) == b"ping"

    proxy.cut()

    assert closed(client)
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)


def test_a_healed_line_is_on_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    proxy.cut()

    proxy.heal()

    assert proxy.port == port
    with connected(proxy) as client:
        assert echoed(client) == b"ping"


def test_a_refusing_proxy_leaves_the_open_connections_alone(
    proxy: Proxy, client: socket.socket
) -> None:
    assert echoed(client) == b"ping"

    proxy.refuse()

    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    assert echoed(client) == b"ping"


def test_a_drop_closes_what_is_open_and_welcomes_what_is_new(
    proxy: Proxy, client: socket.socket
) -> None:
    assert echoed(client) == b"ping"

    proxy.drop()

    assert closed(client)
    with connected(proxy) as another:
        assert echoed(another) == b"ping"


def test_a_stalled_line_holds_what_is_sent_until_it_is_healed(
    proxy: Proxy, client: socket.socket
) -> None:
    assert echoed(client) == b"ping"
    proxy.stall()
    client.sendall(b"held")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)

    proxy.heal()

    client.settimeout(5)
    assert received(client, 4) == b"held"


def test_a_stalled_line_accepts_and_says_nothing(proxy: Proxy) -> None:
    proxy.stall()

    with connected(proxy) as client:
        client.settimeout(0.2)
        client.sendall(b"ping")
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_cut_after_a_stall_forwards_nothing_that_was_held(
    proxy: Proxy, client: socket.socket
) -> None:
    assert echoed(client) == b"ping"
    proxy.stall()
    client.sendall(b"held")

    proxy.cut()

    assert closed(client)


def test_a_connection_that_its_client_ends_is_forgotten(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert echoed(client) == b"ping"
        assert proxy.connections == 1

    wait_until(lambda: proxy.connections == 0, 5)


def test_closing_twice_is_fine(proxy: Proxy) -> None:
    proxy.close()
    proxy.close()

    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
