"""Who may call what, and how large a body may be: asked before each request, by what `Noun.on` wrote down.

A route that nothing is written down for is refused, so that none is open by mistake.
"""

import json

from flask import Flask, g, request

from davserver.domain.errors import BodyTooLarge, Forbidden, InvalidJson, Unauthenticated, UnsupportedMediaType
from davserver.domain.principal import Door, Origin
from davserver.rest.context import PRINCIPAL, address, services
from davserver.rest.noun import Access


def register(app: Flask, access: dict[str, Access], body_limits: dict[str, int]) -> None:
    """Guard every route of the application; `access` and `body_limits` are by endpoint."""

    def before() -> None:
        endpoint = request.endpoint
        if endpoint is None or request.method == "OPTIONS":
            return  # no such route, or what can be done here: both say nothing of anybody's
        authenticate(access.get(endpoint, Access.ADMIN))
        check_body(body_limits.get(endpoint, 0))

    app.before_request(before)


def authenticate(wanted: Access) -> None:
    """Note who asks, for `principal()`. Raises `Unauthenticated`, and `Forbidden` for those who may not."""
    if wanted is Access.PUBLIC:
        return
    token, origin = bearer_token(), Origin(Door.REST, address())
    device = services().devices.authenticate(token, origin)
    if device is not None and wanted is not Access.FILES:
        request.environ[PRINCIPAL] = device  # the log says who was refused
        raise Forbidden("A device token opens files only; sign in for this.")
    found = device or services().sessions.authenticate(token, origin)
    request.environ[PRINCIPAL] = g.principal = found
    if wanted is Access.ADMIN and not found.is_admin:
        raise Forbidden("This is for administrators.")


def bearer_token() -> str:
    """The token of the Authorization header (RFC 6750 section 2.1). Raises `Unauthenticated`."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "An access token is needed: Authorization: Bearer TOKEN. POST /api/v1/sessions gives one."
        )
    return token.strip()


def check_body(limit: int) -> None:
    """See that the body is JSON, of at most `limit` bytes; nothing is done where the route reads none, or reads it itself."""
    if not limit:
        return
    if not request.is_json:
        raise UnsupportedMediaType("The body must be JSON: Content-Type: application/json.")
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge(f"The body must not have more than {limit} bytes.")
    request.max_content_length = limit
    try:
        json.loads(request.get_data(cache=True))
    except (ValueError, RecursionError):
        raise InvalidJson from None
