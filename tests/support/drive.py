"""One user's drive behind the whole WebDAV application, called as a server would call it but without a socket."""

import base64
import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from lxml import etree

from davserver.bootstrap import Services, build
from davserver.config import Config
from davserver.db.migrate import upgrade
from davserver.domain.clock import SECOND, Micros, system_clock
from davserver.domain.principal import Principal
from davserver.services.accounts import Accounts
from davserver.services.passwords import PasswordHasher
from providers.app import WsgiApp, make_dav_app

DAV = "{DAV:}"


class MovableClock:
    """The machine's clock, which can be put forward."""

    def __init__(self) -> None:
        self.ahead: Micros = 0

    def __call__(self) -> Micros:
        return system_clock() + self.ahead

    def advance(self, seconds: float) -> None:
        """Let this much time pass at once."""
        self.ahead += round(seconds * SECOND)


@dataclass(frozen=True)
class Response:
    """What came back."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields by their names in lower case."""
        return {name.lower(): value for name, value in self.fields}

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def xml(self) -> Any:
        """The root element of the body."""
        return etree.fromstring(self.body)

    @property
    def hrefs(self) -> list[str]:
        """The paths of a multistatus, in order."""
        return [str(found.text) for found in self.xml.findall(f"{DAV}response/{DAV}href")]

    def props(self, href: str | None = None, status: int = 200) -> dict[str, Any]:
        """Property elements with that status, by expanded name (``{DAV:}getetag``): of one response, or of the first."""
        for response in self.xml.findall(f"{DAV}response"):
            if href is None or response.findtext(f"{DAV}href") == href:
                stats = [s for s in response.findall(f"{DAV}propstat") if f" {status} " in s.findtext(f"{DAV}status")]
                return {element.tag: element for stat in stats for element in stat.find(f"{DAV}prop")}
        raise AssertionError(f"no response for {href}")


class Sent(io.BytesIO):
    """A body as davserver's own server hands it on: an OSError at the end when it was cut off."""

    def __init__(self, data: bytes, *, is_cut: bool = False) -> None:
        super().__init__(data)
        self.is_cut = is_cut

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data and self.is_cut and size != 0:
            raise ConnectionError("the body did not arrive whole")
        return data


@dataclass
class Drive:
    """A user, their password, and the application."""

    services: Services
    app: WsgiApp
    principal: Principal
    password: str
    clock: MovableClock
    base: str = "/dav"
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every request."""

    def url(self, path: str) -> str:
        """The absolute, encoded path of what is at `path` below the share (for Destination and If)."""
        return self.base + path

    def request(
        self,
        method: str,
        path: str = "/",
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        cut_off: bool = False,
        length: int | None = None,
    ) -> Response:
        """Send a request for `path`, encoded and below the share, as the user.

        `chunked`: without a Content-Length. `cut_off`: the connection breaks behind `body`. `length`: declare this many bytes.
        """
        sent = {"Authorization": self.credentials, **self.headers, **(headers or {})}
        return self.request_raw(method, self.base + path, body, sent, chunked=chunked, cut_off=cut_off, length=length)

    def request_raw(
        self,
        method: str,
        target: str,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        cut_off: bool = False,
        length: int | None = None,
    ) -> Response:
        """Send a request for any path, with these header fields alone: no Authorization by itself."""
        data = body.encode() if isinstance(body, str) else body
        fields = dict(headers or {})
        if chunked:
            fields["Transfer-Encoding"] = "chunked"
        elif data or length is not None:
            fields.setdefault("Content-Length", str(len(data) if length is None else length))
        return call(self.app, environ_of(method, target, Sent(data, is_cut=cut_off), fields), method)

    def put(self, path: str, body: bytes | str = b"content") -> Response:
        """Store a file, and see that it worked."""
        response = self.request("PUT", path, body)
        assert response.status in {201, 204}, response
        return response

    def mkcol(self, path: str) -> Response:
        """Make a collection, and see that it worked."""
        response = self.request("MKCOL", path)
        assert response.status == 201, response
        return response

    def lock(self, path: str, *, depth: str = "infinity", scope: str = "exclusive") -> str:
        """Take a lock and return its token."""
        body = (
            f'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype>'
            "<D:owner>somebody</D:owner></D:lockinfo>"
        )
        response = self.request("LOCK", path, body, {"Depth": depth})
        assert response.status in {200, 201}, response
        return response.headers["lock-token"].strip("<>")

    @property
    def credentials(self) -> str:
        """The value of the Authorization header."""
        return basic(self.principal.name, self.password)

    def neighbour(self) -> "Drive":
        """Another new user of the same server."""
        return new_drive(self.services, self.app, self.clock)


def basic(name: str, password: str, encoding: str = "utf-8") -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()


def environ_of(method: str, target: str, stream: Sent, headers: Mapping[str, str]) -> dict[str, Any]:
    """The WSGI environment as davserver.http makes it."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "davserver.raw_path": path,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": stream,
        "wsgi.input_terminated": True,
        "davserver.body": stream,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_" + key] = value
    return environ


def call(app: WsgiApp, environ: dict[str, Any], method: str) -> Response:
    """Call a WSGI application as a server does, and see that the answer is one that a server can send."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        del exc_info
        started.append((status, headers))

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    [(status, headers)] = started
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    assert len(lengths) <= 1, headers
    if method == "HEAD":
        assert not body
    elif lengths:
        assert int(lengths[0]) == len(body), (headers, body[:100])
    return Response(int(status.split()[0]), tuple(headers), body)


def open_services(folder: Path, clock: MovableClock, **settings: Any) -> Services:
    """Services over a new SQLite database and folder. Passwords are hashed with the least effort that argon2 has."""
    services = build(Config(data_dir=folder, testing=True, **settings), clock=clock)
    upgrade(services.config.database.reveal())
    hasher = PasswordHasher(memory_kib=8, rounds=1)
    return replace(services, accounts=Accounts(services.database, clock, secrets.token_bytes(32), hasher=hasher))


def new_drive(services: Services, app: WsgiApp, clock: MovableClock) -> Drive:
    """A new user with an empty tree."""
    name, password = f"user-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    services.accounts.add(name, password)
    return Drive(services, app, services.accounts.authenticate(name, password), password, clock)


def app_of(services: Services, clock: MovableClock) -> WsgiApp:
    """The application over them."""
    return make_dav_app(services, clock)
