"""Services -> the WebDAV application, without and with the stock `wsgidav` command.

The application is WsgiDAV's, with our provider and our middleware stack in it. `DavApp` alone replaces what WsgiDAV does around
a request: it finds the share by the path as it came, where WsgiDAV decodes first and fails on what is not UTF-8, and leaves
the connection to the server.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from wsgidav.wsgidav_app import WsgiDAVApp

from davserver.bootstrap import Services
from davserver.domain.clock import Clock, system_clock
from davserver.services.glances import Glances
from providers.answer import StartResponse
from providers.auth import Authenticator
from providers.early import EarlyAnswers
from providers.errors import ErrorRenderer
from providers.front import Front
from providers.hot import Hot
from providers.provider import TreeProvider, providers_of, services_of
from providers.request import RAW_PATH, Environ, below_base, raw_path

MIDDLEWARE: Final = (ErrorRenderer, Authenticator, Front)
"""Outermost first. wsgidav.yaml names the same, for the stock command."""
QUESTIONS: Final = 2
"""Of one process, whose answers are awaited at the same time."""
DEFAULT_SHARE: Final = "/dav"

WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]


class DavApp(WsgiDAVApp):
    """WsgiDAV's application for a server that hands on the path as it came."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)  # type: ignore[no-untyped-call]
        shares = sorted(providers_of(self), key=lambda share: len(share.base), reverse=True)
        self._shares = tuple((share.base, share) for share in shares)
        database = services_of(self).database
        # A query takes SQLite less than to wait for another.
        glances = () if database.is_sqlite else tuple(Glances(database) for _ in range(QUESTIONS))
        self._hot = Hot(services_of(self), glances)
        self.early = EarlyAnswers(self._hot, glances, self._base_of) if glances else None
        """For our HTTP server (`davserver.http.early`)."""

    def _base_of(self, path: str) -> str | None:
        return next((base for base, _ in self._shares if below_base(path, base) is not None), None)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        path = environ[RAW_PATH] = raw_path(environ)
        environ["wsgidav.app"] = self
        environ["wsgidav.config"] = self.config
        environ["wsgidav.verbose"] = self.verbose
        environ["wsgidav.provider"] = next(
            (share for base, share in self._shares if below_base(path, base) is not None), None
        )
        share = environ["wsgidav.provider"]
        if share is not None:
            quick = self._hot.answer(environ, share.base, start_response)
            if quick is not None:
                return quick
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer


def make_dav_app(services: Services, clock: Clock = system_clock) -> DavApp:
    """The WSGI application that serves the shares that wsgidav.yaml names, or ``/dav`` when it names none."""
    given = services.config.wsgidav
    shares = tuple(given.get("provider_mapping") or ()) or (DEFAULT_SHARE,)
    return DavApp(
        {
            "provider_mapping": {share: TreeProvider(services, clock) for share in shares},
            "mount_path": given.get("mount_path"),
            "middleware_stack": list(MIDDLEWARE),
            # What these do is done by the services, in the database.
            "lock_storage": None,
            "property_manager": None,
            "http_authenticator": {"accept_basic": False},
            "logging": {"enable": False},
            "verbose": 1,
        }
    )
