"""The way in from `davserver.wsgi`: the application behind it is made when the first request comes.

Flask and pydantic take half a second to load, which a server that only speaks WebDAV should not wait for.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from davserver.bootstrap import Services

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

BASE: Final = "/api"
"""The path that everything of this door lies below."""


class RestDoor:
    """A WSGI application that loads the real one when it is first called."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._mutex = threading.Lock()
        self._app: WsgiApp | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        return (self._app or self._load())(environ, start_response)

    def _load(self) -> WsgiApp:
        with self._mutex:
            if self._app is None:
                from davserver.rest.app import make_rest_app  # noqa: PLC0415 - what this class is for

                self._app = make_rest_app(self._services)
            return self._app
