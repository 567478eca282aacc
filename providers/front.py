"""The end of the middleware stack: sends requests to their share, and answers what lies outside of every share.

Windows asks the root of the host and each level down to the share before it maps a drive (clients 3.1): these are shown as
collections that hold nothing but the way to the share.
"""

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from wsgidav.mw.base_mw import BaseMiddleware

from davserver.domain.errors import ConfigError, NotFound
from davserver.domain.resource import Resource
from davserver.services.listing import Depth, Entry
from providers.answer import Answer, StartResponse, text
from providers.body import RequestBody
from providers.live import View
from providers.methods.options import answer_options
from providers.methods.propfind import answer_listing, read_plan
from providers.provider import TreeProvider, providers_of, services_of
from providers.request import DavRequest, Environ, raw_path

_ALLOW: Final = "OPTIONS, GET, HEAD, PROPFIND"


class Front(BaseMiddleware):
    """Raises `ConfigError` when it is made over shares that are not ours."""

    def __init__(self, wsgidav_app: Any, next_app: Any, config: Any) -> None:
        super().__init__(wsgidav_app, next_app, config)  # type: ignore[no-untyped-call]
        shares = providers_of(wsgidav_app)
        if not shares or len(shares) != len(wsgidav_app.provider_map):
            raise ConfigError("provider_mapping: every share must be of the class providers.provider.TreeProvider")
        file = config.get("_config_file")
        for share in shares:
            share.open(Path(file) if file else None)
        self._shares = shares
        self._since = shares[0].clock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return answer_options().send(start_response)
        share: TreeProvider | None = environ.get("wsgidav.provider")
        if share is not None:
            return share.custom_request_handler(environ, start_response, None)
        return self._answer_outside(environ).send(start_response, is_head=method == "HEAD")

    def _answer_outside(self, environ: Environ) -> Answer:
        names = tuple(unquote(name) for name in raw_path(environ).split("/") if name)
        method = environ["REQUEST_METHOD"]
        below = self._below(names)
        if method not in _ALLOW.split(", "):
            return text(
                HTTPStatus.METHOD_NOT_ALLOWED, "Nothing can be stored outside of the share.", [("Allow", _ALLOW)]
            )
        if not below:
            raise NotFound
        if method == "PROPFIND":
            return self._list(environ, names, below)
        return Answer(HTTPStatus.FOUND, [("Location", self._shares[0].base + "/"), ("Cache-Control", "no-cache")])

    def _below(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The next names on the way to shares; empty when none lies below."""
        ways = (tuple(unquote(share.base).strip("/").split("/")) for share in self._shares)
        return tuple(
            dict.fromkeys(way[len(names)] for way in ways if len(way) > len(names) and way[: len(names)] == names)
        )

    def _list(self, environ: Environ, names: tuple[str, ...], below: tuple[str, ...]) -> Answer:
        services = services_of(self.wsgidav_app)
        href = quote("".join("/" + name for name in names))
        request = DavRequest(environ, services, href)
        plan = read_plan(RequestBody(request).read_all(services.config.max_xml_size))
        depth = request.depth(Depth.ONE)
        entries = [
            Entry((), self._collection(names[-1] if names else "")),
            *(Entry((n,), self._collection(n)) for n in below),
        ]
        shown = entries[:1] if depth is Depth.ZERO else entries
        return answer_listing(shown, plan, View(href, request.now, None), href)

    def _collection(self, name: str) -> Resource:
        """A collection that is no row: as old as the process."""
        since = self._since
        return Resource(owner_id=0, id=0, parent_id=None, name=name, created_at=since, modified_at=since, revision=None)
