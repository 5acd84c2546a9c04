"""A TCP proxy whose line can be cut, refused and stalled under whoever uses it.

    with Proxy("127.0.0.1", 5432) as proxy:
        proxy.stall()
        proxy.heal()

Each connection has two threads, one a direction. The port stays the proxy's own while it
refuses: its socket is bound and does not listen.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Proxy:
    """Forwards `127.0.0.1:port` to the target until told otherwise."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = (target_host, target_port)
        self.port = 0
        self._listener: socket.socket | None = None
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        #: How many seconds whatever is said is under way.
        self.distance = 0.0

    def __enter__(self) -> Proxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Proxy:
        """Take a free port and forward from now on; returns itself."""
        self._listener = self._bound()
        self.port = self._listener.getsockname()[1]
        self.heal()
        return self

    @property
    def connections(self) -> int:
        """How many connections are open through it."""
        with self._lock:
            return len(self._links)

    def heal(self) -> None:
        """Forward, and accept; what was held in a stall goes on its way first."""
        self._flowing.set()
        if not self._accepting():
            self._listen()

    def stall(self) -> None:
        """Keep connections open, accept new ones, and forward nothing; it is held."""
        if not self._accepting():
            self._listen()
        self._flowing.clear()

    def refuse(self) -> None:
        """Refuse new connections; the open ones go on."""
        if not self._accepting():
            return
        listener, self._listener = self._required, None
        _shut(listener)
        self._listener = self._bound()

    def drop(self) -> None:
        """Close the open connections; new ones are as welcome as before."""
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.close()

    def cut(self) -> None:
        """Close the open connections and refuse new ones; nothing held is forwarded."""
        self.refuse()
        self.drop()
        self._flowing.set()

    def close(self) -> None:
        """Cut for good, and give the port back; twice is fine."""
        if self._listener is not None:
            self.cut()
            _shut(self._required)
            self._listener = None

    @property
    def _required(self) -> socket.socket:
        if self._listener is None:
            raise RuntimeError("the proxy is not started, or closed")
        return self._listener

    def _accepting(self) -> bool:
        return bool(self._required.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    def _bound(self) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        return listener

    def _listen(self) -> None:
        self._required.listen(128)
        threading.Thread(target=self._accept, args=(self._required,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._connect(client, listener)

    def _connect(self, client: socket.socket, listener: socket.socket) -> None:
        try:
            server = socket.create_connection(self.target, timeout=5)
        except OSError:
            _shut(client)
            return
        server.settimeout(None)
        link = _Link(client, server, self, self._forget)
        with self._lock:
            welcome = self._listener is listener
            if welcome:
                self._links.add(link)
        if welcome:
            link.start()
        else:
            link.close()

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """One connection through the proxy: the client's socket and the server's."""

    def __init__(self, client, server, proxy, forget) -> None:  # type: ignore[no-untyped-def]
        self.client, self.server, self.proxy, self.forget = client, server, proxy, forget
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open_directions = 2
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def start(self) -> None:
        for ends in ((self.client, self.server), (self.server, self.client)):
            threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        _shut(self.client)
        _shut(self.server)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._travel()
                target.sendall(data)
            self._travel()
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
        self._end_direction()

    def _travel(self) -> None:
        """Hold what is on its way for as long as it takes, or as the line is stalled."""
        self._closed.wait(self.proxy.distance)
        self.proxy._flowing.wait()

    def _end_direction(self) -> None:
        with self._lock:
            self._open_directions -= 1
            last = self._open_directions == 0
        if last:
            self.close()
            self.forget(self)


def _shut(end: socket.socket) -> None:
    """Close a socket in which another thread may be waiting: a mere close would not wake it."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
