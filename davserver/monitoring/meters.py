"""What is counted of each request, across the processes of one server.

Every process adds to cells of its own in memory that all share; whoever is asked adds them up. A process that takes the place
of a dead one goes on with its cells, so that counters only grow. Counting costs a lock of this process and a few additions.
"""

import fcntl
import mmap
import os
import tempfile
import threading
import weakref
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from davserver.domain.tally import Tally

OTHER: Final = "OTHER"
METHODS: Final = (
    "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "POST",
    "PATCH", "REPORT", OTHER,
)  # fmt: skip
STATUSES: Final = (
    "200", "201", "202", "204", "206", "207", "302", "304", "400", "401", "403", "404", "405", "408", "409", "412", "413",
    "415", "416", "417", "422", "423", "424", "429", "431", "500", "501", "502", "503", "507", OTHER,
)  # fmt: skip
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper bounds in seconds; one more bucket takes the rest."""

CACHES: Final = ("answers", "sign_ins")
"""What a process remembers: listings and small files of WebDAV, and right passwords."""

_METHOD: Final = {name: number for number, name in enumerate(METHODS)}
_STATUS: Final = {name: number for number, name in enumerate(STATUSES)}
_PID: Final = 0
_COUNTS: Final = 1
_TIMES: Final = _COUNTS + len(METHODS) * len(STATUSES)
_PER_TIME: Final = len(BUCKETS) + 2
"""Buckets, the one for the rest, and the sum."""
_RECEIVED: Final = _TIMES + len(METHODS) * _PER_TIME
_SENT: Final = _RECEIVED + len(METHODS)
_IN_FLIGHT: Final = _SENT + len(METHODS)
_CACHES: Final = _IN_FLIGHT + len(METHODS)
_PER_CACHE: Final = 3
"""Hits, misses, bytes."""
_CELLS: Final = _CACHES + len(CACHES) * _PER_CACHE
_CELL_BYTES: Final = 8


class Meters:
    """The cells of all processes. Made before the fork; each process calls `take_place` after it."""

    def __init__(self, processes: int = 1) -> None:
        self._places = processes
        size = processes * _CELLS * _CELL_BYTES
        self._file = _nameless_file()
        weakref.finalize(self, os.close, self._file)
        os.truncate(self._file, size)
        self._cells = memoryview(mmap.mmap(self._file, size)).cast("d")
        self._base = 0
        self._lock = threading.Lock()
        self._watched: list[tuple[int, Tally, float, float]] = []

    def take_place(self) -> None:
        """Count in a place that no living process has. What a dead one had in flight is gone with it."""
        self._lock = threading.Lock()
        with self._locked():
            for place in range(self._places):
                pid = int(self._cells[place * _CELLS + _PID])
                if pid in {0, os.getpid()} or not _lives(pid):
                    self._base = place * _CELLS
                    break
            self._cells[self._base + _PID] = os.getpid()
            for number in range(len(METHODS)):
                self._cells[self._base + _IN_FLIGHT + number] = 0
            for number in range(len(CACHES)):
                self._cells[self._base + _CACHES + number * _PER_CACHE + 2] = 0

    def watch(self, tallies: Mapping[str, Tally]) -> None:
        """Tell of these caches of this process, by their names in `CACHES`, with each request. After `take_place`."""
        watched = []
        for name, tally in tallies.items():
            at = self._base + _CACHES + CACHES.index(name) * _PER_CACHE
            watched.append((at, tally, self._cells[at] - tally.hits, self._cells[at + 1] - tally.misses))
        self._watched = watched

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)  # of a process, not of a descriptor: those are shared through forks
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def begin(self, method: str) -> None:
        """A request is under way. `end` follows, once."""
        at = self._base + _IN_FLIGHT + _METHOD.get(method, len(METHODS) - 1)
        with self._lock:
            self._cells[at] += 1

    def end(self, method: str, status: str, seconds: float, received: int, sent: int) -> None:
        """It was answered with this status, of three digits. Bytes are those of bodies."""
        number = _METHOD.get(method, len(METHODS) - 1)
        count = self._base + _COUNTS + number * len(STATUSES) + _STATUS.get(status, len(STATUSES) - 1)
        times = self._base + _TIMES + number * _PER_TIME
        bucket = times + bisect_left(BUCKETS, seconds)
        base, cells = self._base + number, self._cells
        with self._lock:
            cells[count] += 1
            cells[bucket] += 1
            cells[times + _PER_TIME - 1] += seconds
            cells[base + _RECEIVED] += received
            cells[base + _SENT] += sent
            cells[base + _IN_FLIGHT] -= 1
            for at, tally, hits, misses in self._watched:
                cells[at], cells[at + 1], cells[at + 2] = hits + tally.hits, misses + tally.misses, tally.size

    # -- reading

    def requests(self) -> Iterator[tuple[str, str, float]]:
        """(method, status, count) of all that came."""
        for method, number in _METHOD.items():
            for status, which in _STATUS.items():
                count = self._sum(_COUNTS + number * len(STATUSES) + which)
                if count:
                    yield method, status, count

    def times(self) -> Iterator[tuple[str, list[tuple[str, float]], float]]:
        """(method, cumulative buckets as (bound, count), sum of seconds) of all that came."""
        for method, number in _METHOD.items():
            first = _TIMES + number * _PER_TIME
            total, buckets = 0.0, []
            for offset, bound in enumerate([*map(str, BUCKETS), "+Inf"]):
                total += self._sum(first + offset)
                buckets.append((bound, total))
            if total:
                yield method, buckets, self._sum(first + _PER_TIME - 1)

    def received(self) -> Iterator[tuple[str, float]]:
        """(method, bytes of request bodies)."""
        return self._by_method(_RECEIVED)

    def sent(self) -> Iterator[tuple[str, float]]:
        """(method, bytes of answers' bodies)."""
        return self._by_method(_SENT)

    def in_flight(self) -> Iterator[tuple[str, float]]:
        """(method, requests under way)."""
        return self._by_method(_IN_FLIGHT)

    def caches(self) -> Iterator[tuple[str, float, float, float]]:
        """(cache, hits, misses, bytes)."""
        for number, name in enumerate(CACHES):
            at = _CACHES + number * _PER_CACHE
            yield name, self._sum(at), self._sum(at + 1), self._sum(at + 2)

    def processes(self) -> int:
        """How many processes count here now."""
        pids = [int(self._cells[place * _CELLS + _PID]) for place in range(self._places)]
        return sum(1 for pid in pids if pid and _lives(pid))

    def _by_method(self, at: int) -> Iterator[tuple[str, float]]:
        return ((method, self._sum(at + number)) for method, number in _METHOD.items())

    def _sum(self, at: int) -> float:
        return sum(self._cells[place * _CELLS + at] for place in range(self._places))


def _nameless_file() -> int:
    """A descriptor of a file in memory, or on disk where the system has none of those."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("davserver-meters")
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)  # noqa: PTH108
    return descriptor


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
