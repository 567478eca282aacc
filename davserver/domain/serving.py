"""Serving a file: what GET and HEAD of it are answered with, whichever door is asked.

RFC 9110 sections 9.3.1 and 9.3.2, conditions in section 13, ranges in section 14.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from davserver.domain.clock import SECOND
from davserver.domain.conditions import Preconditions, State
from davserver.domain.errors import RangeNotSatisfiable
from davserver.domain.media import browser_headers, type_to_show
from davserver.domain.ranges import ByteRange, Multipart, if_range_holds, parse_ranges
from davserver.domain.resource import Resource
from davserver.domain.times import http_date

Headers = list[tuple[str, str]]
Header = Callable[[str], str | None]
"""The name of a header field of the request -> its value."""
Read = Callable[[int, int], Iterator[bytes]]
"""start, stop -> the bytes [start, stop) of the file; the first block is opened before it returns."""

ALWAYS: Final = [("Accept-Ranges", "bytes"), ("Cache-Control", "private, no-cache")]


@dataclass(slots=True)
class Served:
    """An answer: 200, 206, 304, or 416 without a body, which is for the door to write."""

    status: int
    headers: Headers
    body: bytes | Iterable[bytes] = field(default=b"", repr=False)


def serve_file(resource: Resource, method: str, header: Header, preconditions: Preconditions, read: Read) -> Served:
    """Answer GET and HEAD with the same header fields (clients rule R48).

    The caller has checked that the content may be read. Raises `PreconditionFailed`, and what `read` raises before the first
    byte. What goes wrong later is raised by the body's iterator, so that the server breaks the connection rather than end an
    answer that is not whole.
    """
    revision = resource.revision
    assert revision is not None, "the caller has checked that it is a file"  # noqa: S101 - for the type checker
    validators = [("ETag", f'"{revision.etag}"'), ("Last-Modified", http_date(resource.modified_at // SECOND))]
    state = State(exists=True, etag=revision.etag, tokens=frozenset(), modified_at=resource.modified_at)
    preconditions.check_match(state)
    if preconditions.is_not_modified(state):
        return Served(HTTPStatus.NOT_MODIFIED, [*validators, *ALWAYS])
    content_type = type_to_show(resource)
    headers = [*validators, *ALWAYS, *browser_headers(content_type)]
    if revision.checksums:
        headers.append(("OC-Checksum", revision.checksums.split()[0]))
    size = revision.size
    if method == "HEAD":
        # RFC 9110 section 14.2: Range is for GET alone.
        return _whole(headers, content_type, size, iter(()))
    try:
        holds = if_range_holds(header("If-Range"), revision.etag, resource.modified_at)
        ranges = parse_ranges(header("Range"), size) if holds else None
    except RangeNotSatisfiable:
        return Served(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, [*validators, ("Content-Range", f"bytes */{size}")])
    if ranges is None:
        return _whole(headers, content_type, size, read(0, size))
    if len(ranges) == 1:
        return _one_part(size, ranges[0], [*headers, ("Content-Type", content_type)], read)
    return _several_parts(Multipart(ranges, size, content_type, revision.etag), headers, read)


def _whole(headers: Headers, content_type: str, size: int, content: Iterable[bytes]) -> Served:
    return Served(HTTPStatus.OK, [*headers, ("Content-Type", content_type), ("Content-Length", str(size))], content)


def _one_part(size: int, part: ByteRange, headers: Headers, read: Read) -> Served:
    headers = [*headers, ("Content-Range", part.content_range(size)), ("Content-Length", str(part.length))]
    return Served(HTTPStatus.PARTIAL_CONTENT, headers, read(part.start, part.stop))


def _several_parts(multipart: Multipart, headers: Headers, read: Read) -> Served:
    headers = [
        *headers,
        ("Content-Type", multipart.content_type),
        ("Content-Length", str(multipart.content_length)),
    ]
    # The first is opened now: content that is missing is then an error page rather than a broken connection.
    part = multipart.ranges[0]
    return Served(HTTPStatus.PARTIAL_CONTENT, headers, _joined(multipart, read(part.start, part.stop), read))


def _joined(multipart: Multipart, first: Iterator[bytes], read: Read) -> Iterator[bytes]:
    opened: Iterator[bytes] | None = first
    for framing, part in multipart.pieces():
        yield framing
        if part is not None:
            content = opened or read(part.start, part.stop)
            opened = None
            yield from content
