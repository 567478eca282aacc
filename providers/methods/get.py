"""GET and HEAD (RFC 9110 sections 9.3.1 and 9.3.2, conditions in section 13, ranges in section 14)."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final

from davserver.domain.clock import SECOND
from davserver.domain.conditions import State
from davserver.domain.errors import RangeNotSatisfiable
from davserver.domain.resource import Resource, Revision
from davserver.services.listing import Depth, Wanted
from providers.answer import Answer, Headers, text
from providers.listing import LISTING_HEADERS, render_listing
from providers.media import browser_headers, type_to_show
from providers.ranges import ByteRange, Multipart, if_range_holds, parse_ranges
from providers.request import DavRequest
from providers.times import http_date

_ALWAYS: Final = [("Accept-Ranges", "bytes"), ("Cache-Control", "private, no-cache")]


def get(request: DavRequest) -> Answer:
    """Answer GET and HEAD with the same header fields (clients rule R48); Depth and a body are ignored.

    Raises `NotFound`, `PreconditionFailed`, `Infected`, and what the store raises before the first byte. What goes wrong later is
    raised by the body's iterator, so that the server breaks the connection rather than end an answer that is not whole.
    """
    resource = request.services.tree.find(request.principal, request.path)
    request.services.tree.check(request.principal, request.path, request.preconditions)
    if resource.revision is None:
        return _listing(request)
    return _file(request, resource, resource.revision)


def head(request: DavRequest) -> Answer:
    """Answer HEAD: what GET without Range answers, but for the body."""
    return get(request)


def _file(request: DavRequest, resource: Resource, revision: Revision) -> Answer:
    request.services.content.check_read(request.principal, resource)  # HEAD and 304 say no more than GET would
    validators = [("ETag", f'"{revision.etag}"'), ("Last-Modified", http_date(resource.modified_at // SECOND))]
    state = State(exists=True, etag=revision.etag, tokens=frozenset(), modified_at=resource.modified_at)
    request.preconditions.check_match(state)
    if request.preconditions.is_not_modified(state):
        return Answer(HTTPStatus.NOT_MODIFIED, [*validators, *_ALWAYS])
    content_type = type_to_show(resource)
    headers = [*validators, *_ALWAYS, *browser_headers(content_type)]
    if revision.checksums:
        headers.append(("OC-Checksum", revision.checksums.split()[0]))
    if request.method == "HEAD":
        # RFC 9110 section 14.2: Range is for GET alone.
        return _whole(headers, content_type, revision.size, iter(()))
    try:
        ranges = _ranges(request, resource, revision)
    except RangeNotSatisfiable as error:
        return text(error.status, error.detail, [*validators, ("Content-Range", f"bytes */{revision.size}")])
    if ranges is None:
        content = request.services.content.read(request.principal, resource, 0, revision.size)
        return _whole(headers, content_type, revision.size, content)
    if len(ranges) == 1:
        return _one_part(request, resource, ranges[0], [*headers, ("Content-Type", content_type)])
    return _several_parts(request, resource, Multipart(ranges, revision.size, content_type, revision.etag), headers)


def _ranges(request: DavRequest, resource: Resource, revision: Revision) -> tuple[ByteRange, ...] | None:
    if not if_range_holds(request.header("If-Range"), revision.etag, resource.modified_at):
        return None
    return parse_ranges(request.header("Range"), revision.size)


def _whole(headers: Headers, content_type: str, size: int, content: Iterable[bytes]) -> Answer:
    return Answer(HTTPStatus.OK, [*headers, ("Content-Type", content_type), ("Content-Length", str(size))], content)


def _one_part(request: DavRequest, resource: Resource, part: ByteRange, headers: Headers) -> Answer:
    assert resource.revision is not None  # noqa: S101 - only files have parts
    headers = [
        *headers,
        ("Content-Range", part.content_range(resource.revision.size)),
        ("Content-Length", str(part.length)),
    ]
    content = request.services.content.read(request.principal, resource, part.start, part.stop)
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, content)


def _several_parts(request: DavRequest, resource: Resource, multipart: Multipart, headers: Headers) -> Answer:
    headers = [
        *headers,
        ("Content-Type", multipart.content_type),
        ("Content-Length", str(multipart.content_length)),
    ]
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, _parts(request, resource, multipart))


def _parts(request: DavRequest, resource: Resource, multipart: Multipart) -> Iterator[bytes]:
    # The first is opened now: content that is missing is then an error page rather than a broken connection.
    part = multipart.ranges[0]
    opened = request.services.content.read(request.principal, resource, part.start, part.stop)
    return _joined(request, resource, multipart, opened)


def _joined(
    request: DavRequest, resource: Resource, multipart: Multipart, opened: Iterator[bytes] | None
) -> Iterator[bytes]:
    for framing, part in multipart.pieces():
        yield framing
        if part is not None:
            content = opened or request.services.content.read(request.principal, resource, part.start, part.stop)
            opened = None
            yield from content


def _listing(request: DavRequest) -> Answer:
    # No validators: what a listing shows changes without the collection itself changing.
    headers = [*LISTING_HEADERS, ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "private, no-cache")]
    if request.method == "HEAD":
        return Answer(HTTPStatus.OK, headers, iter(()))
    listing = request.services.tree.listing(request.principal, request.path, Depth.ONE, Wanted())
    return Answer(HTTPStatus.OK, headers, render_listing(request.base, request.path, listing.entries))
