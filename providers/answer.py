"""What a method answers: a status, header fields and a body, before any server has seen it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

Headers = list[tuple[str, str]]


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


def text(status: int, message: str, headers: Headers | None = None) -> Answer:
    """A short plain answer for people."""
    fields = [("Content-Type", "text/plain; charset=utf-8"), *(headers or [])]
    return Answer(status, fields, message.encode() + b"\n")
