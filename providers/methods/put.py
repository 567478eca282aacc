"""PUT (RFC 9110 section 9.3.4, RFC 4918 section 9.7)."""

from http import HTTPStatus

from davserver.domain.clock import SECOND
from davserver.domain.errors import BadRequest, UnsupportedMediaType
from davserver.domain.media import type_to_store
from davserver.domain.times import http_date, parse_unix_seconds
from davserver.services.content import PutDetails
from providers.answer import Answer
from providers.body import RequestBody
from providers.request import DavRequest

MTIME_ACCEPTED = ("X-OC-Mtime", "accepted")
"""How a client learns that the time it sent was taken (clients rule R33)."""


def put(request: DavRequest) -> Answer:
    """Store the body as the content of the URL: 201 when that was new, else 204.

    An `X-OC-Mtime` that is not a time, or none that a date can be given for, is passed over and not answered ``accepted``:
    the content matters more, and a client that cares sees that it was not taken. Raises `BadRequest` for a part of a file
    (RFC 9110 section 14.5), `UnsupportedMediaType` for an encoded body (section 8.4), `IncompleteBody`, and what the
    service raises.
    """
    if request.header("Content-Range") is not None:
        raise BadRequest("Parts of a file cannot be put.")
    if (request.header("Content-Encoding") or "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding is not understood here; send the file as it is.")
    details = PutDetails(
        content_type=type_to_store(request.header("Content-Type"), request.path.name),
        modified_at=parse_unix_seconds(request.header("X-OC-Mtime")),
        created_at=parse_unix_seconds(request.header("X-OC-CTime")),
        checksum=request.header("OC-Checksum"),
    )
    # The service refuses what it can before it reads a large body. A client that waits to be told to send a small one, too,
    # is not told so in vain.
    body = RequestBody(request)
    if request.header("Expect") is not None:
        request.services.content.check_put(request.principal, request.path, body.length, request.preconditions)
    stored = request.services.content.put(request.principal, request.path, body, details, request.preconditions)
    assert stored.resource.revision is not None  # noqa: S101 - what was put is a file
    headers = [
        ("ETag", f'"{stored.resource.revision.etag}"'),
        ("Last-Modified", http_date(stored.resource.modified_at // SECOND)),
    ]
    if details.modified_at is not None:
        headers.append(MTIME_ACCEPTED)
    return Answer(HTTPStatus.CREATED if stored.created else HTTPStatus.NO_CONTENT, headers)
