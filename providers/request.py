"""A WebDAV request as values: what the header fields mean, read once and checked."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from davserver.domain.clock import Clock, Micros, system_clock
from davserver.domain.conditions import Preconditions, parse_http_date, parse_if, parse_tag_set, submitted_tokens
from davserver.domain.errors import BadRequest, DavserverError, DestinationElsewhere, NotFound, Unauthenticated
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.services.listing import Depth

if TYPE_CHECKING:
    from davserver.bootstrap import Services

Environ = dict[str, Any]

PRINCIPAL: Final = "davserver.principal"
"""The key in the WSGI environment that the authenticator sets."""
RAW_PATH: Final = "davserver.raw_path"
"""The request's path as it came, still encoded; davserver's own HTTP server sets it."""


class DavRequest:
    """One request to the share that is mounted at `base` (such as ``/dav``, no slash at the end)."""

    def __init__(self, environ: Environ, services: "Services", base: str, clock: Clock = system_clock) -> None:
        self.environ = environ
        self.services = services
        self.base = base
        self.method: str = environ["REQUEST_METHOD"]
        self._clock = clock

    @property
    def principal(self) -> Principal:
        """Who acts. Raises `Unauthenticated` when nobody signed in, which only OPTIONS may go without (rule R3)."""
        principal: Principal | None = self.environ.get(PRINCIPAL)
        if principal is None:
            raise Unauthenticated
        return principal

    @property
    def now(self) -> Micros:
        """The current time."""
        return self._clock()

    @cached_property
    def path(self) -> ResourcePath:
        """The URL's path below the share. Raises `InvalidName` and its kin; `NotFound` when it is not below the share."""
        try:
            return self._below_share(raw_path(self.environ))
        except DestinationElsewhere:
            raise NotFound from None

    @property
    def has_slash(self) -> bool:
        """Whether the URL ends with a slash."""
        return raw_path(self.environ).endswith("/")

    @property
    def href(self) -> str:
        """The absolute, encoded path of the URL, without a slash at the end: what `D:href` starts with (rule R17)."""
        return self.base + self.path.encoded

    def header(self, name: str) -> str | None:
        """A header field by its name (``X-OC-Mtime``), or None."""
        key = name.upper().replace("-", "_")
        value = self.environ.get(key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_" + key)
        return None if value is None else str(value)

    def depth(self, default: Depth) -> Depth:
        """The Depth header (RFC 4918 section 10.2); ``1,noroot`` is read as 1 (rule R14). Raises `BadRequest`."""
        given = self.header("Depth")
        if given is None or not given.strip():
            return default
        try:
            return Depth(given.split(",")[0].strip().lower())
        except ValueError:
            raise BadRequest("Depth must be 0, 1 or infinity.") from None

    @property
    def overwrite(self) -> bool:
        """The Overwrite header (RFC 4918 section 10.6): T unless it says F. Raises `BadRequest` on anything else."""
        given = (self.header("Overwrite") or "T").strip().upper()
        if given not in {"T", "F"}:
            raise BadRequest("Overwrite must be T or F.")
        return given == "T"

    @cached_property
    def destination(self) -> ResourcePath:
        """The Destination header: its path alone counts, whatever scheme, user and host stand before it (rule R34)."""
        given = self.header("Destination")
        if not given:
            raise BadRequest("The Destination header is missing.")
        return self.path_of_url(given)

    def path_of_url(self, url: str) -> ResourcePath:
        """The path below the share of an absolute URL or absolute path. Raises `DestinationElsewhere`, `InvalidName`."""
        path = path_of_target(url.strip())
        if path.startswith("//"):
            path = "/" + path[2:].partition("/")[2]
        if not path.startswith("/"):
            raise BadRequest("A URL or an absolute path is needed.")
        return self._below_share(path)

    @cached_property
    def preconditions(self) -> Preconditions:
        """All conditional header fields. Raises `BadRequest` when the If header cannot be read."""
        given = self.header("If")
        lists = parse_if(given, self._path_of_tag) if given and given.strip() else ()
        return Preconditions(
            if_lists=lists,
            if_match=parse_tag_set(self.header("If-Match")),
            if_none_match=parse_tag_set(self.header("If-None-Match")),
            if_modified_since=parse_http_date(self.header("If-Modified-Since")),
            if_unmodified_since=parse_http_date(self.header("If-Unmodified-Since")),
            tokens=submitted_tokens(lists, self.header("Lock-Token")),
        )

    def _path_of_tag(self, tag: str) -> ResourcePath | None:
        try:
            return self.path_of_url(tag)
        except DavserverError:
            return None

    def _below_share(self, raw: str) -> ResourcePath:
        below = below_base(raw, self.base)
        if below is None:
            raise DestinationElsewhere
        return ResourcePath.parse(below, max_depth=self.services.config.max_depth)


def below_base(raw: str, base: str) -> str | None:
    """What follows `base` in an encoded path, or None when it lies elsewhere. Escapes may differ (rule R24), cases not."""
    if raw == base or raw.startswith(base + "/"):
        return raw[len(base) :]
    given, wanted = raw.lstrip("/").split("/"), base.lstrip("/").split("/")
    if [unquote(name) for name in given[: len(wanted)]] != [unquote(name) for name in wanted]:
        return None
    return "".join("/" + name for name in given[len(wanted) :])


def raw_path(environ: Mapping[str, Any]) -> str:
    """The path of the request's URL, still encoded, without the query."""
    raw = environ.get(RAW_PATH)
    if raw is not None:
        return str(raw)
    # Another server: some tell the request target as it came.
    target = str(environ.get("REQUEST_URI") or environ.get("RAW_URI") or "")
    if target:
        return path_of_target(target)
    # What it decoded is encoded again. `%2F` then is lost or kept as that server does.
    shown = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    return quote(shown.encode("latin-1"), safe="/%")


def path_of_target(target: str) -> str:
    """The path of a request's target, which may be an absolute URL: without scheme, host, query and fragment."""
    # Cut before decoding: an encoded question mark is part of a name (wsgidav#139), a bare one starts the query.
    path = target.split("#", 1)[0].split("?", 1)[0]
    if "://" in path and not path.startswith("/"):
        return "/" + path.split("://", 1)[1].partition("/")[2]
    return path
