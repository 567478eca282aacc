"""Requests that the selecting thread answers itself, after one question for many of them."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import pytest

from davserver.http.exchange import Environ, StartResponse
from tests.http.conftest import Running, Serve

LARGE = b"0123456789abcdef" * (1 << 19)
"""8 MiB: more than the system takes at once."""
SECONDS = 20.0


class Rememberer:
    """An application that remembers what lies below /known, once somebody says over a pipe that it is true."""

    methods = frozenset({b"GET", b"PROPFIND"})

    def __init__(self) -> None:
        self.early = self
        self.questions: list[list[str]] = []
        self.asked = threading.Semaphore(0)
        self.noted = threading.Semaphore(0)
        self.forgotten = threading.Semaphore(0)
        self.threads: list[tuple[str, str]] = []
        """Path and thread of each answer."""
        self.breaks = self.has_none = False
        self.pipes = [os.pipe(), os.pipe()]
        self.at_once = 1
        self.awaited: dict[int, list[str]] = {}

    def note(self, environ: Environ) -> bool:
        if not environ["davserver.raw_path"].startswith("/known"):
            return False
        environ["body"] = environ["wsgi.input"].read()
        self.noted.release()
        return True

    def can_ask(self) -> bool:
        return len(self.awaited) < self.at_once

    def ask(self, environs: Sequence[Environ]) -> tuple[int, bool]:
        self.questions.append([environ["davserver.raw_path"] for environ in environs])
        if self.has_none:
            raise ConnectionError
        descriptor = next(receiver for receiver, _ in self.pipes if receiver not in self.awaited)
        self.awaited[descriptor] = self.questions[-1]
        self.asked.release()
        return descriptor, not self.breaks

    def hear(self, descriptor: int) -> list[bool] | None:
        said = os.read(descriptor, 1)
        if said == b"!":
            raise ConnectionError
        if said == b",":
            return None
        return [not path.startswith("/known/not") for path in self.awaited.pop(descriptor)]

    def forget(self, descriptor: int) -> None:
        del self.awaited[descriptor]
        self.forgotten.release()

    def say(self, text: bytes, pipe: int = 0) -> None:
        """Answer the question (``.``), a part of it (``,``), or break the connection (``!``)."""
        os.write(self.pipes[pipe][1], text)

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        path = environ["davserver.raw_path"]
        self.threads.append((path, threading.current_thread().name))
        start_response("200 OK", [("Content-Type", "text/plain")])
        if path == "/known/large":
            return [LARGE]
        return [path.encode(), environ["body"] if "body" in environ else environ["wsgi.input"].read()]

    def by_worker(self, path: str) -> bool:
        """Whether a worker answered."""
        return [name.startswith("http-worker") for asked, name in self.threads if asked == path] == [True]


@pytest.fixture
def app() -> Iterator[Rememberer]:
    app = Rememberer()
    yield app
    for one in chain(*app.pipes):
        os.close(one)


@pytest.fixture
def running(app: Rememberer, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Running:
    # In this order: the server ends before the pipe. On a busy machine a test may need more than a second to say something.
    monkeypatch.setattr("davserver.http.early._PATIENCE", 10 * SECONDS)
    return serve(app)


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def took(semaphore: threading.Semaphore, times: int = 1) -> bool:
    return all(semaphore.acquire(timeout=SECONDS) for _ in range(times))


def test_who_comes_while_an_answer_is_awaited_shares_the_next_question(running: Running, app: Rememberer) -> None:
    first, *others = [running.connect() for _ in range(4)]
    first.send(get("/known/0"))
    assert took(app.asked)
    for number, wire in enumerate(others, 1):
        wire.send(get(f"/known/{number}"))
    assert took(app.noted, 4)
    app.say(b".")
    assert first.answer().body == b"/known/0"
    assert took(app.asked)
    app.say(b".")
    assert [wire.answer().body for wire in others] == [b"/known/1", b"/known/2", b"/known/3"]
    assert [sorted(question) for question in app.questions] == [["/known/0"], ["/known/1", "/known/2", "/known/3"]]
    assert not any(app.by_worker(path) for path, _ in app.threads)


def test_several_questions_may_be_under_way(running: Running, app: Rememberer) -> None:
    app.at_once = 2
    first, second = running.connect(), running.connect()
    for number, wire in enumerate((first, second)):
        wire.send(get(f"/known/{number}"))
        assert took(app.asked)
    app.say(b".", 1)
    assert second.answer().body == b"/known/1"
    app.say(b".", 0)
    assert first.answer().body == b"/known/0"


def test_an_answer_may_come_in_parts(running: Running, app: Rememberer) -> None:
    wire = running.connect()
    wire.send(get("/known/a"))
    app.say(b",,.")
    assert wire.answer().body == b"/known/a"


def test_what_is_not_confirmed_is_answered_by_a_worker(running: Running, app: Rememberer) -> None:
    wire = running.connect()
    app.say(b".")
    assert wire.ask(get("/known/not")).body == b"/known/not"
    assert app.by_worker("/known/not")
    assert wire.ask(get("/other")).body == b"/other"
    assert app.by_worker("/other")
    app.say(b".")
    assert wire.ask(get("/known/yes")).body == b"/known/yes"
    assert not app.by_worker("/known/yes")


def break_off(app: Rememberer) -> None:
    app.say(b"!")


def refuse(app: Rememberer) -> None:
    app.breaks = True


def have_none(app: Rememberer) -> None:
    app.has_none = True


@pytest.mark.parametrize("trouble", [break_off, refuse, have_none])
def test_when_the_question_fails_the_workers_answer(
    running: Running, app: Rememberer, trouble: Callable[[Rememberer], None]
) -> None:
    trouble(app)
    wire = running.connect()
    assert wire.ask(get("/known/a")).body == b"/known/a"
    assert app.by_worker("/known/a")
    assert app.has_none or took(app.forgotten)
    app.breaks = app.has_none = False
    app.say(b".")
    assert wire.ask(get("/known/b")).body == b"/known/b"
    assert not app.by_worker("/known/b")


def test_nobody_waits_long_for_an_answer_that_does_not_come(
    running: Running, app: Rememberer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("davserver.http.early._PATIENCE", 0.0)
    assert running.connect().ask(get("/known/a")).body == b"/known/a"
    assert app.by_worker("/known/a")
    assert took(app.forgotten)


def test_a_client_that_takes_nothing_keeps_nobody_waiting(running: Running, app: Rememberer) -> None:
    slow, other = running.connect(), running.connect()
    slow.send(get("/known/large"))
    assert took(app.asked)
    app.say(b".")
    for number in range(3):
        other.send(get(f"/known/{number}"))
        assert took(app.asked)
        app.say(b".")
        assert other.answer().body == f"/known/{number}".encode()
    assert slow.answer().body == LARGE
    app.say(b".")
    assert slow.ask(get("/known/after")).body == b"/known/after"


def test_a_body_is_read_when_it_came_with_the_head_and_else_by_a_worker(running: Running, app: Rememberer) -> None:
    head = b"PROPFIND /known/%b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
    wire = running.connect()
    app.say(b".")
    assert wire.ask(head % b"a" + b"body").body == b"/known/abody"
    wire.send(head % b"b")
    wire.send(b"bo", b"dy")
    # The system may have put the pieces together again: then it is asked for.
    app.say(b".")
    assert wire.answer().body == b"/known/bbody"


def test_a_chunked_body_and_one_that_waits_to_be_invited_are_for_a_worker(running: Running, app: Rememberer) -> None:
    wire = running.connect()
    chunked = b"PROPFIND /known/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    assert wire.ask(chunked).body == b"/known/cbody"
    wire.send(b"PROPFIND /known/d HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert wire.answer().status == 100
    wire.send(b"body")
    assert wire.answer().body == b"/known/dbody"
    assert app.by_worker("/known/c")
    assert app.by_worker("/known/d")


def test_requests_in_a_row_are_answered_in_their_order(running: Running, app: Rememberer) -> None:
    wire = running.connect()
    app.say(b".")
    wire.send(get("/known/a") + get("/known/b") + get("/other"))
    assert [wire.answer().body for _ in range(3)] == [b"/known/a", b"/known/b", b"/other"]


def test_a_connection_that_is_to_end_ends_after_its_answer(running: Running, app: Rememberer) -> None:
    wire = running.connect()
    app.say(b".")
    wire.send(get("/known/a", "Connection: close"))
    assert wire.answer().body == b"/known/a"
    assert wire.is_closed()


def test_a_head_that_is_refused_is_refused_as_ever(running: Running) -> None:
    assert running.connect().ask(b"GET /known/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n").status == 400


def test_a_stop_waits_for_the_answer(running: Running, app: Rememberer) -> None:
    wire = running.connect()
    wire.send(get("/known/a"))
    assert took(app.asked)
    running.server.request_stop()
    deadline = time.monotonic() + SECONDS
    while not running.server.stopping:  # else the answer may be heard first, and the connection closed after it
        assert time.monotonic() < deadline
        time.sleep(0.01)
    app.say(b".")
    answer = wire.answer()
    assert (answer.body, answer.fields["connection"]) == (b"/known/a", "close")
