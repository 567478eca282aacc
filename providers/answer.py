"""What a method answers: a status, header fields and a body, before any server has seen it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

Headers = list[tuple[str, str]]
NO_SNIFFING: Final = ("X-Content-Type-Options", "nosniff")
"""An error may name what a client sent: no browser is to take it for a page."""
StartResponse = Callable[..., Any]


@dataclass(slots=True)
class Answer:
    """An HTTP answer. A body that is bytes gets its Content-Length; one that is an iterable brings its own, or none."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""

    @property
    def line(self) -> str:
        """The status with its phrase, as WSGI wants it: ``207 Multi-Status``."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    def send(self, start_response: StartResponse, *, is_head: bool = False) -> Iterable[bytes]:
        """Answer as a WSGI application does. HEAD gets the same header fields without the body (rule R48)."""
        if not isinstance(self.body, bytes):
            start_response(self.line, self.headers)
            return [] if is_head else self.body
        # With 204 too, against RFC 9110 section 8.6: old clients wait for a body otherwise (rule R27).
        if self.status != HTTPStatus.NOT_MODIFIED and not any(
            name.lower() == "content-length" for name, _ in self.headers
        ):
            self.headers.append(("Content-Length", str(len(self.body))))
        start_response(self.line, self.headers)
        return [] if is_head or not self.body else [self.body]


def text(status: int, message: str, headers: Headers | None = None) -> Answer:
    """A short plain answer for people."""
    fields = [("Content-Type", "text/plain; charset=utf-8"), NO_SNIFFING, *(headers or [])]
    return Answer(status, fields, message.encode() + b"\n")
