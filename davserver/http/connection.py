"""A connection: from the handshake through its requests to the end. Always owned by one thread.

The selector thread owns it while it waits for something to arrive; a worker owns it from a whole request head to the
end of the answer. `pump` is what either does with arrived bytes, without ever waiting for more.
"""

import enum
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import cheroot.server

from davserver.http.channel import Channel, PeerGoneError
from davserver.http.config import HttpConfig
from davserver.http.exchange import After, Exchange, render_error
from davserver.http.head import HeadRefusedError, parse_head

if TYPE_CHECKING:
    from davserver.http.server import HttpServer

_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_EMPTY_LINES: Final = 4
_SCRATCH = bytearray(256 * 1024)
"""Where bytes go that nobody wants. Shared by all: nobody reads it."""


class State(enum.Enum):
    """What the selector waits for."""

    HANDSHAKE = enum.auto()
    IDLE = enum.auto()
    """Between requests, nothing of the next one is there."""
    DISCARD = enum.auto()
    """The rest of a body that the application did not read."""
    HEAD = enum.auto()
    """Some of a head, or the first request of a connection."""
    BUSY = enum.auto()
    """Nothing: a worker has it."""
    SWALLOW = enum.auto()
    """The rest of a body, of known length, after an answer that closes."""
    LINGER = enum.auto()
    """Half-closed by us; the client's end."""
    CLOSED = enum.auto()


class Step(enum.Enum):
    """What `pump` found."""

    WAIT = enum.auto()
    READY = enum.auto()
    """There is work for a worker."""
    GONE = enum.auto()
    """Close it: the client did, or broke the rules of its state."""


class HttpConnection(cheroot.server.HTTPConnection):
    """One accepted socket."""

    server: "HttpServer"

    def __init__(self, server: "HttpServer", sock: socket.socket, address: tuple[str, int]) -> None:
        # Not the base's __init__: its buffered files would read behind our back.
        self.server = server
        self.config: HttpConfig = server.config
        self.socket = sock
        self.remote_addr: str = address[0]
        self.remote_port: str = str(address[1])
        self.channel = Channel(
            sock,
            read_seconds=self.config.read_seconds,
            send_seconds=self.config.send_seconds,
            waiting=server.requests.waiting,
        )
        self.requests_seen = 0
        self.state = State.IDLE
        self.parked = False
        """Whether the selector thread has it; see `Loop`."""
        self.descriptor = sock.fileno()
        self.deadline = 0.0
        """On `time.monotonic()`, when the selector thread gives the connection up."""
        self._looked_at = 0
        """Bytes already searched for the end of a head."""
        self._head_end = 0
        self._unread = 0
        self._linger_end = 0.0
        self._too_large: HeadRefusedError | None = None
        self._prepared: Exchange | None = None
        """The request, when its head was read already."""
        self._after_owed: After | None = None
        """What is to be done once the rest of an answer is sent; None when there is no such rest."""
        if isinstance(sock, ssl.SSLSocket):
            self._enter(State.HANDSHAKE, self.config.handshake_seconds)
        else:
            self._enter(State.HEAD, self.config.head_seconds)

    # -- owned by whoever got bytes

    def pump(self) -> Step:
        """Take what has arrived and see whether it is enough. Never waits."""
        if self.state is State.HANDSHAKE:
            return Step.READY  # the arithmetic of a handshake is work for a worker
        if self.state is State.LINGER:
            return self._linger_on()
        if self.state is State.SWALLOW:
            return self._swallow()
        while True:
            try:
                count = self.channel.fill_now()
            except OSError:
                return Step.GONE
            if count == 0:
                return Step.GONE
            step = self.look() if count else Step.WAIT
            if step is not Step.WAIT or not self.channel.tls_pending():
                return step

    def look(self) -> Step:
        """See whether the buffered bytes are enough for a worker to begin."""
        channel = self.channel
        if self._unread:
            self._unread -= channel.skip(self._unread)
            if self._unread:
                return Step.WAIT
            self._enter(State.IDLE, self.config.idle_seconds)
        if self._looked_at == 0:
            self._skip_empty_lines()
        if not channel.buffered:
            return Step.WAIT
        self._head_end = channel.find(_END_OF_HEAD, self._looked_at)
        if 0 <= self._head_end <= self.config.max_head_bytes:
            return Step.READY
        if self.state is State.IDLE:
            self._enter(State.HEAD, self.config.head_seconds)
        self._looked_at = max(channel.buffered - len(_END_OF_HEAD) + 1, 0)
        return Step.READY if self._is_hopeless() else Step.WAIT

    def _skip_empty_lines(self) -> None:
        # RFC 9112 2.2: some clients end a body with a CRLF that is not part of it.
        for _ in range(_MAX_EMPTY_LINES):
            if not self.channel.starts_with(b"\r\n"):
                break
            self.channel.skip(2)

    def _is_hopeless(self) -> bool:
        """Whether no further byte could make this a head that is accepted."""
        config, channel = self.config, self.channel
        if self._head_end >= 0 or channel.buffered > config.max_head_bytes + len(_END_OF_HEAD):
            line = channel.find(b"\r\n")
            if line < 0 or line > config.max_target_bytes:
                self._too_large = HeadRefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, "The request target is too long.")
            else:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._too_large = HeadRefusedError(status, "The header fields are too large.")
        elif channel.find(b"\n\n") >= 0:
            self._too_large = HeadRefusedError(HTTPStatus.BAD_REQUEST, "Line ends must be CRLF.")
        return self._too_large is not None

    def _linger_on(self) -> Step:
        try:
            count = self.channel.discard_now(_SCRATCH)
        except OSError:
            return Step.GONE
        if count is None:
            return Step.WAIT
        self._unread -= count
        if count == 0 or self._unread <= 0:
            return Step.GONE
        self.deadline = min(time.monotonic() + self.config.linger_idle_seconds, self._linger_end)
        return Step.WAIT

    def _swallow(self) -> Step:
        """Throw away what the client still owes, and close our half only then.

        Qt (KIO, KDE's programs) takes the end of our half for a broken connection while it sends, and forgets the answer.
        """
        while True:
            self._unread -= self.channel.skip(self._unread)
            if not self._unread:
                self._half_close()
                return Step.WAIT
            try:
                count = self.channel.fill_now()
            except OSError:
                return Step.GONE
            if count == 0:
                return Step.GONE
            self.deadline = min(time.monotonic() + self.config.linger_idle_seconds, self._linger_end)
            if count is None or not self.channel.tls_pending():
                self._unread -= self.channel.skip(self._unread)
                if self._unread:
                    return Step.WAIT

    def _half_close(self) -> None:
        self.channel.half_close()
        self._unread = self.config.linger_bytes
        self._enter(State.LINGER, self.config.linger_idle_seconds)

    # -- answered by the selector thread

    def prepare(self) -> Exchange | None:
        """The request that has arrived, its head read, its body at hand. None, and nothing done: a worker is to see to it."""
        if self.state is State.HANDSHAKE or self._too_large is not None:
            return None
        channel = self.channel
        try:
            head = parse_head(channel.peek(self._head_end), self.config)
        except HeadRefusedError:
            return None
        size = self._head_end + len(_END_OF_HEAD)
        limit = self.config.max_body_bytes
        if head.chunked or head.expects_continue or channel.buffered < size + head.length:
            return None
        if limit is not None and head.length > limit:
            return None
        channel.skip(size)
        self._looked_at = 0
        self._prepared = Exchange(self, head)
        return self._prepared

    def answer_prepared(self) -> Step:
        """Answer the prepared request without waiting. READY: a worker is to send the rest of the answer; WAIT: it was sent."""
        self.channel.hold()
        after = self._answer()
        try:
            if not self.channel.let_go():
                self._after_owed = after
                return Step.READY
        except PeerGoneError:
            after = After.RESET
        return Step.WAIT if self._after(after) else Step.GONE

    # -- owned by a worker

    def communicate(self) -> bool:
        """Do the work that `pump` found. Whether the connection goes back to the selector (cheroot's interface)."""
        if self.state is State.HANDSHAKE:
            return self._shake_hands()
        after, self._after_owed = self._after_owed, None
        if after is not None:
            try:
                self.channel.send_owed()
            except PeerGoneError:
                after = After.RESET
        return self._after(self._answer() if after is None else after)

    def _answer(self) -> After:
        self.state = State.BUSY
        self.requests_seen += 1
        try:
            return self._serve()
        except PeerGoneError:
            return After.RESET

    def _serve(self) -> After:
        exchange, self._prepared = self._prepared, None
        if exchange is not None:
            return self._run(exchange)
        if self._too_large is not None:
            return self.refuse(self._too_large.status, self._too_large.reason)
        raw = self.channel.take(self._head_end)
        self.channel.skip(len(_END_OF_HEAD))
        self._looked_at = 0
        try:
            head = parse_head(raw, self.config)
        except HeadRefusedError as error:
            return self.refuse(error.status, error.reason)
        limit = self.config.max_body_bytes
        if limit is not None and head.length > limit:
            return self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.")
        return self._run(Exchange(self, head))

    def _run(self, exchange: Exchange) -> After:
        after = exchange.run()
        self._unread = exchange.unread
        return after

    def refuse(self, status: HTTPStatus, reason: str) -> After:
        """Answer without the application; the connection has no future."""
        try:
            self.channel.send(render_error(status, reason, self.config.server_name))
        except PeerGoneError:
            return After.RESET
        return After.LINGER

    def _after(self, after: After) -> bool:
        if after is After.KEEP:
            if self._unread:
                self._enter(State.DISCARD, self.config.discard_seconds)
            else:
                self._enter(State.IDLE, self.config.idle_seconds)
            return True
        if after is After.LINGER:
            self._linger_end = time.monotonic() + self.config.linger_seconds
            if self._unread:
                self._enter(State.SWALLOW, self.config.linger_idle_seconds)
            else:
                self._half_close()
            return True
        if after is After.RESET:
            self._closing(self.channel.reset)
        return False

    def _shake_hands(self) -> bool:
        try:
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                text = render_error(HTTPStatus.BAD_REQUEST, "This port speaks TLS only.", self.config.server_name)
                self.channel.send_below(text)
                return self._after(After.LINGER)
            return False
        except OSError:
            return False
        self._enter(State.HEAD, self.config.head_seconds)
        return True

    # -- ending

    def _enter(self, state: State, seconds: float) -> None:
        self.state = state
        self.deadline = time.monotonic() + seconds

    def expire(self) -> None:
        """The deadline has passed: the last word, where one is due, and the end."""
        if self.state is State.HEAD and self.channel.buffered:
            text = render_error(HTTPStatus.REQUEST_TIMEOUT, "The request took too long.", self.config.server_name)
            self.channel.send_now(text)
        self.close()

    def close(self) -> None:
        """Close in order; a second call does nothing."""
        self._closing(self.channel.close)

    def _closing(self, how: Callable[[], None]) -> None:
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self.server.forget(self)
            how()
