"""The threads that run the application (for cheroot's `ThreadPool`)."""

import contextlib
import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from davserver.http.connection import HttpConnection

if TYPE_CHECKING:
    from davserver.http.server import HttpServer

_IDLE_SECONDS: Final = 30.0
"""A thread that is one of more than `min` ends after so long without a request."""


class Workers:
    """A pool of `min` threads that work, and of as many more, up to `max`, as others of them wait for their clients.

    A thread whose client is slow to send or to take costs little, but is none that could answer somebody else: while it
    waits, another may begin. So slow clients, however many below `max`, do not keep quick requests waiting, and no more than
    about `min` threads compete for the interpreter. The queue needs no bound: a connection stands in it at most once, and
    connections are bounded.
    """

    def __init__(self, server: "HttpServer", count: int, most: int) -> None:
        self._server = server
        self.min = count
        self.max = max(count, most)
        self._queue: SimpleQueue[HttpConnection | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._free = 0
        """Threads that wait for a request."""
        self._lent = 0
        """Threads that wait for their client."""
        self._stopping = False

    def start(self) -> None:
        """Start the threads. They are daemons: a request that never ends must not keep the process."""
        with self._lock:
            for _ in range(self.min):
                self._add()

    def put(self, connection: HttpConnection) -> None:
        """Have a request answered."""
        self._queue.put(connection)
        self._see_to_it()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """For the time that a worker's thread waits for its client."""
        with self._lock:
            self._lent += 1
        try:
            if not self._queue.empty():
                self._see_to_it()
            yield
        finally:
            with self._lock:
                self._lent -= 1

    def stop(self, timeout: float) -> bool:
        """Let the workers end after what is queued, for `timeout` seconds. Whether all of them did."""
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        end = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in threads)

    @property
    def qsize(self) -> int:
        """Requests that wait for a worker."""
        return self._queue.qsize()

    @property
    def size(self) -> int:
        """Threads, whatever they do."""
        return len(self._threads)

    def _see_to_it(self) -> None:
        """Start a thread if a request waits that no thread is there for, and enough of the threads wait for their clients."""
        with self._lock:
            count = len(self._threads)
            if self._queue.qsize() > self._free and count - self._lent < self.min and count < self.max:
                self._add()

    def _add(self) -> None:
        if self._stopping:
            return
        thread = threading.Thread(target=self._work, name="http-worker", daemon=True)
        self._threads.add(thread)
        self._free += 1  # it is there for what waits, though it has yet to begin
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left: those that there are must do
            self._threads.discard(thread)
            self._free -= 1

    def _work(self) -> None:
        while (connection := self._next()) is not None:
            try:
                if connection.communicate():
                    self._server.put_conn(connection)
                else:
                    connection.close()
            except BaseException as error:  # noqa: BLE001  a worker outlives whatever happens in a request, sys.exit() too
                self._server.log_broken(error)
                connection.close()
            with self._lock:
                self._free += 1

    def _next(self) -> HttpConnection | None:
        """The next request; None when the thread is to end."""
        while True:
            try:
                connection = self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if len(self._threads) <= self.min or not self._queue.empty() or self._stopping:
                        continue
                    self._leave()
                return None
            with self._lock:
                if connection is None:
                    self._leave()
                else:
                    self._free -= 1
            return connection

    def _leave(self) -> None:
        self._threads.discard(threading.current_thread())
        self._free -= 1
