"""Services -> the application of this door: flask-openapi3 over Flask (docs/decisions/0004-rest-framework.md)."""

from flask import Flask, Response
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from davserver import __name__ as program
from davserver.bootstrap import Services
from davserver.rest import access, docs, problems
from davserver.rest.context import EXTENSION
from davserver.rest.door import WsgiApp
from davserver.rest.models import Problem
from davserver.rest.noun import SECURITY, Access
from davserver.rest.nouns import NOUNS

_ABOUT = """\
Everything that WebDAV does not say: accounts, sessions, device tokens, links, statistics, the trash. Files can be had here too,
for scripts. Sign in with `POST /api/v1/sessions` and send the access token with each request: `Authorization: Bearer TOKEN`.

Errors are problem details (RFC 9457) with a `code` to tell them apart by.
"""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What an answer has that does not say otherwise."""


def make_rest_app(services: Services) -> WsgiApp:
    """The WSGI application below ``/api``."""
    app = make_flask(services)
    wsgi: WsgiApp = app.wsgi_app
    return wsgi


def make_flask(services: Services) -> OpenAPI:
    """The application as Flask has it."""
    app = OpenAPI(
        program,
        info=Info(title="davserver", version=docs.version(), description=_ABOUT),
        security_schemes={SECURITY: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        validation_error_model=Problem,
        validation_error_callback=problems.refuse_input,
        doc_ui=False,
        static_folder=None,
    )
    app.extensions[EXTENSION] = services
    app.url_map.merge_slashes = False
    problems.register(app)
    rights: dict[str, Access] = {}
    limits: dict[str, int] = {}
    for noun in NOUNS:
        app.register_api(noun)
        rights |= noun.access
        limits |= noun.body_limits
    rights |= docs.register(app)
    access.register(app, rights, limits)
    _add_headers(app)
    return app


def _add_headers(app: Flask) -> None:
    @app.after_request
    def add(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response
