"""Errors as answers: rules R8, R23, R45 of the clients, and what wsgidav.md 3.6 and 3.9 list of the base."""

import logging
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from davserver.domain import errors
from davserver.domain.errors import DavserverError
from providers.errors import ErrorRenderer, answer_error
from tests.support.drive import DAV, Drive, Sent, call, environ_of

SECRET = "AKIA-secret-key SELECT * FROM users"


def all_errors() -> list[type[DavserverError]]:
    found: list[type[DavserverError]] = []
    todo = [DavserverError]
    while todo:
        found += (kinds := todo.pop().__subclasses__())
        todo += kinds
    return sorted(found, key=lambda kind: kind.code)


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_is_answered_with_its_status_and_is_xml_only_with_a_condition(kind: type[DavserverError]) -> None:
    answer = answer_error(kind(hrefs=("/a%20b",)), method="PUT", base="/dav", realm="r")
    assert answer.status == kind.status
    headers = dict(answer.headers)
    assert "no-store" in headers["Cache-Control"]
    assert isinstance(answer.body, bytes)
    if kind.condition:
        assert headers["Content-Type"] == "application/xml; charset=utf-8"
        assert f"<D:{kind.condition}><D:href>/dav/a%20b</D:href></D:{kind.condition}>".encode() in answer.body
    else:
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert kind.code.encode() in answer.body
        assert b"<" not in answer.body
    assert ("WWW-Authenticate" in headers) == (kind.status == 401)
    assert ("Allow" in headers) == (kind.status == 405)
    assert headers.get("Retry-After") == (str(kind.retry_after) if kind.retry_after is not None else None)


def rendering(app: Any) -> Any:
    """The renderer over an application of the test's."""
    wsgidav_app = SimpleNamespace(provider_map={})
    return ErrorRenderer(wsgidav_app, app, {"verbose": 1}, new_id=lambda: "the-id")


def test_what_is_unexpected_is_a_500_that_tells_an_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise ValueError(SECRET)

    with caplog.at_level(logging.ERROR):
        response = call(
            rendering(broken), environ_of("GET", "/dav/x?y", Sent(b""), {"Authorization": "Basic s3cr3t"}), "GET"
        )
    assert response.status == 500
    assert "the-id" in response.text
    for leak in (SECRET, "ValueError", "Traceback", "wsgidav", "Python", "line "):
        assert leak.lower() not in (response.text + str(response.fields)).lower()
    [record] = caplog.records
    assert "the-id" in record.getMessage()
    assert record.exc_info is not None
    assert "s3cr3t" not in caplog.text


def test_an_answer_that_breaks_off_is_logged_and_passed_on_to_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def breaking(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "10")])

        def body() -> Iterator[bytes]:
            yield b"12345"
            raise errors.ContentDamaged

        return body()

    with caplog.at_level(logging.ERROR), pytest.raises(errors.ContentDamaged):
        call(rendering(breaking), environ_of("GET", "/dav/x", Sent(b""), {}), "GET")
    assert "the-id" in caplog.text


def test_a_body_that_nobody_reads_to_its_end_is_closed() -> None:
    closed: list[bool] = []

    def streaming(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])

        def body() -> Iterator[bytes]:
            try:
                yield b"1"
                yield b"2"
            finally:
                closed.append(True)

        return body()

    parts = rendering(streaming)(environ_of("GET", "/dav/x", Sent(b""), {}), lambda *_: None)
    assert next(iter(parts)) == b"1"
    parts.close()
    assert closed == [True]


@pytest.mark.parametrize("method", ["POST", "PATCH", "REPORT", "SEARCH", "TRACE", "BIND", "propfind", "MKCALENDAR"])
def test_a_method_that_is_not_there_is_405_with_those_that_are(drive: Drive, method: str) -> None:
    response = drive.request(method, "/", b"<x/>")
    assert response.status == 405
    assert {"GET", "PUT", "PROPFIND", "LOCK"} <= set(response.headers["allow"].split(", "))


def test_a_405_does_not_allow_what_it_refuses(drive: Drive) -> None:
    drive.mkcol("/d")
    for method in ("PUT", "MKCOL"):
        response = drive.request(method, "/d")
        assert response.status == 405
        assert method not in response.headers["allow"].split(", ")
        assert "PROPFIND" in response.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "path", ["/%FF", "/%ED%A0%80", "/a%00b", "/a%2Fb", "/a%2fb", "/a%", "/%zz", "/a/../b", "/%2e%2e/x", "/a%01"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "PROPFIND", "MKCOL", "LOCK"])
def test_a_path_that_cannot_be_stored_is_400_before_anything_happens(drive: Drive, method: str, path: str) -> None:
    before = drive.request("PROPFIND", "/").hrefs
    assert drive.request(method, path, b"").status == 400
    assert drive.request("PROPFIND", "/").hrefs == before


def test_a_path_out_of_the_share_is_not_in_it(drive: Drive) -> None:
    drive.put("/a")
    for target in ("/dav/../dav/a", "/x/../dav/a", "/DAV/a", "/davx/a", "/da"):
        assert drive.request_raw("GET", target, headers={"Authorization": drive.credentials}).status in {400, 404}


def test_r45_a_locked_resource_is_423_with_the_condition_and_the_root_of_the_lock(drive: Drive) -> None:
    drive.mkcol("/d")
    drive.lock("/d")
    response = drive.request("PUT", "/d/f", b"x")
    assert response.status == 423
    assert response.xml.tag == f"{DAV}error"
    assert response.xml.findtext(f"{DAV}lock-token-submitted/{DAV}href") == "/dav/d/"


def test_head_of_what_is_missing_has_the_header_fields_of_get_and_no_body(drive: Drive) -> None:
    get, head = (drive.request(method, "/missing") for method in ("GET", "HEAD"))
    assert get.status == head.status == 404
    assert get.fields == head.fields
    assert get.body
    assert not head.body


def test_answers_tell_no_version_and_no_page_of_wsgidav(drive: Drive) -> None:
    answers = [
        drive.request("PUT", "/a", b"x"),
        drive.request("GET", "/missing"),
        drive.request("POST", "/"),
        drive.request("DELETE", "/x"),
    ]
    for response in answers:
        assert "wsgidav" not in (response.body.decode() + str(response.fields)).lower()
    assert answers[0].body == b""
