"""Services -> the WSGI application below ``/s``."""

from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from davserver.bootstrap import Services
from davserver.domain.conditions import Preconditions, parse_http_date, parse_tag_set
from davserver.domain.errors import DavserverError, LinkOver, LinkPasswordNeeded, MethodNotAllowed, RangeNotSatisfiable
from davserver.domain.media import browser_headers, type_to_show
from davserver.domain.paths import ResourcePath
from davserver.domain.resource import Resource
from davserver.domain.serving import Headers, Served, serve_file
from davserver.services.links import OpenedLink, Visitor
from davserver.services.listing import Depth, Wanted
from davserver.share import pages
from davserver.share.request import BASE, COOKIE, Asked, Environ, form_password, read_path, visitor_of, wants_page

StartResponse = Callable[..., Any]
_PLAIN: Final[Headers] = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
]
_METHODS: Final = "GET, HEAD, POST"
_SECRET: Final[Headers] = [("Referrer-Policy", "no-referrer"), ("X-Robots-Tag", "noindex, nofollow")]


class ShareApp:
    """Answers whoever has a token. `raw_path` gives the path of a request as it came, still encoded."""

    def __init__(self, services: Services, raw_path: Callable[[Environ], str]) -> None:
        self._services = services
        self._raw_path = raw_path

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        asked: Asked | None = None
        try:
            asked = read_path(self._raw_path(environ))
            served = self._answer(environ, asked)
        except DavserverError as error:
            served = _failed(environ, asked, error)
        body = [served.body] if isinstance(served.body, bytes) else served.body
        if isinstance(served.body, bytes) and served.status != HTTPStatus.NOT_MODIFIED:
            served.headers.append(("Content-Length", str(len(served.body))))
        start_response(f"{served.status} {HTTPStatus(served.status).phrase}", served.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    def _answer(self, environ: Environ, asked: Asked) -> Served:
        method = environ["REQUEST_METHOD"]
        if method == "POST":
            return self._let_in(environ, asked)
        if method not in {"GET", "HEAD"}:
            raise MethodNotAllowed
        opened = self._services.links.open(asked.token, visitor_of(environ))
        path = ResourcePath((*opened.path.names, *asked.below.names))
        resource = opened.resource
        if asked.below.names:
            resource = self._services.tree.find(opened.principal, path)
            if not opened.resource.is_collection or self._is_trash(path):
                raise LinkOver
        is_page = asked.part in {"", "files"} and wants_page(environ)
        if resource.is_collection:
            if is_page or asked.part == "files":
                return self._folder(asked, opened, path)
            return self._archive(environ, opened, path, resource)
        if is_page and asked.part == "":
            shown = not any(name == "Content-Disposition" for name, _ in browser_headers(type_to_show(resource)))
            body = pages.file_page(asked.base, resource, opened.link.expires_at, is_shown=shown)
            return Served(HTTPStatus.OK, [*pages.HEADERS], body)
        return self._file(environ, opened, resource, is_shown=asked.part in {"view", "files"})

    def _let_in(self, environ: Environ, asked: Asked) -> Served:
        """The form with the password: what it is answered with remembers for an hour that it was right."""
        visitor: Visitor = visitor_of(environ, form_password(environ))
        ticket = self._services.links.ticket(asked.token, visitor)
        headers: Headers = [("Location", asked.base), ("Cache-Control", "no-store"), *_SECRET]
        if ticket is not None:
            secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
            cookie = f"{COOKIE}={ticket}; Path={asked.base}; Max-Age=3600; HttpOnly; SameSite=Strict{secure}"
            headers.append(("Set-Cookie", cookie))
        return Served(HTTPStatus.SEE_OTHER, headers)

    def _folder(self, asked: Asked, opened: OpenedLink, path: ResourcePath) -> Served:
        listing = self._services.tree.listing(opened.principal, path, Depth.ONE, Wanted())
        members = [entry.resource for entry in listing.entries if entry.names and not self._is_trash(path, entry.names)]
        name = opened.resource.name
        body = pages.folder_page(asked.base, name, asked.below, members, opened.link.expires_at)
        return Served(HTTPStatus.OK, [*pages.HEADERS], body)

    def _archive(self, environ: Environ, opened: OpenedLink, path: ResourcePath, resource: Resource) -> Served:
        headers: Headers = [
            ("Content-Type", "application/zip"),
            ("Content-Disposition", disposition("attachment", (resource.name or "Files") + ".zip")),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "private, no-store"),
            *_SECRET,
        ]
        content = self._services.archives.archive(opened.principal, path)
        if environ["REQUEST_METHOD"] == "HEAD":
            return Served(HTTPStatus.OK, headers, iter(()))
        self._services.links.begin_download(opened, is_part=False)
        return Served(HTTPStatus.OK, headers, content)

    def _file(self, environ: Environ, opened: OpenedLink, resource: Resource, *, is_shown: bool) -> Served:
        content = self._services.content
        content.check_read(opened.principal, resource)
        method = environ["REQUEST_METHOD"]
        read = partial(content.read, opened.principal, resource)

        def header(name: str) -> str | None:
            value: str | None = environ.get("HTTP_" + name.upper().replace("-", "_"))
            return value

        served = serve_file(resource, method, header, _preconditions(header), read)
        if served.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return Served(served.status, [*served.headers, *_PLAIN], RangeNotSatisfiable.summary.encode() + b"\n")
        if method == "GET" and served.status != HTTPStatus.NOT_MODIFIED:
            self._services.links.begin_download(opened, is_part=served.status == HTTPStatus.PARTIAL_CONTENT)
        is_safe = not any(name == "Content-Disposition" for name, _ in served.headers)
        kept = [field for field in served.headers if field[0] != "Content-Disposition"]
        kind = "inline" if is_safe and is_shown else "attachment"
        return Served(
            served.status, [*kept, ("Content-Disposition", disposition(kind, resource.name)), *_SECRET], served.body
        )

    def _is_trash(self, path: ResourcePath, below: tuple[str, ...] = ()) -> bool:
        return (*path.names, *below)[:1] == (".trash",)


def disposition(kind: str, name: str) -> str:
    """Content-Disposition with a name in any script (RFC 6266, RFC 8187)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _preconditions(header: Callable[[str], str | None]) -> Preconditions:
    return Preconditions(
        if_match=parse_tag_set(header("If-Match")),
        if_none_match=parse_tag_set(header("If-None-Match")),
        if_modified_since=parse_http_date(header("If-Modified-Since")),
        if_unmodified_since=parse_http_date(header("If-Unmodified-Since")),
    )


def _failed(environ: Environ, asked: Asked | None, error: DavserverError) -> Served:
    status = error.status
    more: Headers = [] if error.retry_after is None else [("Retry-After", str(error.retry_after))]
    if isinstance(error, MethodNotAllowed):
        more.append(("Allow", _METHODS))
    if isinstance(error, LinkPasswordNeeded) and asked is not None:
        if environ["REQUEST_METHOD"] == "POST" or wants_page(environ):
            # No 401: a browser would ask in a window of its own, and for a user name too.
            was_wrong = environ["REQUEST_METHOD"] == "POST"
            body = pages.password_page(asked.base, was_wrong=was_wrong)
            return Served(HTTPStatus.FORBIDDEN if was_wrong else HTTPStatus.OK, [*pages.HEADERS], body)
        more.append(("WWW-Authenticate", 'Basic realm="davserver link", charset="UTF-8"'))
    if wants_page(environ):
        return Served(status, [*pages.HEADERS, *more], pages.error_page(error.detail))
    return Served(status, [*_PLAIN, *more], f"{error.detail} ({error.code})\n".encode())


__all__ = ["BASE", "ShareApp", "disposition"]
