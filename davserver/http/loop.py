"""The selector thread: accepts, waits for whole heads, and keeps every deadline, so that no worker waits for a client.

Replaces cheroot's ConnectionManager.
"""

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from davserver.http.connection import HttpConnection, State, Step
from davserver.http.early import Early, Lane
from davserver.http.poller import make_poller

if TYPE_CHECKING:
    from davserver.http.server import HttpServer

_TICK: Final = 0.5
"""Seconds between two looks at the deadlines."""
_FULL_PAUSE: Final = 0.1
"""Seconds without accepting when no connection can be had or spared."""
_YIELD: Final = 0.002
"""Seconds that a process with more connections than another gives that one to accept the next."""
_HURRY: Final = 1.0
"""Seconds that a client has, while the server stops, to go on with what it began."""
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Loop:
    """Owns the listener and every connection that no worker has."""

    def __init__(self, server: "HttpServer", listener: socket.socket) -> None:
        self._server = server
        self._config = server.config
        self._listener = listener
        self._listening_on = listener.fileno()
        self._accept_again = 0.0
        """On `time.monotonic()`; above 0 while accepting pauses."""
        self._next_tick = 0.0
        self._poller = make_poller()
        self._lock = threading.Lock()
        """Held to arm and to drop, so that a descriptor is never closed, and used anew, between the two."""
        self._parked: dict[int, HttpConnection] = {}
        self._wake_receiver, self._wake_sender = os.pipe()
        os.set_blocking(self._wake_receiver, False)
        os.set_blocking(self._wake_sender, False)
        self._heeded = -1
        early: Early | None = getattr(server.wsgi_app, "early", None)
        self._lane = (
            None if early is None else Lane(early, self._poller, answer=self._answer, pass_on=server.process_conn)
        )
        self._poller.arm(self._wake_receiver)
        self._poller.arm(self._listening_on)

    def wake(self) -> None:
        """Make the loop look up. From any thread or signal handler."""
        with contextlib.suppress(OSError):
            os.write(self._wake_sender, b"w")

    def heed(self, descriptor: int) -> None:
        """Take a byte on this descriptor, or its end, as a request to stop."""
        self._heeded = descriptor
        self._poller.arm(descriptor)

    def watch(self, connection: HttpConnection) -> None:
        """Take a connection back from a worker, who must not touch it again."""
        step = Step.WAIT
        if connection.state in (State.IDLE, State.DISCARD, State.HEAD):
            if connection.channel.buffered:
                step = connection.look()
            if step is Step.WAIT and connection.channel.tls_pending():
                step = connection.pump()
        elif connection.state is State.SWALLOW:
            step = connection.pump()  # all of it may be there already
        self._act(connection, step)

    def turn(self, timeout: float = _TICK) -> None:
        """Wait for something to happen, and see to it."""
        if self._accept_again:
            timeout = min(timeout, max(self._accept_again - time.monotonic(), 0))
        for descriptor in self._poller.poll(timeout):
            connection = self._parked.get(descriptor)
            if connection is not None:
                self._arrived(connection)
            elif descriptor == self._listening_on:
                if self._server.share.is_least():
                    self._accept()
                else:
                    self._pause(_YIELD)
            elif self._lane is not None and self._lane.hears(descriptor):
                pass
            elif descriptor == self._wake_receiver:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_receiver, 4096)
                self._poller.arm(self._wake_receiver)
            elif descriptor == self._heeded:
                self._server.request_stop()
        if self._lane is not None:
            self._lane.turn()
        now = time.monotonic()
        if 0 < self._accept_again <= now:
            self._accept_again = 0.0
            self._accept()
        if now >= self._next_tick:
            self._next_tick = now + _TICK
            self._tick(now)

    def _arrived(self, connection: HttpConnection) -> None:
        connection.parked = False
        try:
            step = connection.pump()
            if step is Step.READY and self._lane is not None and self._lane.take(connection):
                return
            self._act(connection, step)
        except Exception as error:  # noqa: BLE001  one bad connection must not end the server, nor live on without an owner
            self._server.log_broken(error)
            connection.close()

    def _answer(self, connection: HttpConnection) -> None:
        """Answer what the lane has prepared, in this thread."""
        try:
            step = connection.answer_prepared()
            if step is Step.WAIT:
                self.watch(connection)
            else:
                self._act(connection, step)
        except Exception as error:  # noqa: BLE001  as above
            self._server.log_broken(error)
            connection.close()

    def _tick(self, now: float) -> None:
        """Close what has passed its deadline."""
        for connection in self._server.open_connections():
            if connection.parked and connection.deadline < now:
                self._drop(connection.expire)

    def stop_accepting(self) -> None:
        """Take what the system has already completed for us, then close the listener."""
        self._accept_again = 0.0
        while not self._accept_again and self._accept():
            pass
        self._accept_again = 0.0
        self._server.share.leave()
        self._poller.forget(self._listening_on)
        self._listening_on = -1
        self._listener.close()

    def hurry(self) -> None:
        """Close the connections between requests, and give the others that wait for their client one more second."""
        soon = time.monotonic() + _HURRY
        for connection in self._server.open_connections():
            if connection.parked and connection.state is State.IDLE:
                self._drop(connection.close)
            elif connection.parked:
                connection.deadline = min(connection.deadline, soon)

    def close(self) -> None:
        """Give everything back to the system."""
        self._listener.close()
        self._poller.close()
        os.close(self._wake_receiver)
        os.close(self._wake_sender)

    # -- connections

    def _act(self, connection: HttpConnection, step: Step) -> None:
        if step is Step.WAIT:
            self._park(connection)
        elif step is Step.READY:
            self._server.process_conn(connection)
        else:
            self._drop(connection.close)

    def _park(self, connection: HttpConnection) -> None:
        descriptor = connection.descriptor
        with self._lock:
            connection.parked = True
            self._parked[descriptor] = connection
            try:
                self._poller.arm(descriptor)
            except OSError:
                connection.close()

    def _drop(self, how: Callable[[], None]) -> None:
        """End a connection. The lock lets a worker finish that is just parking it."""
        with self._lock:
            how()

    def release(self, connection: HttpConnection) -> None:
        """A connection is about to close its descriptor."""
        connection.parked = False
        self._parked.pop(connection.descriptor, None)
        self._poller.forget(connection.descriptor)

    # -- accepting

    def _pause(self, seconds: float) -> None:
        self._accept_again = time.monotonic() + seconds

    def _accept(self) -> bool:
        """Accept one connection, if there is one; others may be meant for another process. Whether there was one."""
        if self._server.open_count >= self._config.max_connections and not self._make_room():
            self._pause(_FULL_PAUSE)
            return False
        try:
            sock, address = self._listener.accept()
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                self._server.log_out_of_files(error)
                self._pause(_TICK)
            else:  # another process was quicker, or the client gave up before we came
                self._poller.arm(self._listening_on)
            return False
        self._take(sock, address)
        self._poller.arm(self._listening_on)
        return True

    def _take(self, sock: socket.socket, address: tuple[str, int]) -> None:
        try:
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._server.tls is not None:
                sock = self._server.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:
            sock.close()
            return
        self._park(self._server.admit(sock, address))

    def _make_room(self) -> bool:
        """Close the connection that has been idle longest. Whether there was one."""
        idle = [c for c in self._server.open_connections() if c.parked and c.state is State.IDLE]
        if not idle:
            return False
        oldest = min(idle, key=lambda connection: connection.deadline)
        self._drop(oldest.close)
        return True
