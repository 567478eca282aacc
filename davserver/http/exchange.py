"""One request and its answer: calls the WSGI application (PEP 3333) and writes what it says in HTTP/1.1 (RFC 9112)."""

import enum
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from davserver.http.body import EMPTY, Body, BodyCutOff, ChunkedBody, SizedBody
from davserver.http.channel import PeerGoneError
from davserver.http.head import Head, path_info

if TYPE_CHECKING:
    from davserver.http.connection import HttpConnection

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]
Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Callable[[bytes], None]]
WsgiApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
# Ours to say, whatever the application thinks of the connection.
_FRAMING = frozenset({"connection", "keep-alive", "transfer-encoding"})
_BODILESS = frozenset({204, 304})


class After(enum.Enum):
    """What becomes of the connection."""

    KEEP = enum.auto()
    CLOSE = enum.auto()
    LINGER = enum.auto()
    """Half-close, and read on for a while, so that a client that still sends gets to see the answer."""
    RESET = enum.auto()
    """Break it, so that nobody takes half an answer for a whole one."""


class BadAnswerError(Exception):
    """The application did what PEP 3333 or HTTP forbid."""


class _Clock:
    """The Date field, made once a second."""

    def __init__(self) -> None:
        self._made = (0, "")

    def date(self) -> str:
        now = int(time.time())
        made = self._made  # one read: another thread may replace it
        if made[0] != now:
            made = self._made = (now, formatdate(now, usegmt=True))
        return made[1]


_CLOCK = _Clock()


def render_head(status: str, fields: Sequence[tuple[str, str]], server_name: str) -> bytes:
    """Status line and fields, with Date and Server added where missing. Refuses what could split the answer in two."""
    lines = [f"HTTP/1.1 {status}"]
    dated = served = False
    for name, value in fields:
        lines.append(f"{name}: {value}")
        if name[0] in "dDsS":
            lower = name.lower()
            dated = dated or lower == "date"
            served = served or lower == "server"
    if not dated:
        lines.append(f"Date: {_CLOCK.date()}")
    if not served:
        lines.append(f"Server: {server_name}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise BadAnswerError("A response field holds a line end or NUL.")
    return (text + "\r\n\r\n").encode("latin-1")


def render_error(status: HTTPStatus, reason: str, server_name: str) -> bytes:
    """A whole answer that closes the connection."""
    text = f"{reason}\n".encode()
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(text))),
        ("Connection", "close"),
    ]
    return render_head(f"{status.value} {status.phrase}", fields, server_name) + text


class Exchange:
    """Runs the application for one request. `run` tells what becomes of the connection."""

    def __init__(self, connection: "HttpConnection", head: Head) -> None:
        self.connection = connection
        self._channel = connection.channel
        self._config = connection.config
        self._head = head
        self._environ: Environ | None = None
        self._body = self._make_body()
        self._status = ""
        self._code = 0
        self._fields: list[tuple[str, str]] = []
        self._head_sent = False
        self._declared: int | None = None
        """Content-Length of the answer."""
        self._sent = 0
        self._bodiless = False
        self._chunked = False
        self._close = not head.keep_alive
        self.unread = 0
        """After KEEP and LINGER: bytes of this request's body still to be thrown away; 0 after LINGER: nobody knows."""

    def run(self) -> After:
        """Call the application and send its answer."""
        try:
            self._answer()
            return self._answered()
        except PeerGoneError:
            return After.RESET
        except Exception as error:  # noqa: BLE001  whatever the application raises ends here
            return self._failed(error)
        finally:
            self._body.retire()

    def _answered(self) -> After:
        if not self._close:
            # Once more: the application may have read on after the head of its answer was sent.
            unread = self._body.settle(self._config.discard_bytes)
            if unread is not None:
                self.unread = unread
                return After.KEEP
        if self._body.complete:
            return After.CLOSE
        if self._body.length is not None:
            self.unread = self._body.settle(self._config.linger_bytes) or 0
        return After.LINGER

    # -- the request

    def _make_body(self) -> Body:
        head, config = self._head, self._config
        invite = self._invite if head.expects_continue else None
        if head.chunked:
            return ChunkedBody(
                self._channel,
                max_bytes=config.max_body_bytes,
                max_trailer_bytes=config.max_trailer_bytes,
                invite=invite,
            )
        return SizedBody(self._channel, head.length, invite=invite) if head.length else EMPTY

    def _invite(self) -> None:
        self._channel.send(_CONTINUE)

    @property
    def environ(self) -> Environ:
        """What the application is called with."""
        if self._environ is None:
            self._environ = self._make_environ()
        return self._environ

    def _make_environ(self) -> Environ:
        head, connection = self._head, self.connection
        environ = connection.server.environ.copy()
        environ.update(head.fields)
        environ["REQUEST_METHOD"] = head.method
        environ["REQUEST_URI"] = head.target
        environ["davserver.raw_path"] = head.raw_path
        environ["PATH_INFO"] = path_info(head.raw_path)
        environ["QUERY_STRING"] = head.query
        environ["SERVER_PROTOCOL"] = head.protocol
        environ["REMOTE_ADDR"] = connection.remote_addr
        environ["REMOTE_PORT"] = connection.remote_port
        if connection.server.proxies is not None:
            connection.server.proxies.apply(environ)
        environ["wsgi.errors"] = sys.stderr
        environ["wsgi.input"] = environ["davserver.body"] = self._body
        environ["wsgi.input_terminated"] = True
        return environ

    # -- the answer

    def _answer(self) -> None:
        parts = self.connection.server.wsgi_app(self.environ, self._start_response)
        try:
            if isinstance(parts, (list, tuple)):
                self._send_list(parts)
            else:
                for part in parts:
                    if part:
                        self._write(part)
                    if self._bodiless and self._head_sent:
                        break
            self._finish()
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _start_response(
        self, status: str, headers: Sequence[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        if self._head_sent and exc_info:
            raise exc_info[1]
        if self._status and not exc_info:
            raise BadAnswerError("start_response was called twice.")
        if not (status[:3].isascii() and status[:3].isdigit() and status[3:4] == " "):
            raise BadAnswerError("A status begins with three digits and a blank.")
        self._status, self._code = status, int(status[:3])
        if self._code < 200:
            raise BadAnswerError("An interim status is not an answer.")
        self._bodiless = self._code in _BODILESS or self._head.method == "HEAD"
        self._declared = None
        self._fields = []
        for name, value in headers:
            self._take_field(name, value)
        return self._write

    def _take_field(self, name: str, value: str) -> None:
        lower = name.lower()
        if not lower:
            raise BadAnswerError("A response field has no name.")
        if lower == "content-length":
            if not (value.isascii() and value.isdigit()):
                raise BadAnswerError("Malformed Content-Length in an answer.")
            if self._declared is not None:
                raise BadAnswerError("Two Content-Length fields in an answer.")
            self._declared = int(value)
        elif lower not in _FRAMING:
            self._fields.append((name, value))
        elif lower == "connection" and "close" in value.lower():
            self._close = True

    def _send_list(self, parts: Sequence[bytes]) -> None:
        """All of the body is there: its length is known, and small answers leave in one packet."""
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._declared is None and (body or not self._bodiless):
            self._declared = len(body)
        if body:
            self._write(body)

    def _write(self, part: bytes) -> None:
        """Send a piece of the body, after the head if that has not gone out yet."""
        if not self._status:
            raise BadAnswerError("The application wrote before start_response.")
        if not isinstance(part, bytes):
            raise BadAnswerError("A body is made of bytes.")
        excess = False
        if self._declared is not None and not self._bodiless and self._sent + len(part) > self._declared:
            excess = True
            part = part[: self._declared - self._sent]
        head = b"" if self._head_sent else self._make_head()
        if self._bodiless:
            part = b""
        self._sent += len(part)
        if self._chunked and part:
            part = b"%x\r\n%b\r\n" % (len(part), part)
        if head:
            self._head_sent = True
            self._channel.send_two(head, part)
        elif part:
            self._channel.send(part)
        if excess:
            raise BadAnswerError("The answer is longer than its Content-Length.")

    def _finish(self) -> None:
        if not self._status:
            raise BadAnswerError("The application never called start_response.")
        if not self._head_sent:
            if self._declared is None and not self._bodiless:
                self._declared = 0
            self._write(b"")
        if self._chunked:
            self._channel.send(_LAST_CHUNK)
        elif self._declared is not None and not self._bodiless and self._sent < self._declared:
            raise BadAnswerError("The answer is shorter than its Content-Length.")

    def _make_head(self) -> bytes:
        fields = self._fields
        if self._declared is not None and self._code != HTTPStatus.NO_CONTENT:
            fields.append(("Content-Length", str(self._declared)))
        elif not self._bodiless and self._declared is None:
            if self._head.protocol == "HTTP/1.0":
                self._close = True  # the end of the connection is the end of the body
            else:
                self._chunked = True
                fields.append(("Transfer-Encoding", "chunked"))
        self._settle_request()
        if self._close:
            fields.append(("Connection", "close"))
        elif self._head.protocol == "HTTP/1.0":
            fields.append(("Connection", "keep-alive"))
        return render_head(self._status, fields, self._config.server_name)

    def _settle_request(self) -> None:
        """Decide, before the head goes out, whether the connection survives what is unread of the body."""
        if self.connection.server.stopping or self.connection.server.leaving:
            self._close = True
        if not self._close and self._body.settle(self._config.discard_bytes) is None:
            self._close = True
        self._body.withdraw_invitation()

    def _failed(self, error: Exception) -> After:
        server = self.connection.server
        if isinstance(error, BodyCutOff):
            server.log_cut_off(error)
        else:
            server.log_failure(self._head, error)
        if self._head_sent:
            whole = self._declared is not None and self._sent >= self._declared and not self._chunked
            return After.LINGER if whole else After.RESET
        status = error.status if isinstance(error, BodyCutOff) else HTTPStatus.INTERNAL_SERVER_ERROR
        reason = error.reason if isinstance(error, BodyCutOff) else "The server failed to answer."
        return self.connection.refuse(status, reason)
