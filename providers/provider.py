"""The WsgiDAV provider: each user's own tree behind one share.

WsgiDAV brings the request here through the provider's official hook, `custom_request_handler`; every method is answered by
`providers.methods`. What else of WsgiDAV asks a provider for resources gets the read-only views of `providers.views`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wsgidav.dav_provider import DAVProvider

from davserver.bootstrap import Services
from davserver.domain.clock import Clock, system_clock
from davserver.domain.errors import MethodNotAllowed, NotFound
from providers.answer import StartResponse
from providers.methods.table import METHODS
from providers.request import DavRequest, Environ
from providers.stock import start_services
from providers.views import View, view_of


class TreeProvider(DAVProvider):
    """Made with `services` by `providers.app`; without them by the stock `wsgidav` command, from its configuration file."""

    def __init__(self, services: Services | None = None, clock: Clock = system_clock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._services = services
        self.clock = clock

    @property
    def services(self) -> Services:
        """The use cases. Only after `open`."""
        if self._services is None:
            raise RuntimeError("The provider was not opened.")
        return self._services

    def open(self, config_file: Path | None) -> None:
        """Start the services when they were not given."""
        if self._services is None:
            self._services = start_services(config_file)

    @property
    def base(self) -> str:
        """The share's path, encoded, without a slash at its end; empty when it is mounted at the top."""
        return quote(f"{self.mount_path or ''}{self.share_path or ''}")

    def custom_request_handler(
        self, environ: Environ, start_response: StartResponse, default_handler: Callable[..., Any] | None
    ) -> Iterable[bytes]:
        """Answer the request. Raises `MethodNotAllowed` and what else the methods raise, all before anything is sent."""
        del default_handler  # none of WsgiDAV's own methods is used
        request = DavRequest(environ, self.services, self.base, self.clock)
        method = METHODS.get(request.method)
        if method is None:
            raise MethodNotAllowed(f"There is no method {request.method[:20]!r} here.")
        return method(request).send(start_response, is_head=request.method == "HEAD")

    def get_resource_inst(self, path: str, environ: Environ) -> View | None:
        """WsgiDAV's question for a resource by its decoded path; None where nothing is."""
        request = DavRequest(environ, self.services, self.base, self.clock)
        try:
            return view_of(request, path)
        except NotFound:
            return None


def providers_of(wsgidav_app: Any) -> tuple[TreeProvider, ...]:
    """The shares of an application that are ours."""
    return tuple(p for p in wsgidav_app.provider_map.values() if isinstance(p, TreeProvider))


def services_of(wsgidav_app: Any) -> Services:
    """The services behind an application's shares."""
    return providers_of(wsgidav_app)[0].services
