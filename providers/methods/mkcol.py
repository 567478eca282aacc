"""MKCOL (RFC 4918 section 9.3)."""

from http import HTTPStatus

from davserver.domain.errors import UnsupportedMediaType
from davserver.domain.times import parse_unix_seconds
from providers.answer import Answer
from providers.body import RequestBody
from providers.methods.put import MTIME_ACCEPTED
from providers.request import DavRequest


def mkcol(request: DavRequest) -> Answer:
    """Make a collection: 201. Raises `UnsupportedMediaType` for a body, whatever its type, and what the service raises."""
    if not RequestBody(request).is_empty():
        raise UnsupportedMediaType("MKCOL takes no body.")
    modified_at = parse_unix_seconds(request.header("X-OC-Mtime"))
    preconditions = request.preconditions.without_cached_tags()
    request.services.tree.make_collection(request.principal, request.path, preconditions, modified_at=modified_at)
    return Answer(HTTPStatus.CREATED, [MTIME_ACCEPTED] if modified_at is not None else [])
