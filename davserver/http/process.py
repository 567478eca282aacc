"""One serving process: makes the application, serves it until told to stop, closes it."""

import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeAlias

from davserver.http.config import HttpConfig
from davserver.http.exchange import WsgiApp
from davserver.http.memory import give_back_large_blocks
from davserver.http.server import HttpServer
from davserver.http.shares import Share

Address: TypeAlias = tuple[str, int]
AppFactory: TypeAlias = Callable[[], WsgiApp]
"""Makes the application, in the process that will run it. If the result has `close()`, it is called at the end."""

_log = logging.getLogger("davserver.http")
_FILES_BESIDE_CONNECTIONS = 512
SWITCH_SECONDS: Final = 0.0005
"""After how long a busy thread lets another one run. With Python's 5 ms a request waited that long beside a scan."""


class _Stopper:
    """What signals ask for. The first: end what is in flight. The second: at once."""

    def __init__(self) -> None:
        self._server: HttpServer | None = None
        self.asked = 0

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """A signal handler."""
        del number, frame
        self.asked += 1
        if self._server is not None:
            self._server.request_stop(at_once=self.asked > 1)
        if self.asked > 2 or (self.asked > 1 and self._server is None):
            os._exit(1)  # the application hangs in its beginning or its end

    def steer(self, server: HttpServer) -> None:
        """Pass on what was asked, before now or from now on."""
        self._server = server
        if self.asked:
            server.request_stop(at_once=self.asked > 1)


@contextmanager
def _signals(stopper: _Stopper, *, ignored: tuple[signal.Signals, ...]) -> Iterator[None]:
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in ignored]
    stopping = [number for number in (signal.SIGTERM, signal.SIGINT) if number not in ignored]
    before += [(number, signal.signal(number, stopper.signalled)) for number in stopping]
    # A supervisor forks with these blocked, so that none is lost before its handler is in place.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number for number, _ in before])
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def _pinned(cpu: int | None) -> Iterator[None]:
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_files(config: HttpConfig) -> None:
    """Raise the limit of open files, as far as the system lets us, to what `max_connections` needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.max_connections + _FILES_BESIDE_CONNECTIONS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_process(
    app_factory: AppFactory,
    config: HttpConfig,
    listener: socket.socket,
    *,
    on_ready: Callable[[Address], None],
    cpu: int | None = None,
    parent: int | None = None,
    share: Share | None = None,
) -> int:
    """Serve on `listener` in the calling process, which must be its main thread, until SIGTERM (or SIGINT).

    `cpu` is the one to stay on. `parent` is the reading end of a pipe that ends when the supervisor does, and with it
    this process: SIGINT is then left to the supervisor, since a terminal sends it to both. `share` is this process's
    counter of connections. Returns the exit status.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    stopper = _Stopper()
    ignored = (signal.SIGHUP,) if parent is None else (signal.SIGHUP, signal.SIGINT)
    with _signals(stopper, ignored=ignored), _pinned(cpu):
        allow_files(config)
        give_back_large_blocks()
        app = app_factory()
        try:
            server = HttpServer(config, app, listener, share)
            server.prepare()
            if parent is not None:
                server.stop_when_readable(parent)
            stopper.steer(server)
            on_ready(server.bind_addr)
            server.serve()
        finally:
            _close(app)
    return 0 if stopper.asked <= 1 else 1


def _close(app: WsgiApp) -> None:
    close = getattr(app, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception:  # noqa: BLE001  it is over; the exit status tells how the serving went
        _log.exception("The application failed to close")
