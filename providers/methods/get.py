"""GET and HEAD: files are served as `davserver.domain.serving` says, collections as a page for people."""

from functools import partial
from http import HTTPStatus

from davserver.domain.errors import RangeNotSatisfiable
from davserver.domain.resource import Resource
from davserver.domain.serving import serve_file
from davserver.services.listing import Depth, Wanted
from providers.answer import Answer, text
from providers.listing import LISTING_HEADERS, render_listing
from providers.request import DavRequest


def get(request: DavRequest) -> Answer:
    """Answer GET and HEAD with the same header fields (clients rule R48); Depth and a body are ignored.

    Raises `NotFound`, `PreconditionFailed`, `Infected`, and what the store raises before the first byte. What goes wrong later is
    raised by the body's iterator, so that the server breaks the connection rather than end an answer that is not whole.
    """
    resource = request.services.tree.find(request.principal, request.path)
    request.services.tree.check(request.principal, request.path, request.preconditions)
    if resource.revision is None:
        return _listing(request)
    return _file(request, resource)


def head(request: DavRequest) -> Answer:
    """Answer HEAD: what GET without Range answers, but for the body."""
    return get(request)


def _file(request: DavRequest, resource: Resource) -> Answer:
    content = request.services.content
    content.check_read(request.principal, resource)  # HEAD and 304 say no more than GET would
    read = partial(content.read, request.principal, resource)
    served = serve_file(resource, request.method, request.header, request.preconditions, read)
    if served.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return text(served.status, RangeNotSatisfiable.summary, served.headers)
    return Answer(served.status, served.headers, served.body)


def _listing(request: DavRequest) -> Answer:
    # No validators: what a listing shows changes without the collection itself changing.
    headers = [*LISTING_HEADERS, ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "private, no-cache")]
    if request.method == "HEAD":
        return Answer(HTTPStatus.OK, headers, iter(()))
    listing = request.services.tree.listing(request.principal, request.path, Depth.ONE, Wanted())
    return Answer(HTTPStatus.OK, headers, render_listing(request.base, request.path, listing.entries))
