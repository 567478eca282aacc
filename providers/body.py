"""Request bodies as the services take them: counted, and never silently short."""

from typing import Any, Final

from davserver.domain.errors import BadRequest, BodyTooLarge, IncompleteBody, Unavailable
from providers.request import DavRequest, Environ

BODY: Final = "davserver.body"
"""The key in the WSGI environment under which davserver's own HTTP server puts the body. Its `read` returns ``b""`` only at
the verified end and raises an OSError, perhaps with a `status`, when the rest will not come."""
EXPECTED_LENGTH: Final = "X-Expected-Entity-Length"
"""What Finder announces with a chunked body (clients rule R29)."""

_DIGITS: Final = frozenset("0123456789")
_MAX_DIGITS: Final = 18


class RequestBody:
    """The body of a request. Raises `BadRequest` when what announces its length cannot be read or contradicts itself."""

    def __init__(self, request: DavRequest) -> None:
        self.length = _announced(request)
        """Bytes that will come; None when nobody said."""
        self.received = 0
        """Bytes handed out so far."""
        self._source: Any = _source(request.environ)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, at least one before the end; ``b""`` only at the true end.

        Raises `IncompleteBody` when fewer or more bytes come than were announced, or the sending breaks off.
        """
        if size <= 0 or self._source is None:
            return b""
        try:
            data = bytes(self._source.read(size))
        except (OSError, ValueError) as error:
            raise _cut_off(error) from error
        self.received += len(data)
        if self.length is not None and (self.received > self.length or (not data and self.received < self.length)):
            raise IncompleteBody
        return data

    def is_empty(self) -> bool:
        """Whether not a single byte comes; for methods that take no body. Reads one byte when no length was declared."""
        return self.length == 0 or (self.length is None and not self.read(1))

    def read_all(self, limit: int) -> bytes:
        """The whole body, of at most `limit` bytes. Raises `BodyTooLarge`, and `IncompleteBody` as `read` does."""
        if self.length is not None and self.length > limit:
            raise BodyTooLarge
        pieces: list[bytes] = []
        while data := self.read(limit + 1 - self.received):
            pieces.append(data)
            if self.received > limit:
                raise BodyTooLarge
        return b"".join(pieces)


def _announced(request: DavRequest) -> int | None:
    declared = _number(request.header("Content-Length"), "Content-Length")
    expected = _number(request.header(EXPECTED_LENGTH), EXPECTED_LENGTH)
    if declared is not None and expected is not None and declared != expected:
        raise BadRequest(f"Content-Length and {EXPECTED_LENGTH} contradict each other.")
    if declared is None and not _is_chunked(request.environ):
        if expected:
            raise IncompleteBody
        return 0
    return expected if declared is None else declared


def _number(text: str | None, field: str) -> int | None:
    text = (text or "").strip()
    if not text:
        return None
    if len(text) > _MAX_DIGITS or not _DIGITS.issuperset(text):
        raise BadRequest(f"{field} must be a number of bytes.")
    return int(text)


def _is_chunked(environ: Environ) -> bool:
    """Whether a body without a declared length ends by itself."""
    return "HTTP_TRANSFER_ENCODING" in environ or bool(environ.get("wsgi.input_terminated"))


def _source(environ: Environ) -> Any:
    own = environ.get(BODY)
    if own is not None:
        return own
    stream = environ.get("wsgi.input")
    length = _number(environ.get("CONTENT_LENGTH"), "Content-Length")
    if length is not None:
        return _Sized(stream, length)
    return stream if _is_chunked(environ) else None


class _Sized:
    """The input of another server, which need not stop by itself after the declared length (PEP 3333)."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        return data


def _cut_off(error: Exception) -> IncompleteBody | BodyTooLarge | Unavailable:
    """What davserver's own server says of a body that did not arrive; plain `IncompleteBody` for what others raise."""
    status = getattr(error, "status", None)
    if status == 413:
        return BodyTooLarge()
    if status == 503:
        return Unavailable("The server is being stopped; nothing was changed.")
    return IncompleteBody()
