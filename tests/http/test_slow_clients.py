"""Clients that take their time stall nobody but themselves."""

import threading
import time
from collections.abc import Iterator

from davserver.http.connection import State
from davserver.http.exchange import Environ, StartResponse
from tests.http.conftest import Echo, Running, Serve, Wire

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def test_two_hundred_half_sent_heads_stall_nobody(serve: Serve, echo: Echo) -> None:
    running = serve(echo, threads=1)
    halves = [running.connect() for _ in range(200)]
    for wire in halves:
        wire.send(GET[:-3])
    started = time.monotonic()
    other = running.connect()
    for _ in range(50):
        assert other.ask(GET).status == 200
    assert time.monotonic() - started < 15  # a head may take twenty seconds
    for wire in halves:
        wire.send(GET[-3:])
    assert {wire.answer().status for wire in halves} == {200}


def test_a_head_must_be_whole_in_time_even_if_it_trickles(serve: Serve, echo: Echo) -> None:
    wire = serve(echo, head_seconds=0.5).connect()
    wire.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
    started = time.monotonic()
    while time.monotonic() - started < 30:
        try:
            wire.send(b"X: y\r\n")
        except ConnectionError:
            break
        time.sleep(0.1)
    assert time.monotonic() - started < 15
    assert not echo.environs


def test_a_head_that_is_late_is_told_so_and_silence_is_closed_in_silence(serve: Serve, echo: Echo) -> None:
    running = serve(echo, head_seconds=1)
    late, silent = running.connect(), running.connect()
    late.send(GET[:-2])
    assert late.answer().status == 408
    assert late.is_closed()
    assert silent.rest() == b""


def test_idle_connections_are_closed_in_time_but_not_before(serve: Serve, echo: Echo) -> None:
    wire = serve(echo, head_seconds=0.6, idle_seconds=3).connect()
    assert wire.ask(GET).status == 200
    time.sleep(0.9)
    assert wire.ask(GET).status == 200
    assert wire.rest() == b""


def test_many_idle_connections_are_kept(serve: Serve, echo: Echo) -> None:
    running = serve(echo)
    wires = [running.connect() for _ in range(150)]
    for _ in range(2):
        assert {wire.ask(GET).status for wire in wires} == {200}


def test_at_the_limit_of_connections_the_longest_idle_makes_room(serve: Serve, echo: Echo) -> None:
    running = serve(echo, max_connections=10)
    wires = [running.connect() for _ in range(10)]
    for number, wire in enumerate(wires, 1):
        assert wire.ask(GET).status == 200
        # The answer is there a moment before its connection counts as idle.
        deadline = time.monotonic() + 30
        while sum(c.parked and c.state is State.IDLE for c in running.server.open_connections()) < number:
            assert time.monotonic() < deadline
    newcomer = running.connect()
    assert newcomer.ask(GET).status == 200
    assert wires[0].is_closed()
    assert wires[9].ask(GET).status == 200
    assert running.server.open_count <= 10


def test_at_the_limit_without_an_idle_one_newcomers_wait(serve: Serve, echo: Echo) -> None:
    running = serve(echo, max_connections=5)
    halves = [running.connect() for _ in range(5)]
    for wire in halves:
        wire.send(GET[:-2])
    time.sleep(0.2)
    newcomer = running.connect()
    newcomer.send(GET)
    assert not newcomer.is_closed(within=0.4)
    halves[0].close()
    newcomer.socket.settimeout(30)
    assert newcomer.answer().status == 200
    assert running.server.open_count <= 5


def test_a_slow_request_leaves_the_other_workers_free(serve: Serve) -> None:
    go_on = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            go_on.wait(10)
        start_response("200 OK", [])
        return [b"done"]

    running = serve(app, threads=2)
    slow = running.connect()
    slow.send(GET.replace(b"/ ", b"/slow "))
    time.sleep(0.1)
    assert running.ask(GET).status == 200
    go_on.set()
    assert slow.answer().body == b"done"


def test_stopping_from_another_thread_waits_for_what_is_in_flight(serve: Serve) -> None:
    begun = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        begun.set()
        time.sleep(0.5)
        start_response("200 OK", [])
        return [b"done"]

    running = serve(app)
    idle, silent, busy = running.connect(), running.connect(), running.connect()
    assert idle.ask(GET).status == 200
    begun.clear()
    busy.send(GET)
    assert begun.wait(30)
    started = time.monotonic()
    running.server.stop()
    assert time.monotonic() - started < 15
    assert busy.answer().body == b"done"
    assert idle.is_closed()
    assert silent.is_closed()


def held(serve: Serve, **settings: int) -> tuple[Running, list[Wire]]:
    """A server with one working thread, and six clients that began an upload and do not go on."""
    begun = threading.Semaphore(0)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            begun.release()
            environ["davserver.body"].read()
        start_response("200 OK", [])
        return [b"done"]

    running = serve(app, threads=1, **settings)
    uploads = [running.connect() for _ in range(6)]
    for wire in uploads:
        wire.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na")
    for _ in range(min(6, settings.get("max_threads", 6))):
        assert begun.acquire(timeout=10)
    return running, uploads


def test_uploads_that_wait_for_their_clients_keep_no_other_request_waiting(serve: Serve) -> None:
    running, uploads = held(serve)
    for _ in range(20):
        assert running.ask(GET).body == b"done"
    for wire in uploads:
        wire.send(b"b")
    assert {wire.answer().body for wire in uploads} == {b"done"}


def test_a_download_that_nobody_takes_keeps_no_other_request_waiting(serve: Serve) -> None:
    size = 64 << 20

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(size if environ["PATH_INFO"] == "/big" else 1))])
        if environ["PATH_INFO"] == "/big":
            yield from (bytes(1 << 20) for _ in range(size >> 20))
        else:
            yield b"x"

    running = serve(app, threads=1)
    downloads = [running.connect() for _ in range(3)]
    for wire in downloads:
        wire.send(GET.replace(b"/ ", b"/big "))
    for _ in range(20):
        assert running.ask(GET).body == b"x"
    assert {len(wire.answer().body) for wire in downloads} == {size}


def test_there_are_never_more_threads_than_the_most(serve: Serve) -> None:
    running, uploads = held(serve, max_threads=3)
    newcomer = running.connect()
    newcomer.send(GET)
    assert not newcomer.is_closed(within=0.3)
    assert running.server.requests.size == 3
    for wire in uploads:
        wire.send(b"b")
    newcomer.socket.settimeout(10)
    assert {wire.answer().body for wire in [newcomer, *uploads]} == {b"done"}
