"""A relay that sends each request of a connection to the next server in turn, so that no two in a row meet one process.

A client keeps one connection for a whole suite, and a connection stays with one server process: without the relay, a
"two processes" test would talk to one of them. Bytes pass unchanged, both ways; only the framing of requests is read.
"""

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from io import BufferedReader
from itertools import cycle
from typing import Self

PIECE = 256 * 1024

Address = tuple[str, int]


class Relay:
    """Listens on a free loopback port while the `with` block lasts; `served` counts the requests that each server got."""

    def __init__(self, servers: Iterable[Address]) -> None:
        self._servers = list(servers)
        self._turns = cycle(self._servers)
        self._mutex = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.served = dict.fromkeys(self._servers, 0)

    @property
    def address(self) -> str:
        """`host:port` of the relay."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on one client's requests until it, or the server whose turn it is, hangs up."""
        link = Link(client)
        try:
            with client.makefile("rb") as requests:
                while head := read_head(requests):
                    server = self._next()
                    link = link.followed_by(server)
                    link.send(head)
                    pass_body(head, requests, link)
        except OSError:
            pass
        finally:
            link.close()
            client.close()

    def _next(self) -> Address:
        with self._mutex:
            server = next(self._turns)
            self.served[server] += 1
            return server


class Link:
    """The way from a client to one server, open for one request: when the client sends the next, it has the answer."""

    def __init__(self, client: socket.socket, server: Address | None = None) -> None:
        self._client = client
        self._current = True
        self._socket = socket.create_connection(server) if server else None
        if self._socket:
            threading.Thread(target=self._pump, args=(self._socket,), daemon=True).start()

    def followed_by(self, server: Address) -> "Link":
        """Close this one and return one to another server."""
        self.close()
        return Link(self._client, server)

    def send(self, data: bytes) -> None:
        """Pass on bytes of the request."""
        assert self._socket is not None
        self._socket.sendall(data)

    def close(self) -> None:
        """Hang up on the server, without hanging up on the client."""
        self._current = False
        if self._socket:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _pump(self, source: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                self._client.sendall(piece)
        if self._current:  # the server hung up, perhaps in the middle of an answer: the client must see that
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)


def read_head(requests: BufferedReader) -> bytes:
    """Return one request line with its header fields and the empty line, or nothing at the end of the connection."""
    lines = []
    while line := requests.readline():
        lines.append(line)
        if line in {b"\r\n", b"\n"}:
            return b"".join(lines)
    return b""


def pass_body(head: bytes, requests: BufferedReader, link: Link) -> None:
    """Pass on the body that `head` announces (RFC 9112 section 6)."""
    fields = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.partition(b":") for line in head.splitlines()[1:])
    }
    if fields.get(b"transfer-encoding", b"") == b"chunked":
        while size := pass_line(requests, link):
            pass_bytes(int(size.partition(b";")[0], 16) + 2, requests, link)
            if int(size.partition(b";")[0], 16) == 0:
                return
    else:
        pass_bytes(int(fields.get(b"content-length", b"0")), requests, link)


def pass_line(requests: BufferedReader, link: Link) -> bytes:
    """Pass on one line and return it."""
    line = requests.readline()
    link.send(line)
    return line


def pass_bytes(count: int, requests: BufferedReader, link: Link) -> None:
    """Pass on `count` bytes as they come."""
    while count > 0:
        piece = requests.read1(min(count, PIECE))
        if not piece:
            raise ConnectionResetError
        link.send(piece)
        count -= len(piece)
