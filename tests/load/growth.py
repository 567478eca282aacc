"""What one operation costs as the tree grows: the server's own COPY makes it, a folder of 1,000 files at a time.

Copies share their content, as every COPY on this server does, so it is the tree that grows and not the store.
"""

import socket
import statistics
from contextlib import closing
from typing import Any

from tests.load.client import Site, UnexpectedAnswer, ask, exchange
from tests.load.compare import running, say
from tests.load.work import PROPFIND, SMALL, XML, filled

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TIMES = 41
DEEP = 50
_QUOTA = b'<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>'


def measure(servers: list[str], sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """The figures of the part: milliseconds by server, size and operation."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in servers:
        with running([name]) as (targets, _):
            for target in targets:
                found[name] = {}
                _make_deep(target.site)
                source, there = filled(target.site, 1000), 1000
                ask(target.site, (201,), "MKCOL", "/more/")
                for size in sizes:
                    there = grow(target.site, source, there, size)
                    found[name][str(size)] = costs(target.site, source)
                    say(f"growth: {name} with {size:,} files: {found[name][str(size)]}")
    return {"times": TIMES, "sizes": found}


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


def costs(site: Site, folder: str) -> dict[str, float]:
    """Milliseconds of each operation, the median of `TIMES`."""
    deep = "/" + "".join(f"level-{level}/" for level in range(DEEP - 1)) + "file.bin"
    times: dict[str, list[float]] = {}
    with closing(site.connect()) as sock:

        def do(name: str, method: str, path: str, body: bytes = b"", **fields: str) -> None:
            answer = exchange(sock, site.request(method, path, body, fields))
            _must(answer.status, name)
            times.setdefault(name, []).append(answer.seconds * 1000)

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
            do(f"GET at depth {DEEP}", "GET", deep)
            do(f"PUT at depth {DEEP}", "PUT", deep, SMALL)
            _clean(sock, site, here, moved)
        times.pop("", None)
    return {name: statistics.median(taken) for name, taken in times.items()}


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
