"""The threads that run the application: as many as configured, no more and no fewer (for cheroot's `ThreadPool`)."""

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

from davserver.http.connection import HttpConnection

if TYPE_CHECKING:
    from davserver.http.server import HttpServer


class Workers:
    """A fixed pool. The queue needs no bound: a connection stands in it at most once, and connections are bounded."""

    def __init__(self, server: "HttpServer", count: int) -> None:
        self._server = server
        self.min = count
        self._queue: SimpleQueue[HttpConnection | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.put = self._queue.put
        self.get = self._queue.get

    def start(self) -> None:
        """Start the threads. They are daemons: a request that never ends must not keep the process."""
        for number in range(self.min):
            thread = threading.Thread(target=self._work, name=f"http-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def qsize(self) -> int:
        """Requests that wait for a worker."""
        return self._queue.qsize()

    def stop(self, timeout: float) -> bool:
        """Let the workers end after what is queued, for `timeout` seconds. Whether all of them did."""
        for _ in self._threads:
            self._queue.put(None)
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (connection := self._queue.get()) is not None:
            try:
                if connection.communicate():
                    self._server.put_conn(connection)
                else:
                    connection.close()
            except BaseException as error:  # noqa: BLE001  a worker outlives whatever happens in a request, sys.exit() too
                self._server.log_broken(error)
                connection.close()
