"""Cross-Origin Resource Sharing (Fetch Standard, section 3.3): web programs of other origins that may use this server.

Whoever is let in here still has to sign in. Nothing that a browser sends by itself counts as that: there are no cookies, and
credentials mode is never allowed, so that a page uses only what its user typed into it. Without origins nothing here runs.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK"
EXPOSED: Final = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Length, Content-Range, DAV, ETag, Last-Modified, Location,"
    " Lock-Token, OC-Checksum, OC-ETag, Retry-After, WWW-Authenticate, X-OC-MTime, X-Request-ID"
)
"""What a program may read of an answer, besides what every program may."""
MAX_AGE: Final = "7200"
"""Seconds that a browser need not ask again: the most that any of them keeps to."""
_FIELDS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_LONGEST: Final = 2000
_VARY: Final = ("Vary", "Origin")

Headers = list[tuple[str, str]]


class Cors:
    """`origins` as browsers write them: ``https://app.example.org``."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def fields(self, environ: dict[str, Any]) -> Headers:
        """What each answer has besides, whether the origin may read it or not: caches keep them apart."""
        origin = environ.get("HTTP_ORIGIN")
        if origin not in self._origins:
            return [_VARY]
        return [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED), _VARY]

    def preflight(self, environ: dict[str, Any]) -> Headers | None:
        """What the answer to a preflight has; None when this is none, or of an origin that is not let in.

        A WebDAV client's own OPTIONS names no method that it would ask for, and is answered as ever.
        """
        origin = environ.get("HTTP_ORIGIN")
        if environ["REQUEST_METHOD"] != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return None
        if origin not in self._origins:
            return None
        answer = [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Max-Age", MAX_AGE),
            ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        if len(wanted) <= _LONGEST and _FIELDS.fullmatch(wanted):
            # What this server does not understand it ignores: there is nothing to refuse.
            answer.insert(2, ("Access-Control-Allow-Headers", wanted))
        return answer
