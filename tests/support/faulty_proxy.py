"""A TCP proxy before a server, which misbehaves on demand: it refuses, hangs, breaks off, answers errors, alters bytes."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

PIECE = 64 * 1024
SLOW_DOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>try again</Message></Error>'
UNAVAILABLE = b"\r\n".join(
    (
        b"HTTP/1.1 503 Service Unavailable",
        b"Content-Type: application/xml",
        b"Content-Length: %d" % len(SLOW_DOWN),
        b"Connection: close",
        b"",
        SLOW_DOWN,
    )
)


class Mode(StrEnum):
    """What happens to connections, also to those that are open already."""

    PASS = "pass"
    REFUSE = "refuse"
    """Closed at once, as by a machine that is down."""
    UNAVAILABLE = "503"
    """Every request is answered 503."""
    HANG = "hang"
    """Taken, and never answered."""
    DROP = "drop"
    """Broken off in the middle: after some bytes of a long request, before the server has it whole."""
    ALTER = "alter"
    """One bit of every long answer is another."""


class FaultyProxy:
    """Listens at `endpoint` for the server at `target` (both host:port). Set `mode` at any time."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._mode = Mode.PASS
        self._open: set[socket.socket] = set()
        self._mutex = threading.Lock()
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.broken = 0
        """How many requests or answers were broken."""

    @property
    def mode(self) -> Mode:
        """What happens to connections."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        if mode is not Mode.PASS:
            self._cut_all()

    def close(self) -> None:
        """End everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut_all()

    def accept(self) -> None:
        """Serve until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _cut_all(self) -> None:
        with self._mutex:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _serve(self, client: socket.socket) -> None:
        mode = self._mode
        with client:
            if mode is Mode.REFUSE:
                self.broken += 1
                return
            with self._mutex:
                self._open.add(client)
            try:
                if mode in {Mode.HANG, Mode.UNAVAILABLE}:
                    self._answer(client, mode)
                    return
                with socket.create_connection(self._target) as server, suppress(OSError):
                    self._pump(client, server, mode)
            except OSError:
                return
            finally:
                with self._mutex:
                    self._open.discard(client)

    def _answer(self, client: socket.socket, mode: Mode) -> None:
        """Read what comes and say nothing; or, when it pauses, that the service is unavailable."""
        self.broken += 1
        client.settimeout(0.2 if mode is Mode.UNAVAILABLE else 600)
        with suppress(TimeoutError):
            while client.recv(PIECE):
                pass
        if mode is Mode.UNAVAILABLE:
            client.sendall(UNAVAILABLE)

    def _pump(self, client: socket.socket, server: socket.socket, mode: Mode) -> None:
        sent = 0
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for source in ready:
                data = source.recv(PIECE)
                if not data:
                    return
                if source is client:
                    sent += len(data)
                    if mode is Mode.DROP and sent > PIECE:
                        self.broken += 1
                        return
                elif mode is Mode.ALTER and len(data) > 1024:
                    self.broken += 1
                    data = data[:-1] + bytes([data[-1] ^ 1])
                (server if source is client else client).sendall(data)


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """Run a proxy while the block lasts."""
    proxy = FaultyProxy(target)
    acceptor = threading.Thread(target=proxy.accept, daemon=True)
    acceptor.start()
    try:
        yield proxy
    finally:
        proxy.close()
        acceptor.join()
