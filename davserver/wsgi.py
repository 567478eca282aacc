"""`Services` -> one WSGI application (PEP 3333): WebDAV, links at ``/s/``, ``/``, ``/healthz``, ``/readyz``, ``/metrics``."""

import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from html import escape
from typing import Any, Final, TypeAlias

from davserver.bootstrap import Services
from davserver.cors import Cors
from davserver.domain.errors import DavserverError
from davserver.domain.logged import request_fields
from davserver.domain.principal import Principal
from davserver.monitoring import Meters, Monitoring
from davserver.monitoring.traced import TracedApp
from davserver.rest.door import BASE as REST_BASE
from davserver.rest.door import RestDoor
from davserver.share.app import BASE as LINKS
from davserver.share.app import ShareApp
from davserver.share.reset import BASE as RESET
from davserver.share.reset import ResetApp
from providers.app import make_dav_app
from providers.request import PRINCIPAL, below_base, raw_path

log = logging.getLogger(__name__)
access_log = logging.getLogger("davserver.access")
"""One record a request, at INFO; its `request` attribute holds the fields."""

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Callable[[bytes], object]]
WsgiApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
Headers: TypeAlias = list[tuple[str, str]]

REQUEST_ID: Final = "davserver.request_id"
"""The key in the WSGI environment of what the answer names in X-Request-ID, and the log beside a trace."""

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=+/-]{0,127}")
"""What a client or a proxy may name a request. Anything else is not taken, so that no log line can be made up."""
_LINE: Final = "%s %s %s %.1f ms %d bytes %s"
_PAGE_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
"""Outside of the share these get our pages; all others are a WebDAV client that looks around (clients rule R1)."""
_GUARD: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]
_HOME: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>davserver</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto; padding: 0 1rem }}</style>
<h1>davserver</h1>
<p>This is a WebDAV drive. Its address, to connect a computer, a phone or a program to, is</p>
<p><code>{address}</code></p>
<p>or <a href="{base}/">look at your files here</a>.</p>
<p>Programs have <a href="{docs}">an API</a>.</p>
</html>
"""


class App:
    """Sends each request to its door. Logs it, and answers 500 to what a door should not have raised."""

    def __init__(
        self,
        dav: WsgiApp,
        shares: Sequence[str],
        close: Callable[[], None],
        *,
        prefix: str,
        timer: Callable[[], float],
        links: WsgiApp | None = None,
        reset: WsgiApp | None = None,
        rest: WsgiApp | None = None,
        meters: Meters | None = None,
        monitoring: Monitoring | None = None,
        cors: Cors | None = None,
    ) -> None:
        """`shares` are the paths that `dav` serves; `links` serves what lies below ``/s``, `rest` what lies below ``/api``.

        `prefix` begins the ids of requests; `timer` gives seconds, for the log. `cors` is for the shares and ``/api``.
        """
        self._dav = dav
        self.early = getattr(dav, "early", None)
        """For our HTTP server (`davserver.http.early`)."""
        self._rest = rest
        self._shares = tuple(shares)
        self._links = links
        self._pages: dict[str, WsgiApp] = {"/": partial(_home, self._shares[0]), "/healthz": _health}
        if reset is not None:
            self._pages[RESET] = reset
        self._meters = meters or Meters()
        self._meters.take_place()
        if monitoring is not None:
            self._pages |= {"/readyz": monitoring.ready, "/metrics": monitoring.metrics}
        self._cors = cors
        self._close = close
        self._prefix = prefix
        self._timer = timer
        self._numbers = itertools.count(1)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        given = environ.get("HTTP_X_REQUEST_ID")
        if given is None or not _GIVEN_ID.fullmatch(given):
            given = f"{self._prefix}{next(self._numbers):x}"
        request_id = environ[REQUEST_ID] = given
        record = _Record(environ, start_response, self._timer, self._meters)
        try:
            parts = self._cross(environ, record) or self._door(environ)(environ, record.start_response)
        except DavserverError as error:
            # The doors render these; what comes here is about a request that found none.
            parts = _text(record.start_response, f"{error.status} Error", error.detail)
        except OSError:
            record.count(0)
            raise  # the connection's: the server below knows what to make of it
        except Exception:
            path = shown_path(raw_path(environ))
            said = (environ["REQUEST_METHOD"], ascii(path), request_id)
            log.exception("%s %s failed (%s)", *said, extra={"request": request_fields(environ, path)})
            message = f"The server failed. Its log says more, under the id {request_id}."
            parts = _text(record.start_response, "500 Internal Server Error", message)
        if environ["REQUEST_METHOD"] == "HEAD" and isinstance(parts, list):
            parts = []  # the length is told all the same
        if isinstance(parts, list):
            record.finish(sum(map(len, parts)))
            return parts
        return _Watched(parts, record)

    def close(self) -> None:
        """Give back what the services hold. No request may be under way."""
        self._close()

    def _cross(self, environ: Environ, record: "_Record") -> list[bytes] | None:
        """The answer to a browser's preflight; for all else None, with what the answer has besides noted."""
        if self._cors is None or not self._is_shared(raw_path(environ)):
            return None
        preflight = self._cors.preflight(environ)
        if preflight is None:
            record.besides = self._cors.fields(environ)
            return None
        record.start_response("204 No Content", preflight)
        return [b""]

    def _is_shared(self, path: str) -> bool:
        """Whether web programs have business there."""
        return (
            path == REST_BASE
            or path.startswith(REST_BASE + "/")
            or any(below_base(path, share) is not None for share in self._shares)
        )

    def _door(self, environ: Environ) -> WsgiApp:
        path = raw_path(environ)
        if self._rest is not None and (path == REST_BASE or path.startswith(REST_BASE + "/")):
            return self._rest
        if environ["REQUEST_METHOD"] not in _PAGE_METHODS:
            return self._dav
        for share in self._shares:
            if below_base(path, share) is not None:
                return self._dav
        if self._links is not None and path.startswith(LINKS + "/"):
            return self._links
        page = self._pages.get(path)
        if page is None and path.rstrip("/") in self._pages:
            return _without_slash
        return page or partial(_not_found, self._shares[0])


def make_app(services: Services, meters: Meters | None = None) -> App | TracedApp:
    """The application of one process, with its share in the background work; `close` closes the services too.

    `meters` are those of all processes of this server, made before the fork.
    """
    meters = meters or Meters()
    services.bell.start()
    dav = make_dav_app(services)
    shares = services.config.shares
    prefix = os.urandom(4).hex() + "-"
    links, rest = ShareApp(services, raw_path), RestDoor(services)
    app = App(
        dav, shares, services.close, prefix=prefix, timer=time.perf_counter, links=links, rest=rest,
        reset=ResetApp(services), meters=meters, monitoring=Monitoring(services, meters),
        cors=Cors(services.config.cors_origins) if services.config.cors_origins else None,
    )  # fmt: skip
    meters.watch({"answers": services.remembered.tally, "sign_ins": services.accounts.remembering})
    if services.tracing is None:
        return app
    shown = shown_path if services.config.trace_names else None
    return TracedApp(app, services.tracing, shares, path_of=raw_path, shown=shown)


def shown_path(path: str) -> str:
    """A path as the log may hold it: the token of a download link is a secret."""
    if not path.startswith(LINKS + "/"):
        return path
    token, slash, rest = path.removeprefix(LINKS + "/").partition("/")
    return f"{LINKS}/{token[:4]}...{slash}{rest}" if len(token) > 4 else path


class _Record:
    """What the log says of one request."""

    __slots__ = ("_began", "_environ", "_meters", "_start_response", "_timer", "besides", "status")

    def __init__(
        self, environ: Environ, start_response: StartResponse, timer: Callable[[], float], meters: Meters
    ) -> None:
        self._environ = environ
        self._start_response = start_response
        self._timer = timer
        self._began = environ.get("davserver.began") or timer()  # our HTTP server may have asked for it before
        self.status = "-"
        self.besides: Headers = []
        """Header fields that the answer has besides those of its door."""
        self._meters = meters
        meters.begin(environ["REQUEST_METHOD"])

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
        self.status = status[:3]
        fields = [*headers, *self.besides, ("X-Request-ID", self._environ[REQUEST_ID])]
        return self._start_response(status, fields, exc_info) if exc_info else self._start_response(status, fields)

    def count(self, size: int) -> float:
        """Count what has ended; to be called once. Returns the seconds that it took."""
        seconds = self._timer() - self._began
        body = self._environ.get("wsgi.input")
        received = getattr(body, "bytes_read", 0)
        self._meters.end(self._environ["REQUEST_METHOD"], self.status, seconds, received, size)
        return seconds

    def finish(self, size: int) -> None:
        seconds = self.count(size)
        if not access_log.isEnabledFor(logging.INFO):
            return
        environ = self._environ
        principal: Principal | None = environ.get(PRINCIPAL)
        method, path = environ["REQUEST_METHOD"], shown_path(raw_path(environ))
        user = "-" if principal is None else principal.name
        milliseconds = round(seconds * 1000, 1)
        # No query (it may hold tokens) and no header field: nothing secret is among these.
        fields = {
            "method": method, "path": path, "status": self.status, "ms": milliseconds, "bytes": size, "user": user,
            "device": None if principal is None else principal.origin.device, "address": environ.get("REMOTE_ADDR"),
            "request_id": environ[REQUEST_ID],
        }  # fmt: skip
        said = (method, path, self.status, milliseconds, size, user)
        # Made here, as `access_log.info` would look for our caller in the stack, which takes longer than all the rest.
        record = logging.LogRecord(access_log.name, logging.INFO, __file__, 0, _LINE, said, None)
        record.request = fields
        access_log.handle(record)


class _Watched:
    """The body of an answer, counted while it is sent."""

    __slots__ = ("_parts", "_record", "_size")

    def __init__(self, parts: Iterable[bytes], record: _Record) -> None:
        self._parts = parts
        self._record = record
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self._size += len(part)
            yield part

    def close(self) -> None:
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        finally:
            self._record.finish(self._size)


def _home(share: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    address = escape(f"{environ['wsgi.url_scheme']}://{host}{share}/")
    return _page(
        start_response,
        "200 OK",
        "text/html; charset=utf-8",
        _HOME.format(address=address, base=escape(share), docs=f"{REST_BASE}/docs"),
    )


def _health(_: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """This process takes requests. It says nothing of the database and the store: restarting us would not mend those."""
    return _text(start_response, "200 OK", "ok", [("Cache-Control", "no-store")])


def _without_slash(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    query = environ.get("QUERY_STRING", "")
    there = raw_path(environ).rstrip("/") + (f"?{query}" if query else "")
    return _text(start_response, "308 Permanent Redirect", "It is there without the slash.", [("Location", there)])


def _not_found(share: str, _: Environ, start_response: StartResponse) -> Iterable[bytes]:
    message = f"There is nothing here. The drive is at {share}/, what there is for programs at {REST_BASE}/docs."
    return _text(start_response, "404 Not Found", message)


def _text(start_response: StartResponse, status: str, text: str, headers: Headers | None = None) -> Iterable[bytes]:
    return _page(start_response, status, "text/plain; charset=utf-8", text + "\n", headers)


def _page(
    start_response: StartResponse, status: str, content_type: str, text: str, headers: Headers | None = None
) -> Iterable[bytes]:
    body = text.encode()
    fields = [("Content-Type", content_type), ("Content-Length", str(len(body))), *_GUARD, *(headers or [])]
    start_response(status, fields)
    return [body]
