"""The HTTP server: cheroot's, with the connection, head, body and process layers made fit for a public port.

Knows nothing of WebDAV: it runs any WSGI application. See docs/decisions/0002-http-server.md for why each part is ours.
"""

from davserver.http.body import Body, BodyCutOff, BodyTooLarge
from davserver.http.config import HttpConfig
from davserver.http.process import Address, AppFactory
from davserver.http.server import HttpServer
from davserver.http.supervisor import ServeError, serve

__all__ = [
    "Address",
    "AppFactory",
    "Body",
    "BodyCutOff",
    "BodyTooLarge",
    "HttpConfig",
    "HttpServer",
    "ServeError",
    "serve",
]
