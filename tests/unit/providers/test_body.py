"""Bodies: whole, or an error; over davserver's own server's kind of body and over other servers' input."""

import io
from typing import Any, cast

import pytest

from davserver.domain.errors import BadRequest, BodyTooLarge, DavserverError, IncompleteBody, Unavailable
from davserver.http.body import BodyCutOff
from providers.body import BODY, RequestBody
from providers.request import DavRequest


def body_of(data: bytes = b"", /, **environ: Any) -> RequestBody:
    environ = {"REQUEST_METHOD": "PUT", "wsgi.input": io.BytesIO(data)} | environ
    return RequestBody(DavRequest(environ, cast("Any", None), "/dav"))


def read_whole(body: RequestBody, size: int = 4) -> bytes:
    return b"".join(iter(lambda: body.read(size), b""))


def test_a_declared_body_is_read_to_its_length_and_no_further() -> None:
    body = body_of(b"hello, next request", CONTENT_LENGTH="5")
    assert body.length == 5
    assert read_whole(body) == b"hello"
    assert body.received == 5


def test_a_body_that_ends_before_its_declared_length_is_incomplete() -> None:
    body = body_of(b"hell", CONTENT_LENGTH="5")
    assert body.read(100) == b"hell"
    with pytest.raises(IncompleteBody):
        body.read(100)


@pytest.mark.parametrize("environ", [{"HTTP_TRANSFER_ENCODING": "chunked"}, {"wsgi.input_terminated": True}])
def test_a_body_that_ends_by_itself_has_no_length(environ: dict[str, Any]) -> None:
    body = body_of(b"hello", **environ)
    assert body.length is None
    assert read_whole(body) in {b"hello", b""}


def test_a_chunked_body_is_read_to_its_end() -> None:
    assert (
        read_whole(body_of(b"hello", HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input_terminated": True})) == b"hello"
    )


def test_without_any_length_there_is_no_body_and_nothing_is_read() -> None:
    stream = io.BytesIO(b"the next request")
    body = body_of(**{"wsgi.input": stream})
    assert body.length == 0
    assert body.read(10) == b""
    assert stream.tell() == 0
    assert body.is_empty()


@pytest.mark.parametrize("data", [b"hell", b"", b"hello!"])
def test_finders_announcement_must_be_met(data: bytes) -> None:
    body = body_of(data, HTTP_TRANSFER_ENCODING="Chunked", HTTP_X_EXPECTED_ENTITY_LENGTH="5")
    assert body.length == 5
    with pytest.raises(IncompleteBody):
        read_whole(body)


def test_finders_announcement_that_is_met_gives_the_body() -> None:
    body = body_of(b"hello", HTTP_TRANSFER_ENCODING="Chunked", HTTP_X_EXPECTED_ENTITY_LENGTH="5")
    assert read_whole(body) == b"hello"


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": "5", "HTTP_X_EXPECTED_ENTITY_LENGTH": "6"},
        {"CONTENT_LENGTH": "-5"},
        {"CONTENT_LENGTH": "+5"},
        {"CONTENT_LENGTH": "1_0"},
        {"CONTENT_LENGTH": "9" * 30},
        {"CONTENT_LENGTH": "5", "HTTP_X_EXPECTED_ENTITY_LENGTH": "five"},
        {"HTTP_X_EXPECTED_ENTITY_LENGTH": "5"},
    ],
)
def test_lengths_that_contradict_or_cannot_be_read_are_refused(environ: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        body_of(b"hello", **environ)


def test_an_empty_length_is_no_length() -> None:
    assert body_of(b"hello", CONTENT_LENGTH="").length == 0


class BreaksOff:
    """A stream that gives something and then fails, as sockets do."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._given = False

    def read(self, size: int) -> bytes:
        if self._given:
            raise self._error
        self._given = True
        return b"hell"[:size]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("timed out"), IncompleteBody),
        (ValueError("bad chunk size"), IncompleteBody),
        (ConnectionResetError(), IncompleteBody),
        (BodyCutOff("The body ended before it was whole."), IncompleteBody),
        (BodyCutOff("The server is being stopped.", cast("Any", 503)), Unavailable),
        (BodyCutOff("The body is too large.", cast("Any", 413)), BodyTooLarge),
    ],
)
@pytest.mark.parametrize("key", [BODY, "wsgi.input"])
def test_a_sending_that_breaks_off_is_an_error_with_a_meaning(
    key: str, error: Exception, expected: type[DavserverError]
) -> None:
    body = body_of(HTTP_TRANSFER_ENCODING="chunked", **{key: BreaksOff(error)})
    assert body.read(10) == b"hell"
    with pytest.raises(expected):
        body.read(10)


def test_the_own_servers_body_is_preferred() -> None:
    assert read_whole(body_of(b"no", CONTENT_LENGTH="3", **{BODY: io.BytesIO(b"yes")})) == b"yes"


def test_a_small_body_is_read_whole_within_a_limit() -> None:
    assert body_of(b"x" * 10, CONTENT_LENGTH="10").read_all(10) == b"x" * 10
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked"}
    assert body_of(b"x" * 10, **chunked).read_all(10) == b"x" * 10
    with pytest.raises(BodyTooLarge):
        body_of(b"x" * 11, CONTENT_LENGTH="11").read_all(10)
    with pytest.raises(BodyTooLarge):
        body_of(b"x" * 11, **chunked).read_all(10)


@pytest.mark.parametrize(
    ("data", "environ", "empty"),
    [
        (b"", {"CONTENT_LENGTH": "0"}, True),
        (b"", {"HTTP_TRANSFER_ENCODING": "chunked"}, True),
        (b"x", {"HTTP_TRANSFER_ENCODING": "chunked"}, False),
        (b"x", {"CONTENT_LENGTH": "1"}, False),
    ],
)
def test_emptiness_is_known_from_the_length_or_by_a_look(data: bytes, environ: dict[str, str], empty: bool) -> None:
    assert body_of(data, **environ).is_empty() is empty
