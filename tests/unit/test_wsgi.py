import io
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from davserver.domain.errors import NotFound
from davserver.domain.principal import Door, Origin, Principal
from davserver.wsgi import App, Environ, StartResponse

SHARES = ("/dav", "/an other")


class Answer:
    """What an application answered."""

    def __init__(self, app: App, method: str, path: str, **environ: Any) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        given = {
            "REQUEST_METHOD": method, "davserver.raw_path": path, "PATH_INFO": path, "wsgi.url_scheme": "http",
            "SERVER_NAME": "host", "SERVER_PORT": "80", "wsgi.input": io.BytesIO(),
        }  # fmt: skip
        parts = app(given | environ, self.start_response)
        self.body = b"".join(parts)
        close = getattr(parts, "close", None)
        if close is not None:
            close()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, dict(headers)
        return lambda part: None


def dav(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A door that says it was here, or fails as the path asks."""
    failures = {"/dav/fail": ZeroDivisionError("hush"), "/dav/gone": OSError("cut off"), "/dav/lost": NotFound("lost")}
    path = environ["davserver.raw_path"]
    if path in failures:
        raise failures[path]
    environ["davserver.principal"] = Principal(1, "ada", origin=Origin(Door.WEBDAV, "192.0.2.7", "phone"))
    start_response("200 OK", [("X-Door", "dav")])
    return iter([b"12", b"345"]) if path == "/dav/stream" else [b"dav"]


@pytest.fixture
def app() -> App:
    closed: list[bool] = []
    timer = itertools.count().__next__
    made = App(dav, SHARES, lambda: closed.append(True), prefix="id-", timer=lambda: float(timer()))
    made.closed = closed  # type: ignore[attr-defined]
    return made


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "davserver.access"):
        yield caplog


@pytest.mark.parametrize("path", ["/dav", "/dav/", "/dav/x", "/d%61v/x", "/dav/%ff", "/dav/a%2Fb", "/an%20other/x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PROPFIND", "NONSENSE"])
def test_what_is_below_a_share_goes_to_the_webdav_door(app: App, method: str, path: str) -> None:
    assert Answer(app, method, path).headers["X-Door"] == "dav"


@pytest.mark.parametrize("path", ["/", "/x", "/davenport", "/DAV/", "*"])
@pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND", "LOCK", "PUT"])
def test_a_webdav_client_that_looks_around_meets_the_webdav_door(app: App, method: str, path: str) -> None:
    assert Answer(app, method, path).headers["X-Door"] == "dav"


@pytest.mark.parametrize("path", ["/x", "/davenport", "/DAV/", "/%ff", "/%00", "/favicon.ico", "/api/"])
def test_a_browser_elsewhere_gets_a_404_and_no_question_for_a_password(app: App, path: str) -> None:
    answer = Answer(app, "GET", path)
    assert answer.status == "404 Not Found"
    assert "WWW-Authenticate" not in answer.headers
    assert b"at /dav/, what there is for programs at /api/docs." in answer.body


def test_a_page_is_found_with_a_slash_behind_it_too(app: App) -> None:
    answer = Answer(app, "GET", "/healthz/", QUERY_STRING="a=b")
    assert answer.status == "308 Permanent Redirect"
    assert answer.headers["Location"] == "/healthz?a=b"


def test_the_front_page_tells_the_address_and_trusts_no_header(app: App) -> None:
    answer = Answer(app, "GET", "/", HTTP_HOST='a"><script>')
    assert answer.status == "200 OK"
    assert b"<script>" not in answer.body
    assert b"http://drive.example/dav/" in Answer(app, "GET", "/", HTTP_HOST="drive.example").body
    assert b"http://host:80/dav/" in Answer(app, "GET", "/").body
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_health_is_ok(app: App) -> None:
    answer = Answer(app, "GET", "/healthz")
    assert (answer.status, answer.body) == ("200 OK", b"ok\n")


def test_a_head_has_the_length_and_no_body(app: App) -> None:
    answer = Answer(app, "HEAD", "/healthz")
    assert (answer.headers["Content-Length"], answer.body) == ("3", b"")


def test_what_a_door_should_not_have_raised_is_a_500_that_tells_nothing_but_its_id(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    answer = Answer(app, "GET", "/dav/fail", HTTP_AUTHORIZATION="Basic hush")
    assert answer.status == "500 Internal Server Error"
    request_id = answer.headers["X-Request-ID"]
    assert request_id.encode() in answer.body
    assert b"hush" not in answer.body
    assert b"ZeroDivision" not in answer.body
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert request_id in record.getMessage()
    assert "Basic" not in caplog.text


def test_an_error_with_a_meaning_is_rendered_even_without_a_door(app: App) -> None:
    answer = Answer(app, "GET", "/dav/lost")
    assert (answer.status[:3], answer.body) == ("404", b"lost\n")


def test_a_broken_connection_is_left_to_the_server(app: App) -> None:
    with pytest.raises(OSError, match="cut off"):
        Answer(app, "PUT", "/dav/gone")


def test_every_request_has_an_id_of_its_own(app: App) -> None:
    ids = [Answer(app, "GET", "/healthz").headers["X-Request-ID"] for _ in range(3)]
    assert ids == ["id-1", "id-2", "id-3"]


def test_the_log_has_one_line_a_request_without_query_and_credentials(app: App, log: pytest.LogCaptureFixture) -> None:
    Answer(app, "GET", "/dav/x", QUERY_STRING="token=hush", HTTP_AUTHORIZATION="Basic hush", HTTP_COOKIE="hush")
    [record] = log.records
    assert record.getMessage() == "GET /dav/x 200 1000.0 ms 3 bytes ada"
    assert record.__dict__["request"] == {
        "method": "GET", "path": "/dav/x", "status": "200", "ms": 1000.0, "bytes": 3, "user": "ada",
        "device": "phone", "address": None, "request_id": "id-1",
    }  # fmt: skip


def test_a_streamed_answer_is_logged_when_it_ended(app: App, log: pytest.LogCaptureFixture) -> None:
    assert Answer(app, "GET", "/dav/stream").body == b"12345"
    assert log.records[0].getMessage() == "GET /dav/stream 200 1000.0 ms 5 bytes ada"


def test_a_refused_request_is_logged_without_a_user(app: App, log: pytest.LogCaptureFixture) -> None:
    Answer(app, "GET", "/nowhere")
    assert log.records[0].getMessage() == "GET /nowhere 404 1000.0 ms 87 bytes -"


def test_closing_closes_the_services(app: App) -> None:
    app.close()
    assert app.closed == [True]  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", ["0af7651916cd43dd8448eb211c80319c", "a.b_c-d:e", "x" * 128])
def test_a_request_keeps_the_id_that_a_proxy_gave_it(app: App, log: pytest.LogCaptureFixture, given: str) -> None:
    answer = Answer(app, "GET", "/healthz", HTTP_X_REQUEST_ID=given)
    assert answer.headers["X-Request-ID"] == given
    [record] = log.records
    assert record.request["request_id"] == given  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", ["", " a", "a b", "a\r\nX: y", "\u00e9", "<b>", '"', "x" * 129, "-a"])
def test_an_id_that_could_spoil_a_log_is_replaced(app: App, given: str) -> None:
    assert Answer(app, "GET", "/healthz", HTTP_X_REQUEST_ID=given).headers["X-Request-ID"].startswith("id-")


def test_the_log_says_which_device_asked_and_from_where(app: App, log: pytest.LogCaptureFixture) -> None:
    Answer(app, "GET", "/dav/x", REMOTE_ADDR="192.0.2.7")
    [record] = log.records
    fields = record.request  # type: ignore[attr-defined]
    assert (fields["device"], fields["address"]) == ("phone", "192.0.2.7")


def test_the_page_about_the_log_names_every_field(app: App, log: pytest.LogCaptureFixture) -> None:
    Answer(app, "GET", "/dav/x")
    [record] = log.records
    page = (Path(__file__).parents[2] / "docs" / "logging.md").read_text("utf-8")
    told = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert set(told) == {"time", "level", "logger", "message", "trace", *record.request}  # type: ignore[attr-defined]
