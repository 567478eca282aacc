"""An HTTP client for measuring: raw sockets, requests made beforehand, one thread however many connections.

It shares the machine with the servers, so it does as little as it can: some 15 microseconds of CPU a request. What it
needs itself is told with each result, so that a figure that says more of the client than of the server can be known.
"""

import base64
import re
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BLOCK = 1 << 20
TIMEOUT = 600.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"


class UnexpectedAnswer(Exception):
    """A server said something else than the work needs."""


@dataclass(frozen=True)
class Site:
    """A share on a server, and who comes to it."""

    url: str
    """Without a slash at its end."""
    user: str
    password: str = field(repr=False)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        return parts.hostname, parts.port or 80

    @property
    def base(self) -> str:
        """The path of the share."""
        return urlsplit(self.url).path

    @property
    def authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def head(self, method: str, path: str, fields: Mapping[str, str] | None = None, length: int | None = None) -> bytes:
        """The bytes of a request's head; `path` is encoded and below the share. `length` is that of the body."""
        host, port = self.address
        lines = [f"{method} {self.base}{path} HTTP/1.1", f"Host: {host}:{port}", f"Authorization: {self.authorization}"]
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def request(self, method: str, path: str, body: bytes = b"", fields: Mapping[str, str] | None = None) -> bytes:
        """The bytes of a whole request."""
        has_length = bool(body) or method in {"PUT", "POST"}
        return self.head(method, path, fields, len(body) if has_length else None) + body

    def connect(self) -> socket.socket:
        sock = socket.create_connection(self.address, timeout=TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


@dataclass(frozen=True)
class Answer:
    """What came back, and how long it took from the first byte sent to the last one received."""

    status: int
    head: bytes
    raw: bytes
    """The body as it was sent, perhaps in chunks."""
    seconds: float

    @property
    def body(self) -> bytes:
        """The body without its transfer coding."""
        return b"".join(_dechunked(self.raw)) if _CHUNKED.search(self.head) else self.raw


def _dechunked(raw: bytes) -> Iterator[bytes]:
    at = 0
    while True:
        end = raw.index(b"\r\n", at)
        size = int(raw[at:end].split(b";")[0], 16)
        if not size:
            return
        yield raw[end + 2 : end + 2 + size]
        at = end + 2 + size + 2


def exchange(sock: socket.socket, request: bytes) -> Answer:
    """Send one request and read its answer, on a connection that waits. Raises `UnexpectedAnswer` when it breaks off."""
    began = time.perf_counter()
    sock.sendall(request)
    return _answer(sock, began)


def _answer(sock: socket.socket, began: float) -> Answer:
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        _more(sock, data)
    head = bytes(data[: end + 2])
    body = data[end + 4 :]
    if _CHUNKED.search(head):
        while not (body == _LAST_CHUNK or body.endswith(b"\r\n" + _LAST_CHUNK)):
            _more(sock, body)
    else:
        length = _LENGTH.search(head)
        wanted = int(length[1]) if length else 0
        while len(body) < wanted:
            _more(sock, body)
    return Answer(int(head[9:12]), head, bytes(body), time.perf_counter() - began)


def _more(sock: socket.socket, data: bytearray) -> None:
    piece = sock.recv(BLOCK)
    if not piece:
        raise UnexpectedAnswer(f"the connection ended after {len(data)} bytes of an answer")
    data += piece


def ask(
    site: Site,
    expected: Iterable[int],
    method: str,
    path: str,
    body: bytes = b"",
    fields: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own. Raises `UnexpectedAnswer` for any status that is not expected."""
    with closing(site.connect()) as sock:
        answer = exchange(sock, site.request(method, path, body, fields))
    if answer.status not in set(expected):
        raise UnexpectedAnswer(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
    return answer


def upload(site: Site, path: str, size: int, block: bytes, *, each: Callable[[], object] | None = None) -> float:
    """PUT `size` bytes, `block` again and again; the seconds it took. `each` is called after each block."""
    with closing(site.connect()) as sock:
        began = time.perf_counter()
        sock.sendall(site.head("PUT", path, length=size))
        left = size
        while left:
            sock.sendall(block if left >= len(block) else block[:left])
            left -= min(left, len(block))
            if each and left:
                each()
        answer = _answer(sock, began)
    if answer.status not in {200, 201, 204}:
        raise UnexpectedAnswer(f"PUT {path}: {answer.status} {answer.body[:200]!r}")
    return answer.seconds


def download(
    site: Site, path: str, size: int, *, each: Callable[[], object] | None = None, at_once: int = BLOCK
) -> float:
    """GET a file of `size` bytes and count them; the seconds it took. `each` is called after some `at_once` bytes."""
    room = bytearray(at_once)
    with closing(site.connect()) as sock:
        began = time.perf_counter()
        sock.sendall(site.request("GET", path))
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            _more(sock, data)
        got = len(data) - end - 4
        while got < size and (piece := sock.recv_into(room)):
            got += piece
            if each:
                each()
        seconds = time.perf_counter() - began
    if int(data[9:12]) != 200 or got != size:
        raise UnexpectedAnswer(f"GET {path}: {bytes(data[:40])!r}, {got} of {size} bytes")
    return seconds


@dataclass(frozen=True)
class Load:
    """What some connections did in a while."""

    requests: int
    seconds: float
    latencies: list[float] = field(repr=False)
    """Seconds, of every request, in the order in which they ended."""
    client_cpu: float
    """Seconds of CPU that this client took."""
    wrong: Mapping[int, int]
    """How many answers had each status that was not expected; 0 stands for a connection that broke."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def percentile(self, percent: float) -> float:
        """Seconds within which so many of a hundred requests were answered."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


class _Line:
    """One connection under load."""

    __slots__ = ("_missing", "_request", "began", "buffer", "sock", "status")

    def __init__(self, site: Site) -> None:
        self.sock = site.connect()
        self.buffer = b""
        self.began = 0.0
        self.status = 0
        self._request = b""
        self._missing = -1
        """Bytes of the answer still to come; -1 while nobody knows."""

    def send(self, request: bytes) -> None:
        self.buffer, self._missing, self._request = b"", -1, request
        self.began = time.perf_counter()
        self.sock.sendall(request)

    def again(self, site: Site) -> None:
        """Send the same on a new connection: the server hung up between two requests, as it may."""
        if self.buffer or self._missing >= 0:
            raise UnexpectedAnswer(f"the connection ended after {len(self.buffer)} bytes of an answer")
        self.sock.close()
        self.sock = site.connect()
        self.sock.sendall(self._request)

    def receive(self) -> bool:
        """Take what has arrived. Whether the answer is whole. Raises ConnectionError when the server hung up."""
        data = self.sock.recv(262_144)
        if not data:
            raise ConnectionError
        if self._missing >= 0:
            self._missing -= len(data)
            return self._missing <= 0
        self.buffer = data = self.buffer + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.status = int(data[9:12])
        length = _LENGTH.search(data, 0, end + 2)
        if length is None and _CHUNKED.search(data, 0, end + 2):
            return data.endswith(_LAST_CHUNK)
        self._missing = (int(length[1]) if length else 0) - (len(data) - end - 4)
        return self._missing <= 0


def hammer(
    site: Site,
    requests: Callable[[int], bytes] | bytes,
    *,
    connections: int = 8,
    seconds: float = 3.0,
    most: int | None = None,
    good: frozenset[int] = frozenset({200, 201, 204, 207}),
) -> Load:
    """Keep so many connections busy, each with one request at a time, for `seconds`, or until `most` requests were answered.

    `requests` is what to send each time, or makes it from the number of the request. A server that hangs up between two
    requests is connected to again. Raises `UnexpectedAnswer` when it hangs up within an answer.
    """
    made = requests if callable(requests) else (lambda _, same=requests: same)
    lines: dict[int, _Line] = {}
    latencies: list[float] = []
    wrong: dict[int, int] = {}
    sent = 0
    with closing(select.epoll()) as poller:
        for _ in range(min(connections, most or connections)):
            line = _Line(site)
            lines[line.sock.fileno()] = line
            poller.register(line.sock, select.EPOLLIN)
        cpu, began = time.process_time(), time.perf_counter()
        now, end = began, began + seconds if most is None else float("inf")
        for line in lines.values():
            line.send(made(sent))
            sent += 1
        while lines:
            for descriptor, _ in poller.poll(TIMEOUT):
                line = lines[descriptor]
                try:
                    if not line.receive():
                        continue
                except ConnectionError:
                    del lines[descriptor]
                    line.again(site)
                    lines[line.sock.fileno()] = line
                    poller.register(line.sock, select.EPOLLIN)
                    continue
                now = time.perf_counter()
                latencies.append(now - line.began)
                if line.status not in good:
                    wrong[line.status] = wrong.get(line.status, 0) + 1
                if now < end and (most is None or sent < most):
                    line.send(made(sent))
                    sent += 1
                else:
                    del lines[descriptor]
                    poller.unregister(descriptor)
                    line.sock.close()
    return Load(len(latencies), now - began, latencies, time.process_time() - cpu, wrong)
