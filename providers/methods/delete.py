"""DELETE (RFC 4918 section 9.6)."""

from http import HTTPStatus

from providers.answer import Answer
from providers.request import DavRequest


def delete(request: DavRequest) -> Answer:
    """Discard what is at the URL, with all below it: 204, whatever Depth says (clients rule R36)."""
    request.services.tree.discard(request.principal, request.path, request.preconditions.without_cached_tags())
    return Answer(HTTPStatus.NO_CONTENT)
