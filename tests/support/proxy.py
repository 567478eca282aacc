"""A TCP proxy that breaks connections: what a network does to a server behind it."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"^(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")


@dataclass
class FlakyProxy:
    """Forwards to `target` (host, port). What it breaks can be changed while it runs."""

    target: tuple[str, int]
    port: int = 0
    cut_answers_after: int | None = None
    """Bytes of an answer to GET after which the connection is cut."""
    cuts_left: int = 0
    """How many answers to GET are cut."""
    lose_answer_to: Callable[[str, str], bool] = lambda method, path: False
    """(method, path) -> whether the request reaches the server and its answer is lost."""
    answer_instead: Callable[[str, str], bytes | None] = lambda method, path: None
    """(method, path) -> the answer to give in place of the server's, which still gets the request."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """All requests, in the order in which they came."""


@contextlib.contextmanager
def flaky_proxy(endpoint: str) -> Iterator[FlakyProxy]:
    """Run a proxy on a free port of 127.0.0.1 for the server at `endpoint` (host:port)."""
    host, _, port = endpoint.partition(":")
    proxy = FlakyProxy((host, int(port)))
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    proxy.port = listener.getsockname()[1]
    stopping = threading.Event()
    threads: list[threading.Thread] = []

    def accept() -> None:
        while not stopping.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=_serve, args=(proxy, client, stopping))
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield proxy
    finally:
        stopping.set()
        acceptor.join()
        listener.close()
        for thread in threads:
            thread.join()


def _serve(proxy: FlakyProxy, client: socket.socket, stopping: threading.Event) -> None:
    """One connection. Requests are not pipelined, so that an answer belongs to the last request."""
    current = ("", "")
    answered = 0
    with client, socket.create_connection(proxy.target) as server:
        client.settimeout(0.005)
        server.settimeout(0.005)
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                data = client.recv(1 << 20)
                if not data:
                    return
                if found := _REQUEST.match(data):
                    current, answered = (found[1].decode(), found[2].decode()), 0
                    proxy.requests.append(current)
                server.settimeout(5)
                server.sendall(data)
                server.settimeout(0.005)
            with contextlib.suppress(TimeoutError):
                data = server.recv(1 << 16)
                if not data or not _forward(proxy, client, current, answered, data):
                    return
                answered += len(data)


def _forward(proxy: FlakyProxy, client: socket.socket, request: tuple[str, str], answered: int, data: bytes) -> bool:
    """Pass on a piece of the answer. False: the connection is over."""
    if proxy.lose_answer_to(*request):
        return False
    client.settimeout(5)
    if (instead := proxy.answer_instead(*request)) is not None:
        client.sendall(instead)
        return False
    limit = proxy.cut_answers_after
    if request[0] == "GET" and limit is not None and proxy.cuts_left and answered + len(data) > limit:
        proxy.cuts_left -= 1
        client.sendall(data[: max(0, limit - answered)])
        return False
    client.sendall(data)
    client.settimeout(0.005)
    return True
