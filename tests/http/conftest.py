"""A real server on a free port, and a client that is only a socket, so that it can be as rude as a test needs."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from davserver.http import HttpConfig, HttpServer
from davserver.http.exchange import Environ, StartResponse, WsgiApp


@dataclass
class Answer:
    """One response as it stood on the wire."""

    status: int
    fields: dict[str, str]
    body: bytes
    raw_head: bytes = field(repr=False, default=b"")


class Wire:
    """A client connection."""

    def __init__(self, address: tuple[str, int], *, timeout: float = 30, tls: ssl.SSLContext | None = None) -> None:
        self.socket: socket.socket = socket.create_connection(address, timeout=timeout)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._buffer = bytearray()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def ask(self, request: bytes, *, head_only: bool = False) -> Answer:
        self.send(request)
        return self.answer(head_only=head_only)

    def answer(self, *, head_only: bool = False) -> Answer:
        head = self._through(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split(" ")[1])
        without_body = head_only or status in (100, 204, 304)
        return Answer(status, fields, b"" if without_body else self._body(fields), head)

    def _body(self, fields: dict[str, str]) -> bytes:
        if "content-length" in fields:
            return self._exactly(int(fields["content-length"]))
        if fields.get("transfer-encoding") == "chunked":
            return self._chunks()
        return self.rest()

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._through(b"\r\n"), 16):
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return body

    def _through(self, mark: bytes) -> bytes:
        """What comes before `mark`, which is taken away too."""
        while (end := self._buffer.find(mark)) < 0:
            self._more()
        return self._exactly(end + len(mark))[:end]

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        body = bytes(self._buffer[:count])
        del self._buffer[:count]
        return body

    def _more(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError("the server closed the connection")
        self._buffer += data

    def rest(self) -> bytes:
        """All that comes until the server closes. A reset is an error."""
        with contextlib.suppress(EOFError):
            while True:
                self._more()
        return self._exactly(len(self._buffer))

    def is_closed(self, within: float = 20) -> bool:
        """Whether the server closes in this time, sending nothing more."""
        self.socket.settimeout(within)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()


class Running:
    """A server that runs, and its clients."""

    def __init__(self, server: HttpServer, thread: threading.Thread) -> None:
        self.server = server
        self.thread = thread
        self.address: tuple[str, int] = server.bind_addr
        self._wires: list[Wire] = []

    def connect(self, *, timeout: float = 30, tls: ssl.SSLContext | None = None) -> Wire:
        wire = Wire(self.address, timeout=timeout, tls=tls)
        self._wires.append(wire)
        return wire

    def ask(self, request: bytes) -> Answer:
        return self.connect().ask(request)

    def stop(self) -> None:
        for wire in self._wires:
            wire.close()
        self.server.request_stop(at_once=True)
        self.thread.join(20)
        assert not self.thread.is_alive(), "the server did not stop"


class Serve(Protocol):
    def __call__(self, app: WsgiApp, **settings: Any) -> Running: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers; they are stopped after the test."""
    running: list[Running] = []

    def start(app: WsgiApp, **settings: Any) -> Running:
        settings.setdefault("threads", 2)
        server = HttpServer(HttpConfig(port=0, **settings), app)
        server.prepare()
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        running.append(Running(server, thread))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@dataclass
class Echo:
    """An application that reads the whole body and returns it, and remembers what it was asked and what went wrong."""

    environs: list[Environ] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    block: int = 65536
    failed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        self.environs.append(environ)
        pieces = []
        try:
            while piece := environ["davserver.body"].read(self.block):
                pieces.append(piece)
        except OSError as error:
            self.errors.append(error)
            self.failed.set()
            raise
        body = b"".join(pieces)
        self.bodies.append(body)
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [body]


@pytest.fixture
def echo() -> Echo:
    return Echo()


def refusing(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Answers 401 without looking at the body."""
    start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="x"')])
    return [b"who are you?"]


@pytest.fixture
def refuse() -> Callable[[Environ, StartResponse], list[bytes]]:
    return refusing
