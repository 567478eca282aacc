"""A socket with what was received ahead of need: the bytes of one connection, plain or TLS.

The socket never blocks. Whoever owns the connection (the selector thread, or one worker) either takes what is there
(`fill_now`) or waits for it with a time limit (`fill`, `read_into`, `send`).
"""

import contextlib
import select
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

BLOCK: Final = 64 * 1024
"""Bytes asked of the system at once, and joined at most to save a call when sending."""

_POLLIN: Final = select.POLLIN
_POLLOUT: Final = select.POLLOUT
_LATER = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class PeerGoneError(OSError):
    """The client closed, reset, or took nothing for too long while something was sent to it."""


class SilenceError(OSError):
    """Nothing arrived within the time limit."""


class Channel:
    """Not thread-safe, but for `cut`."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        read_seconds: float,
        send_seconds: float,
        waiting: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """`waiting` makes a context that is entered for as long as a worker waits for the client."""
        self.socket = sock
        self._waiting = waiting
        self.is_cut = False
        """Set by `cut`: nothing more is to be read."""
        self._read_seconds = read_seconds
        self._send_seconds = send_seconds
        self._buffer = b""
        self._position = 0
        self._held: list[bytes] | None = None
        self._owed = memoryview(b"")

    # -- what was received

    @property
    def buffered(self) -> int:
        """Bytes received and not yet taken."""
        return len(self._buffer) - self._position

    def tls_pending(self) -> bool:
        """Whether the TLS object holds decrypted bytes, of which the selector knows nothing."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def find(self, mark: bytes, start: int = 0) -> int:
        """Where `mark` stands in the buffered bytes, at or after `start`, or -1."""
        found = self._buffer.find(mark, self._position + start)
        return found if found < 0 else found - self._position

    def starts_with(self, mark: bytes) -> bool:
        """Whether the buffered bytes begin with `mark`."""
        return self._buffer.startswith(mark, self._position)

    def first_word(self, most: int) -> bytes:
        """The first of the buffered bytes, up to a blank that is among the first `most` of them; b"" without one."""
        end = self._buffer.find(b" ", self._position, self._position + most)
        return self._buffer[self._position : end] if end >= 0 else b""

    def peek(self, count: int) -> bytes:
        """Up to `count` buffered bytes, which stay."""
        return self._buffer[self._position : self._position + count]

    def take(self, count: int) -> bytes:
        """Up to `count` buffered bytes."""
        start = self._position
        piece = self._buffer[start : start + count]
        self._advance(len(piece))
        return piece

    def skip(self, count: int) -> int:
        """Drop up to `count` buffered bytes; tells how many."""
        dropped = min(count, self.buffered)
        self._advance(dropped)
        return dropped

    def _advance(self, count: int) -> None:
        self._position += count
        if self._position == len(self._buffer):
            self._buffer, self._position = b"", 0

    # -- receiving

    def fill_now(self) -> int | None:
        """Buffer what has arrived: how many bytes, 0 at the end of the stream, None when there is nothing yet."""
        try:
            data = self.socket.recv(BLOCK)
        except _LATER:
            return None
        if not data:
            return 0
        if self._position == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._position :] + data
        self._position = 0
        return len(data)

    def fill(self) -> int:
        """The same, but wait for bytes; raises `SilenceError`."""
        while (count := self.fill_now()) is None:
            self._wait_for_bytes()
        return count

    def read_into(self, target: memoryview) -> int:
        """Take at least one byte, buffered or new; 0 at the end of the stream. Raises `SilenceError`."""
        if self.buffered:
            piece = self.take(len(target))
            target[: len(piece)] = piece
            return len(piece)
        while True:
            try:
                return self.socket.recv_into(target)
            except _LATER:
                self._wait_for_bytes()

    def discard_now(self, scratch: bytearray) -> int | None:
        """Receive into `scratch` and forget: as `fill_now`, but below TLS, where closing is all that is left to do."""
        try:
            return socket.socket.recv_into(self.socket, scratch)
        except _LATER:
            return None

    def _wait_for_bytes(self) -> None:
        poll = select.poll()
        poll.register(self.socket, _POLLIN)
        with self._waiting():
            arrived = poll.poll(self._read_seconds * 1000)
        if not arrived:
            raise SilenceError("nothing arrived in time")

    # -- sending

    def send(self, data: bytes) -> None:
        """Send all of it, however long it takes while some of it goes out; raises `PeerGoneError`."""
        if self._held is not None:
            self._held.append(data)
            return
        try:
            sent = self.socket.send(data)
        except _LATER:
            sent = 0
        except OSError as error:
            raise PeerGoneError(*error.args) from error
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])

    def send_two(self, first: bytes, second: bytes) -> None:
        """Send both as one where that is cheap, so that no small packet waits for an acknowledgement."""
        if len(second) <= BLOCK or self._held is not None or isinstance(self.socket, ssl.SSLSocket):
            self.send(first + second)
            return
        try:
            sent = self.socket.sendmsg((first, second))
        except _LATER:
            sent = 0
        except OSError as error:
            raise PeerGoneError(*error.args) from error
        if sent < len(first):
            self._send_rest(memoryview(first)[sent:])
            sent = len(first)
        self._send_rest(memoryview(second)[sent - len(first) :])

    def hold(self) -> None:
        """From now on `send` keeps what it is given."""
        self._held = []

    def let_go(self) -> bool:
        """Send what was kept, as far as that needs no waiting. Whether that was all; else `send_owed` is due.

        Raises `PeerGoneError`.
        """
        data, self._held = b"".join(self._held or ()), None
        try:
            sent = self.socket.send(data) if data else 0
        except _LATER:
            sent = 0
        except OSError as error:
            raise PeerGoneError(*error.args) from error
        self._owed = memoryview(data)[sent:]
        return not self._owed

    def send_owed(self) -> None:
        """Send the rest of what `let_go` could not, waiting as `send` does. Raises `PeerGoneError`."""
        owed, self._owed = self._owed, memoryview(b"")
        self._send_rest(owed)

    def send_now(self, data: bytes) -> None:
        """Send what fits without waiting, and forget the rest: for a last word to a client that is too slow."""
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def send_below(self, data: bytes) -> None:
        """The same, below TLS: for a client that does not speak it."""
        with contextlib.suppress(OSError):
            socket.socket.send(self.socket, data)

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[self.socket.send(rest) :]
            except ssl.SSLWantReadError:
                self._wait_to_send(_POLLIN)
            except _LATER:
                self._wait_to_send(_POLLOUT)
            except OSError as error:
                raise PeerGoneError(*error.args) from error

    def _wait_to_send(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.socket, event)
        with self._waiting():
            taken = poll.poll(self._send_seconds * 1000)
        if not taken:
            raise PeerGoneError("the client takes nothing")

    # -- ending

    def cut(self) -> None:
        """From any thread: end all reading, now. A reader that waits wakes up to the end of the stream."""
        self.is_cut = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RD)

    def half_close(self) -> None:
        """Tell the client that nothing more will be sent; it may go on sending."""
        if isinstance(self.socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()  # sends close_notify; that the client's is not there yet is no matter
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def close(self) -> None:
        """Close in order: what was sent is still delivered, if all that arrived was read."""
        if isinstance(self.socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()
        self.socket.close()

    def reset(self) -> None:
        """Close so that the client cannot take what it got for a whole answer."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.socket.close()
