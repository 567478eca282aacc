"""What is refused on the wire, and that nothing after it is taken for a request."""

import time

import pytest

from tests.http.conftest import Echo, Serve

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

DESYNC = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: %d\r\n",
    "length and coding": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
    "coding and length": b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
    "a blank before the colon": b"Content-Length : %d\r\n",
    "a folded length": b"Content-Length:\r\n %d\r\n",
    "a coding with a vertical tab": b"Transfer-Encoding: \x0bchunked\r\nX: %d\r\n",
    "LF alone": b"X: y\nContent-Length: %d\r\n",
    "a sign": b"Content-Length: +%d\r\n",
    "a negative length": b"Content-Length: -%d\r\n",
    "a list of codings": b"Transfer-Encoding: gzip, chunked\r\nX: %d\r\n",
}


@pytest.mark.parametrize("fields", DESYNC.values(), ids=DESYNC)
def test_an_ambiguous_request_is_refused_and_what_follows_is_never_served(
    serve: Serve, echo: Echo, fields: bytes
) -> None:
    wire = serve(echo).connect()
    body = b"0\r\n\r\n" + SMUGGLED
    wire.send(b"PUT /a HTTP/1.1\r\nHost: h\r\n" + fields % len(body) + b"\r\n" + body + SMUGGLED)
    answer = wire.answer()
    assert (answer.status, answer.fields["connection"]) == (400, "close")
    assert wire.is_closed()
    assert not echo.environs


def test_an_unread_body_is_never_taken_for_the_next_request(serve: Serve, refuse: Echo) -> None:
    seen = []

    def app(environ: dict[str, object], start_response: object) -> list[bytes]:
        seen.append(environ["PATH_INFO"])
        return refuse(environ, start_response)  # type: ignore[arg-type]

    running = serve(app)
    for head, body in [
        (b"Content-Length: %d" % len(SMUGGLED), SMUGGLED),
        (b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    ]:
        wire = running.connect()
        wire.send(b"PUT /a HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n\r\n")
        time.sleep(0.1)
        wire.send(body)
        assert wire.answer().status == 401
        wire.send(b"GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        wire.rest()
    assert "/smuggled" not in seen


@pytest.mark.parametrize("ending", [b"\r\n\r\n", b""], ids=["whole", "endless"])
def test_heads_that_are_too_large_are_refused_without_waiting_for_their_end(
    serve: Serve, echo: Echo, ending: bytes
) -> None:
    running = serve(echo)
    assert running.ask(b"GET /" + b"a" * 70_000 + (b" HTTP/1.1" if ending else b"") + ending).status == 414
    assert running.ask(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 70_000 + ending).status == 431
    assert not echo.environs


def test_a_target_of_8_kib_is_served_and_one_of_40_is_not(serve: Serve, echo: Echo) -> None:
    running = serve(echo)
    assert running.ask(b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: h\r\n\r\n").status == 200
    assert running.ask(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n").status == 414
    assert running.ask(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 200 + b"\r\n").status == 431


def test_empty_lines_before_a_request_are_overlooked_up_to_a_point(serve: Serve, echo: Echo) -> None:
    running = serve(echo)
    assert running.ask(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 200
    assert running.ask(b"\r\n" * 9 + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 400


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\nHost: h\n\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"\r\n\r\n\r\n\r\n\r\n\r\n"]
)
def test_what_is_not_http_1_is_refused_at_once(serve: Serve, echo: Echo, noise: bytes) -> None:
    assert serve(echo).ask(noise).status == 400


@pytest.mark.parametrize(
    "path", [b"/a%2Fb", b"/%00", b"/%", b"/%zz", b"/%ff", b"/%ed%a0%80", b"/../a", b"//a", b"/\xff\xfe"]
)
def test_any_path_reaches_the_application_as_it_was_sent(serve: Serve, echo: Echo, path: bytes) -> None:
    assert serve(echo).ask(b"GET " + path + b"?q HTTP/1.1\r\nHost: h\r\n\r\n").status == 200
    environ = echo.environs[0]
    assert environ["davserver.raw_path"].encode("latin-1") == path
    assert environ["REQUEST_URI"].encode("latin-1") == path + b"?q"
    assert environ["PATH_INFO"].startswith("/")
