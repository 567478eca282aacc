"""What one operation costs as the tree grows, and as folders lie deeper: the server's own COPY makes the tree, a folder of
1,000 files at a time.

Copies share their content, as every COPY on this server does, so it is the tree that grows and not the store.
"""

import json
import socket
import statistics
import urllib.request
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.load.client import Site, UnexpectedAnswer, ask, exchange
from tests.load.compare import running, say
from tests.load.work import PROPFIND, SMALL, XML, filled

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TIMES = 41
DEEP = 50
DEPTHS = (1, 10, 25, 50)
_QUOTA = b'<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>'


def measure(servers: list[str], sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """The figures of the part: milliseconds by server, size and operation."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    deep: dict[str, dict[str, dict[str, float]]] = {}
    for name in servers:
        with running([name]) as (targets, _):
            for target in targets:
                found[name] = {}
                _make_deep(target.site)
                deep[name] = {str(depth): costs_at(target.site, depth) for depth in DEPTHS}
                say(f"growth: {name} by depth: {deep[name]}")
                source, there = filled(target.site, 1000), 1000
                ask(target.site, (201,), "MKCOL", "/more/")
                for size in sizes:
                    there = grow(target.site, source, there, size)
                    found[name][str(size)] = costs(target.site, source)
                    say(f"growth: {name} with {size:,} files: {found[name][str(size)]}")
    return {"times": TIMES, "sizes": found, "depths": deep}


def grow(site: Site, source: str, there: int, size: int) -> int:
    """Copy the folder until the tree has `size` files; that number."""
    with closing(site.connect()) as sock:
        for number in range(there, size, 1000):
            fields = {"Destination": f"{site.url}/more/{number}/"}
            _must(exchange(sock, site.request("COPY", source, b"", fields)).status, "COPY")
    return max(there, size)


def _make_deep(site: Site) -> None:
    path = "/"
    for level in range(DEEP - 1):
        path += f"level-{level}/"
        ask(site, (201,), "MKCOL", path)
    ask(site, (201,), "PUT", path + "file.bin", SMALL)


class Timed:
    """A connection, and how long each answer on it took."""

    def __init__(self, site: Site, sock: socket.socket) -> None:
        self._site = site
        self._sock = sock
        self._times: dict[str, list[float]] = {}

    def do(self, name: str, method: str, path: str, body: bytes = b"", **fields: str) -> None:
        """A request below the share. Raises `UnexpectedAnswer`."""
        self.send(name, self._site.request(method, path, body, fields))

    def send(self, name: str, request: bytes) -> None:
        """Any request."""
        answer = exchange(self._sock, request)
        _must(answer.status, name)
        self._times.setdefault(name, []).append(answer.seconds * 1000)

    def medians(self) -> dict[str, float]:
        """Milliseconds, by name."""
        return {name: statistics.median(taken) for name, taken in self._times.items()}


def costs_at(site: Site, depth: int) -> dict[str, float]:
    """Milliseconds of each operation on a file so many segments deep, the median of `TIMES`."""
    folder = "/" + "".join(f"level-{level}/" for level in range(depth - 1))
    here, moved = folder + "timed.bin", folder + "moved.bin"
    with closing(site.connect()) as sock:
        timed = Timed(site, sock)
        for _ in range(TIMES):
            timed.do("PUT of 4 KiB", "PUT", here, SMALL)
            timed.do("GET of it", "GET", here)
            timed.do("PROPFIND, depth 0", "PROPFIND", here, PROPFIND, Depth="0", **XML)
            timed.do("MOVE of it", "MOVE", here, Destination=site.url + moved)
            timed.do("DELETE of it", "DELETE", moved)
            _must(exchange(sock, site.request("DELETE", "/.trash/moved.bin")).status, "DELETE from the trash")
        return timed.medians()


def rest(site: Site) -> Callable[[str], bytes]:
    """A maker of GET requests to routes of the REST app, signed in for a quarter of an hour."""
    host, port = site.address
    asked = json.dumps({"name": site.user, "password": site.password}).encode()
    url = f"http://{host}:{port}/api/v1/sessions"
    request = urllib.request.Request(url, asked, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        token = json.load(answer)["access_token"]
    fields = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    return lambda route: f"GET /api/v1/{route} HTTP/1.1\r\n{fields}".encode()


def costs(site: Site, folder: str) -> dict[str, float]:
    """Milliseconds of each operation, the median of `TIMES`."""
    deep = "/" + "".join(f"level-{level}/" for level in range(DEEP - 1)) + "file.bin"
    get = rest(site)
    with closing(site.connect()) as sock:
        timed = Timed(site, sock)
        do = timed.do
        for _ in range(TIMES):
            here, copy, moved = folder + "new.bin", folder + "copy.bin", folder + "moved.bin"
            do("PUT of 4 KiB", "PUT", here, SMALL)
            do("GET of it", "GET", here)
            do("PROPFIND, depth 0", "PROPFIND", here, PROPFIND, Depth="0", **XML)
            do("PROPFIND of 1,000 members", "PROPFIND", folder, PROPFIND, Depth="1", **XML)
            do("COPY of a file", "COPY", here, Destination=site.url + copy)
            do("MOVE of a file", "MOVE", copy, Destination=site.url + moved)
            do("DELETE of a file", "DELETE", here)
            do("restore of it", "MOVE", "/.trash/new.bin", Destination=site.url + here)
            do("quota", "PROPFIND", "/", _QUOTA, Depth="0", **XML)
            timed.send("statistics after a change", get("statistics"))
            timed.send("top ten", get("statistics/top"))
            do("listing of the trash", "PROPFIND", "/.trash/", PROPFIND, Depth="1", **XML)
            do(f"GET at depth {DEEP}", "GET", deep)
            do(f"PUT at depth {DEEP}", "PUT", deep, SMALL)
            _clean(sock, site, here, moved)
        return timed.medians()


def _clean(sock: socket.socket, site: Site, *paths: str) -> None:
    """Delete files and take them out of the trash, so that each turn finds the same."""
    for path in paths:
        _must(exchange(sock, site.request("DELETE", path)).status, "DELETE")
        _must(
            exchange(sock, site.request("DELETE", "/.trash/" + path.rpartition("/")[2])).status, "DELETE from the trash"
        )


def _must(status: int, what: str) -> None:
    if status not in {200, 201, 204, 207}:
        raise UnexpectedAnswer(f"{what}: {status}")
