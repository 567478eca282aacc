"""N processes on one port: forks them, restarts the ones that die, and ends them together."""

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

from davserver.http.config import HttpConfig
from davserver.http.process import Address, AppFactory, run_process
from davserver.http.server import listen
from davserver.http.shares import Share, Shares

_log = logging.getLogger("davserver.http")

_INSTANT: Final = 5.0
"""Seconds: a process that dies sooner died of its start."""
_MAX_INSTANT_DEATHS: Final = 5
_FIRST_PAUSE: Final = 0.1
"""Seconds before the first restart; doubled for each further instant death."""
_KILL_AFTER: Final = 5.0
"""Seconds beyond what a process gives its requests."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class ServeError(RuntimeError):
    """The processes cannot be kept alive."""


def serve(app_factory: AppFactory, config: HttpConfig, *, on_ready: Callable[[Address], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status: 0, or 1 when a second signal cut the end short.

    `app_factory` is called once in each process, after the fork; the calling process must have no threads and no open
    database then. `on_ready` is called once, in the calling process, when all processes accept connections. Must be
    called in the main thread. Raises OSError when the address cannot be had, whatever the factory raises when there is
    one process, and `ServeError` when processes die again and again.
    """
    listener = listen(config)
    ready = on_ready or (lambda _: None)
    try:
        if config.processes == 1:
            cpu = min(os.sched_getaffinity(0)) if config.pins() else None
            return run_process(app_factory, config, listener, on_ready=ready, cpu=cpu)
        return _Supervisor(app_factory, config, listener, ready).run()
    finally:
        listener.close()


@dataclass(slots=True)
class _Child:
    slot: int
    pid: int
    started: float
    news: int
    """Reading end of a pipe: a byte when it serves, the end when it died."""
    ready: bool = False


class _Supervisor:
    """The parent. Has no threads, and does nothing but fork, wait and signal."""

    def __init__(
        self, app_factory: AppFactory, config: HttpConfig, listener: socket.socket, on_ready: Callable[[Address], None]
    ) -> None:
        self._app_factory = app_factory
        self._config = config
        self._listener = listener
        self._on_ready: Callable[[Address], None] | None = on_ready
        self._cpus = sorted(os.sched_getaffinity(0)) if config.pins() else []
        self._shares = Shares(config.processes)
        self._children: dict[int, _Child] = {}
        self._restart_at = dict.fromkeys(range(config.processes), 0.0)
        """When to start a process, for each slot without one; on `time.monotonic()`."""
        self._instant_deaths = 0
        self._last_death = ""
        self._asked = 0
        self._ending = False
        # Only the parent keeps the writing end: it closes with the parent, however that ends.
        self._alive_receiver, self._alive_sender = os.pipe()
        self._wake_receiver, self._wake_sender = os.pipe()
        os.set_blocking(self._wake_receiver, False)
        os.set_blocking(self._wake_sender, False)

    def run(self) -> int:
        """Keep the processes until they are to end."""
        try:
            with self._signals():
                while not self._asked and self._instant_deaths < _MAX_INSTANT_DEATHS:
                    self._start_due()
                    self._wait()
                self._end_children()
        finally:
            self._kill(signal.SIGKILL)
            for child in self._children.values():
                os.waitpid(child.pid, 0)
            for descriptor in (self._alive_receiver, self._alive_sender, self._wake_receiver, self._wake_sender):
                os.close(descriptor)
        if not self._asked:
            raise ServeError(
                f"server processes died {self._instant_deaths} times within {_INSTANT:.0f} s of their start, "
                f"the last with {self._last_death}; the log says why"
            )
        return 0 if self._asked <= 1 else 1

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number != signal.SIGCHLD:
            self._asked += 1

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = [(number, signal.signal(number, self._signalled)) for number in _SIGNALS]
        before.append((signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_IGN)))
        wakeup = signal.set_wakeup_fd(self._wake_sender, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before:
                signal.signal(number, handler)

    # -- starting

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot, due in list(self._restart_at.items()):
            if due <= now:
                del self._restart_at[slot]
                self._start(slot)

    def _start(self, slot: int) -> None:
        news, report = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            os.close(news)
            self._be_child(slot, report)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(report)
        self._children[pid] = _Child(slot, pid, time.monotonic(), news)

    def _be_child(self, slot: int, report: int) -> NoReturn:
        status = 3
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            os.close(self._alive_sender)
            status = run_process(
                self._app_factory,
                self._config,
                self._listener,
                on_ready=lambda _: _tell(report),
                cpu=self._cpus[slot % len(self._cpus)] if self._cpus else None,
                parent=self._alive_receiver,
                share=Share(self._shares, slot),
            )
        except BaseException:  # noqa: BLE001  the child ends here, whatever it was
            _log.exception("A server process failed")
        finally:
            # Nothing of what the parent registered for its own exit may run here.
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(status)

    # -- waiting

    def _wait(self, until: float = float("inf")) -> None:
        """Wait for a signal, for news of a child, or until something is due."""
        now = time.monotonic()
        timeout = max(min([until, now + 60, *self._restart_at.values()]) - now, 0)
        silent = [child.news for child in self._children.values() if not child.ready]
        ready, _, _ = select.select([self._wake_receiver, *silent], [], [], timeout)
        if self._wake_receiver in ready:
            os.read(self._wake_receiver, 4096)
        for child in list(self._children.values()):
            if child.news in ready:
                child.ready = os.read(child.news, 1) == b"r"
            self._reap(child)
        serving = sum(child.ready for child in self._children.values())
        if self._on_ready and serving == self._config.processes:
            on_ready, self._on_ready = self._on_ready, None
            on_ready(self._listener.getsockname()[:2])

    def _reap(self, child: _Child) -> None:
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            return
        del self._children[pid]
        os.close(child.news)
        self._shares.leave(child.slot)
        if self._asked or self._ending:
            return
        code = os.waitstatus_to_exitcode(status)
        self._last_death = f"signal {-code}" if code < 0 else f"exit status {code}"
        now = time.monotonic()
        self._instant_deaths = self._instant_deaths + 1 if now - child.started < _INSTANT else 0
        pause = _FIRST_PAUSE * 2**self._instant_deaths
        self._restart_at[child.slot] = now + pause
        _log.error("Server process %d ended with %s; another starts in %.1f s", pid, self._last_death, pause)

    # -- ending

    def _end_children(self) -> None:
        config = self._config
        patience = config.leave_seconds + config.drain_seconds + config.grace_seconds + _KILL_AFTER
        end = time.monotonic() + patience
        self._ending = True
        self._restart_at.clear()
        self._kill(signal.SIGTERM)
        while self._children:
            if self._asked > 1 or time.monotonic() > end:
                self._kill(signal.SIGKILL)
            self._wait(min(end, time.monotonic() + 1))

    def _kill(self, number: signal.Signals) -> None:
        for child in self._children.values():
            os.kill(child.pid, number)


def _tell(report: int) -> None:
    os.write(report, b"r")
    os.close(report)
