"""Web programs of other origins: what a browser asks and is told, byte for byte, by a running server."""

import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.davserver import Deployment, ServerProcess, User
from tests.support.fixtures_davserver import make_deployment

KEEWEB = "https://app.keeweb.info"
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK"
EXPOSED = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Length, Content-Range, DAV, ETag, Last-Modified, Location, "
    "Lock-Token, OC-Checksum, OC-ETag, Retry-After, WWW-Authenticate, X-OC-MTime, X-Request-ID"
)


class Browser:
    """Requests as a browser writes them, one a connection; answers as they stood on the wire."""

    def __init__(self, deployment: Deployment, server: ServerProcess, user: User) -> None:
        self.deployment, self.server, self.user = deployment, server, user
        self.basic = "Basic " + b64encode(f"{user.name}:{user.password}".encode()).decode()

    def send(self, line: str, body: bytes = b"", /, **fields: str) -> tuple[str, bytes]:
        """The head without Date, lines ended by LF, and the body."""
        sent = {"Host": "x", "X-Request-ID": "r1", "Connection": "close"}
        sent |= {name.replace("_", "-"): value for name, value in fields.items()}
        if body:
            sent["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        with closing(socket.create_connection(self.server.address, timeout=30)) as client:
            client.sendall(f"{line} HTTP/1.1\r\n{head}\r\n".encode() + body)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        got, _, rest = answer.partition(b"\r\n\r\n")
        return re.sub(r"\nDate: [^\n]*", "", got.decode().replace("\r\n", "\n")), rest


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder: Path = tmp_path_factory.mktemp("cors")
    for deployment in make_deployment("embedded", request, folder):
        user = deployment.add_user()
        server = deployment.start(DAVSERVER_CORS_ORIGINS=f"{KEEWEB}, http://localhost:3000", DAVSERVER_PROCESSES="1")
        yield Browser(deployment, server, user)


@pytest.mark.parametrize("path", ["/dav/db.kdbx", "/dav/", "/dav", "/api/v1/me", "/dav/%ff"])
def test_a_preflight_is_answered_without_credentials(browser: Browser, path: str) -> None:
    asked = {
        "Origin": KEEWEB, "Access_Control_Request_Method": "MOVE",
        "Access_Control_Request_Headers": "authorization,destination,overwrite",
    }  # fmt: skip
    head, body = browser.send(f"OPTIONS {path}", **asked)
    assert body == b""
    assert head == (
        "HTTP/1.1 204 No Content\n"
        f"Access-Control-Allow-Origin: {KEEWEB}\n"
        f"Access-Control-Allow-Methods: {METHODS}\n"
        "Access-Control-Allow-Headers: authorization,destination,overwrite\n"
        "Access-Control-Max-Age: 7200\n"
        "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"
        "X-Request-ID: r1\n"
        "Connection: close\n"
        "Server: davserver"
    )


def test_a_preflight_cannot_write_header_fields(browser: Browser) -> None:
    asked = {"Origin": KEEWEB, "Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "a b;\tc"}
    head, _ = browser.send("OPTIONS /dav/", **asked)
    assert "Access-Control-Allow-Origin" in head
    assert "Access-Control-Allow-Headers" not in head


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", f"{KEEWEB}.evil.example", "http://app.keeweb.info", f"{KEEWEB}:8443", "null", "*", ""],
)
def test_another_origin_is_told_nothing(browser: Browser, origin: str) -> None:
    for line in ("OPTIONS /dav/", "GET /api/v1/me", "GET /dav/x"):
        head, _ = browser.send(line, Origin=origin, Access_Control_Request_Method="PUT")
        assert "Access-Control" not in head
        assert "\nVary: Origin" in head


def test_an_options_of_a_webdav_client_is_answered_as_ever(browser: Browser) -> None:
    plain, _ = browser.send("OPTIONS /dav/")
    assert plain == (
        "HTTP/1.1 200 OK\nDAV: 1, 2, 3\nMS-Author-Via: DAV\n"
        "Allow: OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK\n"
        "Accept-Ranges: bytes\nVary: Origin\nX-Request-ID: r1\nContent-Length: 0\nConnection: close\nServer: davserver"
    )
    crossing, _ = browser.send("OPTIONS /dav/", Origin=KEEWEB)
    added = f"Access-Control-Allow-Origin: {KEEWEB}\nAccess-Control-Expose-Headers: {EXPOSED}\nVary: Origin"
    assert crossing == plain.replace("Vary: Origin", added)
    assert browser.send("OPTIONS /dav/", Authorization="Basic eDp5")[0].startswith("HTTP/1.1 401 ")


def test_keeweb_opens_and_saves_a_file(browser: Browser) -> None:
    """What the npm library `webdav` sends, which KeeWeb uses: stat, a temporary file, MOVE over the old one."""
    own = {"Origin": KEEWEB, "Authorization": browser.basic}
    readable = f"\nAccess-Control-Allow-Origin: {KEEWEB}\nAccess-Control-Expose-Headers: {EXPOSED}\nVary: Origin\n"
    head, _ = browser.send("PUT /dav/db.kdbx", b"first", **own)
    assert head.startswith("HTTP/1.1 201 ")
    assert readable in head
    assert "\nETag: " in head
    head, body = browser.send("PROPFIND /dav/db.kdbx", Depth="0", **own)
    assert head.startswith("HTTP/1.1 207 ")
    assert readable in head
    assert b"getlastmodified" in body
    assert browser.send("PUT /dav/.db.kdbx.1", b"second", **own)[0].startswith("HTTP/1.1 201 ")
    moved, _ = browser.send("MOVE /dav/.db.kdbx.1", Destination="http://x/dav/db.kdbx", Overwrite="T", **own)
    assert moved.startswith("HTTP/1.1 204 ")
    for _ in range(2):  # from the tree, and from what is remembered of it
        head, body = browser.send("GET /dav/db.kdbx", **own)
        assert body == b"second"
        assert readable in head
    refused, _ = browser.send("GET /dav/db.kdbx", Origin=KEEWEB)
    assert refused.startswith("HTTP/1.1 401 ")
    assert readable in refused


def test_a_web_program_signs_in_and_reads_errors(browser: Browser) -> None:
    given = json.dumps({"name": browser.user.name, "password": browser.user.password}).encode()
    head, body = browser.send(
        "POST /api/v1/sessions", given, Origin="http://localhost:3000", Content_Type="application/json"
    )
    assert head.startswith("HTTP/1.1 201 ")
    token = json.loads(body)["access_token"]
    head, body = browser.send("GET /api/v1/nothing", Origin="http://localhost:3000", Authorization=f"Bearer {token}")
    assert head.startswith("HTTP/1.1 404 ")
    assert "\nAccess-Control-Allow-Origin: http://localhost:3000\n" in head
    assert json.loads(body)["code"] == "not_found"


def test_credentials_mode_is_never_allowed_and_pages_stay_out_of_it(browser: Browser) -> None:
    for line in ("GET /dav/", "GET /api/openapi.json", "OPTIONS /dav/"):
        head, _ = browser.send(line, Origin=KEEWEB, Access_Control_Request_Method="GET")
        assert "Allow-Credentials" not in head
        assert "Origin: *" not in head
    for path in ("/", "/healthz", "/s/x", "/metrics"):
        head, _ = browser.send(f"GET {path}", Origin=KEEWEB)
        assert "Access-Control" not in head
        assert "Vary" not in head
