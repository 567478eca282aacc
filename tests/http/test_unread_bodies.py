"""Answers to requests whose body the application does not read: cheap for us, and the client sees them."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.http.conftest import Echo, Serve, Wire

PUT = b"PUT /f HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"PUT /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20


def test_a_small_unread_body_is_thrown_away_and_the_connection_serves_on(serve: Serve, refuse: Echo) -> None:
    wire = serve(refuse).connect()
    for size in (0, 10, 5000, MIB):
        wire.send(PUT % size + b"x" * size)
        answer = wire.answer()
        assert answer.status == 401
        assert "connection" not in answer.fields


def test_an_unread_body_may_arrive_after_the_answer(serve: Serve, refuse: Echo) -> None:
    wire = serve(refuse).connect()
    assert wire.ask(PUT % 100_000).status == 401
    wire.send(b"x" * 99_999)
    time.sleep(0.1)
    wire.send(b"x" + PUT % 0)
    assert wire.answer().status == 401


def test_an_unread_body_that_does_not_arrive_ends_the_connection(serve: Serve, refuse: Echo) -> None:
    wire = serve(refuse, discard_seconds=0.3).connect()
    assert wire.ask(PUT % 1000).status == 401
    assert wire.is_closed()


def test_a_large_unread_body_closes_and_says_so_and_a_client_that_sends_it_all_sees_the_answer(
    serve: Serve, refuse: Echo
) -> None:
    """As KIO and Windows do: the whole file first, then a look at the answer."""
    wire = serve(refuse).connect(timeout=20)
    wire.send(PUT % (50 * MIB), *[bytes(MIB)] * 50)
    answer = wire.answer()
    assert answer.status == 401
    assert answer.fields["connection"] == "close"
    assert wire.is_closed()


def test_our_half_stays_open_until_a_large_unread_body_is_there(serve: Serve, refuse: Echo) -> None:
    """Qt, hence KIO, calls a connection broken whose other half ends while it sends."""
    wire = serve(refuse).connect(timeout=20)
    assert wire.ask(PUT % (8 * MIB) + bytes(MIB)).fields["connection"] == "close"
    for _ in range(6):
        wire.send(bytes(MIB))
        assert not wire.is_closed(within=0.1)
    wire.send(bytes(MIB))
    assert wire.is_closed()


def test_an_unread_chunked_body_keeps_the_connection_only_if_it_is_all_there(serve: Serve, refuse: Echo) -> None:
    running = serve(refuse)
    wire = running.connect()
    for _ in range(2):
        answer = wire.ask(CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n\r\n")
        assert (answer.status, "connection" in answer.fields) == (401, False)
    answer = wire.ask(CHUNKED + b"5\r\nhel")
    assert (answer.status, answer.fields["connection"]) == (401, "close")
    wire.send(b"lo\r\n", *[b"%x\r\n%b\r\n" % (MIB, bytes(MIB))] * 20, b"0\r\n\r\n")
    assert wire.is_closed()


def test_lingering_ends_after_its_bytes_and_after_its_time(serve: Serve, refuse: Echo) -> None:
    wire = serve(refuse, linger_bytes=2 * MIB).connect()
    with pytest.raises(ConnectionError):
        wire.send(PUT % (500 * MIB), *[bytes(MIB)] * 500)
    wire = serve(refuse, linger_idle_seconds=0.2).connect()
    assert wire.ask(PUT % (500 * MIB)).status == 401
    assert wire.rest() == b""
    time.sleep(1.5)
    with pytest.raises(ConnectionError):
        wire.send(*[bytes(MIB)] * 100)


def test_lingering_holds_no_worker(serve: Serve, refuse: Echo) -> None:
    running = serve(refuse, threads=1)
    for _ in range(20):
        assert running.connect().ask(PUT % (500 * MIB)).status == 401
    started = time.monotonic()
    assert running.ask(PUT % 0).status == 401
    assert time.monotonic() - started < 20  # each of them may linger for five seconds


SERVER = """
import sys
from davserver.http import HttpConfig, serve
def app(environ, start_response):
    start_response("401 Unauthorized", [])
    return [b"who are you?"]
sys.exit(serve(lambda: app, HttpConfig(port=0, pin_cpus=False), on_ready=lambda address: print(address[1], flush=True)))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_600_mb_without_credentials_cost_no_memory() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, cwd=root, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            before = _peak_kib(process.pid)
            wire = Wire(("127.0.0.1", port), timeout=30)
            wire.send(PUT % (600 * MIB), *[bytes(MIB)] * 600)
            assert wire.answer().status == 401
            wire.close()
            wire = Wire(("127.0.0.1", port), timeout=30)
            wire.send(CHUNKED, b"%x\r\n" % (600 * MIB), *[bytes(MIB)] * 600)
            assert wire.answer().status == 401
            wire.close()
            assert _peak_kib(process.pid) - before < 10_000
        finally:
            process.terminate()
            assert process.wait(20) == 0


def _peak_kib(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def test_a_client_that_only_half_closes_gets_its_answer(serve: Serve, echo: Echo) -> None:
    wire = serve(echo).connect()
    wire.send(PUT % 5 + b"hello")
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer().body == b"hello"
    assert wire.is_closed()
