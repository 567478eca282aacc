"""clamd itself: what it finds, its limits, and what becomes of a scan when it is away, silent or gone in the middle."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from davserver.domain.errors import ScannerUnavailable
from davserver.domain.verdict import Finding, Verdict
from davserver.scanning.base import ScanFailed
from davserver.scanning.clamd import ClamdScanner
from tests.support.clamd import EICAR, EICAR_NAME, ClamdServer
from tests.support.fixtures_clamd import STREAM_LIMIT

MIB = 1 << 20


def test_eicar_is_found_by_name(clamd: ClamdScanner) -> None:
    assert clamd.scan([EICAR]) == Finding(Verdict.INFECTED, EICAR_NAME)


def test_a_virus_across_chunks_is_found(clamd: ClamdScanner) -> None:
    assert clamd.scan([b"x" * 262_000, EICAR[:30], EICAR[30:], b"y" * 100]).verdict is Verdict.INFECTED


def test_a_virus_at_the_end_of_many_large_chunks_is_found(clamd: ClamdScanner) -> None:
    # More than the socket takes at once: what was sent by halves would shift the stream, and clamd would see another.
    assert clamd.scan([bytes(700_000), bytes(700_001), bytes(600_000), EICAR]).verdict is Verdict.INFECTED


def test_the_limit_of_clamd_is_stated(clamd: ClamdScanner) -> None:
    assert clamd.scan([bytes(STREAM_LIMIT)]).verdict is Verdict.CLEAN
    assert clamd.scan([bytes(STREAM_LIMIT), b"x"]) == Finding(Verdict.TOO_LARGE)


def test_no_more_is_sent_than_clamd_takes(clamd: ClamdScanner) -> None:
    given = 0

    def endless() -> Iterator[bytes]:
        nonlocal given
        while given < 500:
            given += 1
            yield bytes(MIB)

    assert clamd.scan(endless()).verdict is Verdict.TOO_LARGE
    assert given < 50


@pytest.fixture
def strict_clamd(own_clamd: ClamdServer) -> ClamdScanner:
    own_clamd.set_option("MaxFileSize", "1M")
    own_clamd.set_option("AlertExceedsMax", "yes")
    own_clamd.start()
    return ClamdScanner("127.0.0.1", own_clamd.port)


def test_what_clamd_did_not_look_at_is_too_large_and_no_virus(strict_clamd: ClamdScanner) -> None:
    assert strict_clamd.scan([bytes(MIB + 1)]) == Finding(Verdict.TOO_LARGE)


def test_the_version_tells_program_and_signatures(clamd: ClamdScanner) -> None:
    assert clamd.version().startswith("ClamAV ")
    assert "/1/" in clamd.version()


def test_a_clamd_that_is_away_is_unavailable(own_clamd: ClamdServer) -> None:
    scanner = ClamdScanner("127.0.0.1", own_clamd.port)
    for call in (scanner.check, scanner.version, lambda: scanner.scan([b"x"])):
        with pytest.raises(ScannerUnavailable, match="does not answer"):
            call()


def test_a_clamd_that_is_killed_in_the_middle_gives_no_verdict(own_clamd: ClamdServer) -> None:
    own_clamd.start()

    def chunks() -> Iterator[bytes]:
        yield b"x" * MIB
        own_clamd.stop()
        yield b"x" * MIB

    with pytest.raises(ScanFailed):
        ClamdScanner("127.0.0.1", own_clamd.port).scan(chunks())


def test_what_the_source_raises_ends_the_scan(clamd: ClamdScanner) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * MIB
        raise EOFError

    with pytest.raises(EOFError):
        clamd.scan(chunks())


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where `talk` has each connection; it is closed, with what was not read, when `talk` returns."""

    def serve() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with closing(connection):
                talk(connection)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    server.join(5)


def read_all(connection: socket.socket) -> None:
    received = b""
    while not received.endswith(bytes(4)):
        received += connection.recv(65536)


@pytest.mark.parametrize(
    "answer",
    [b"", b"stream: O", b"stream: OK\nand more", b"COMMAND READ TIMED OUT\n", b"\xff\xfe\n", b"stream: broken ERROR\n"],
)
def test_anything_but_a_verdict_is_a_failure_and_never_clean(answer: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        read_all(connection)
        connection.sendall(answer)

    with talking(talk) as port, pytest.raises(ScanFailed):
        ClamdScanner("127.0.0.1", port).scan([b"x"])


def test_a_slow_reader_gets_every_byte_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection

    def connect_narrowly(*where: Any) -> socket.socket:
        made = connect(*where)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        return made

    monkeypatch.setattr(socket, "create_connection", connect_narrowly)
    sent = [bytes([number]) * 300_001 for number in range(40)]
    received = bytearray()

    def talk(connection: socket.socket) -> None:
        time.sleep(0.2)  # by now the system takes only a part of what it is given
        stream = connection.makefile("rb")
        assert stream.readline() == b"nINSTREAM\n"
        while size := int.from_bytes(stream.read(4)):
            received.extend(stream.read(size))
        connection.sendall(b"stream: OK\n")

    with talking(talk) as port:
        assert ClamdScanner("127.0.0.1", port).scan(sent) == Finding(Verdict.CLEAN)
    assert received == b"".join(sent)


def test_a_verdict_in_pieces_is_put_together() -> None:
    def talk(connection: socket.socket) -> None:
        read_all(connection)
        for piece in (b"stream: Some.", b"Virus FO", b"UND\n"):
            connection.sendall(piece)
            time.sleep(0.05)

    with talking(talk) as port:
        assert ClamdScanner("127.0.0.1", port).scan([b"x"]) == Finding(Verdict.INFECTED, "Some.Virus")


@contextmanager
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    done = threading.Event()

    def talk(_: socket.socket) -> None:
        done.wait(30)

    with talking(talk) as port:
        try:
            yield port
        finally:
            done.set()


def test_a_clamd_that_thinks_for_long_hears_that_it_is_waited_for_and_then_is_given_up() -> None:
    signs = []
    with silent() as port, pytest.raises(ScanFailed, match="has not answered"):
        ClamdScanner("127.0.0.1", port, verdict_seconds=3).scan([b"x"], lambda: signs.append(1))
    assert len(signs) == 2


def test_who_waits_may_end_the_scan() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with silent() as port, pytest.raises(Stop):
        ClamdScanner("127.0.0.1", port).scan([b"x"], stop)
