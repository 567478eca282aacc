"""Requests that come thousands of times a second, answered before WsgiDAV's stack from what was remembered of the tree.

PROPFIND of Depth 0 and 1, and GET and HEAD of small files, as long as nothing about them is unusual. Whatever is unusual, and
every error, goes the ordinary way, which the answers given here are made by: the same functions render them. The status,
the header fields and the bytes are the same either way (tests/dav/test_hot.py compares them).
"""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Final

from davserver.bootstrap import Services
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import DavserverError
from davserver.domain.principal import Door, Origin
from davserver.domain.serving import serve_file
from davserver.services.listing import Depth
from davserver.services.remembered import MAX_ENTRY_BYTES, Remembered, Seen, SmallContent
from providers.answer import Answer, StartResponse
from providers.auth import read_credentials
from providers.body import BODY, RequestBody
from providers.live import View
from providers.methods.propfind import answer_listing, cached_plan
from providers.request import PRINCIPAL, DavRequest, Environ, raw_path

Kept = tuple[list[tuple[str, str]], bytes | SmallContent]
"""Header fields, and the body or what opens it."""

_MAX_BODY: Final = 4096
_UNUSUAL: Final = frozenset(
    {
        *("HTTP_IF", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"),
        *("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_EXPECT", "HTTP_TRANSFER_ENCODING", "HTTP_X_EXPECTED_ENTITY_LENGTH"),
    }
)


class Hot:
    """Over one share's services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: Remembered[Kept] = services.remembered

    def answer(self, environ: Environ, base: str, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer as a WSGI application does, or None when the request is to go the ordinary way. Raises no error of its own."""
        look = self._looks.get(environ["REQUEST_METHOD"])
        if look is None or not _UNUSUAL.isdisjoint(environ):
            return None
        if len(environ.get("CONTENT_LENGTH") or "") > len(str(_MAX_BODY)):
            return None
        try:
            seen = self._seen(environ)
            answer = None if seen is None else look(self, DavRequest(environ, self._services, base), seen)
        except DavserverError:
            return None  # the ordinary way finds the same, and tells it
        if answer is None or seen is None:
            return None
        environ[PRINCIPAL] = seen.principal
        return answer.send(start_response, is_head=environ["REQUEST_METHOD"] == "HEAD")

    def _seen(self, environ: Environ) -> Seen | None:
        services = self._services
        for name, password in read_credentials(environ.get("HTTP_AUTHORIZATION")):
            origin = Origin(Door.WEBDAV, environ.get("REMOTE_ADDR") or None)
            return services.devices.recognise(password, origin, name) or services.accounts.recognise(name, password)
        return None

    def _propfind(self, request: DavRequest, seen: Seen) -> Answer | None:
        depth = request.header("Depth")
        if depth not in {"0", "1"}:
            return None
        body = _body_of(request)
        plan = cached_plan(body)
        if plan.wanted.usage or plan.wanted.locks or plan.wanted.scans:
            return None  # these change without the tree
        principal = seen.principal
        key = (principal.owner_id, request.base, raw_path(request.environ), depth, principal.hides_trash, body)
        kept = self._kept.get(key, seen)
        if kept is not None and isinstance(kept[1], bytes):
            return Answer(HTTPStatus.MULTI_STATUS, [*kept[0]], kept[1])
        listing = self._services.tree.listing(principal, request.path, Depth(depth), plan.wanted)
        answer = answer_listing(listing.entries, plan, View(request.base, request.now, None), request.href)
        headers = [*answer.headers]
        if isinstance(answer.body, bytes):
            self._kept.put(key, seen, (headers, answer.body), len(answer.body))
        else:
            answer.body = self._kept_while_sent(answer.body, key, seen, headers)
        return answer

    def _kept_while_sent(
        self, blocks: Iterable[bytes], key: tuple[object, ...], seen: Seen, headers: list[tuple[str, str]]
    ) -> Iterator[bytes]:
        """The blocks as they come. At the end they are remembered, when they are not too many."""
        held: list[bytes] = []
        size = 0
        for block in blocks:
            size += len(block)
            if size <= MAX_ENTRY_BYTES:
                held.append(block)
            else:
                held.clear()
            yield block
        if held:
            self._kept.put(key, seen, (headers, b"".join(held)), size)

    def _file(self, request: DavRequest, seen: Seen) -> Answer | None:
        services, principal = self._services, seen.principal
        key = (principal.owner_id, request.base, raw_path(request.environ))
        headers, small = self._kept.get(key, seen) or (None, None)
        if headers is None or not isinstance(small, SmallContent):
            resource = services.tree.find(principal, request.path)
            small = services.content.small(principal, resource)
            if small is None:
                return None
            headers = serve_file(resource, "HEAD", request.header, NO_CONDITIONS, _nothing).headers
            self._kept.put(key, seen, (headers, small), small.size)
        if not small.is_as_it_was(services.database, principal.owner_id):
            return None
        return Answer(HTTPStatus.OK, [*headers], b"" if request.method == "HEAD" else small.read())

    _looks: Final[dict[str, Callable[["Hot", DavRequest, Seen], Answer | None]]] = {
        "PROPFIND": _propfind,
        "GET": _file,
        "HEAD": _file,
    }


class _Again:
    """A body that was read already, for whoever reads it next."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole
        self._at = 0

    def read(self, size: int) -> bytes:
        piece = self.whole[self._at : self._at + size]
        self._at += len(piece)
        return piece


def _body_of(request: DavRequest) -> bytes:
    """The whole body; it can be read again. Raises what the ordinary way of reading it raises."""
    whole = RequestBody(request).read_all(_MAX_BODY)
    request.environ[BODY] = _Again(whole)
    return whole


def _nothing(_start: int, _stop: int) -> Iterator[bytes]:
    return iter(())
