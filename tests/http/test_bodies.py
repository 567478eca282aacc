"""Request bodies on a real socket: whole, or an exception."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from davserver.http import Body, BodyCutOff, BodyTooLarge
from davserver.http.body import EMPTY
from davserver.http.exchange import Environ, StartResponse
from tests.http.conftest import Echo, Serve

SIZED = b"PUT /f HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"PUT /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("size", [1, 5, 65536, 3_000_000])
@pytest.mark.parametrize("block", [1000, 1 << 20])
def test_a_sized_body_arrives_whole_and_the_connection_serves_on(
    serve: Serve, echo: Echo, size: int, block: int
) -> None:
    echo.block = block
    wire = serve(echo).connect()
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert wire.ask(SIZED % size + body).body == body
    assert wire.ask(SIZED % 3 + b"two").body == b"two"


@pytest.mark.parametrize("sizes", [[1] * 500, [65536, 1, 100_000], [3_000_000], []])
def test_a_chunked_body_arrives_whole_and_the_connection_serves_on(serve: Serve, echo: Echo, sizes: list[int]) -> None:
    wire = serve(echo).connect()
    pieces = [bytes([65 + n % 26]) * size for n, size in enumerate(sizes)]
    assert wire.ask(CHUNKED + b"".join(map(chunk, pieces)) + b"0\r\n\r\n").body == b"".join(pieces)
    assert wire.ask(SIZED % 3 + b"two").body == b"two"
    assert "CONTENT_LENGTH" not in echo.environs[0]
    assert echo.environs[0]["davserver.body"].length is None


def test_a_chunked_body_may_come_byte_by_byte(serve: Serve, echo: Echo) -> None:
    wire = serve(echo).connect()
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in CHUNKED + chunk(b"hello") + b'5;ext="1"\r\nworld\r\n0;x\r\nA: b\r\n\r\n':
        wire.send(bytes([byte]))
        time.sleep(0.001)
    assert wire.answer().body == b"helloworld"


def test_trailers_are_taken_away_with_the_body(serve: Serve, echo: Echo) -> None:
    wire = serve(echo).connect()
    trailers = b"X-Checksum: 1\r\nContent-Length: 500\r\n"
    assert wire.ask(CHUNKED + chunk(b"a") + b"0\r\n" + trailers + b"\r\n").body == b"a"
    assert wire.ask(SIZED % 3 + b"two").body == b"two"
    assert "HTTP_X_CHECKSUM" not in echo.environs[1]


def test_pipelined_requests_are_answered_in_order(serve: Serve, echo: Echo) -> None:
    wire = serve(echo).connect()
    wire.send(SIZED % 1 + b"1" + CHUNKED + chunk(b"2") + b"0\r\n\r\n" + b"\r\n" + SIZED % 1 + b"3")
    assert [wire.answer().body for _ in range(3)] == [b"1", b"2", b"3"]


BROKEN_CHUNKS = {
    "no size": b"\r\nhello\r\n",
    "a negative size": b"-5\r\nhello\r\n",
    "a size with a sign": b"+5\r\nhello\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n",
    "a size with an underscore": b"0_5\r\nhello\r\n",
    "a blank before the size": b" 5\r\nhello\r\n",
    "a size beyond all sense": b"fffffffffffffffffff\r\nhello\r\n",
    "LF alone after the size": b"5\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "an endless extension": b"5;" + b"a" * 5000,
    "data longer than its size": b"5\r\nhello!\r\n",
    "LF alone after the data": b"5\r\nhello\n0\r\n\r\n",
    "a trailer that is none": b"0\r\nnonsense\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "endless trailers": b"0\r\n" + b"A: b\r\n" * 5000,
}


@pytest.mark.parametrize("coded", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
def test_a_broken_chunk_is_a_cut_off_body(serve: Serve, echo: Echo, coded: bytes) -> None:
    wire = serve(echo).connect()
    answer = wire.ask(CHUNKED + coded)
    assert answer.status == 400
    assert answer.fields["connection"] == "close"
    assert isinstance(echo.errors[0], BodyCutOff)
    assert not echo.bodies


CUT_OFF = {
    "sized": SIZED % 10 + b"hello",
    "sized, before any byte": SIZED % 10,
    "in a chunk": CHUNKED + b"a\r\nhello",
    "after a chunk": CHUNKED + chunk(b"hello"),
    "in a size": CHUNKED + b"a",
    "before the trailer": CHUNKED + b"5\r\nhello\r\n0\r\n",
}


@pytest.mark.parametrize("request_", CUT_OFF.values(), ids=CUT_OFF)
@pytest.mark.parametrize("how", ["half-close", "reset"])
def test_a_body_that_ends_early_raises_and_is_never_a_short_read(
    serve: Serve, echo: Echo, request_: bytes, how: str
) -> None:
    wire = serve(echo).connect()
    wire.send(request_)
    if how == "half-close":
        wire.half_close()
        assert wire.answer().status == 400
    else:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        deadline = time.monotonic() + 30
        while not echo.environs:  # a reset would take with it what was not read yet
            assert time.monotonic() < deadline
            time.sleep(0.01)
        wire.close()
    assert echo.failed.wait(30)
    assert isinstance(echo.errors[0], BodyCutOff)
    assert not echo.bodies


def test_a_reader_that_hides_the_exception_meets_it_again(serve: Serve) -> None:
    outcomes: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        for _ in range(3):
            try:
                outcomes.append(repr(environ["wsgi.input"].read(10)))
            except BodyCutOff as error:
                outcomes.append(error.reason)
        start_response("200 OK", [])
        return [b"stored"]

    wire = serve(app).connect()
    wire.send(SIZED % 10 + b"hello")
    wire.half_close()
    answer = wire.answer()
    assert answer.fields["connection"] == "close"
    assert outcomes == ["The body ended before it was whole."] * 3


def test_silence_in_a_body_ends_in_time(serve: Serve, echo: Echo) -> None:
    wire = serve(echo, read_seconds=0.3).connect()
    started = time.monotonic()
    assert wire.ask(SIZED % 10 + b"hello").status == 408
    assert 0.25 < time.monotonic() - started < 30
    assert isinstance(echo.errors[0], BodyCutOff)


def test_a_slow_body_that_makes_progress_is_not_cut_off(serve: Serve, echo: Echo) -> None:
    wire = serve(echo, read_seconds=1.5).connect()
    wire.send(SIZED % 6)
    for _ in range(6):
        time.sleep(0.3)
        wire.send(b"x")
    assert wire.answer().body == b"xxxxxx"


def test_a_body_over_the_limit_is_refused_when_declared_and_cut_off_when_chunked(serve: Serve, echo: Echo) -> None:
    running = serve(echo, max_body_bytes=10)
    assert running.ask(SIZED % 11 + b"x" * 11).status == 413
    assert not echo.environs
    assert running.ask(CHUNKED + chunk(b"x" * 6) * 2 + b"0\r\n\r\n").status == 413
    assert isinstance(echo.errors[0], BodyTooLarge)
    assert running.ask(CHUNKED + chunk(b"x" * 5) * 2 + b"0\r\n\r\n").status == 200


def test_a_body_reads_like_a_file(serve: Serve) -> None:
    seen: list[object] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        body: Body = environ["wsgi.input"]
        seen.extend([body.readline(), body.readline(3), body.read(0), next(iter(body)), body.complete])
        room = bytearray(4)
        seen.extend([body.readinto(room), bytes(room), body.bytes_read, body.readlines(1), body.read(), body.read(5)])
        seen.extend([body.complete, body.bytes_read, body.readinto(room), body.readlines()])
        start_response("204 No Content", [])
        return []

    assert serve(app).ask(SIZED % 20 + b"one\ntwo\nfour4\nsix\nxx").status == 204
    before = [b"one\n", b"two", b"", b"\n", False, 4, b"four", 12]
    assert seen == [*before, [b"4\n"], b"six\nxx", b"", True, 20, 0, []]


def test_a_request_without_a_body_has_an_empty_one(serve: Serve, echo: Echo) -> None:
    assert serve(echo).ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").body == b""
    assert echo.environs[0]["davserver.body"] is EMPTY
    assert (EMPTY.length, EMPTY.complete, EMPTY.bytes_read) == (0, True, 0)


def test_a_body_that_is_read_after_its_request_takes_nothing_from_the_next(serve: Serve) -> None:
    bodies: list[Body] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        bodies.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return [b"ok"]

    wire = serve(app).connect()
    wire.send(SIZED % 4 + b"left" + SIZED % 4 + b"next")
    assert (wire.answer().status, wire.answer().status) == (200, 200)
    with pytest.raises(BodyCutOff, match="over"):
        bodies[0].read(1)


# -- Expect: 100-continue

EXPECTING = b"PUT /f HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"


def test_the_invitation_is_bare_and_sent_when_the_application_reads(serve: Serve) -> None:
    may_read = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        may_read.wait(5)
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(5)]

    wire = serve(app).connect()
    wire.send(EXPECTING)
    assert not wire.is_closed(within=0.2)  # and nothing was sent either
    may_read.set()
    wire.socket.settimeout(30)
    interim = wire.answer()
    assert interim.raw_head == b"HTTP/1.1 100 Continue"
    wire.send(b"hello")
    assert wire.answer().body == b"hello"
    assert wire.ask(EXPECTING).status == 100


def test_a_body_that_did_not_wait_needs_no_invitation(serve: Serve, echo: Echo) -> None:
    assert serve(echo).ask(EXPECTING + b"hello").status == 200


def test_an_answer_without_reading_sends_no_invitation_and_closes(serve: Serve, refuse: Echo) -> None:
    wire = serve(refuse).connect()
    wire.send(EXPECTING)
    answer = wire.answer()
    assert answer.status == 401
    assert answer.fields["connection"] == "close"
    assert wire.is_closed()


def test_a_chunked_body_can_be_expected_too(serve: Serve, echo: Echo) -> None:
    wire = serve(echo).connect()
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    assert wire.ask(head).status == 100
    assert wire.ask(chunk(b"hello") + b"0\r\n\r\n").body == b"hello"


# -- what large bodies cost


def cpu_seconds_to_take(serve: Serve, pieces: list[bytes]) -> float:
    """CPU of the whole process: the client's share is a few sendall calls."""
    total = 0

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        nonlocal total
        while data := environ["davserver.body"].read(1 << 20):
            total += len(data)
        start_response("204 No Content", [])
        return []

    wire = serve(app).connect(timeout=60)
    started = time.process_time()
    wire.send(CHUNKED, *pieces, b"0\r\n\r\n")
    assert wire.answer().status == 204
    assert total == 64 << 20
    return time.process_time() - started


def test_one_chunk_of_64_mib_costs_no_more_than_its_copying(serve: Serve) -> None:
    assert cpu_seconds_to_take(serve, [b"%x\r\n" % (64 << 20), bytes(64 << 20), b"\r\n"]) < 2


def test_small_chunks_cost_linear_time(serve: Serve) -> None:
    thousand = chunk(b"x" * 1024) * 1024
    assert cpu_seconds_to_take(serve, [thousand] * 64) < 2


def test_an_application_may_read_on_after_it_began_to_answer(serve: Serve) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"reading: "
        yield environ["wsgi.input"].read(int(environ["QUERY_STRING"]))

    wire = serve(app).connect()
    for size in (0, 3, 10):
        assert (
            wire.ask(SIZED.replace(b"/f", b"/f?%d" % size) % 10 + b"0123456789").body
            == b"reading: 0123456789"[: 9 + size]
        )


def test_a_chunked_body_that_was_thrown_away_for_the_answer_is_not_a_short_one(serve: Serve, echo: Echo) -> None:
    """To know before the head whether the connection survives, what has arrived is looked through, and lost."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        body: Body = environ["wsgi.input"]
        start_response("200 OK", [])
        yield b"x"
        try:
            body.read(1)
        except BodyCutOff as error:
            yield f" {error.reason} {body.complete}".encode()

    wire = serve(app).connect()
    for _ in range(2):
        answer = wire.ask(CHUNKED + chunk(b"0123456789") + b"0\r\n\r\n")
        assert answer.body == b"x The answer began before the body was read. False"
