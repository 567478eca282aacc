"""The runner itself: what it sends is what stands in the script, and it fails when the answer is not what the script says."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.replays import runner
from tests.replays.runner import Replay, ReplayError
from tests.replays.script import Script, ScriptError, content, fill, parse_script

HEAD = "client: A client\nversion: 1\nevidence: source: its own\n\n"
GET = "step A1: look\nrules R1\n> GET {B}/a HTTP/1.1\n> Host: {H}\n>\n"
WRITE = "step A1: write\nrules R1\n> PUT {B}/a HTTP/1.1\n"
DATE = b"Date: Mon, 23 Nov 2026 02:58:40 GMT\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + DATE + b'ETag: "1"\r\nContent-Length: 5\r\n\r\nhello'
USER = ("ada", "a secret")


@dataclass
class Server:
    """Answers each request, once its end has come, with the next of these; then reads on."""

    answers: list[bytes]
    ends: list[bytes]
    """What each request ends with."""
    closes: bool = False
    received: bytes = b""
    url: str = ""
    seen_before_answers: list[bytes] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            for answer, end in zip(self.answers, self.ends, strict=True):
                self._read_to(end, connection)
                self.seen_before_answers.append(self.received)
                connection.sendall(answer)
            while not self.closes and (data := connection.recv(1 << 16)):
                self.received += data
        self.done.set()

    def _read_to(self, end: bytes, connection: socket.socket) -> None:
        start = len(self.received)
        while end not in self.received[start:] and (data := connection.recv(1 << 16)):
            self.received += data


@contextmanager
def serving(*answers: bytes, end: bytes = b"\r\n\r\n", closes: bool = False) -> Iterator[Server]:
    server = Server(list(answers), [end] * len(answers), closes)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/dav/"
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield server
        finally:
            thread.join(10)
    assert not thread.is_alive()


def script_of(steps: str) -> Script:
    return parse_script(HEAD + steps, "test")


def run(server: Server, steps: str) -> Replay:
    with Replay(script_of(steps), server.url, USER) as replay:
        replay.run()
        return replay


def test_what_is_sent_is_what_stands_there_to_the_byte() -> None:
    steps = WRITE + "> hOsT: {H upper}\n> Transfer-Encoding: Chunked\n> X:\n>\n> 5\n> hello\n> 0\n>\n< 200\n"
    with serving(OK, end=b"0\r\n\r\n") as server:
        run(server, steps)
    host = server.url.split("/")[2].upper()
    assert server.received == (
        f"PUT /dav/a HTTP/1.1\r\nhOsT: {host}\r\nTransfer-Encoding: Chunked\r\nX:\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode()
    )


def test_a_body_without_chunks_has_no_line_end_behind_it_and_is_counted() -> None:
    steps = WRITE + "> Content-Length: {LENGTH}\n>\n> ü\n> {bytes 0-2}\n< 200\n"
    with serving(OK, end=content(0, 2).encode()) as server:
        run(server, steps)
    assert server.received.endswith(f"Content-Length: 7\r\n\r\nü\r\n{content(0, 2)}".encode())


def test_what_was_taken_from_one_answer_goes_into_the_next_request() -> None:
    again = GET.replace("A1", "A2").replace("> Host: {H}", '> If-Match: "{TAG}"')
    with serving(OK, OK) as server:
        replay = run(
            server, f'{GET}< 200\n< take TAG header etag ~ ^"(.+)"$\n\n{again}< 200\n< header ETag: "{{TAG}}"\n'
        )
    assert replay.values["TAG"] == "1"
    assert b'If-Match: "1"\r\n' in server.received


MULTISTATUS = (
    b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/dav/a</D:href><D:propstat><D:prop>'
    b"<D:resourcetype/></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
)


def multistatus(body: bytes = MULTISTATUS, kind: bytes = b"application/xml") -> bytes:
    fields = b"Content-Type: %s\r\nContent-Length: %d\r\n" % (kind, len(body))
    return b"HTTP/1.1 207 Multi-Status\r\n" + DATE + fields + b"\r\n" + body


PROPFIND = GET.replace("GET", "PROPFIND")


@pytest.mark.parametrize(
    ("answer", "expected", "problem"),
    [
        (OK, "< 201 | 204", "status 200, not 201 or 204"),
        (OK, "< 200\n< header Last-Modified", "no header field Last-Modified"),
        (OK, '< 200\n< header ETag: "2"', "ETag is"),
        (OK, "< 200\n< header ETag ~ ^W/", "does not match"),
        (OK, "< 200\n< no header ETag", "there is a header field ETag"),
        (OK, "< 200\n< body is hello!", "5 bytes"),
        (OK, "< 200\n< body of 6 bytes", "5 bytes, not 6"),
        (OK, "< 200\n< body lacks ell", "holds 'ell'"),
        (OK, "< 200\n< take TOK header Lock-Token", "TOK cannot be taken"),
        (OK, "< 200\n< take TAG header ETag ~ W/(.+)", "TAG cannot be taken"),
        (OK, "< 200\n< xpath //D:href", "the body is no XML"),
        (OK, "< 200\n< bodi is hello", "no such check"),
        (multistatus(), "< 207\n< xpath //D:collection", "does not hold: //D:collection"),
        (multistatus(), "< 207\n< take TAG xpath //D:getetag", "TAG cannot be taken"),
        (OK.replace(DATE, b""), "< 200", "needs a Date"),
        (OK.replace(b"ETag", b"X-MSDAVEXT"), "< 200", "R4"),
        (OK.replace(b"200 OK", b"301 Moved"), "< 301", "redirect"),
        (OK.replace(b"HTTP/1.1", b"HTTP/1.0"), "< 200", "no status line"),
    ],
)  # fmt: skip
def test_a_wrong_answer_fails_the_step(answer: bytes, expected: str, problem: str) -> None:
    with serving(answer) as server, pytest.raises(ReplayError, match=problem):
        run(server, f"{GET}{expected}\n")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"D:", b"", "R15"),
        (b"<D:href>/dav/a</D:href>", b"<D:status/><D:href>/dav/a</D:href>", "R16"),
        (b"<D:href>/dav/a", b"<D:href>http://host/dav/a", "R17"),
        (b"<D:href>/dav/a", b"<D:href>/dav/b", "not below"),
        (b"<D:href>/dav/a", b"<D:href>/dav/a/", "slash"),
        (b"HTTP/1.1 200 OK", b"200", "R16"),
    ],
)
def test_a_multistatus_that_clients_cannot_read_fails_any_step(old: bytes, new: bytes, problem: str) -> None:
    body = MULTISTATUS.replace(old, new).replace(b"xmlns:D", b"xmlns" if not new else b"xmlns:D")
    with serving(multistatus(body)) as server, pytest.raises(ReplayError, match=problem):
        run(server, f"{PROPFIND}< 207\n")
    with serving(multistatus()) as server:
        run(server, f"{PROPFIND}< 207\n")


def test_a_failure_shows_the_step_and_both_directions_but_not_the_credentials() -> None:
    steps = GET.replace("> Host", "> Authorization: Basic {AUTH}\n> Host") + "< 404\n"
    with serving(OK) as server, pytest.raises(ReplayError) as failure:
        run(server, steps)
    told = str(failure.value)
    assert "test.replay:5: step A1 (look), rules R1: status 200, not 404" in told
    assert "GET /dav/a HTTP/1.1\nAuthorization: Basic {AUTH}\n" in told
    assert 'ETag: "1"' in told
    assert told.endswith("hello")
    assert base64.b64encode(b"ada:a secret").decode() not in told


def test_an_answer_that_breaks_off_fails_the_step() -> None:
    with serving(OK[:-2], closes=True) as server, pytest.raises(ReplayError, match="before the answer was whole"):
        run(server, f"{GET}< 200\n")


def test_a_server_that_does_not_answer_fails_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SECONDS", 0.2)
    with serving(end=b"never") as server, pytest.raises(ReplayError, match="no byte came"):
        run(server, f"{GET}< 200\n")


def test_a_client_that_asks_for_it_must_see_the_connection_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SECONDS", 0.2)
    steps = GET.replace("> Host", "> Connection: close\n> Host") + "< 200\n"
    with serving(OK, closes=True) as server:
        run(server, steps)
    with serving(OK) as server, pytest.raises(ReplayError, match="it was not"):
        run(server, steps)


def test_a_cut_sends_so_many_bytes_of_the_body_and_no_more() -> None:
    steps = (
        "step A1: write\nrules R1\n> PUT {B}/a HTTP/1.1\n> Content-Length: {LENGTH}\n>\n> hello\ncut after 2 bytes\n"
    )
    with serving() as server:
        run(server, steps)
        assert server.done.wait(5)
    assert server.received == b"PUT /dav/a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe"


EXPECT = WRITE + "> Expect: 100-continue\n>\n< 100\n> hello\n< 200\n"


def test_the_body_waits_for_the_100() -> None:
    with serving(runner.CONTINUE, OK) as server:
        server.ends[1] = b"hello"
        run(server, EXPECT)
    assert server.seen_before_answers == [server.received.removesuffix(b"hello"), server.received]


def test_a_100_that_is_not_bare_fails_the_step() -> None:
    with serving(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n") as server, pytest.raises(ReplayError, match="bare"):
        run(server, EXPECT)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("client: A\nversion: 1\n", "needs client"),
        ("client: A\nversion: 1\nevidence: my word\n", "evidence that begins with"),
        (HEAD + "stop A1: look\n", "test.replay:5: not a field"),
        (HEAD + "given: a horse\n", "given is a quota"),
        (HEAD + GET, "test.replay:5: step A1 needs"),
        (HEAD + GET + "< header ETag\n", "begins with its status"),
        (HEAD + GET + "< 200\n> more\n", "a step is one request"),
        (HEAD + GET + "expect 200\n", "not a line of a step"),
        (HEAD + "step A1: look\nrules R1\n> GET / HTTP/1.1\n< 200\n", "needs a whole request"),
    ],
)
def test_a_line_that_means_nothing_is_an_error_with_its_number(text: str, problem: str) -> None:
    with pytest.raises(ScriptError, match=problem):
        parse_script(text, "test")


def test_a_name_that_nothing_was_taken_as_is_an_error() -> None:
    with pytest.raises(ScriptError, match="TOK"):
        fill("If: (<{TOK}>)", {})
    assert fill("{N} {N upper} a{2,3}", {"N": "x"}) == "x X a{2,3}"


def test_no_two_pieces_of_made_up_content_are_alike() -> None:
    pieces = [content(start, start + 99) for start in range(0, 50_000, 100)]
    assert len(set(pieces)) == len(pieces)
    assert content(10, 20) == content(0, 99)[10:21]
