"""COPY and MOVE (RFC 4918 sections 9.8 and 9.9)."""

from http import HTTPStatus

from davserver.domain.conditions import Preconditions
from davserver.domain.errors import BadRequest, DavserverError
from davserver.domain.times import parse_unix_seconds
from davserver.services.listing import Depth
from providers.answer import Answer
from providers.methods.put import MTIME_ACCEPTED
from providers.request import DavRequest


def copy(request: DavRequest) -> Answer:
    """Copy to the Destination: 201 when that was new, else 204. With ``Depth: 0`` a collection goes without its members."""
    depth = request.depth(Depth.INFINITY)
    if depth is Depth.ONE:
        raise BadRequest("COPY takes Depth 0 or infinity.")
    created = request.services.tree.copy(
        request.principal,
        request.path,
        request.destination,
        overwrite=request.overwrite,
        deep=depth is Depth.INFINITY,
        preconditions=request.preconditions.without_cached_tags(),
    )
    return _answer(request, created=created)


def move(request: DavRequest) -> Answer:
    """Move to the Destination: 201 when that was new, else 204. A collection moves with its members, never without."""
    depth = request.depth(Depth.INFINITY)
    if depth is not Depth.INFINITY and request.services.tree.find(request.principal, request.path).is_collection:
        raise BadRequest("MOVE of a collection takes Depth infinity.")
    created = request.services.tree.move(
        request.principal,
        request.path,
        request.destination,
        overwrite=request.overwrite,
        preconditions=request.preconditions.without_cached_tags(),
    )
    return _answer(request, created=created)


def _answer(request: DavRequest, *, created: bool) -> Answer:
    headers = [MTIME_ACCEPTED] if _set_time(request) else []
    return Answer(HTTPStatus.CREATED if created else HTTPStatus.NO_CONTENT, headers)


def _set_time(request: DavRequest) -> bool:
    """Give the destination the time of X-OC-Mtime, which rclone sends here too.

    It is a second change, after the first is done: should it fail, the answer still tells of the first, and the missing
    ``accepted`` of the second.
    """
    modified_at = parse_unix_seconds(request.header("X-OC-Mtime"))
    if modified_at is None:
        return False
    shown = Preconditions(tokens=request.preconditions.tokens)
    try:
        request.services.properties.patch(
            request.principal, request.destination, (), modified_at=modified_at, preconditions=shown
        )
    except DavserverError:
        return False
    return True
