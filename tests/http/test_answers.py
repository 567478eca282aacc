"""What the server makes of an application's answer."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from davserver.http.exchange import Environ, StartResponse
from tests.http.conftest import Echo, Serve

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


def answering(
    parts: Any, *, status: str = "200 OK", headers: list[tuple[str, str]] | None = None
) -> Callable[[Environ, StartResponse], Any]:
    """An application that always answers this. `parts` may be a list, or a function that makes an iterable."""

    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response(status, headers or [])
        return parts() if callable(parts) else parts

    return app


def test_a_small_answer_is_one_packet_with_date_and_a_server_without_version(serve: Serve) -> None:
    wire = serve(answering([b"hello"])).connect()
    wire.send(GET)
    packet = wire.socket.recv(65536)
    assert packet.startswith(b"HTTP/1.1 200 OK\r\n")
    assert packet.endswith(b"\r\n\r\nhello")
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", packet)
    assert b"\r\nServer: davserver\r\n" in packet
    assert b"\r\nContent-Length: 5\r\n" in packet


def test_date_and_server_of_the_application_stand(serve: Serve) -> None:
    answer = serve(answering([], headers=[("date", "then"), ("SERVER", "other")])).ask(GET)
    assert answer.raw_head.lower().count(b"date:") == answer.raw_head.lower().count(b"server:") == 1


def test_answers_do_not_wait_for_acknowledgements(serve: Serve) -> None:
    def parts() -> Iterator[bytes]:
        yield from (b"a", b"b", b"c")

    wire = serve(answering(parts)).connect()
    took = []
    for _ in range(20):
        started = time.monotonic()
        assert wire.ask(GET).body == b"abc"
        took.append(time.monotonic() - started)
    assert min(took) < 0.03  # a delayed acknowledgement, which each would wait for, is 0.04 s


@pytest.mark.parametrize("size", [0, 1, 65536, 5_000_000])
def test_a_body_of_known_length_is_sent_as_it_is(serve: Serve, size: int) -> None:
    body = b"x" * size
    wire = serve(answering([body])).connect()
    assert wire.ask(GET).body == body
    assert wire.ask(GET).fields["content-length"] == str(size)


def test_a_generator_without_length_is_chunked_and_to_http_1_0_ended_by_closing(serve: Serve) -> None:
    def parts() -> Iterator[bytes]:
        yield b""
        yield b"one"
        yield b"two"

    running = serve(answering(parts))
    wire = running.connect()
    first = wire.ask(GET)
    assert (first.fields["transfer-encoding"], first.body) == ("chunked", b"onetwo")
    assert wire.ask(GET).body == b"onetwo"
    old = running.ask(b"GET /a HTTP/1.0\r\n\r\n")
    assert "transfer-encoding" not in old.fields
    assert old.body == b"onetwo"


def test_http_1_0_may_keep_the_connection(serve: Serve) -> None:
    wire = serve(answering([b"x"])).connect()
    request = b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    assert wire.ask(request).fields["connection"] == "keep-alive"
    assert wire.ask(request).body == b"x"
    assert wire.ask(b"GET /a HTTP/1.0\r\n\r\n").fields["connection"] == "close"
    assert wire.is_closed()


@pytest.mark.parametrize("value", ["close", "Close"])
def test_the_application_may_close_the_connection(serve: Serve, value: str) -> None:
    wire = serve(answering([b"bye"], headers=[("Connection", value)])).connect()
    answer = wire.ask(GET)
    assert (answer.body, answer.fields["connection"]) == (b"bye", "close")
    assert wire.is_closed()


@pytest.mark.parametrize("word", ["close", "Close", "TE, close"])
def test_the_client_may_close_the_connection(serve: Serve, word: str) -> None:
    wire = serve(answering([b"bye"])).connect()
    assert (
        wire.ask(GET.replace(b"\r\n\r\n", f"\r\nConnection: {word}\r\n\r\n".encode())).fields["connection"] == "close"
    )
    assert wire.is_closed()


def test_an_answer_to_head_has_no_body_but_its_length(serve: Serve) -> None:
    running = serve(answering([b"hello"]))
    wire = running.connect()
    answer = wire.ask(GET.replace(b"GET", b"HEAD"), head_only=True)
    assert answer.fields["content-length"] == "5"
    assert wire.ask(GET).body == b"hello"


def test_a_generator_is_not_run_for_a_head_and_is_closed(serve: Serve) -> None:
    log: list[str] = []
    ended = threading.Semaphore(0)

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        try:
            start_response("200 OK", [("Content-Length", "1000000")])
            yield b"x" * 10
            log.append("read on")
            yield b"x" * 999_990
        finally:
            log.append("closed")
            ended.release()

    wire = serve(app).connect()
    assert wire.ask(GET.replace(b"GET", b"HEAD"), head_only=True).fields["content-length"] == "1000000"
    assert len(wire.ask(GET).body) == 1_000_000
    assert ended.acquire(timeout=30)
    assert ended.acquire(timeout=30)
    assert log == ["closed", "read on", "closed"]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_body_has_none_even_if_the_application_sends_one(serve: Serve, status: str) -> None:
    wire = serve(answering([b"nonsense"], status=status)).connect()
    answers = [wire.ask(GET) for _ in range(2)]
    assert [answer.status for answer in answers] == [int(status[:3])] * 2
    assert all("transfer-encoding" not in answer.fields for answer in answers)


def test_204_has_no_length(serve: Serve) -> None:
    running = serve(answering([], status="204 No Content", headers=[("Content-Length", "0")]))
    assert "content-length" not in running.ask(GET).fields


def test_what_exceeds_the_declared_length_is_never_sent(serve: Serve) -> None:
    def parts() -> Iterator[bytes]:
        yield b"123"
        yield b"456"

    for several in (parts, [b"123456"]):
        wire = serve(answering(several, headers=[("Content-Length", "4")])).connect()
        wire.send(GET + GET)
        everything = wire.rest()
        assert everything.count(b"HTTP/1.1") == 1
        assert everything.endswith(b"\r\n\r\n1234")


def test_an_answer_shorter_than_declared_ends_in_a_reset_at_once(serve: Serve) -> None:
    def parts() -> Iterator[bytes]:
        yield b"123"

    for short in (parts, [b"123"]):
        wire = serve(answering(short, headers=[("Content-Length", "4")])).connect()
        started = time.monotonic()
        wire.send(GET + GET)
        with pytest.raises((ConnectionResetError, EOFError)):
            wire.ask(b"")
        assert time.monotonic() - started < 20


def test_an_application_that_fails_half_way_breaks_the_connection(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def parts() -> Iterator[bytes]:
        yield b"x" * 10
        raise RuntimeError("a secret")

    running = serve(answering(parts))
    for version in (b"1.1", b"1.0"):
        wire = running.connect()
        wire.send(GET.replace(b"1.1", version))
        time.sleep(0.1)
        with pytest.raises(ConnectionResetError):
            wire.rest()
    assert "a secret" in caplog.text


def failing(environ: Environ, start_response: StartResponse) -> list[bytes]:
    raise RuntimeError("a secret")


def exiting(environ: Environ, start_response: StartResponse) -> list[bytes]:
    raise SystemExit(3)


BAD_APPLICATIONS: dict[str, Callable[[Environ, StartResponse], Any]] = {
    "raises": failing,
    "never starts": lambda environ, start_response: [b"x"],
    "returns nothing": lambda environ, start_response: None,
    "a status without number": answering([], status="OK"),
    "an interim status": answering([], status="100 Continue"),
    "a length that is none": answering([], headers=[("Content-Length", "+5")]),
    "two lengths": answering([], headers=[("Content-Length", "5"), ("content-length", "5")]),
    "a line end in a value": answering([], headers=[("X", "a\r\nSet-Cookie: b")]),
    "a line end in a name": answering([], headers=[("X: a\r\nY", "b")]),
    "a line end in the status": answering([], status="200 OK\r\nX: y"),
    "text instead of bytes": answering(["x"]),
    "a value that is not Latin-1": answering([], headers=[("X", "\u20ac")]),
}


@pytest.mark.parametrize("app", BAD_APPLICATIONS.values(), ids=BAD_APPLICATIONS)
def test_an_application_that_breaks_the_rules_is_a_500_that_tells_nothing(
    serve: Serve, app: Callable[[Environ, StartResponse], Any], caplog: pytest.LogCaptureFixture
) -> None:
    running = serve(app, threads=1)
    wire = running.connect()
    answer = wire.ask(GET.replace(b"/a", b"/a?token=secret"))
    assert answer.status == 500
    assert answer.body == b"The server failed to answer.\n"
    assert wire.is_closed()
    assert "token" not in caplog.text
    assert running.ask(GET).status == 500  # the worker lives


def test_a_worker_outlives_an_application_that_exits(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    running = serve(exiting, threads=1)
    for _ in range(3):
        wire = running.connect()
        wire.send(GET)
        assert wire.is_closed()
    assert "SystemExit" in caplog.text


def test_the_answer_can_change_until_it_is_sent(serve: Serve) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "999")])
        start_response("503 Service Unavailable", [], (ValueError, ValueError("late"), None))
        return [b"sorry"]

    answer = serve(app).ask(GET)
    assert (answer.status, answer.body) == (503, b"sorry")


def test_the_write_function_sends_at_once(serve: Serve) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", "6")])
        write(b"abc")
        return [b"def"]

    assert serve(app).ask(GET).body == b"abcdef"


def test_environ_says_where_the_request_came_from_and_what_it_asked(serve: Serve, echo: Echo) -> None:
    running = serve(echo)
    wire = running.connect()
    wire.ask(b"GET http://name:8/a%2Fb%20?x=%2f HTTP/1.1\r\nHost: h\r\nX_User: evil\r\n\r\n")
    environ = echo.environs[0]
    assert environ["REQUEST_URI"] == "http://name:8/a%2Fb%20?x=%2f"
    assert environ["davserver.raw_path"] == "/a%2Fb%20"
    assert environ["PATH_INFO"] == "/\x00/a%2Fb%20"
    assert environ["QUERY_STRING"] == "x=%2f"
    assert environ["HTTP_HOST"] == "name:8"
    assert environ["REMOTE_PORT"] == str(wire.socket.getsockname()[1])
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(running.address[1])
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["davserver.body"] is environ["wsgi.input"]
    assert "HTTP_X_USER" not in environ


def test_a_client_that_takes_nothing_of_its_answer_loses_it_in_time(serve: Serve) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * (50_000_000 if environ["PATH_INFO"] == "/deaf" else 1)]

    running = serve(app, threads=1, send_seconds=0.3)
    deaf = running.connect()
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.send(GET.replace(b"/a", b"/deaf"))
    time.sleep(0.1)
    started = time.monotonic()
    assert running.ask(GET).body == b"x"
    assert time.monotonic() - started < 20
