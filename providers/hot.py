"""Requests that come thousands of times a second, answered before WsgiDAV's stack from what was remembered of the tree.

PROPFIND of Depth 0 and 1, and GET and HEAD of small files, as long as nothing about them is unusual. Whatever is unusual, and
every error, goes the ordinary way, which the answers given here are made by: the same functions render them. The status,
the header fields and the bytes are the same either way (tests/dav/test_hot.py compares them).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from davserver.bootstrap import Services
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import DavserverError
from davserver.domain.principal import Door, Origin, Principal
from davserver.domain.serving import serve_file
from davserver.services.glances import Glances
from davserver.services.listing import Depth
from davserver.services.remembered import MAX_ENTRY_BYTES, Expected, Remembered, Seen, SmallContent
from providers.answer import Answer, StartResponse
from providers.auth import read_credentials
from providers.body import BODY, RequestBody
from providers.live import View
from providers.methods.propfind import Plan, answer_listing, cached_plan
from providers.request import PRINCIPAL, DavRequest, Environ, raw_path

Kept = tuple[list[tuple[str, str]], bytes | SmallContent]
"""Header fields, and the body or what opens it."""

_MAX_BODY: Final = 4096
_MAX_EARLY: Final = 65_536
"""Bytes of an answer that the selecting thread of the server gives itself."""
_UNUSUAL: Final = frozenset(
    {
        *("HTTP_IF", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"),
        *("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_EXPECT", "HTTP_TRANSFER_ENCODING", "HTTP_X_EXPECTED_ENTITY_LENGTH"),
    }
)


_CONFIRMED: Final = "davserver.confirmed"


@dataclass(frozen=True, slots=True)
class Guess:
    """What may be the answer to a request, if somebody is who they should be and their tree is as it was."""

    expected: Expected
    base: str
    revision_id: int | None
    """Of a file's content; None for a listing."""
    depth: str = ""
    body: bytes = b""
    """Of a PROPFIND."""


class Hot:
    """Over one share's services."""

    def __init__(self, services: Services, glances: Sequence[Glances] = ()) -> None:
        self._services = services
        self._glances = glances
        self._kept: Remembered[Kept] = services.remembered

    def answer(self, environ: Environ, base: str, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer as a WSGI application does, or None when the request is to go the ordinary way. Raises no error of its own."""
        confirmed: tuple[Principal, Answer] | None = environ.pop(_CONFIRMED, None)
        if confirmed is not None:
            environ[PRINCIPAL], known = confirmed
            return known.send(start_response, is_head=environ["REQUEST_METHOD"] == "HEAD")
        look = self._looks.get(environ["REQUEST_METHOD"])
        if look is None or not _is_usual(environ):
            return None
        try:
            seen = self._seen(environ)
            if seen is not None:  # the database is there
                for glances in self._glances:
                    glances.connect()
            answer = None if seen is None else look(self, DavRequest(environ, self._services, base), seen)
        except DavserverError:
            return None  # the ordinary way finds the same, and tells it
        if answer is None or seen is None:
            return None
        environ[PRINCIPAL] = seen.principal
        return answer.send(start_response, is_head=environ["REQUEST_METHOD"] == "HEAD")

    def guess(self, environ: Environ, base: str) -> Guess | None:
        """What is remembered for a request, if it is still true, without asking. None: it is to be answered by `answer`."""
        if environ["REQUEST_METHOD"] not in self._looks or not _is_usual(environ):
            return None
        try:
            expected = self._expected(environ)
            if expected is None:
                return None
            request = DavRequest(environ, self._services, base)
            if request.method == "PROPFIND":
                return self._guess_listing(request, expected)
            small = (self._kept.held((expected.user_id, base, raw_path(environ))) or (None, None))[1]
            return Guess(expected, base, small.revision_id) if isinstance(small, SmallContent) else None
        except DavserverError:
            return None

    def _guess_listing(self, request: DavRequest, expected: Expected) -> Guess | None:
        asked = _listing_of(request)
        return None if asked is None else Guess(expected, request.base, None, asked[0], asked[1])

    def confirm(self, environ: Environ, guess: Guess, seen: Seen, verdict: str | None) -> bool:
        """Whether a guess was right, and its answer is short: then `answer` gives it, without asking, when it is called next."""
        principal, path = seen.principal, raw_path(environ)
        if guess.revision_id is None:
            key = _listing_key(principal, guess.base, path, guess.depth, guess.body)
        else:
            key = (principal.owner_id, guess.base, path)
        headers, content = self._kept.get(key, seen) or (None, None)
        if headers is None:
            return False
        if isinstance(content, bytes):
            if len(content) > _MAX_EARLY:
                return False
            answer = Answer(HTTPStatus.MULTI_STATUS, [*headers], content)
        elif content is None or content.revision_id != guess.revision_id or not content.had(verdict):
            return False
        else:
            try:
                answer = Answer(
                    HTTPStatus.OK, [*headers], b"" if environ["REQUEST_METHOD"] == "HEAD" else content.read()
                )
            except DavserverError:
                return False
        environ[_CONFIRMED] = principal, answer
        return True

    def _expected(self, environ: Environ) -> Expected | None:
        services = self._services
        for name, password in read_credentials(environ.get("HTTP_AUTHORIZATION")):
            origin = Origin(Door.WEBDAV, environ.get("REMOTE_ADDR") or None)
            expected = services.devices.expected(password, origin, name) or services.accounts.expected(name, password)
            if expected is not None:
                return expected
        return None

    def _seen(self, environ: Environ) -> Seen | None:
        services = self._services
        for name, password in read_credentials(environ.get("HTTP_AUTHORIZATION")):
            origin = Origin(Door.WEBDAV, environ.get("REMOTE_ADDR") or None)
            return services.devices.recognise(password, origin, name) or services.accounts.recognise(name, password)
        return None

    def _propfind(self, request: DavRequest, seen: Seen) -> Answer | None:
        asked = _listing_of(request)
        if asked is None:
            return None
        depth, body, plan = asked
        principal = seen.principal
        key = _listing_key(principal, request.base, raw_path(request.environ), depth, body)
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


def _is_usual(environ: Environ) -> bool:
    return (
        _UNUSUAL.isdisjoint(environ)
        and len(environ.get("CONTENT_LENGTH") or "") <= len(str(_MAX_BODY))
    )  # fmt: skip


def _listing_of(request: DavRequest) -> tuple[str, bytes, Plan] | None:
    """Depth, body and plan of a PROPFIND whose answer may be remembered; None for any other."""
    depth = request.header("Depth")
    if depth not in {"0", "1"}:
        return None
    body = _body_of(request)
    plan = cached_plan(body)
    if plan.wanted.usage or plan.wanted.locks or plan.wanted.scans:
        return None  # these change without the tree
    return depth, body, plan


def _listing_key(principal: Principal, base: str, path: str, depth: str, body: bytes) -> tuple[object, ...]:
    return principal.owner_id, base, path, depth, principal.hides_trash, body


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
