"""clamd over TCP, through pyclamd: the command INSTREAM (clamd(8)), in constant memory.

pyclamd 0.4.0 streams from anything with a `read`, and leaves three things open that matter here, so it works on a connection
of ours: it may send half of what it is given, which shifts all that follows; it takes a connection that clamd closed without
a word for "nothing found"; and when clamd refuses a stream in its middle it fails rather than read why.
"""

import re
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import pyclamd

from davserver.domain.errors import ScannerUnavailable
from davserver.domain.verdict import Finding, Verdict
from davserver.scanning.base import ScanFailed, no_sign

CHUNK: Final = 256 * 1024
"""Bytes of a piece of the stream."""
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
"""For what clamd knows without thinking."""
SEND_SECONDS: Final = 30.0
"""For one piece of the stream."""
VERDICT_SECONDS: Final = 600.0
"""From the end of the stream to the verdict. clamd's own limit (MaxScanTime) is two minutes a file."""
_SIGN_SECONDS: Final = 2.0

_VERDICT: Final = re.compile(rb"stream: (?:OK|.+ (?:FOUND|ERROR))|INSTREAM size limit exceeded\. ERROR")
_VERSION: Final = re.compile(rb"ClamAV .+")
_PONG: Final = re.compile(rb"PONG")
_LONGEST_ANSWER: Final = 4096
_OVER_LIMIT: Final = "Heuristics.Limits.Exceeded"
"""What clamd finds, with AlertExceedsMax, in a file that it has not scanned to its end."""


class ClamdScanner:
    """A clamd at a host and a port. One connection a command, as clamd likes it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        verdict_seconds: float = VERDICT_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._port = port
        self._verdict_seconds = verdict_seconds
        self._timer = timer

    def __repr__(self) -> str:
        return f"ClamdScanner({self._host!r}, {self._port})"

    def scan(self, chunks: Iterable[bytes], alive: Callable[[], None] = no_sign) -> Finding:
        """Scan a stream; see `Scanner.scan`. `TOO_LARGE` when clamd says that it is over one of its limits."""
        with self._command(_VERDICT, self._verdict_seconds, alive) as clamd:
            stream = _Stream(chunks, clamd)
            try:
                found = clamd.scan_stream(stream, chunk_size=CHUNK)  # type: ignore[no-untyped-call]
            except pyclamd.BufferTooLongError:
                return Finding(Verdict.TOO_LARGE)
            except OSError as error:
                raise ScanFailed(f"The connection to clamd broke: {error}") from error
            except _Unanswered as error:
                raise ScanFailed(str(error)) from None
        return _finding(found)

    def version(self) -> str:
        """Such as ``ClamAV 1.4.6/27800/Mon Oct 20 08:05:53 2025``: program, number and date of the signatures."""
        with self._command(_VERSION, ANSWER_SECONDS, no_sign) as clamd:
            return str(clamd.version())  # type: ignore[no-untyped-call]

    def check(self) -> None:
        """A PING."""
        with self._command(_PONG, ANSWER_SECONDS, no_sign) as clamd:
            clamd.ping()  # type: ignore[no-untyped-call]

    @contextmanager
    def _command(self, expected: re.Pattern[bytes], seconds: float, alive: Callable[[], None]) -> "Iterator[_Clamd]":
        def connect() -> _Connection:
            try:
                made = socket.create_connection((self._host, self._port), CONNECT_SECONDS)
            except OSError as error:
                raise self._unavailable(error) from error
            return _Connection(made, expected, seconds, alive, self._timer)

        clamd = _Clamd(connect)
        try:
            yield clamd
        except (OSError, _Unanswered) as error:
            raise self._unavailable(error) from error
        finally:
            if clamd.connection is not None:
                clamd.connection.close()

    def _unavailable(self, error: Exception) -> ScannerUnavailable:
        return ScannerUnavailable(f"clamd at {self._host} port {self._port} does not answer: {error}")


def _finding(found: dict[str, tuple[str, str]] | None) -> Finding:
    """What pyclamd made of clamd's answer, in our words."""
    if not found:
        return Finding(Verdict.CLEAN)
    [(status, text)] = found.values()
    if status != "FOUND":
        raise ScanFailed(f"clamd says: {text}")
    if text.startswith(_OVER_LIMIT):
        return Finding(Verdict.TOO_LARGE)
    return Finding(Verdict.INFECTED, "".join(char if char.isprintable() else "?" for char in text))


class _Unanswered(Exception):
    """clamd closed the connection, or took too long, or said something that is no answer."""


class _Clamd(pyclamd.ClamdNetworkSocket):
    """pyclamd's client on connections of ours, made when a command begins and not before."""

    def __init__(self, connect: "Callable[[], _Connection]") -> None:
        self._connect = connect
        self.connection: _Connection | None = None

    def _init_socket(self) -> None:
        self.connection = self.clamd_socket = self._connect()  # type: ignore[assignment]


class _Connection:
    """What pyclamd uses of a socket. It sends whole, and hands on only what is an answer."""

    def __init__(
        self,
        connected: socket.socket,
        expected: re.Pattern[bytes],
        seconds: float,
        alive: Callable[[], None],
        timer: Callable[[], float],
    ) -> None:
        self._socket = connected
        self._expected = expected
        self._seconds = seconds
        self._alive = alive
        self._timer = timer
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self._is_deaf = False
        self._is_answered = False

    @property
    def is_over(self) -> bool:
        """Whether clamd has answered or gone, and more need not be sent."""
        return self._is_deaf or bool(self._readable.poll(0))

    def send(self, data: bytes) -> int:
        """Send all of it, unless clamd listens no more; then there is an answer to read."""
        if not self._is_deaf:
            self._socket.settimeout(SEND_SECONDS)
            try:
                self._socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                self._is_deaf = True
        return len(data)

    def recv(self, _size: int) -> bytes:
        """The whole answer, then nothing."""
        if self._is_answered:
            return b""
        line = self._read_line().strip()
        if not self._expected.fullmatch(line):
            told = ascii(line.decode("latin-1")) if line else "nothing"
            raise _Unanswered(f"clamd said {told} and closed the connection")
        self._is_answered = True
        return line

    def close(self) -> None:
        """May be called again."""
        self._socket.close()

    def _read_line(self) -> bytes:
        self._socket.settimeout(_SIGN_SECONDS)
        end = self._timer() + self._seconds
        line = b""
        while not line.endswith(b"\n") and len(line) < _LONGEST_ANSWER:
            try:
                part = self._socket.recv(_LONGEST_ANSWER)
            except TimeoutError:
                self._alive()
                if self._timer() >= end:
                    raise _Unanswered(f"clamd has not answered for {self._seconds:.0f} s") from None
                continue
            except ConnectionResetError:
                part = b""
            if not part:
                break
            line += part
        return line


class _Stream:
    """What pyclamd reads from: the chunks as they come, until they end or clamd wants no more."""

    def __init__(self, chunks: Iterable[bytes], clamd: _Clamd) -> None:
        self._chunks = iter(chunks)
        self._clamd = clamd
        self._rest = memoryview(b"")

    def read(self, size: int) -> memoryview:
        """At most `size` bytes; none at the end."""
        assert self._clamd.connection is not None  # noqa: S101 - pyclamd connects before it reads
        if self._clamd.connection.is_over:
            return memoryview(b"")
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return memoryview(b"")
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece
