"""Bodies that are files: streamed as they come, raw or as multipart/form-data (RFC 7578); nothing is written to disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import request
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from davserver.domain.errors import BadRequest, IncompleteBody, UnsupportedMediaType

BODY: Final = "davserver.body"
"""The key in the WSGI environment under which davserver's own HTTP server puts the body."""
MAX_PARTS: Final = 1000
_BLOCK: Final = 256 * 1024
_MAX_WAITING: Final = 1024 * 1024
"""Bytes that the decoder may hold: a block, and the head of a part."""


class RawBody:
    """The body of this request, as `Content.put` takes it."""

    def __init__(self) -> None:
        if (request.headers.get("Content-Encoding") or "identity").strip().lower() != "identity":
            raise UnsupportedMediaType("Content-Encoding is not understood here; send the file as it is.")
        if request.headers.get("Content-Range") is not None:
            raise BadRequest("Parts of a file cannot be put.")
        self.length = request.content_length
        self._left = self.length
        self._source: Any = request.environ.get(BODY) or request.environ["wsgi.input"]

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty only at the true end. Raises `IncompleteBody`."""
        wanted = size if self._left is None else min(size, self._left)
        if wanted <= 0:
            return b""
        try:
            data = bytes(self._source.read(wanted))
        except (OSError, ValueError) as error:
            raise IncompleteBody from error
        if self._left is not None:
            if not data:
                raise IncompleteBody
            self._left -= len(data)
        return data


@dataclass(slots=True)
class Part:
    """A file of a form, to be read before the next one is asked for."""

    name: str
    content_type: str | None
    _form: "FormFiles"
    length: int | None = None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty only at the true end of this file."""
        return self._form.read(size)


class FormFiles:
    """The files of a multipart/form-data body, one after the other. Other fields are passed over."""

    def __init__(self, body: RawBody) -> None:
        boundary = request.mimetype_params.get("boundary", "")
        if request.mimetype != "multipart/form-data" or not 1 <= len(boundary) <= 200 or not boundary.isascii():
            raise UnsupportedMediaType("Files come as multipart/form-data, or raw with PUT /api/v1/files/content.")
        self._body = body
        self._decoder = MultipartDecoder(boundary.encode(), _MAX_WAITING, max_parts=MAX_PARTS)
        self._waiting = b""
        self._more = False

    def __iter__(self) -> Iterator[Part]:
        while True:
            event = self._next()
            if isinstance(event, Epilogue):
                return
            if isinstance(event, File):
                self._more = True
                yield Part(event.filename, event.headers.get("Content-Type"), self)
                while self.read(_BLOCK):
                    pass  # what its reader left over
            elif isinstance(event, Field):
                self._more = True
                while self.read(_BLOCK):
                    pass

    def read(self, size: int) -> bytes:
        """The next bytes of the file that is being read."""
        while not self._waiting and self._more:
            event = self._next()
            if not isinstance(event, Data):
                raise BadRequest("The form cannot be read.")
            self._waiting, self._more = event.data, event.more_data
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    def _next(self) -> Any:
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                block = self._body.read(_BLOCK)
                self._decoder.receive_data(block or None)
        except ValueError:
            # Also when the body ended within a part: what is missing would otherwise look like a shorter file.
            raise IncompleteBody("The form ended early, or cannot be read.") from None
        return event
