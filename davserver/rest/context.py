"""What a route has at hand: the services, and who asks."""

from typing import Final

from flask import current_app, g, request

from davserver.bootstrap import Services
from davserver.domain.errors import Unauthenticated
from davserver.domain.principal import Principal

EXTENSION: Final = "davserver"
PRINCIPAL: Final = "davserver.principal"
"""The key in the WSGI environment under which the log looks for who asked."""


def services() -> Services:
    """The services of this process."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def principal() -> Principal:
    """Who asks. Raises `Unauthenticated` on a public route, where nobody is known."""
    found: Principal | None = g.get("principal")
    if found is None:
        raise Unauthenticated
    return found


def address() -> str | None:
    """The IP address of who asks."""
    found: str | None = request.environ.get("REMOTE_ADDR")
    return found or None
